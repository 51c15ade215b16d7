"""An encoder with an adapter behind it, which is an encoder itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from embertune.adapters.base import Adapter
from embertune.core.vectors import Vectors
from embertune.encoders.base import Encoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError, ConfigError

__all__ = ["AdaptedEncoder", "check_adapter_fits"]


def check_adapter_fits(adapter: Adapter, spec: EncoderSpec, name: str = "This adapter") -> None:
    """Refuse an adapter that was fitted on another encoder's embeddings.

    Args:
        adapter: A fitted adapter; one that does not know its encoder is checked by dimension alone.
        spec: The encoder that it is about to follow.
        name: What to call the adapter in the error, such as its folder.

    Raises:
        ArtifactError: Provider, model, revision, dimension, a prompt or the normalisation differ.
    """
    if adapter.encoder is not None:
        try:
            trained = EncoderSpec.from_dict(adapter.encoder)
        except ConfigError as error:
            raise ArtifactError(f"{name} is damaged: {'; '.join(error.problems)}. Save the adapter again.") from None
        differences = trained.differences(spec)
        if differences:
            raise ArtifactError(
                f"{name} was trained on {trained}; this encoder is {spec}: {'; '.join(differences)} "
                f"(here: the adapter, there: the encoder). {_fix(trained, spec)}"
            )
    dimension = adapter.dimension
    if None not in (dimension, spec.dimension) and dimension != spec.dimension:
        raise ArtifactError(
            f"{name} takes {dimension} dimensions; this encoder, {spec}, gives {spec.dimension}. "
            "Use the encoder that it was fitted on."
        )


def _fix(trained: EncoderSpec, spec: EncoderSpec) -> str:
    if trained.provider == "precomputed":
        return (
            "Vectors from files are told apart by name: load them as they were named when it was trained, with "
            f'embertune.load_encoder("precomputed:FILE", name="{trained.model}") or --encoder-name "{trained.model}".'
        )
    if trained.provider == "function":
        return f'Load the function that it was trained with: embertune.load_encoder(FUNCTION, name="{trained.model}").'
    line = f"embertune.load_encoder({', '.join(_arguments(trained, spec))}) | adapter"
    if (trained.revision or "").startswith("sha256:") and trained.provider != "static":
        return (
            f"It was trained with a model folder called {trained.model}, whose files had the hash {trained.revision}."
        )
    if trained.provider == "static" and _other_weights(trained, spec):
        return "Install the wordllama that it was trained with, or train it again on these weights."
    if trained.provider == "fastembed" and _other_weights(trained, spec):
        return f"Load it from a folder that holds the files of that revision: {line}"
    return f"Load it with: {line}"


def _other_weights(trained: EncoderSpec, spec: EncoderSpec) -> bool:
    """Whether both are the same model in two versions."""
    same_model = (trained.provider, trained.model) == (spec.provider, spec.model)
    return same_model and None not in (trained.revision, spec.revision) and trained.revision != spec.revision


def _arguments(trained: EncoderSpec, spec: EncoderSpec) -> Iterator[str]:
    name = f"{trained.provider}/{trained.model}" if trained.provider not in ("static", "hashing") else trained.provider
    yield repr(name)
    same_model = (trained.provider, trained.model) == (spec.provider, spec.model)
    # A model is asked for shorter vectors; which models were, a specification does not say, so only a difference tells.
    if same_model and trained.dimension is not None and spec.dimension not in (None, trained.dimension):
        word = "truncate_dim" if trained.provider == "sentence-transformers" else "dimensions"
        yield f"{word}={trained.dimension}"
    if trained.provider in ("sentence-transformers", "model2vec") and trained.revision:
        yield f"revision={trained.revision!r}"
    if trained.provider == "fastembed" and _other_weights(trained, spec):
        yield "path=FOLDER"
    for key, prompt in (("query_prompt", trained.query_prompt), ("document_prompt", trained.document_prompt)):
        if prompt:
            yield f"{key}={prompt!r}"
    if not trained.normalized:
        yield "normalize=False"


class AdaptedEncoder:
    """Embed with an encoder, then adapt; what ``encoder | adapter`` gives.

    Args:
        encoder: Whose embeddings are adapted.
        adapter: Fitted on embeddings of that encoder.
        name: What to call the adapter in an error.

    Raises:
        ArtifactError: The adapter was fitted on another encoder.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> encoder = HashingEncoder() | IdentityAdapter()
        >>> encoder.encode_query(["a question"]).shape
        (1, 64)
    """

    def __init__(self, encoder: Encoder, adapter: Adapter, name: str = "This adapter") -> None:
        check_adapter_fits(adapter, encoder.spec, name)
        self.encoder, self.adapter, self.name = encoder, adapter, name

    @property
    def spec(self) -> EncoderSpec:
        """Specification of the encoder beneath."""
        return self.encoder.spec

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Embed and adapt queries: n texts -> (n, d), rows of length 1."""
        return self._adapt(self.encoder.encode_query(texts), "query")

    def encode_document(self, texts: Sequence[str]) -> Vectors:
        """Embed and adapt documents: n texts -> (n, d)."""
        return self._adapt(self.encoder.encode_document(texts), "document")

    def _adapt(self, vectors: Vectors, side: str) -> Vectors:
        # Some encoders know their dimension and revision only after the first text.
        check_adapter_fits(self.adapter, self.encoder.spec, self.name)
        return self.adapter.transform(vectors, "query" if side == "query" else "document")
