"""Queries and documents on a plane, before and after, as plain plotly specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any, Literal

from embertune.reports.palette import PALETTES
from embertune.reports.plotting import layout_of
from embertune.reports.words import clip, percent

__all__ = ["plane_caption", "plane_figure"]

# Between the light and the dark ground of a page that changes from one to the other.
_COLOURS = {"gained": "#2b84cc", "lost": "#d9642b", "unchanged": "#7d8691", "answer": "#2f9e6b"}
_SYMBOLS = {"gained": "triangle-up", "lost": "triangle-down", "unchanged": "circle"}
_TEXT = 200
_NO_CHANGE = 1e-9


def plane_figure(
    chart: Mapping[str, Any],
    state: Literal["base", "tuned"],
    gains: Mapping[str, float],
    texts: Mapping[str, str],
    *,
    query: str = "",
    answers: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw one state; the axes of both are the same, so that what moved between two such figures has moved.

    Args:
        chart: As in `embertune.recipes.details.Details`.
        state: Before or after.
        gains: Query id -> the change of the metric.
        texts: Id of a query ("q" + id) or document ("d" + id) -> text, shown under the mouse; escaped here.
        query: One to mark.
        answers: Documents to join it with.

    Example:
        >>> chart = {"queries": {"ids": ["1"], "base": [[0, 1]], "tuned": [[1, 1]]}, "shares": [0.5, 0.1],
        ...          "documents": {"ids": ["a"], "base": [[0, 0]], "tuned": [[0, 0]]}}
        >>> [trace["name"] for trace in plane_figure(chart, "tuned", {"1": 0.5}, {})["data"]]
        ['documents', 'queries that gained']
    """
    found = {f"d{name}": at for name, at in zip(chart["documents"]["ids"], chart["documents"][state], strict=True)}
    asked = {f"q{name}": at for name, at in zip(chart["queries"]["ids"], chart["queries"][state], strict=True)}
    data = [_marks("documents", found, texts, color="#8a94a1", symbol="circle-open", size=5)]
    for kind, colour in _COLOURS.items():
        mine = {name: at for name, at in asked.items() if _kind(gains.get(name[1:], 0.0)) == kind}
        if mine:
            verb = "did not change" if kind == "unchanged" else kind
            data.append(_marks(f"queries that {verb}", mine, texts, color=colour, symbol=_SYMBOLS[kind], size=8))
    data += _joined(asked.get(f"q{query}"), [found[f"d{name}"] for name in answers if f"d{name}" in found])
    layout = layout_of(PALETTES["light"], height=460)
    layout["legend"] |= {"x": 0, "xanchor": "left", "y": -0.02, "yanchor": "top"}
    layout["margin"] |= {"t": 40}
    # Of a colour that both grounds bear; the page sets that of its text.
    layout["font"]["color"] = "#6b7480"
    layout["hoverlabel"] = {"align": "left"}
    for name, (low, high) in zip(("xaxis", "yaxis"), _ranges(chart), strict=True):
        layout[name] |= {"range": [low, high], "showticklabels": False, "gridcolor": "#8884", "linecolor": "#8884",
                         "zerolinecolor": "#8884"}  # fmt: skip
    return {"data": data, "layout": layout}


def plane_caption(chart: Mapping[str, Any]) -> str:
    """Say what the two figures show.

    Example:
        >>> chart = {"queries": {"ids": ["1"]}, "documents": {"ids": ["a"]}, "shares": [0.5, 0.1],
        ...          "of": {"queries": 1, "documents": 900}}
        >>> plane_caption(chart)[:62]
        '1 of 1 test queries and 1 of 900 documents, on the two directi'
    """
    queries, documents = (f"{len(chart[name]['ids']):,} of {chart['of'][name]:,}" for name in ("queries", "documents"))
    return (
        f"{queries} test queries and {documents} documents, on the two directions in which they differ most (principal "
        f"components; they show {percent(sum(chart['shares']))} of all variance, so what is near here may be far). "
        "Both maps have the same axes."
    )


def _kind(gain: float) -> str:
    return "gained" if gain > _NO_CHANGE else "lost" if gain < -_NO_CHANGE else "unchanged"


def _marks(
    name: str, points: Mapping[str, Sequence[float]], texts: Mapping[str, str], *, color: str, symbol: str, size: int
) -> dict[str, Any]:
    said = [[escape(line) for line in wrap(clip(texts.get(key, key[1:]), _TEXT), 50)] for key in points]
    return {
        "type": "scattergl" if len(points) > 2000 else "scatter", "mode": "markers", "name": name,
        "x": [at[0] for at in points.values()], "y": [at[1] for at in points.values()],
        "text": ["<br>".join(lines) for lines in said], "hoverinfo": "text",
        "marker": {"color": color, "symbol": symbol, "size": size},
    }  # fmt: skip


def _joined(query: Sequence[float] | None, answers: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    if query is None:
        return []
    lines: dict[str, list[float | None]] = {"x": [], "y": []}
    for axis, values in enumerate(lines.values()):
        for answer in answers:
            values += [query[axis], answer[axis], None]
    look = {"type": "scatter", "hoverinfo": "skip", "line": {"color": _COLOURS["answer"], "width": 2}}
    star = {"color": _COLOURS["answer"], "symbol": "star", "size": 15}
    return [
        {**look, **lines, "mode": "lines", "name": "to its answers"},
        {**look, "x": [query[0]], "y": [query[1]], "mode": "markers", "name": "this query", "marker": star},
    ]


def _ranges(chart: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Give the ends of both axes, with some room."""
    points = [at for part in ("queries", "documents") for state in ("base", "tuned") for at in chart[part][state]]
    ranges = []
    for axis in (0, 1):
        values = [at[axis] for at in points] or [0.0]
        room = 0.05 * (max(values) - min(values)) or 1.0
        ranges.append((min(values) - room, max(values) + room))
    return ranges
