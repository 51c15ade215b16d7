"""From the specification in a saved adapter back to the name and options that load its encoder."""

from __future__ import annotations

from typing import Any

from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError

__all__ = ["source_of"]

_BY_PROVIDER = ("static", "hashing")
_WITH_REVISION = ("sentence-transformers", "model2vec")


def source_of(spec: EncoderSpec) -> tuple[str, dict[str, Any]]:
    """Give what `load_encoder` takes for an encoder of this specification.

    Args:
        spec: As an adapter keeps it.

    Returns:
        The name and the options.

    Raises:
        EncoderError: It was a function, files of vectors, or a folder, which a specification does not hold.

    Example:
        >>> source_of(EncoderSpec("openai", "text-embedding-3-large", dimension=256, query_prompt="q: "))
        ('openai/text-embedding-3-large', {'query_prompt': 'q: ', 'dimensions': 256})
    """
    folder = (spec.revision or "").startswith("sha256:") and spec.provider != "static"
    if folder or spec.provider in ("precomputed", "function"):
        kind = "a model folder" if folder else "files of vectors" if spec.provider == "precomputed" else "a function"
        raise EncoderError(
            f"The adapter was trained on {spec}, {kind}, which cannot be found by its name. Name the encoder: "
            "PROVIDER/MODEL or FOLDER"
        )
    options: dict[str, Any] = {
        name: value for name in ("query_prompt", "document_prompt") if (value := getattr(spec, name))
    }
    if not spec.normalized:
        options["normalize"] = False
    if spec.provider in _WITH_REVISION and spec.revision:
        options["revision"] = spec.revision
    # Other models take no such parameter, and which were asked for fewer dimensions a specification does not say.
    if "text-embedding-3" in spec.model and spec.dimension is not None:
        options["dimensions"] = spec.dimension
    if spec.provider == "hashing" and spec.dimension is not None:
        options["dimension"] = spec.dimension
    return (spec.provider if spec.provider in _BY_PROVIDER else f"{spec.provider}/{spec.model}"), options
