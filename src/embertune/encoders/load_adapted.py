"""From a saved adapter to the encoder that embeds and adapts in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.core.paths import as_path
from embertune.encoders.adapted import AdaptedEncoder
from embertune.encoders.base import Encoder
from embertune.encoders.from_spec import source_of
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError

__all__ = ["load_adapted", "open_encoder"]


def load_adapted(adapter: Adapter | str | Path, encoder: Encoder | str | None = None) -> AdaptedEncoder:
    """Give an adapter behind its encoder, with the prompts that it was trained with.

    Args:
        adapter: An adapter, or the folder of one.
        encoder: Who embeds; None: the encoder that the adapter was trained on.

    Raises:
        ArtifactError: The adapter cannot be read, or was trained on another encoder.
        ConfigError: The adapter does not say whose embeddings it was trained on, and no encoder was named.
        EncoderError: The encoder cannot be found by what the adapter knows of it, or cannot be loaded.
        MissingExtraError: The encoder needs a package that is not installed.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> load_adapted(IdentityAdapter(), "hashing").encode_query(["a question"]).shape
        (1, 64)
    """
    name = "This adapter" if isinstance(adapter, Adapter) else str(adapter)
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    return AdaptedEncoder(_encoder(loaded, encoder), loaded, name)


def open_encoder(source: str | Path, **options: Any) -> Encoder:
    """Give the encoder that a name, a model folder or the folder of an adapter stands for.

    Args:
        source: What `load_encoder` takes, or an adapter's folder, which stands for the adapter behind its encoder.
        options: As in `load_encoder`; an adapter keeps those that it was trained with.

    Raises:
        ArtifactError: The adapter cannot be read, or was trained on another encoder.
        ConfigError: An option is impossible, or an adapter was given one.
        EncoderError: The encoder cannot be found or loaded.
        MissingExtraError: The encoder needs a package that is not installed.

    Example:
        >>> open_encoder("hashing").encode_query(["a question"]).shape
        (1, 64)
    """
    if not (as_path(source) / "adapter.safetensors").is_file():
        return load_encoder(source, **options)
    if options:
        raise ConfigError(f"{source} is an adapter, which has the {', '.join(options)} of its encoder. Leave it out.")
    return load_adapted(source)


def _encoder(adapter: Adapter, encoder: Encoder | str | None) -> Encoder:
    if encoder is not None and not isinstance(encoder, str):
        return encoder
    if adapter.encoder is None:
        if encoder is None:
            raise ConfigError(
                "The adapter does not say whose embeddings it was trained on. Name the encoder: PROVIDER/MODEL, or "
                "any other name that embertune.load_encoder takes."
            )
        return load_encoder(encoder)
    spec = EncoderSpec.from_dict(adapter.encoder)
    if encoder is None:
        source, options = source_of(spec)
        return load_encoder(source, **options)
    prompts = {"query_prompt": spec.query_prompt, "document_prompt": spec.document_prompt}
    given = {name: prompt for name, prompt in prompts.items() if prompt}
    return load_encoder(encoder, **given, **({} if spec.normalized else {"normalize": False}))
