"""What everyone needs who calls a provider through LiteLLM: which key is missing, and what an error says."""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from embertune.core.secrets import scrub

__all__ = ["NO_RETRY", "RETRIED", "key_name", "missing_keys", "quoted", "retry_after"]

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""The statuses after which a later call may succeed."""

_CLASS_NAMES = re.compile(r"\b[\w.]*(?:Error|Exception)(?: -|:) ")  # LiteLLM puts up to three before what was said
_LONGEST_QUOTE = 400


class _NoRetry(int):
    """A 0 that LiteLLM's ``max_retries or 2`` keeps, so that only we retry and every request is counted."""

    def __bool__(self) -> bool:
        return True


NO_RETRY = _NoRetry(0)
"""What to give LiteLLM as `max_retries`."""


def key_name(provider: str) -> str:
    """Give the variable that holds a provider's key.

    Example:
        >>> key_name("openai")
        'OPENAI_API_KEY'
    """
    return f"{provider.upper()}_API_KEY"


def missing_keys(litellm: Any, model: str, provider: str) -> list[str]:
    """Give the variables with keys that a model needs and that are not set.

    Args:
        litellm: The module.
        model: As LiteLLM names it.
        provider: Its provider.
    """
    missing = [name for name in litellm.validate_environment(model)["missing_keys"] if name.endswith("_API_KEY")]
    if not os.environ.get(key_name(provider), "x").strip():
        missing = [key_name(provider)]
    return [] if os.environ.get("AZURE_AD_TOKEN") else missing


def quoted(error: Exception) -> str:
    """Give what a provider said, on one line, without keys and class names.

    Example:
        >>> quoted(RuntimeError("litellm.BadRequestError: OpenAIException - Bearer abc is no key."))
        'Bearer *** is no key'
    """
    said = " ".join(scrub(str(error)).split()).partition(" Traceback (most recent call last)")[0]
    return _CLASS_NAMES.sub("", said)[:_LONGEST_QUOTE].rstrip(" .")


def retry_after(error: Exception) -> float | None:
    """Give the seconds that a provider asked to wait, if it did."""
    response = getattr(error, "response", None)
    for headers in (getattr(error, "litellm_response_headers", None), getattr(response, "headers", None)):
        value = (headers or {}).get("retry-after")
        if value is not None and (seconds := _seconds_until(str(value))) is not None:
            return max(0.0, seconds)
    return None


def _seconds_until(value: str) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3); None for anything else."""
    with suppress(ValueError):
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    with suppress(ValueError):
        return parsedate_to_datetime(value).timestamp() - time.time()
    return None
