"""The embedded default: wordllama's 16 MB of static token vectors, offline, no key, no torch."""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Unpack

import numpy as np

from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["StaticEncoder"]

_MODEL, _DIMENSION = "l2_supercat", 256


class StaticEncoder(TextEncoder):
    """Average the token vectors of wordllama's ``l2_supercat`` model (256 dimensions).

    Texts of any length are read whole, and a text's vector does not depend on its batch.
    Source: https://github.com/dleemiller/WordLlama

    Args:
        options: See `TextEncoder`.

    Raises:
        EncoderError: The installed wordllama does not carry the model.

    Example:
        >>> query, near, far = StaticEncoder(cache=False).encode_query(
        ...     ["split a list into chunks", "divide an array in parts", "capital of France"]
        ... )
        >>> bool(query @ near > query @ far)
        True
    """

    default_batch_size: ClassVar[int] = 1024

    def __init__(self, **options: Unpack[CommonOptions]) -> None:
        self._tokenizer, self._table, revision = _load()
        super().__init__(EncoderSpec("static", f"wordllama-{_MODEL}", revision, _DIMENSION), **options)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        # wordllama's own embed() pads a batch to its longest text: one book among 64 notes would take gigabytes.
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        vectors = np.empty((len(texts), self._table.shape[1]), dtype=np.float32)
        for row, ids in enumerate(tokens):
            vectors[row] = self._table.take(ids, axis=0, mode="clip").sum(axis=0) / max(len(ids), 1)
        return vectors


@cache
def _load() -> tuple[Any, Vectors, str]:
    wordllama = _import_quietly()
    folder = Path(str(wordllama.__file__)).parent
    try:
        # The default cache_dir looks for the tokenizer in a folder that the wheel does not have, and then downloads.
        model = wordllama.WordLlama.load(_MODEL, cache_dir=folder, dim=_DIMENSION, disable_download=True)
        revision = _revision(folder)
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(
            f"The static model is not in the installed wordllama ({error}). "
            "Install it again with: pip install --force-reinstall 'wordllama>=0.3.9'"
        ) from None
    model.tokenizer.no_padding()
    return model.tokenizer, model.embedding, revision


def _revision(folder: Path) -> str:
    """Hash the weights and the tokenizer: 25 ms for 18 MB."""
    state = hashlib.sha256((folder / "weights" / f"{_MODEL}_{_DIMENSION}.safetensors").read_bytes())
    # wordllama 0.3.9 and 0.4 carry the same tokenizer but for the line break at the end of its file.
    state.update((folder / "tokenizers" / f"{_MODEL}_tokenizer_config.json").read_bytes().strip())
    return f"sha256:{state.hexdigest()[:16]}"


def _import_quietly() -> ModuleType:
    """Import wordllama without its ``logging.basicConfig(level=INFO)``, which would reconfigure the host's logs."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        return import_module("wordllama")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
