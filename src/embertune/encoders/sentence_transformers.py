"""Every sentence-transformers model, from the Hugging Face hub or from a local folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.model_folders import download_revision, folder_revision
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["SentenceTransformerEncoder"]

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # as SentenceTransformer.encode_document looks for them


class SentenceTransformerEncoder(TextEncoder):
    """Embed with ``SentenceTransformer.encode_query`` and ``encode_document``.

    Prompts are the model's own, unless others are given.

    Args:
        model: Name on the hub, or a folder.
        revision: Branch, tag or commit on the hub.
        device: "cpu", "cuda", …; sentence-transformers chooses where it is None.
        truncate_dim: Keep only the first dimensions of a Matryoshka model.
        options: See `TextEncoder`.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        EncoderError: The model cannot be loaded.
    """

    default_batch_size: ClassVar[int] = 64
    prompts_by_model: ClassVar[bool] = True

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str | None = None,
        truncate_dim: int | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        library = require(
            "sentence_transformers", extra="sentence-transformers", purpose="A sentence-transformers model"
        )
        try:
            self._model: Any = library.SentenceTransformer(
                model, revision=revision, device=device, truncate_dim=truncate_dim
            )
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"The model {model!r} could not be loaded: {first_line(error)} Check its name on "
                "https://huggingface.co/models, or give a folder that has modules.json."
            ) from None
        own = self._model.prompts
        options.setdefault("query_prompt", own.get("query") or "")
        options.setdefault("document_prompt", next((own[name] for name in _DOCUMENT_PROMPTS if own.get(name)), ""))
        dimension = int(np.shape(self._model.encode(["dimension"], show_progress_bar=False))[1])
        folder = Path(model)
        if folder.is_dir():
            spec = EncoderSpec(
                "sentence-transformers", folder.resolve().name, folder_revision(folder), dimension=dimension
            )
        else:
            spec = EncoderSpec("sentence-transformers", model, self._hub_revision(model, revision), dimension=dimension)
        super().__init__(spec, **options)
        self.variant = str(truncate_dim or "")

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        # An empty prompt is passed as such: None would bring the model's own back.
        vectors: Vectors = encode(texts, prompt=self.prompt(side), batch_size=self.batch_size, show_progress_bar=False)
        return vectors

    def _hub_revision(self, model: str, revision: str | None) -> str:
        """Give the commit that the model's files were taken from, or else a hash of its weights."""
        hub = require("huggingface_hub", extra="sentence-transformers", purpose="A model of the Hugging Face hub")
        cache = os.environ.get("SENTENCE_TRANSFORMERS_HOME")  # where sentence-transformers looks first
        # It puts its own name before a name without a slash, except before those of the first transformers.
        for name in (model,) if "/" in model else (model, f"sentence-transformers/{model}"):
            for file in ("modules.json", "config.json"):
                path = hub.try_to_load_from_cache(name, file, cache_dir=cache, revision=revision)
                if isinstance(path, str):
                    return download_revision(Path(path).parent)
        state = hashlib.sha256()
        for name, tensor in self._model.state_dict().items():
            state.update(name.encode())
            state.update(tensor.detach().cpu().float().numpy().tobytes())
        return f"sha256:{state.hexdigest()[:16]}"
