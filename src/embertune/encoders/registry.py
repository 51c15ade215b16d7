"""From a name, a function or an object to an encoder."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from embertune.core.paths import as_path
from embertune.encoders.base import CommonOptions, Encoder
from embertune.encoders.function import FunctionEncoder
from embertune.encoders.model_folders import folder_runtime
from embertune.errors import ConfigError, EncoderError

__all__ = ["API_PROVIDERS", "ENCODER_FORMS", "load_encoder", "names_weights"]

ENCODER_FORMS = (
    "static",
    "sentence-transformers/NAME",
    "model2vec/NAME",
    "fastembed/NAME",
    "PROVIDER/MODEL",
    "FOLDER",
    "precomputed:FILE.npz",
    "precomputed:CORPUS.npy,QUERIES.npy",
    "precomputed:FILE.parquet",
    "hashing",
)
"""Every form of name that `load_encoder` takes; PROVIDER/MODEL is any API of LiteLLM."""

API_PROVIDERS = frozenset({
    "azure", "azure_ai", "bedrock", "cohere", "cohere_chat", "cometapi", "dashscope", "databricks", "deepinfra",
    "docker_model_runner", "edenai", "fireworks_ai", "gemini", "gigachat", "github", "github_copilot", "hosted_vllm",
    "huggingface", "infinity", "jina_ai", "libertai", "litellm_proxy", "llamafile", "lm_studio", "mistral", "nebius",
    "novita", "nscale", "nvidia_nim", "oci", "ollama", "openai", "openai_like", "openrouter", "ovhcloud", "perplexity",
    "qwen_ai_platform", "qwencloud", "sagemaker", "sambanova", "sap", "scaleway", "snowflake", "together_ai", "triton",
    "vercel_ai_gateway", "vertex_ai", "volcengine", "voyage", "watsonx", "xinference",
})  # fmt: skip
"""LiteLLM's providers of embeddings, which are no owners on the Hugging Face hub; importing LiteLLM takes seconds."""

_GROUP = "embertune.encoders"
_HUB_NAME = re.compile(r"\w[\w.-]*(?:/[\w.-]+)?", re.ASCII)
_FILES = (".npz", ".parquet")
_RUNTIMES = {
    "static": "static:StaticEncoder",
    "hashing": "hashing:HashingEncoder",
    "precomputed": "precomputed:PrecomputedEncoder",
    "sentence-transformers": "sentence_transformers:SentenceTransformerEncoder",
    "model2vec": "model2vec:Model2VecEncoder",
    "fastembed": "fastembed:FastEmbedEncoder",
    "litellm": "litellm:LiteLLMEncoder",
}


def load_encoder(source: str | Path | Callable[..., Any] | Encoder, **options: Any) -> Encoder:
    """Give the encoder that a name stands for.

    Args:
        source: A name (see `ENCODER_FORMS`), a function from a list of texts to an array (n, d), or an
            encoder, which is given back as it is.
        options: Keywords of the encoder's class, such as ``query_prompt``, ``batch_size``, ``cache``,
            ``dimensions`` or ``api_base``.

    Raises:
        EncoderError: The name is unknown, or the encoder cannot be loaded.
        ConfigError: An option is unknown or impossible.
        MissingExtraError: The encoder needs a package that is not installed.

    Example:
        >>> print(load_encoder("hashing").spec)
        hashing/trigrams-64 (64 dimensions)
        >>> load_encoder("statik")
        Traceback (most recent call last):
            ...
        embertune.errors.EncoderError: There is no encoder 'statik'. Did you mean "static"? Known forms: static, \
sentence-transformers/NAME, model2vec/NAME, fastembed/NAME, PROVIDER/MODEL, FOLDER, precomputed:FILE.npz, \
precomputed:CORPUS.npy,QUERIES.npy, precomputed:FILE.parquet, hashing.
    """
    if isinstance(source, str | Path):
        return _by_name(str(source), options)
    if isinstance(source, Encoder):
        if options:
            raise ConfigError(f"{', '.join(options)} cannot be set on an encoder that exists already.")
        return source
    if hasattr(source, "encode_query"):
        raise EncoderError(
            f"{type(source).__name__} has encode_query but no spec. Pass its function instead: "
            'load_encoder(model.encode_document, query_function=model.encode_query, name="my-model")'
        )
    if callable(source):
        return _make(FunctionEncoder, (source,), options)
    raise EncoderError(f"Expected a name, a function or an encoder, found {type(source).__name__}. {_known()}")


def names_weights(name: str) -> bool:
    """Tell whether a name is that of weights for sentence-transformers: a model folder, or a model on the hub.

    Args:
        name: As `load_encoder` takes it, or OWNER/NAME of the Hugging Face hub.

    Raises:
        EncoderError: It is a folder without a model.

    Example:
        >>> [names_weights(name) for name in ("BAAI/bge-small-en-v1.5", "static", "ollama/nomic-embed-text")]
        [True, False, False]
    """
    head, _, rest = name.partition("/")
    if head in _RUNTIMES:
        return head == "sentence-transformers" and _HUB_NAME.fullmatch(rest) is not None
    folder = as_path(name)
    if name and folder.is_dir():
        return folder_runtime(folder) == "sentence-transformers"
    if head in API_PROVIDERS or folder.suffix in _FILES or entry_points(group=_GROUP, name=head):
        return False
    return _HUB_NAME.fullmatch(name) is not None


def _by_name(name: str, options: dict[str, Any]) -> Encoder:
    head, _, rest = name.partition("/")
    if name in ("static", "hashing"):
        return _load(name, (), options)
    if name.startswith("precomputed:"):
        return _load("precomputed", (name.removeprefix("precomputed:"),), options)
    if head in ("sentence-transformers", "model2vec", "fastembed") and rest:
        # minishlab makes model2vec's own models, as sentence-transformers has those of its name.
        model = f"minishlab/{rest}" if head == "model2vec" and "/" not in rest else rest
        return _load(head, (model,), options)
    folder = as_path(name)
    if name and folder.is_dir():
        return _load(folder_runtime(folder), (str(folder),), options)
    if folder.suffix in _FILES:
        raise EncoderError(f'There is no encoder {name!r}. For vectors in a file type "precomputed:{name}".')
    if name.startswith((".", "/", "~")):
        raise EncoderError(f"There is no folder {name}. Expected a model folder with modules.json or config.json.")
    stranger = next(iter(entry_points(group=_GROUP, name=head)), None)
    if stranger is not None:
        return _load_stranger(stranger, rest, options)
    if head and rest:
        return _load("litellm", (name,), options)
    raise _unknown(name)


def _load(runtime: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Encoder:
    module, _, name = _RUNTIMES[runtime].partition(":")
    factory = getattr(import_module(f"embertune.encoders.{module}"), name)
    return _make(factory, arguments, options)


def _load_stranger(entry: EntryPoint, model: str, options: dict[str, Any]) -> Encoder:
    encoder = entry.load()(*((model,) if model else ()), **options)
    if not isinstance(encoder, Encoder):
        raise EncoderError(
            f"{entry.value}, registered as {entry.name!r}, gave a {type(encoder).__name__}. "
            "Expected an object with spec, encode_query and encode_document."
        )
    return encoder


def _make(factory: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Encoder:
    if "api_key" in options:
        raise ConfigError("Keys are read from the environment only. Type: export PROVIDER_API_KEY=...")
    parameters = inspect.signature(factory).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        known += list(CommonOptions.__annotations__)
    unknown = [name for name in options if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"{getattr(factory, '__name__', 'The encoder')} has no option {', '.join(map(repr, unknown))}.{guess} "
            f"Known: {', '.join(sorted(known))}."
        )
    return cast(Encoder, factory(*arguments, **options))


def _unknown(name: str) -> EncoderError:
    near = difflib.get_close_matches(name, [form.partition("/")[0] for form in ENCODER_FORMS], n=1)
    if "embedding" in name and not near:
        near = [f"openai/{name}"]
    guess = f' Did you mean "{near[0]}"?' if near else ""
    return EncoderError(f"There is no encoder {name!r}.{guess} {_known()}")


def _known() -> str:
    return f"Known forms: {', '.join(ENCODER_FORMS)}."
