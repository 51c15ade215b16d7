"""ONNX models of Qdrant's fastembed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.model_folders import download_revision
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["FastEmbedEncoder"]


class FastEmbedEncoder(TextEncoder):
    """Embed with fastembed's ``query_embed`` and ``passage_embed``, which know each model's own prompts.

    Args:
        model: A name of ``TextEmbedding.list_supported_models()``, such as "BAAI/bge-small-en-v1.5".
        path: A folder with the model's files, instead of a download.
        options: See `TextEncoder`.

    Raises:
        MissingExtraError: fastembed is not installed.
        EncoderError: The model is unknown or cannot be loaded.
    """

    default_batch_size: ClassVar[int] = 256
    zeros_allowed: ClassVar[bool] = True

    def __init__(self, model: str, *, path: str | None = None, **options: Unpack[CommonOptions]) -> None:
        library = require("fastembed", extra="fastembed", purpose="A fastembed model")
        place = {} if path is None else {"specific_model_path": path}
        try:
            self._model: Any = library.TextEmbedding(model_name=model, **place)
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"The fastembed model {model!r} could not be loaded: {error} List the known ones with: "
                "python -c \"import fastembed; print(*[m['model'] for m in "
                'fastembed.TextEmbedding.list_supported_models()], sep=chr(10))"'
            ) from None
        # fastembed does not say which files it took, but keeps the folder (0.6 to 0.9).
        folder = getattr(getattr(self._model, "model", None), "_model_dir", path)
        if folder is None:  # versions that cannot be told apart must not share entries
            options["cache"] = False
        revision = None if folder is None else download_revision(Path(folder))
        super().__init__(EncoderSpec("fastembed", model, revision), **options)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        embed = self._model.query_embed if side == "query" else self._model.passage_embed
        return np.stack(list(embed(texts)))
