"""Static models of model2vec: a table of token vectors, no torch needed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Unpack

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.model_folders import download_revision, folder_revision
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["Model2VecEncoder"]

# What model2vec 0.10 downloads (persistence/datamodels.py); a cache that lacks a file asked for counts as broken off.
_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "tokenizer.json",
    "0_StaticEmbedding/model.safetensors",
    "0_StaticEmbedding/tokenizer.json",
)


class Model2VecEncoder(TextEncoder):
    """Embed with a model2vec ``StaticModel``.

    Args:
        model: Name on the Hugging Face hub, such as "minishlab/potion-base-8M", or a folder.
        revision: Branch, tag or commit on the hub; what was downloaded before is not looked for anew.
        options: See `TextEncoder`.

    Raises:
        MissingExtraError: model2vec is not installed.
        EncoderError: The model cannot be loaded.
    """

    default_batch_size: ClassVar[int] = 1024
    zeros_allowed: ClassVar[bool] = True

    def __init__(self, model: str, *, revision: str | None = None, **options: Unpack[CommonOptions]) -> None:
        library = require("model2vec", extra="model2vec", purpose="A model2vec model")
        folder = Path(model)
        local = folder.is_dir()
        try:
            if not local:
                folder = _download(model, revision)
            self._model: Any = library.StaticModel.from_pretrained(str(folder))
        except (OSError, ValueError, KeyError) as error:
            raise EncoderError(
                f"The model2vec model {model!r} could not be loaded: {error}. Check its name on "
                "https://huggingface.co/models, or give a folder that StaticModel.save_pretrained wrote."
            ) from None
        spec = EncoderSpec(
            "model2vec",
            folder.resolve().name if local else model,
            folder_revision(folder) if local else download_revision(folder),
            dimension=int(self._model.dim),
        )
        super().__init__(spec, **options)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        vectors: Vectors = self._model.encode(texts, use_multiprocessing=False)
        return vectors


def _download(model: str, revision: str | None) -> Path:
    """Give the folder of a model of the hub, so that its commit is known; model2vec itself does not tell."""
    hub = require("huggingface_hub", extra="model2vec", purpose="A model of the Hugging Face hub")
    wanted = {"revision": revision, "allow_patterns": _FILES}
    with suppress(FileNotFoundError):
        folder = Path(hub.snapshot_download(model, local_files_only=True, **wanted))
        if any(folder.rglob("*.safetensors")) and any(folder.rglob("tokenizer.json")):  # else the download broke off
            return folder
    return Path(hub.snapshot_download(model, **wanted))
