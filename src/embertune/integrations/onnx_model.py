"""A whole sentence-transformers model as a folder of ONNX, tokenizer and settings, compared with the model."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.adapters.canaries import CANARY_TEXTS
from embertune.core.first_line import first_line
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.search import top_k
from embertune.core.vectors import Vectors, normalize
from embertune.encoders.model_folders import folder_runtime
from embertune.errors import ConfigError, EncoderError, StorageError
from embertune.integrations.onnx_graph import (
    EXTRA,
    find_routes,
    first_module,
    fixed_tokenizer,
    is_scaled,
    open_graph,
    quantize,
    write_graph,
)

__all__ = ["FP32", "INT8", "Parity", "write_onnx_model"]

FP32, INT8 = "model.onnx", "model-int8.onnx"
_FORMAT = 1
# Sums in another order differ by 1e-6; a wrong graph differs by 1e-2 and more.
_TOLERANCE = 1e-4
_NEIGHBOURS = 5
# The names under which sentence-transformers looks for the prompt of a side.
_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}
_CODE = """import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("{folder}/tokenizer.json")  # pads and cuts off by itself
session = onnxruntime.InferenceSession("{folder}/{graph}", providers=["CPUExecutionProvider"])


def encode(texts):
    rows = tokenizer.encode_batch(texts)
    tokens = {{"input_ids": [row.ids for row in rows], "attention_mask": [row.attention_mask for row in rows]}}
    return session.run(None, {{name: np.array(value, dtype=np.int64) for name, value in tokens.items()}})[0]
"""


@dataclass(frozen=True)
class Parity:
    """How near a graph comes to the model, on texts of many kinds that come with Embertune.

    Attributes:
        graph: The file, within its folder.
        texts: On how many.
        largest_difference: Of any number of an embedding.
        mean_cosine: Of a text's two embeddings, on average.
        lowest_cosine: Of any text's.
        same_neighbours: What share of each text's five nearest others stays the same.
    """

    graph: str
    texts: int
    largest_difference: float
    mean_cosine: float
    lowest_cosine: float
    same_neighbours: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.graph}: against the model on {self.texts} texts: numbers differ by {self.largest_difference:.1e} "
            f"at most; cosine {self.mean_cosine:.4f} on average, {self.lowest_cosine:.4f} at least; "
            f"{self.same_neighbours:.0%} of nearest neighbours the same"
        )


def write_onnx_model(
    model: str | Path, folder: str | Path, *, quantized: bool = False, progress: Progress = silent
) -> tuple[Path, tuple[Parity, ...]]:
    """Write a sentence-transformers model as a folder of ONNX, tokenizer and settings, and compare it with the model.

    A graph takes "input_ids" and "attention_mask" (n, t) and gives "embeddings" (n, d): what
    ``encode(normalize_embeddings=True)`` gives, or plain ``encode`` where the model is made for dot products. A model
    with routes for queries and documents becomes two such folders in one, query and document.

    Args:
        model: A folder that ``SentenceTransformer`` loads.
        folder: Where to; must not exist, or be empty.
        quantized: Write a second graph with weights of 8 bits.
        progress: Told of each step.

    Returns:
        The folder, and how near each graph comes to the model.

    Raises:
        ConfigError: The model has no transformer, or one that ONNX cannot say.
        EncoderError: It cannot be loaded, or its graph gives other embeddings.
        MissingExtraError: onnx, onnxscript, onnxruntime or sentence-transformers is not installed.
        StorageError: The folder holds something, or the disk refused.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra=EXTRA, purpose="A model as ONNX")
    target = as_path(folder).absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StorageError(f"{target} exists, and only new folders are written. Name another one.")
    loaded = _load(model)
    routes = find_routes(loaded)
    parity: list[Parity] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            for route in routes:
                parity += _write_route(loaded, route, staging, quantized, progress)
            card = _card(as_path(model).resolve().name, target.name, routes, quantized, parity)
            (staging / "README.md").write_text(card, encoding="utf-8", newline="")
            staging.chmod(0o755)
            if target.exists():
                target.rmdir()
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error.strerror or error}. Name another place.") from None
    return target, tuple(parity)


def _load(model: str | Path) -> Any:
    library = require("sentence_transformers", extra=EXTRA, purpose="A model as ONNX")
    place = as_path(model)
    if not place.is_dir():
        raise EncoderError(f"There is no folder {place}. Expected one that SentenceTransformer loads.")
    if folder_runtime(place) != "sentence-transformers":
        raise ConfigError(f"{place} is a model2vec model, which is a table of vectors: there is no graph to write.")
    try:
        loaded = library.SentenceTransformer(str(place), device="cpu")
    except (OSError, ValueError) as error:
        raise EncoderError(f"{place} could not be loaded: {first_line(error)}") from None
    return loaded.float().eval()


def _write_route(model: Any, route: str | None, folder: Path, quantized: bool, progress: Progress) -> list[Parity]:
    """Write one way through a model into its folder, and compare every graph with the model."""
    place, name = folder / (route or ""), f"{route}/" if route else ""
    place.mkdir(exist_ok=True)
    tokenizer = fixed_tokenizer(model, route)
    tokenizer.save(str(place / "tokenizer.json"))
    progress(f"write {name}{FP32}", 0)
    write_graph(model, route, place / FP32)
    graphs = [FP32]
    if quantized:
        progress(f"write {name}{INT8}", 0)
        quantize(place / FP32, place / INT8)
        graphs.append(INT8)
    progress("compare with the model", 0)
    texts = [*CANARY_TEXTS["query"], *CANARY_TEXTS["document"], " ".join(CANARY_TEXTS["document"] * 40)]
    wanted = _encode(model, route, texts)
    found = [
        _compare(f"{name}{graph}", wanted, np.concatenate([open_graph(place / graph, tokenizer)(part) for part in
                                                           (texts[:5], texts[5:-1], texts[-1:])]))
        for graph in graphs
    ]  # fmt: skip
    if not found[0].largest_difference <= _TOLERANCE:
        raise EncoderError(
            f"The ONNX graph gives other embeddings than the model, by {found[0].largest_difference:.1e}, so nothing "
            "was written. Its architecture may be newer than what torch.onnx knows: upgrade torch and onnxscript."
        )
    (place / "config.json").write_text(_settings(model, route, wanted, found), encoding="utf-8", newline="")
    return found


def _encode(model: Any, route: str | None, texts: Sequence[str]) -> Vectors:
    # An empty prompt is passed as such: None would bring the model's own.
    options = {"prompt": "", "normalize_embeddings": is_scaled(model), "show_progress_bar": False}
    encode = {"query": model.encode_query, "document": model.encode_document, None: model.encode}[route]
    found: Vectors = encode(list(texts), **options)
    return found


def _compare(graph: str, wanted: Vectors, found: Vectors) -> Parity:
    before, after = normalize(wanted), normalize(found)
    cosines = np.einsum("ij,ij->i", before, after)
    nearest = [top_k(each, each, _NEIGHBOURS + 1)[0][:, 1:] for each in (before, after)]  # each is nearest to itself
    same = [len(set(one) & set(other)) for one, other in zip(nearest[0].tolist(), nearest[1].tolist(), strict=True)]
    return Parity(
        graph,
        len(wanted),
        float(np.abs(wanted - found).max()),
        float(cosines.mean()),
        float(cosines.min()),
        float(np.mean(same)) / _NEIGHBOURS,
    )


def _settings(model: Any, route: str | None, wanted: Vectors, parity: Sequence[Parity]) -> str:
    """Give what a user of the graph has to know, as JSON."""
    sides, own = ("query", "document") if route is None else (route,), model.prompts
    told = {
        "format": _FORMAT,
        "dimension": int(wanted.shape[1]),
        "normalized": is_scaled(model),
        "max_seq_length": first_module(model, route).max_seq_length,
        "prompts": {side: next((own[name] for name in _PROMPTS[side] if own.get(name)), "") for side in sides},
        "parity": [asdict(each) for each in parity],
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _card(name: str, folder: str, routes: Sequence[str | None], quantized: bool, parity: Sequence[Parity]) -> str:
    """Give the README of the folder: what is in it, and how it is used."""
    two = "" if routes == [None] else " Queries and documents have a folder each."
    code = _CODE.format(folder=f"{folder}/{routes[0]}" if routes[0] else folder, graph=INT8 if quantized else FP32)
    parts = [
        f"# {name} as ONNX",
        f"Pooling and normalisation are in the graph; `config.json` has the prompts, which go before a text.{two}",
        f"```python\n{code}```",
        "\n".join(f"* {each}" for each in parity),
    ]
    return "\n\n".join(parts) + "\n"
