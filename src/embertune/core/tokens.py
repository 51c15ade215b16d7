"""How many tokens a text has at most, without a tokenizer."""

from __future__ import annotations

__all__ = ["estimate_tokens"]

# English runs at 4 to 5 bytes a token, code and Chinese at 2.5 to 3 (cl100k_base); the low end keeps under a limit.
_BYTES_PER_TOKEN = 2.5


def estimate_tokens(text: str) -> int:
    """Give a count of tokens that real tokenizers rarely exceed.

    Example:
        >>> estimate_tokens("how do I split a list")
        9
    """
    return int(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN) + 1
