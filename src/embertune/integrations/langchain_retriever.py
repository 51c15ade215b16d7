"""A LangChain retriever as code to copy: it needs langchain-core and numpy, no Embertune."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.base import Adapter, Side
from embertune.adapters.program import apply_steps, to_program
from embertune.core.files import replacing, write_whole
from embertune.core.paths import as_path

__all__ = ["write_retriever"]

_CODE = '''\
"""LangChain with an adapter of {encoder} embeddings.

Written by Embertune; needs langchain-core and numpy. The weights are in {weights}, beside this file.
{documents}
"""

from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore

DIMENSION = {dimension}  # of the base embeddings
PROMPTS = {prompts}  # put before every text of a side
STEPS = {steps}
with np.load(Path(__file__).with_name({weights!r})) as _file:
    WEIGHTS = dict(_file)


{reader}

class TunedEmbeddings(Embeddings):
    """Base embeddings with the adapter behind them.

    Args:
        base: Your LangChain embeddings of {encoder}.
    """

    def __init__(self, base: Embeddings) -> None:
        self.base = base

    def embed_query(self, text: str) -> list[float]:
        return self._adapt([self.base.embed_query(PROMPTS["query"] + text)], "query")[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._adapt(self.base.embed_documents([PROMPTS["document"] + text for text in texts]), "document")

    def _adapt(self, vectors: list[list[float]], side: str) -> list[list[float]]:
        found = {{len(vector) for vector in vectors}} - {{DIMENSION}}
        if found and DIMENSION:
            raise ValueError(f"The adapter takes {{DIMENSION}} dimensions; these embeddings have {{found.pop()}}.")
        return apply_steps(vectors, STEPS[side], WEIGHTS).tolist() if vectors and STEPS[side] else vectors


class TunedRetriever(BaseRetriever):
    """Search a vector store with adapted queries.

    Args:
        store: Any store of LangChain with `similarity_search_by_vector`.
        embeddings: TunedEmbeddings(...).
        k: How many documents.
        search_kwargs: What else the store is told, such as a filter.
    """

    store: VectorStore
    embeddings: Any
    k: int = 4
    search_kwargs: dict = {{}}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        vector = self.embeddings.embed_query(query)
        return self.store.similarity_search_by_vector(vector, k=self.k, **self.search_kwargs)
'''


def write_retriever(adapter: Adapter, path: str | Path) -> list[Path]:
    """Write `TunedEmbeddings` and `TunedRetriever` as a Python file, with the weights as .npz beside it.

    Args:
        adapter: A fitted adapter.
        path: The .py file.

    Returns:
        The two files.

    Raises:
        ConfigError: The adapter is of a family of one's own.
        StorageError: The disk refused.

    Example:
        >>> import tempfile
        >>> from embertune.adapters.linear import LinearAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = write_retriever(LinearAdapter().fit(np.eye(2), np.eye(2)[::-1]), f"{folder}/tuned.py")
        ...     print(files[1].name, "class TunedRetriever(BaseRetriever):" in files[0].read_text())
        tuned.npz True
    """
    target = as_path(path)
    sides: tuple[Side, ...] = ("query", "document")
    arrays: dict[str, Any] = {}
    steps: dict[str, list[list[object]]] = {}
    for side in sides:
        program = to_program(adapter, side)
        named = {name: f"{side}.{name}" for name in program.arrays}
        arrays.update({named[name]: array for name, array in program.arrays.items()})
        steps[side] = [[named.get(each, each) for each in step] for step in program.steps]
    weights = target.with_suffix(".npz")
    with replacing(weights) as file:
        np.savez(file, **arrays)
    encoder = dict(adapter.encoder or {})
    moved = "It changes documents too: what is in a vector store has to be put there by TunedEmbeddings."
    text = _CODE.format(
        encoder=f"{encoder['provider']}/{encoder['model']}" if encoder else "the adapter's",
        weights=weights.name,
        documents=moved if steps["document"] else "It changes queries alone: vector stores stay as they are.",
        dimension=adapter.dimension,
        prompts={side: encoder.get(f"{side}_prompt", "") for side in steps},
        steps=_literal(steps),
        reader=inspect.getsource(apply_steps),
    )
    return [write_whole(target, text), weights]


def _literal(steps: Mapping[str, Sequence[object]]) -> str:
    sides = [f'    "{side}": [{"".join(f"{chr(10)}        {step!r}," for step in steps[side])}' for side in steps]
    return "{\n" + "".join(f"{side}{chr(10) + '    ' if chr(10) in side else ''}],\n" for side in sides) + "}"
