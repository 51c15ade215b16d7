"""An encoder with an adapter behind it, which is an encoder itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

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
    if (trained.revision or "").startswith("sha256:") and trained.provider != "static":
        return (
            f"It was trained with a model folder called {trained.model}, whose files had the hash {trained.revision}."
        )
    if trained.provider == "static" and _other_weights(trained, spec):
        return "Install the wordllama that it was trained with, or train it again on these weights."
    name = f"{trained.provider}/{trained.model}" if trained.provider not in ("static", "hashing") else trained.provider
    options = dict(_options(trained, spec))
    words = [repr(name), *(f"{key}={value!r}" for key, value in options.items())]
    if trained.provider == "fastembed" and _other_weights(trained, spec):
        line = f"embertune.load_encoder({', '.join([*words, 'path=FOLDER'])}) | adapter"
        return f"Load it from a folder that holds the files of that revision: {line}"
    flags = _flags(options, needs_revision=_other_weights(trained, spec))
    command = "" if flags is None else f", on the command line with: --encoder {shlex.join([name])}{flags}"
    return f"Load it with: embertune.load_encoder({', '.join(words)}) | adapter{command}"


def _same_model(trained: EncoderSpec, spec: EncoderSpec) -> bool:
    return (trained.provider, trained.model) == (spec.provider, spec.model)


def _other_weights(trained: EncoderSpec, spec: EncoderSpec) -> bool:
    """Whether both are the same model in two versions."""
    known = None not in (trained.revision, spec.revision)
    return known and trained.revision != spec.revision and _same_model(trained, spec)


def _options(trained: EncoderSpec, spec: EncoderSpec) -> Iterator[tuple[str, object]]:
    """Give the keywords of `load_encoder` that make the encoder the one that was trained on."""
    same_model = _same_model(trained, spec)
    # A model is asked for shorter vectors; which models were, a specification does not say, so only a difference tells.
    if same_model and trained.dimension is not None and spec.dimension not in (None, trained.dimension):
        yield "truncate_dim" if trained.provider == "sentence-transformers" else "dimensions", trained.dimension
    if trained.provider in ("sentence-transformers", "model2vec") and trained.revision:
        yield "revision", trained.revision
    for key in ("query_prompt", "document_prompt"):
        prompt, theirs = getattr(trained, key), getattr(spec, key)
        # A prompt that a model brings itself has to be taken away.
        if prompt or (same_model and theirs and trained.provider == "sentence-transformers"):
            yield key, prompt
    if not trained.normalized:
        yield "normalize", False


def _flags(options: Mapping[str, object], *, needs_revision: bool) -> str | None:
    """Give the same as options of the command line; None where it has none for one of them."""
    told = [key for key in options if key != "revision" or needs_revision]
    if not {"dimensions", "query_prompt", "document_prompt"}.issuperset(told):
        return None
    return "".join(f" --{key.replace('_', '-')} {_quoted(str(options[key]))}" for key in told)


def _quoted(text: str) -> str:
    """Quote for a shell: in double quotes, which all of them know, unless something in them would be read."""
    if text.isdigit():
        return text
    return shlex.quote(text) if set(text) & set('"$`!\\\n%') else f'"{text}"'


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
