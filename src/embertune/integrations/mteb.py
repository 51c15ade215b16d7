"""mteb: an encoder, with an adapter or without, as its `EncoderProtocol`, so that others may judge ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embertune._optional import require
from embertune.adapters.identity import IdentityAdapter
from embertune.encoders.load_adapted import load_adapted
from embertune.integrations.lazy import lazy_class

if TYPE_CHECKING:
    EmbertuneModel: Any

__all__ = ["EmbertuneModel"]


def _model() -> type:
    purpose = "A model of mteb"
    meta: Any = require("mteb.models.model_meta", extra="mteb", purpose=purpose)
    base: Any = require("mteb.models.abs_encoder", extra="mteb", purpose=purpose).AbsEncoder

    class EmbertuneModel(base):  # type: ignore[misc]
        """What `mteb.evaluate` takes.

        Texts get the prompts of the encoder, and none of mteb's: an adapter belongs to those it was trained with. Tasks
        that know no queries have all texts embedded as documents.

        Args:
            adapter: An adapter, or the folder of one; None: the encoder alone.
            encoder: Who embeds, as in `embertune.load_encoder`; None: whom the adapter was trained on.
            name: What mteb files results under.
        """

        def __init__(self, adapter: Any = None, encoder: Any = None, *, name: str | None = None) -> None:
            self.encoder = load_adapted(IdentityAdapter() if adapter is None else adapter, encoder)
            spec = self.encoder.spec
            kind = "base" if adapter is None else self.encoder.adapter.type
            self.mteb_model_meta = meta.ModelMeta.create_empty(
                overwrites={
                    "name": name or f"embertune/{spec.model.replace('/', '-')}-{kind}",
                    # mteb takes a result of before for the same name and revision.
                    "revision": spec.revision or "unknown",
                    "embed_dim": self.encoder.adapter.output_dimension or spec.dimension,
                    "similarity_fn_name": meta.ScoringFunction.COSINE,
                    "framework": ["NumPy"],
                }
            )

        def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> Any:
            """Embed the texts of a DataLoader: (n, d)."""
            texts = [text for batch in inputs for text in batch["text"]]
            # A member of an enumeration of strings, whose values are "query" and "document".
            as_query = prompt_type is not None and prompt_type == "query"
            embed = self.encoder.encode_query if as_query else self.encoder.encode_document
            return np.asarray(embed(texts))

    return EmbertuneModel


def __getattr__(name: str) -> Any:
    """Make the class when it is first asked for."""
    return lazy_class(globals(), name, {"EmbertuneModel": _model})
