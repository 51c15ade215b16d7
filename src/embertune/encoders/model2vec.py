"""Static models of model2vec: a table of token vectors, no torch needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Unpack

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.model_folders import folder_revision
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["Model2VecEncoder"]


class Model2VecEncoder(TextEncoder):
    """Embed with a model2vec ``StaticModel``.

    Args:
        model: Name on the Hugging Face hub, such as "minishlab/potion-base-8M", or a folder.
        options: See `TextEncoder`.

    Raises:
        MissingExtraError: model2vec is not installed.
        EncoderError: The model cannot be loaded.
    """

    default_batch_size: ClassVar[int] = 1024
    zeros_allowed: ClassVar[bool] = True

    def __init__(self, model: str, **options: Unpack[CommonOptions]) -> None:
        library = require("model2vec", extra="model2vec", purpose="A model2vec model")
        try:
            self._model: Any = library.StaticModel.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            raise EncoderError(
                f"The model2vec model {model!r} could not be loaded: {error}. Check its name on "
                "https://huggingface.co/models, or give a folder that StaticModel.save_pretrained wrote."
            ) from None
        folder = Path(model)
        local = folder.is_dir()
        spec = EncoderSpec(
            "model2vec",
            folder.resolve().name if local else model,
            folder_revision(folder) if local else None,
            dimension=int(self._model.dim),
        )
        super().__init__(spec, **options)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        vectors: Vectors = self._model.encode(texts, use_multiprocessing=False)
        return vectors
