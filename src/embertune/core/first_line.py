"""What an error of another library says, on one line of an error of ours."""

from __future__ import annotations

__all__ = ["first_line"]


def first_line(error: BaseException) -> str:
    r"""Give the first line of an error's text, or its kind where it says nothing.

    Example:
        >>> first_line(OSError("\nno such model\nsee https://example.org")), first_line(MemoryError())
        ('no such model', 'MemoryError')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
