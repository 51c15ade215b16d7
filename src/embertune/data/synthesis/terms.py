"""The words of a text that a search could be made of."""

from __future__ import annotations

import re

from embertune.data.words import NO_SPACES

__all__ = ["terms"]

# Where no spaces part words two characters are the nearest to one.
_TERM = re.compile(rf"[{NO_SPACES}]{{2}}|[{NO_SPACES}]|[^\W_{NO_SPACES}]+(?:['’\-.+#][^\W_{NO_SPACES}]+)*[+#]*")


def terms(text: str) -> list[str]:
    """List the words of a text in their order, as they are written; where there are no spaces, pairs of characters.

    Example:
        >>> terms("Don't sort C++ by hand, 信息检索!")
        ["Don't", 'sort', 'C++', 'by', 'hand', '信息', '检索']
    """
    found: list[str] = _TERM.findall(text)
    return found
