"""The graph of a sentence-transformers model, through torch.onnx, and its copy with weights of 8 bits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError

__all__ = [
    "EXTRA",
    "find_routes",
    "first_module",
    "fixed_tokenizer",
    "is_scaled",
    "open_graph",
    "quantize",
    "write_graph",
]

EXTRA = "onnx-model"
_PURPOSE = "A model as ONNX"
# ONNX keeps a graph and its weights in one protobuf, which ends at 2 GiB.
_ONE_FILE_BYTES = 1_900_000_000
_UNLIMITED = 10**6  # tokenizers without a limit say 1e30


def find_routes(model: Any) -> list[str | None]:
    """Give the ways through a model: "query" and "document" where it has a Router, else None alone.

    Raises:
        ConfigError: What comes first is no transformer that reads text, or pooling leaves the prompt out.
    """
    modules = require("sentence_transformers.sentence_transformer.modules", extra=EXTRA, purpose=_PURPOSE)
    has_router = any(isinstance(each, modules.Router) for each in model.modules())
    routes: list[str | None] = ["query", "document"] if has_router else [None]
    for route in routes:
        first = first_module(model, route)
        if not isinstance(first, modules.Transformer) or getattr(first.tokenizer, "backend_tokenizer", None) is None:
            raise ConfigError(
                f"The model begins with {type(first).__name__}. Expected a transformer with a tokenizer of the library "
                "tokenizers; others cannot be written as ONNX."
            )
    for each in model.modules():
        if isinstance(each, modules.Pooling) and not each.include_prompt and any(model.prompts.values()):
            raise ConfigError("The model leaves its prompt out of the pooling, which a graph of tokens cannot know.")
    return routes


def first_module(model: Any, route: str | None) -> Any:
    """Give the module that reads texts."""
    first = model[0]
    return first.sub_modules[route][0] if route is not None and hasattr(first, "sub_modules") else first


def is_scaled(model: Any) -> bool:
    """Whether the graph scales embeddings to length 1: unless the model is made for dot products and does not."""
    modules = require("sentence_transformers.sentence_transformer.modules", extra=EXTRA, purpose=_PURPOSE)
    normalizes = any(isinstance(each, modules.Normalize) for each in model.modules())
    return normalizes or str(model.similarity_fn_name) == "cosine"


def fixed_tokenizer(model: Any, route: str | None) -> Any:
    """Give a copy of the tokenizer that pads and cuts off by itself, as sentence-transformers has it do."""
    library = require("tokenizers", extra=EXTRA, purpose=_PURPOSE)
    first = first_module(model, route)
    own, length = first.tokenizer, first.max_seq_length
    tokenizer = library.Tokenizer.from_str(own.backend_tokenizer.to_str())
    if length is not None and length < _UNLIMITED:
        tokenizer.enable_truncation(length, direction=own.truncation_side)
    tokenizer.enable_padding(
        direction=own.padding_side, pad_id=own.pad_token_id, pad_type_id=own.pad_token_type_id, pad_token=own.pad_token
    )
    return tokenizer


def write_graph(model: Any, route: str | None, path: Path) -> None:
    """Write the graph from tokens to embeddings.

    Args:
        model: A ``SentenceTransformer`` on the CPU, in float32.
        route: Of `find_routes`.
        path: The file; weights beyond 2 GiB lie in another beside it.

    Raises:
        ConfigError: torch.onnx cannot say it.
    """
    torch = require("torch", extra=EXTRA, purpose=_PURPOSE)
    graph = _module(torch, model, route)
    tokens = fixed_tokenizer(model, route).encode_batch(["a text", "and one that is somewhat longer than the first"])
    inputs = tuple(
        torch.tensor(value) for value in ([row.ids for row in tokens], [row.attention_mask for row in tokens])
    )
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    size = sum(each.numel() * each.element_size() for each in model.parameters())
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                graph,
                inputs,
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=["embeddings"],
                dynamic_shapes=(axes, axes),
                dynamo=True,
                external_data=size > _ONE_FILE_BYTES,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, torch.onnx.OnnxExporterError) as error:
        said = str(error).strip().splitlines()
        raise ConfigError(f"torch.onnx cannot write this model: {said[0] if said else type(error).__name__}") from None


def _module(torch: Any, model: Any, route: str | None) -> Any:
    """Give model and normalisation as one module of two tensors."""
    scaled = is_scaled(model)

    class Graph(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            tokens = {"input_ids": input_ids, "attention_mask": attention_mask}
            found = self.model(tokens, **({} if route is None else {"task": route}))["sentence_embedding"]
            return torch.nn.functional.normalize(found, dim=-1) if scaled else found

    return Graph().eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from telling of torchvision, deprecations of its own, and axes that share a name."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def quantize(source: Path, target: Path) -> None:
    """Write a graph's copy with weights of 8 bits, a scale for each column; activations are scaled as they come.

    Args:
        source: The graph.
        target: The file to write.
    """
    library = require("onnxruntime.quantization", extra=EXTRA, purpose=_PURPOSE)
    model = require("onnx", extra=EXTRA, purpose=_PURPOSE).load(str(source))
    # Weights that the exporter has transposed keep their old shapes there, at which the quantiser stumbles.
    del model.graph.value_info[:]
    with _quiet():
        library.quantize_dynamic(model, str(target), weight_type=library.QuantType.QInt8, per_channel=True)


def open_graph(path: Path, tokenizer: Any) -> Callable[[Sequence[str]], Vectors]:
    """Give the function from texts to embeddings that a graph is; what the card in the folder shows.

    Args:
        path: The graph.
        tokenizer: Of `fixed_tokenizer`.
    """
    runtime = require("onnxruntime", extra=EXTRA, purpose=_PURPOSE)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def encode(texts: Sequence[str]) -> Vectors:
        rows = tokenizer.encode_batch(list(texts))
        tokens = {"input_ids": [row.ids for row in rows], "attention_mask": [row.attention_mask for row in rows]}
        found: Vectors = session.run(None, {key: np.array(value, dtype=np.int64) for key, value in tokens.items()})[0]
        return found

    return encode
