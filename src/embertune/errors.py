"""Every error that Embertune raises on purpose.

* EmbertuneError
  x ConfigError (ValueError)           a setting is impossible; lists every problem at once
  x DataError (ValueError)             the user's data breaks a rule
    + LeakageError                     the same text sits on both sides of a split
    + SplitError                       too little data for the split that was asked
  x NotFittedError (ValueError)        transform() before fit()
  x EncoderError (RuntimeError)        an embedding provider failed
    + RateLimitError                   carries retry_after
  x LLMError (RuntimeError)            a language model did not give what was asked
  x TrainingError (RuntimeError)       a training cannot go on
  x ArtifactError (ValueError)         a saved adapter is damaged or does not match this encoder
  x ConformanceError (AssertionError)  an adapter of your own breaks the contract
  x MissingExtraError (ImportError)    an optional dependency is absent
  x StorageError (OSError)             a folder or disk refused what had to be written
  x StoreError (RuntimeError)          a vector database refused, or holds something else than was expected

Each is also the built-in named in brackets, so ``except ValueError`` works. A message says what was
found (with counts), what was expected, and the line to type next.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ArtifactError",
    "ConfigError",
    "ConformanceError",
    "DataError",
    "EmbertuneError",
    "EncoderError",
    "LLMError",
    "LeakageError",
    "MissingExtraError",
    "NotFittedError",
    "RateLimitError",
    "SplitError",
    "StorageError",
    "TrainingError",
]


class EmbertuneError(Exception):
    """The root of the tree: catch it to catch everything foreseeable.

    Example:
        >>> from embertune.encoders.registry import load_encoder
        >>> try:
        ...     load_encoder("hashing", batch_size=0)
        ... except EmbertuneError as error:
        ...     print(error)
        batch_size must be at least 1, got 0
    """


class ConfigError(EmbertuneError, ValueError):
    """A setting is impossible.

    Args:
        problems: One sentence, or every problem that was found.

    Example:
        >>> print(ConfigError(["epochs must be at least 1, got 0", "temperature must be positive, got -1"]))
        Invalid configuration:
        - epochs must be at least 1, got 0
        - temperature must be positive, got -1
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        if isinstance(problems, str):
            super().__init__(problems)
        else:
            super().__init__("Invalid configuration:\n" + "\n".join(f"- {problem}" for problem in self.problems))


class DataError(EmbertuneError, ValueError):
    """The user's data breaks a rule."""


class LeakageError(DataError):
    """The same, or nearly the same, text sits on both sides of a split."""


class SplitError(DataError):
    """There is too little data for the split that was asked."""


class NotFittedError(EmbertuneError, ValueError):
    """``transform`` was called before ``fit``."""


class EncoderError(EmbertuneError, RuntimeError):
    """An embedding provider, or a file of vectors, did not give what was asked."""


class RateLimitError(EncoderError):
    """The provider refused for now.

    Args:
        message: What happened.
        retry_after: Seconds that the provider asked to wait, if it said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LLMError(EmbertuneError, RuntimeError):
    """A language model, or the provider that runs it, did not give what was asked."""


class TrainingError(EmbertuneError, RuntimeError):
    """A training cannot go on: its loss is no number, or memory is too small for any batch."""


class ArtifactError(EmbertuneError, ValueError):
    """A saved adapter is damaged, or does not match this encoder."""


class ConformanceError(EmbertuneError, AssertionError):
    """An adapter breaks the contract that all adapters keep; see `embertune.testing.check_adapter`."""


class StorageError(EmbertuneError, OSError):
    """A folder or a disk refused what had to be written."""


class StoreError(EmbertuneError, RuntimeError):
    """A vector database refused, or holds something else than was expected."""


class MissingExtraError(EmbertuneError, ImportError):
    """An optional dependency is absent.

    Args:
        module: The module that could not be imported.
        extra: The extra of Embertune that brings it.
        purpose: What it is needed for, as the start of a sentence.
        install: The line that installs it.
    """

    def __init__(self, module: str, extra: str, purpose: str, install: str) -> None:
        super().__init__(f"{purpose} needs `{module}`. Install it with: {install}")
        self.module, self.extra, self.purpose = module, extra, purpose
