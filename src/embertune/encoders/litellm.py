"""Every embedding API that LiteLLM knows, and any server of one's own that speaks a protocol of theirs."""

from __future__ import annotations

import base64
import difflib
import logging
import threading
import warnings
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from embertune._optional import import_litellm
from embertune.core.progress import Progress, one_at_a_time, silent
from embertune.core.providers import NO_RETRY, RETRIED, key_name, missing_keys, quoted, retry_after
from embertune.core.refusals import is_loopback, refused_address
from embertune.core.retrying import Retrier, TryAgainError
from embertune.core.secrets import scrub
from embertune.core.vectors import Vectors
from embertune.encoders.api_limits import limits_of, side_parameters
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.cost import Cost
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, EncoderError, RateLimitError

__all__ = ["LiteLLMEncoder"]

_log = logging.getLogger(__name__)

_PREFERRED_BATCH = 512  # above this a request saves little, and more is lost when one fails
_SAMPLE = 256
_LOCAL_RETRIES = 2  # nothing on the way to this machine's own ports passes by itself; a server may be starting
_TOKENIZER = "text-embedding-3-small"  # its tokenizer comes with LiteLLM; others would be downloaded


class LiteLLMEncoder(TextEncoder):
    """Embed with an API, within its limits, patiently, and with an eye on the bill.

    Keys are read from the environment only (``OPENAI_API_KEY`` …) and appear in no error, cache or record.
    What arrived before a failure is in the cache, so running again pays only for the rest.

    Args:
        model: As LiteLLM names it: "openai/text-embedding-3-small", "cohere/embed-v4.0", "voyage/voyage-3.5" …
        dimensions: Ask for shorter vectors, where the model can.
        api_base: Address of another server that speaks the provider's protocol.
        concurrency: The most requests under way at once.
        timeout: Seconds to wait for one answer.
        max_retries: How often to repeat a request that failed for now.
        options: See `TextEncoder`.

    Raises:
        MissingExtraError: LiteLLM is not installed.
        EncoderError: The provider is unknown, or its key is not in the environment.
    """

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
        api_base: str | None = None,
        concurrency: int = 4,
        timeout: float = 60.0,
        max_retries: int = 6,
        **options: Unpack[CommonOptions],
    ) -> None:
        _check_settings(dimensions=dimensions, concurrency=concurrency, timeout=timeout, max_retries=max_retries)
        self._litellm: Any = import_litellm("An embedding API")
        self._name = model
        provider, bare = self._provider(model)
        limits = limits_of(provider, bare)
        size = options.setdefault("batch_size", min(limits.texts, _PREFERRED_BATCH))
        if size > limits.texts:
            raise ConfigError(f"batch_size must be at most {limits.texts} for {model}, got {size}")
        super().__init__(EncoderSpec(provider, bare, dimension=dimensions), **options)
        self.batch_tokens, self.concurrency = limits.tokens, concurrency
        # Another server may run another model under the same name.
        self.variant = f"{dimensions or ''} {api_base or ''}".strip()
        self._dimensions, self._api_base, self._timeout = dimensions, api_base, timeout
        self._key = self._check_key()
        self._price = self._price_per_token()
        self._retrier = Retrier(max_retries=max_retries)
        self._cost = Cost()
        self._lock = threading.Lock()
        self._progress, self._warned = silent, False

    @property
    def cost(self) -> Cost:
        """What this encoder has sent so far, by the provider's own count of tokens."""
        return self._cost

    def estimate(self, texts: Sequence[str], side: Side) -> Cost:
        """Say what `encode` would cost now; texts in the cache cost nothing.

        Tokens are counted on a sample of 256 texts with OpenAI's tokenizer, so they are a close estimate
        for other providers.

        Args:
            texts: Any texts.
            side: "query" or "document".
        """
        missing = [self.prompt(side) + text for text in self.uncached(texts, side)]
        tokens = self._count_tokens(missing)
        return Cost(len(missing), tokens, None if self._price is None else tokens * self._price)

    def encode(self, texts: Sequence[str], side: Side, *, progress: Progress = silent) -> Vectors:
        """Embed texts of one side; see `TextEncoder.encode`. Progress may be told from other threads, one at a time."""
        self._progress, self._warned = one_at_a_time(progress), False
        # Pydantic comments on answers that are unusual but usable, on the user's terminal.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="pydantic")
            return super().encode(texts, side, progress=self._progress)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        return self._retrier.call(lambda: self._request(texts, side))

    def _request(self, texts: list[str], side: Side) -> Vectors:
        parameters: dict[str, Any] = dict(side_parameters(self._spec.provider, self._spec.model, side))
        if self._dimensions is not None:
            parameters.update(dimensions=self._dimensions, allowed_openai_params=["dimensions"])
        if self._key is not None:
            parameters["api_key"] = self._key
        try:
            response = self._litellm.embedding(
                model=self._name,
                input=texts,
                api_base=self._api_base,
                timeout=self._timeout,
                max_retries=NO_RETRY,
                num_retries=0,
                **parameters,
            )
        except Exception as error:  # LiteLLM's own classes, the providers', and those of HTTP clients
            raise self._translate(error, texts) from None
        vectors = self._rows(response, len(texts))
        self._add_cost(response, texts)
        return vectors

    def _rows(self, response: Any, expected: int) -> Vectors:
        """Give the vectors in the order of the request: (n, d)."""
        try:
            items = [item if isinstance(item, dict) else item.model_dump() for item in response.data or []]
            indices = [item.get("index") for item in items]
            if sorted(index for index in indices if index is not None) == list(range(len(items))):
                items.sort(key=lambda item: int(item["index"]))
            elif len(set(indices)) > 1:
                raise ValueError(f"the answer numbers its vectors {indices[:5]}")
            if len(items) != expected:
                raise ValueError(f"{len(items)} vectors for {expected} texts")
            return np.array([_vector(item["embedding"]) for item in items], dtype=np.float32)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = EncoderError(f"{self._name} gave an answer that cannot be used: {scrub(str(error))[:300]}.")
            raise TryAgainError(problem) from None

    def _translate(self, error: Exception, texts: list[str]) -> Exception:
        status = getattr(error, "status_code", None)
        said = quoted(error)
        tries = self._retrier.max_retries + 1
        if isinstance(error, self._litellm.UnsupportedParamsError):
            return EncoderError(f"{self._name} does not take one of the options: {said}. Leave it out.")
        if status == 429 and "insufficient_quota" in said:
            return RateLimitError(f"{self._name} has no credit left: {said}. Top up the account, then run again.")
        if status == 429:
            after = retry_after(error)
            busy = RateLimitError(
                f"{self._name} still refused for its rate limit after {tries} tries: {said}. Run again to go on from "
                "the cache, with a lower concurrency= or a larger max_retries=.",
                after,
            )
            return TryAgainError(busy, after)
        if status in (401, 403):
            return EncoderError(
                f"{self._name} refused the key: {said}. Set a valid one with: "
                f"export {key_name(self._spec.provider)}=..."
            )
        if status == 404:
            return EncoderError(f"{self._name} was not found: {said}.{self._similar_models()}")
        address = refused_address(error, scrub(self._api_base or self._name))
        if address is not None:
            return self._refused(address)
        if status in RETRIED:
            where = f" Check that a server listens at {scrub(self._api_base)}." if self._api_base else ""
            failed = EncoderError(
                f"{self._name} failed {tries} times, last with: {said}.{where} Run again to go on from the cache."
            )
            return TryAgainError(failed, retry_after(error))
        longest = max(texts, key=len)
        return EncoderError(
            f"{self._name} refused a request of {len(texts)} texts: {said}. If a text is too long, cut it: the longest "
            f"has {len(longest)} characters and starts with {longest[:40]!r}."
        )

    def _refused(self, address: str) -> TryAgainError:
        """Say at once what is waited for: a silent minute looks like work."""
        retries = self._retrier.patience(_LOCAL_RETRIES if is_loopback(address) else None)
        with self._lock:
            first, self._warned = not self._warned, True
        if first and retries:
            plan = f"trying again for {self._retrier.longest_wait(retries):.0f} s at most"
            _log.warning("%s: nobody listens at %s (connection refused); %s.", self._name, address, plan)
            self._progress(f"wait for {address}", 0, None, f"connection refused, {plan}")
        refused = EncoderError(
            f"{self._name}: nobody listens at {address} (connection refused, tries: {retries + 1}). Start the server, "
            "or give its address with api_base= (--api-base). Run again to go on from the cache."
        )
        return TryAgainError(refused, retries=retries)

    def _add_cost(self, response: Any, texts: list[str]) -> None:
        usage = getattr(response, "usage", None)
        tokens = getattr(usage, "prompt_tokens", 0) or getattr(usage, "total_tokens", 0) or self._count_tokens(texts)
        with self._lock:
            self._cost += Cost(len(texts), tokens, None if self._price is None else tokens * self._price)

    def _count_tokens(self, texts: Sequence[str]) -> int:
        if not texts:
            return 0
        sample = texts[:: max(1, len(texts) // _SAMPLE)]
        counted: int = sum(self._litellm.token_counter(model=_TOKENIZER, text=text) for text in sample)
        return round(counted * sum(map(len, texts)) / max(1, sum(map(len, sample))))

    def _provider(self, model: str) -> tuple[str, str]:
        try:
            bare, provider, _, _ = self._litellm.get_llm_provider(model)
        except Exception:  # LiteLLM raises a BadRequestError with its own advertisement in it
            head = model.partition("/")[0]
            near = difflib.get_close_matches(head, [str(name.value) for name in self._litellm.provider_list], n=1)
            guess = f'"{near[0]}/{model.partition("/")[2]}" or ' if near else ""
            raise EncoderError(
                f"LiteLLM knows no provider {head!r}. Did you mean {guess}"
                f'"sentence-transformers/{model}", a model of the Hugging Face hub?'
            ) from None
        return provider, bare

    def _check_key(self) -> str | None:
        """Refuse early without a key; a server of one's own mostly wants none, but its client wants a word."""
        missing = missing_keys(self._litellm, self._name, self._spec.provider)
        if not missing:
            return None
        if self._api_base is not None:
            return "no-key"
        raise EncoderError(
            f"{self._name} needs a key, and {' or '.join(missing)} is not set. Type: export {missing[-1]}=..."
        )

    def _price_per_token(self) -> float | None:
        for name in (f"{self._spec.provider}/{self._spec.model}", self._spec.model):
            entry = self._litellm.model_cost.get(name, {})
            if str(entry.get("litellm_provider", "")).startswith(self._spec.provider):
                # 0 stands in LiteLLM's list for "not known" as often as for "free".
                return entry.get("input_cost_per_token") or None
        return None

    def _similar_models(self) -> str:
        names = [name for name, entry in self._litellm.model_cost.items() if entry.get("mode") == "embedding"]
        near = difflib.get_close_matches(self._spec.model, names, n=1)
        return f" Did you mean {near[0]!r}?" if near else ""


def _check_settings(*, dimensions: int | None, concurrency: int, timeout: float, max_retries: int) -> None:
    problems = [
        f"{name} must be {wanted}, got {value}"
        for name, value, good, wanted in (
            ("dimensions", dimensions, dimensions is None or dimensions >= 1, "at least 1"),
            ("concurrency", concurrency, concurrency >= 1, "at least 1"),
            ("timeout", timeout, timeout > 0, "positive"),
            ("max_retries", max_retries, max_retries >= 0, "0 or more"),
        )
        if not good
    ]
    if problems:
        raise ConfigError(problems)


def _vector(value: Any) -> Any:
    """Decode what an API may give instead of a list of numbers: float32 in base64."""
    return np.frombuffer(base64.b64decode(value), dtype="<f4") if isinstance(value, str) else value
