"""One question to a language model, through LiteLLM: within its limits, patiently, and with an eye on the bill."""

from __future__ import annotations

import difflib
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from embertune._optional import import_litellm
from embertune.core.providers import NO_RETRY, RETRIED, key_name, missing_keys, quoted, retry_after
from embertune.core.refusals import is_loopback, refused_address
from embertune.core.retrying import Retrier, TryAgainError
from embertune.core.secrets import scrub
from embertune.core.tokens import estimate_tokens
from embertune.data.synthesis.budget import Budget, Price, Spent
from embertune.data.synthesis.limits import Pace
from embertune.errors import ConfigError, LLMError

__all__ = ["Chat", "ChatConfig", "ChatOptions", "StoppedError", "UnusableAnswerError"]

Result = TypeVar("Result")
Messages = Sequence[Mapping[str, str]]

_LOCAL_RETRIES = 2  # nothing on the way to this machine's own ports passes by itself; a server may be starting
_UNUSABLE_RETRIES = 1  # each was paid for
_TOKENIZER = "text-embedding-3-small"  # its tokenizer comes with LiteLLM; others would be downloaded
_GO_ON = "Run again to go on: what was answered is in the journal."


class StoppedError(Exception):
    """Raised in a worker after the run was given up, so that nobody waits or asks any more."""


class UnusableAnswerError(LLMError):
    """This one request gave nothing usable; another may."""


@dataclass(frozen=True)
class ChatConfig:
    """How a language model is asked.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> ChatConfig(concurrency=4, budget_usd=2.5).timeout
        120.0
    """

    api_base: str | None = None
    """Address of another server that speaks the provider's protocol; else ``OPENAI_API_BASE`` and the like."""
    temperature: float | None = None
    """None leaves it to the provider: some models take no other than theirs."""
    structured: bool | None = None
    """Ask for answers of a JSON schema; None does so where LiteLLM knows that the model can."""
    concurrency: int = 8
    """The most requests under way at once."""
    timeout: float = 120.0
    """Seconds to wait for one answer."""
    max_retries: int = 6
    """How often to repeat a request that failed for now."""
    requests_per_minute: float | None = None
    """The account's limit; requests are spread evenly below it."""
    tokens_per_minute: float | None = None
    """The account's limit, of prompts and answers together."""
    budget_usd: float | None = None
    """Stop cleanly before so many dollars are spent, in this run; what is in the journal costs nothing."""
    budget_tokens: int | None = None
    """Stop cleanly before so many tokens are spent, in this run."""
    journal: str | Path | None = None
    """The file that keeps every answer; None is one for all of this user's runs, beside the cache of embeddings."""

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        problems = [f"concurrency must be at least 1, got {self.concurrency}"] if self.concurrency < 1 else []
        if self.max_retries < 0:
            problems.append(f"max_retries must be 0 or more, got {self.max_retries}")
        for name in ("timeout", "requests_per_minute", "tokens_per_minute", "budget_usd", "budget_tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                problems.append(f"{name} must be positive, got {value}")
        if problems:
            raise ConfigError(problems)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ChatConfig:
        """Make one of keywords.

        Raises:
            ConfigError: One is unknown, or impossible.
        """
        if "api_key" in options:
            raise ConfigError("Keys are read from the environment only. Type: export PROVIDER_API_KEY=...")
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in options if name not in known]:
            near = difflib.get_close_matches(unknown[0], known, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"There is no option {unknown[0]!r}.{guess} Known: {', '.join(sorted(known))}.")
        return cls(**options)


class ChatOptions(TypedDict, total=False):
    """The fields of `ChatConfig` as keywords."""

    api_base: str | None
    temperature: float | None
    structured: bool | None
    concurrency: int
    timeout: float
    max_retries: int
    requests_per_minute: float | None
    tokens_per_minute: float | None
    budget_usd: float | None
    budget_tokens: int | None
    journal: str | Path | None


class Chat:
    """A language model that can be asked from several threads.

    Keys are read from the environment only (``OPENAI_API_KEY`` …) and appear in no error.

    Args:
        model: As LiteLLM names it: "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "ollama/llama3.1" …
        config: How to ask.

    Raises:
        MissingExtraError: LiteLLM is not installed.
        LLMError: The provider is unknown, or its key is not in the environment.
        ConfigError: A budget in dollars was given for a model of unknown price.
    """

    def __init__(self, model: str, config: ChatConfig) -> None:
        self.litellm: Any = import_litellm("A language model")
        with warnings.catch_warnings():  # pydantic's comments on LiteLLM's types, when the first answer is built
            warnings.simplefilter("ignore")
            self.litellm.ModelResponse()
        self.model, self.config = model, config
        self._bare, self._provider = self._find_provider()
        self.api_base = config.api_base or self._base_of_environment()
        self._key = self._check_key()
        self.price = Price.find(self.litellm, self._provider, self._bare)
        if self.price is None and config.budget_usd is not None:
            raise ConfigError(
                f"LiteLLM does not know what {model} costs, so a budget of ${config.budget_usd:g} cannot be kept. Give "
                "one in tokens: budget_tokens=1_000_000"
            )
        self.structured = config.structured
        if self.structured is None:
            self.structured = self.litellm.supports_response_schema(
                model=self._bare, custom_llm_provider=self._provider
            )
        self.budget = Budget(config.budget_usd, config.budget_tokens)
        self.stop = threading.Event()
        self._pace = Pace(config.requests_per_minute, config.tokens_per_minute)
        self._retrier = Retrier(max_retries=config.max_retries, sleep=self._pause)

    def cost(self, prompt_tokens: int, answer_tokens: int, requests: int = 1) -> Spent:
        """Give what so many tokens cost."""
        usd = None if self.price is None else self.price.of(prompt_tokens, answer_tokens)
        return Spent(requests, prompt_tokens, answer_tokens, usd)

    def count_tokens(self, text: str) -> int:
        """Count with a tokenizer of OpenAI's, which is a close estimate for others."""
        count: int = self.litellm.token_counter(model=_TOKENIZER, text=text)
        return count

    def ask(
        self, messages: Messages, schema: Mapping[str, Any], read: Callable[[str], Result], *, answer_tokens: int
    ) -> Result:
        """Ask until the answer can be read.

        Args:
            messages: With roles and contents.
            schema: JSON schema of the answer, with a title; sent where the model takes it.
            read: Gives what the answer means; raises ValueError where it means nothing.
            answer_tokens: How long the answer will probably be.

        Raises:
            UnusableAnswerError: This request was refused for what it says, or its answers could not be read.
            LLMError: The provider failed for good.
            BudgetReachedError: The answer would go over the budget.
            StoppedError: The run was given up.
        """
        prompt = sum(estimate_tokens(message["content"]) for message in messages)
        return self._retrier.call(lambda: self._once(messages, schema, read, self.cost(prompt, answer_tokens)))

    def _once(
        self, messages: Messages, schema: Mapping[str, Any], read: Callable[[str], Result], expected: Spent
    ) -> Result:
        reserved, spent = self.budget.reserve(expected), Spent()
        try:
            self._pause(self._pace.delay(expected.tokens))
            try:
                response = self._complete(messages, schema)
            except Exception as error:  # LiteLLM's own classes, the providers', and those of HTTP clients
                raise self._translate(error) from None
            content, spent = self._content(response), self._spent(response, expected)
            self._pace.correct(spent.tokens - expected.tokens)
        finally:
            self.budget.settle(reserved, spent)
        try:
            return read(content)
        except ValueError as error:
            problem = UnusableAnswerError(f"{self.model} gave an answer that cannot be used: {error}.")
            raise TryAgainError(problem, retries=_UNUSABLE_RETRIES) from None

    def _complete(self, messages: Messages, schema: Mapping[str, Any]) -> Any:
        parameters: dict[str, Any] = {}
        if self._key is not None:
            parameters["api_key"] = self._key
        if self.config.temperature is not None:
            parameters["temperature"] = self.config.temperature
        if self.structured:
            named = {"name": schema["title"], "strict": True, "schema": schema}
            parameters["response_format"] = {"type": "json_schema", "json_schema": named}
        return self.litellm.completion(
            model=self.model,
            messages=[dict(message) for message in messages],
            api_base=self.api_base,
            timeout=self.config.timeout,
            max_retries=NO_RETRY,
            num_retries=0,
            **parameters,
        )

    @staticmethod
    def _content(response: Any) -> str:
        choices = getattr(response, "choices", None)
        return (choices[0].message.content if choices else None) or ""

    def _spent(self, response: Any, expected: Spent) -> Spent:
        usage = getattr(response, "usage", None)
        prompt = getattr(usage, "prompt_tokens", 0) or expected.prompt_tokens
        spent = self.cost(prompt, getattr(usage, "completion_tokens", 0) or estimate_tokens(self._content(response)))
        return spent

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds) if seconds > 0 else self.stop.is_set():
            raise StoppedError

    def _translate(self, error: Exception) -> Exception:
        status, said = getattr(error, "status_code", None), quoted(error)
        if isinstance(error, self.litellm.UnsupportedParamsError):
            return LLMError(f"{self.model} does not take one of the options: {said}. Leave it out.")
        if status == 429 and "insufficient_quota" in said:
            return LLMError(f"{self.model} has no credit left: {said}. Top up the account. {_GO_ON}")
        if status in (401, 403):
            name = key_name(self._provider)
            return LLMError(f"{self.model} refused the key: {said}. Set a valid one with: export {name}=...")
        if status == 404:
            return LLMError(f"{self.model} was not found: {said}.{self._similar_models()}")
        address = refused_address(error, scrub(self.api_base or self.model))
        if address is not None:
            return self._nobody(address)
        if status in RETRIED:
            return self._busy(error, said)
        if self.structured and status == 400 and ("response_format" in said or "schema" in said):
            self.structured = False  # a server that speaks the protocol but not this part of it
            return TryAgainError(UnusableAnswerError(f"{self.model} takes no JSON schema: {said}."))
        return UnusableAnswerError(f"{self.model} refused a request: {said}.")

    def _busy(self, error: Exception, said: str) -> TryAgainError:
        after = retry_after(error)
        advice = _GO_ON
        if getattr(error, "status_code", None) == 429:
            advice += " Set the account's limits with requests_per_minute= and tokens_per_minute=."
        elif self.api_base:
            advice = f"Check that a server listens at {scrub(self.api_base)}. {_GO_ON}"
        tries = self._retrier.max_retries + 1
        return TryAgainError(LLMError(f"{self.model} failed {tries} times, last with: {said}. {advice}"), after)

    def _nobody(self, address: str) -> TryAgainError:
        retries = self._retrier.patience(_LOCAL_RETRIES if is_loopback(address) else None)
        refused = LLMError(
            f"{self.model}: nobody listens at {address} (connection refused, tries: {retries + 1}). Start the server, "
            f"or give its address with api_base= (--api-base). {_GO_ON}"
        )
        return TryAgainError(refused, retries=retries)

    def _find_provider(self) -> tuple[str, str]:
        try:
            bare, provider, _, _ = self.litellm.get_llm_provider(self.model)
        except Exception:  # LiteLLM raises a BadRequestError with its own advertisement in it
            head = self.model.partition("/")[0]
            near = difflib.get_close_matches(head, [str(name.value) for name in self.litellm.provider_list], n=1)
            guess = f"{near[0]}/{self.model.partition('/')[2]}" if near else f"openai/{self.model}"
            raise LLMError(
                f'LiteLLM knows no provider {head!r}. Did you mean "{guess}"? Expected PROVIDER/MODEL, such as '
                '"openai/gpt-4o-mini" or "ollama/llama3.1".'
            ) from None
        return bare, provider

    def _base_of_environment(self) -> str | None:
        names = [f"{self._provider.upper()}_API_BASE", f"{self._provider.upper()}_BASE_URL"]
        return next((value for name in names if (value := os.environ.get(name, "").strip())), None)

    def _check_key(self) -> str | None:
        """Refuse early without a key; a server of one's own mostly wants none, but its client wants a word."""
        missing = missing_keys(self.litellm, self.model, self._provider)
        if not missing:
            return None
        if self.api_base is not None:
            return "no-key"
        raise LLMError(
            f"{self.model} needs a key, and {' or '.join(missing)} is not set. Type: export {missing[-1]}=..."
        )

    def _similar_models(self) -> str:
        names = [name for name, entry in self.litellm.model_cost.items() if entry.get("mode") == "chat"]
        near = difflib.get_close_matches(self._bare, names, n=1)
        return f" Did you mean {near[0]!r}?" if near else ""
