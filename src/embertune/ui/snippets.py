"""Code to copy, filled in for one adapter; the files that it needs are written beside the workspace's runs."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Side
from embertune.adapters.program import apply_steps, to_program
from embertune.core.files import replacing
from embertune.encoders.from_spec import source_of
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError
from embertune.integrations.langchain_retriever import write_retriever

__all__ = ["KINDS", "MODEL", "snippet"]

MODEL = "tuned"
"""What the server calls the adapter."""

_SIDES: tuple[Side, ...] = ("query", "document")


def snippet(kind: str, folder: Path, place: Path, *, port: int = 8000) -> str:
    """Give code for one adapter.

    Args:
        kind: One of `KINDS`.
        folder: Of the adapter.
        place: Where files may be written that the code reads; made if absent.
        port: Of the server.

    Raises:
        ArtifactError: The adapter cannot be read.
        ConfigError: The adapter is of a family of one's own, which this kind of code cannot hold.
        StorageError: The disk refused.
    """
    place.mkdir(parents=True, exist_ok=True)
    return KINDS[kind](_Filled(folder, place, port)).strip() + "\n"


class _Filled:
    """What the templates are filled with."""

    def __init__(self, folder: Path, place: Path, port: int) -> None:
        self.folder, self.place, self.port = folder, place, port
        self.path = repr(str(folder))
        self.adapter = load_adapter(folder)
        self.moves_documents = self.adapter.changes("document")
        self.spec: Mapping[str, Any] = self.adapter.encoder or {}
        self.base = f"{self.spec['provider']}/{self.spec['model']}" if self.spec else "your encoder"

    @property
    def stored(self) -> str:
        """What is to be done with vectors that are stored already."""
        if self.moves_documents:
            return "It maps documents too: stored vectors are to be written anew, once (embertune apply)."
        return "It maps queries alone: stored vectors stay as they are."

    @property
    def encoder(self) -> str:
        """How the encoder is named where it cannot be found by what the adapter knows of it."""
        try:
            source_of(EncoderSpec.from_dict(self.spec))
        except EncoderError:
            return ', encoder="PROVIDER/MODEL or FOLDER"'
        return ""


def _langchain(at: _Filled) -> str:
    return f"""
# pip install embertune langchain-core
from embertune.integrations.langchain import EmbertuneEmbeddings

# {at.base} with the adapter behind it.
# {at.stored}
embeddings = EmbertuneEmbeddings({at.path}{at.encoder})

query_vector = embeddings.embed_query("a question")
document_vectors = embeddings.embed_documents(["a passage", "another passage"])
"""


def _langchain_alone(at: _Filled) -> str:
    source, weights = write_retriever(at.adapter, at.place / "tuned_langchain.py")
    text = source.read_text(encoding="utf-8").replace(
        f"Path(__file__).with_name({weights.name!r})", f"Path({str(weights)!r})"
    )
    return f"""{text}

# embeddings = TunedEmbeddings(your LangChain embeddings of {at.base})
# retriever = TunedRetriever(store=your_store, embeddings=embeddings)
"""


def _llama_index(at: _Filled) -> str:
    return f"""
# pip install embertune llama-index-core
from embertune.integrations.llama_index import EmbertuneEmbedding
from llama_index.core import Settings

# {at.base} with the adapter behind it.
# {at.stored}
Settings.embed_model = EmbertuneEmbedding({at.path}{at.encoder})

query_vector = Settings.embed_model.get_query_embedding("a question")
document_vector = Settings.embed_model.get_text_embedding("a passage")
"""


def _openai(at: _Filled) -> str:
    return openai_code(["--adapter", f"{MODEL}={at.folder}"], at.port)


def openai_code(arguments: Sequence[str], port: int) -> str:
    """Give the client's code, and the line that starts its server.

    Args:
        arguments: Of ``embertune serve``, but for the port.
        port: Where it listens.
    """
    return f"""
# Start the server below, or type: embertune serve {shlex.join(arguments)} --port {port}
# pip install openai
import openai

client = openai.OpenAI(base_url="http://127.0.0.1:{port}/v1", api_key="none")
asked = client.embeddings.create(model="{MODEL}/query", input="a question")
stored = client.embeddings.create(model="{MODEL}/document", input=["a passage", "another passage"])

query_vector = asked.data[0].embedding
document_vectors = [row.embedding for row in stored.data]
"""


def _sentence_transformers(at: _Filled) -> str:
    if at.spec.get("provider") == "sentence-transformers":
        return f"""
# pip install 'embertune[sentence-transformers]'
import embertune
from embertune.integrations.sentence_transformers import write_sentence_transformer
from sentence_transformers import SentenceTransformer

# Once: model and adapter as one folder, which needs no Embertune.
write_sentence_transformer(embertune.load_adapter({at.path}), "tuned-model")

model = SentenceTransformer("tuned-model")
query_vectors = model.encode_query(["a question"])
document_vectors = model.encode_document(["a passage", "another passage"])
"""
    return f"""
# This adapter belongs to {at.base}, which is no model of sentence-transformers: behind one it would be refused.
# For one of those, tune with the encoder sentence-transformers/MODEL.
# What follows embeds with {at.base} and adapts.
from embertune.encoders.load_adapted import load_adapted

encoder = load_adapted({at.path}{at.encoder})
query_vectors = encoder.encode_query(["a question"])
document_vectors = encoder.encode_document(["a passage", "another passage"])
"""


def _pgvector(at: _Filled) -> str:
    documents = """
# It maps documents too. Map what is stored, once, into a column or a table of its own, such as
#   UPDATE documents SET tuned = embertune_document(embedding);
write_sql(adapter, "adapter-document.sql", "document")
"""
    column = "tuned" if at.moves_documents else "embedding"
    return f"""
# pip install embertune psycopg
import embertune
import psycopg
from embertune.encoders.load_adapted import load_adapted
from embertune.integrations.pgvector_sql import write_sql

adapter = embertune.load_adapter({at.path})
encoder = load_adapted(adapter{at.encoder}).encoder

# Once: a function in the database that adapts, with its weights. Run it with: psql -f adapter-query.sql
write_sql(adapter, "adapter-query.sql", "query")
{documents if at.moves_documents else ""}
with psycopg.connect("dbname=mine") as connection:
    vector = encoder.encode_query(["a question"])[0].tolist()
    rows = connection.execute(
        "SELECT id FROM documents ORDER BY {column} <=> embertune_query(%s::vector) LIMIT 10", [str(vector)]
    ).fetchall()
"""


def _numpy(at: _Filled) -> str:
    arrays: dict[str, Any] = {}
    steps: dict[str, list[tuple[object, ...]]] = {}
    for side in _SIDES:
        program = to_program(at.adapter, side)
        named = {name: f"{side}.{name}" for name in program.arrays}
        arrays.update({named[name]: array for name, array in program.arrays.items()})
        steps[side] = [tuple(named.get(each, each) for each in step) for step in program.steps]
    weights = at.place / "adapter.npz"
    with replacing(weights) as file:
        np.savez(file, **arrays)
    return f"""
# Needs numpy alone.
# {at.stored}
from typing import Any

import numpy as np

STEPS = {steps!r}
WEIGHTS = dict(np.load({str(weights)!r}))


{inspect.getsource(apply_steps)}

def adapt(vectors, side):
    \"\"\"Map embeddings (n, {at.adapter.dimension or "d"}) of {at.base}; side is "query" or "document".\"\"\"
    return apply_steps(vectors, STEPS[side], WEIGHTS) if STEPS[side] else np.asarray(vectors)
"""


KINDS: Mapping[str, Callable[[_Filled], str]] = {
    "LangChain": _langchain,
    "LangChain without Embertune": _langchain_alone,
    "LlamaIndex": _llama_index,
    "OpenAI client": _openai,
    "sentence-transformers": _sentence_transformers,
    "pgvector": _pgvector,
    "numpy": _numpy,
}
"""Each kind of code by the name that people know it by."""
