"""How numbers and names are written in tables, pages and cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "capital",
    "change",
    "clip",
    "count",
    "encoder_name",
    "p_value",
    "params",
    "parts",
    "percent",
    "queries",
    "score",
    "seconds",
    "synthetic_queries",
    "system_name",
    "typeset",
    "with_interval",
]

_NONE = "–"


def score(value: float | None) -> str:
    """Write the mean of a metric.

    Example:
        >>> score(0.45678), score(None)
        ('0.457', '–')
    """
    return _NONE if value is None else f"{value:.3f}"


def change(value: float | None) -> str:
    """Write a difference with its sign; what rounds to zero has none.

    Example:
        >>> change(0.0123), change(-0.0001), change(None)
        ('+0.012', '0.000', '–')
    """
    if value is None:
        return _NONE
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text


def with_interval(delta: Mapping[str, Any]) -> str:
    """Write a difference and, where it is known, its interval.

    Example:
        >>> with_interval({"mean": 0.1, "low": -0.05, "high": 0.25}), with_interval({"mean": 0.1})
        ('+0.100 [-0.050, +0.250]', '+0.100')
    """
    if delta.get("low") is None or delta.get("high") is None:
        return change(delta["mean"])
    return f"{change(delta['mean'])} [{change(delta['low'])}, {change(delta['high'])}]"


def p_value(value: float | None) -> str:
    """Write a p value.

    Example:
        >>> p_value(0.0123), p_value(0.0001), p_value(None)
        ('0.012', '<0.001', '–')
    """
    if value is None:
        return _NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int) -> str:
    r"""Write a whole number, from 10 000 on with its thousands apart (by U+202F, which never breaks).

    Example:
        >>> count(2815), ascii(count(32015))
        ('2815', "'32\\u202f015'")
    """
    return f"{number:,}".replace(",", "\u202f" if number >= 10000 else "")


def queries(number: int) -> str:
    """Write a number of test queries.

    Example:
        >>> queries(1), queries(0)
        ('1 test query', 'no test queries')
    """
    return f"{count(number) if number else 'no'} test {'query' if number == 1 else 'queries'}"


def percent(share: float) -> str:
    """Write a share.

    Example:
        >>> percent(0.9131)
        '91.3 %'
    """
    return f"{100 * share:.1f} %"


def seconds(value: float) -> str:
    """Write a duration.

    Example:
        >>> seconds(0.0412), seconds(5.12), seconds(75)
        ('0.04 s', '5.1 s', '1 min 15 s')
    """
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def system_name(name: str) -> str:
    """Write the name of a baseline as the field does.

    Example:
        >>> system_name("bm25"), system_name("whitening")
        ('BM25', 'whitening')
    """
    return {"bm25": "BM25"}.get(name, name)


def encoder_name(spec: Mapping[str, Any]) -> str:
    """Write which encoder a record is about.

    Example:
        >>> encoder_name({"provider": "openai", "model": "text-embedding-3-small", "dimension": 1536})
        'openai/text-embedding-3-small (1536 dimensions)'
    """
    name = f"{spec['provider']}/{spec['model']}" if spec["model"] else str(spec["provider"])
    return f"{name} ({spec['dimension']} dimensions)" if spec.get("dimension") else name


def params(values: Mapping[str, Any]) -> str:
    """Write the settings of a candidate.

    Example:
        >>> params({"pull": 0.03, "side": "query"}), params({})
        ('pull 0.03, side query', 'no adapter')
        >>> params({"adapters": [{"type": "linear", "rank": None}, {"type": "document"}]})
        'adapters type linear; then type document'
    """
    return ", ".join(f"{name} {_setting(value)}" for name, value in values.items()) or "no adapter"


def parts(adapter: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give an adapter, as a record describes it, and behind a chain every link of it.

    Example:
        >>> chain = {"type": "chain", "adapters": [{"type": "linear"}, {"type": "document"}]}
        >>> [part["type"] for part in parts(chain)]
        ['chain', 'linear', 'document']
    """
    links = adapter["adapters"] if adapter["type"] == "chain" else ()
    return [adapter, *(part for link in links for part in parts(link))]


def capital(text: str) -> str:
    """Begin a text with a capital; what stands behind it stays as it is.

    Example:
        >>> capital("all 6 test queries: nDCG"), capital("")
        ('All 6 test queries: nDCG', '')
    """
    return text[:1].upper() + text[1:]


def typeset(text: str) -> str:
    """Give negative numbers a true minus, which is as wide as a plus, so that signed numbers line up.

    Example:
        >>> typeset("by-query: -0.012 to +0.100")
        'by-query: −0.012 to +0.100'
    """
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def clip(text: str, length: int) -> str:
    """Cut a text at a word, with an ellipsis.

    Example:
        >>> clip("what changed in 2021", 14)
        'what changed…'
    """
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    head = text[: length - 1]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(",.;:") + "…"


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(link, Mapping) for link in value):
        return "; then ".join(params({name: link[name] for name in link if link[name] is not None}) for link in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def synthetic_queries(data: Mapping[str, Any]) -> str:
    """Write how many queries of a record's data nobody asked, and who wrote them; nothing where people asked all.

    Example:
        >>> synthetic_queries({"synthetic": {"queries": {"extractive": 600}, "test": {}}})
        '600 by extractive, none of them judged on'
        >>> synthetic_queries({"synthetic": {"queries": {"extractive": 600}, "test": {"extractive": 120}}})
        '600 by extractive; measured on synthetic queries'
    """
    found = data.get("synthetic")
    if not found:
        return ""
    made = ", ".join(f"{count(number)} by {name}" for name, number in found["queries"].items())
    return f"{made}; measured on synthetic queries" if found["test"] else f"{made}, none of them judged on"
