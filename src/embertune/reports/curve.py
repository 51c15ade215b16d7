"""A learning curve as one self-contained page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from embertune.reports.markup import Markup, element, scroll_table, table
from embertune.reports.palette import PALETTES, Palette, Theme, dark_for_light
from embertune.reports.plotting import layout_of, title_of
from embertune.reports.words import capital, count, score, typeset

__all__ = ["curve_figure", "curve_page"]


# As on the command line: ten times the labels.
_FAR = 10


def curve_figure(curve: Mapping[str, Any], theme: Theme = "light") -> dict[str, Any]:
    """Draw what was measured, the power law through it, and the interval of its forecast, over a logarithmic axis.

    Args:
        curve: `LearningCurve.to_dict`.
        theme: "light" or "dark".

    Returns:
        A plotly specification: {"data": [...], "layout": {...}}.

    Example:
        >>> [trace["name"] for trace in curve_figure(example_curve())["data"]][1:]
        ['95 % interval of the law', 'power law', 'measured', 'frozen encoder']
    """
    colors = PALETTES[theme]
    band, points = curve["band"], curve["points"]
    sizes = [one["size"] for one in band]
    edge = {"type": "scatter", "mode": "lines", "x": sizes, "line": {"width": 0}, "hoverinfo": "skip"}
    data: list[dict[str, Any]] = [
        {**edge, "name": "low", "y": [one["low"] for one in band], "showlegend": False},
        {
            **edge,
            "name": "95 % interval of the law",
            "y": [one["high"] for one in band],
            "fill": "tonexty",
            "fillcolor": colors.gain_area,
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "power law",
            "x": sizes,
            "y": [one["score"] for one in band],
            "line": {"color": colors.gain, "width": 2, "dash": "dash"},
            "hovertext": [f"{count(one['size'])} labels: {_with_interval(one)}" for one in band],
            "hoverinfo": "text",
        },
        _measured(points, colors),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "frozen encoder",
            "x": [sizes[0], sizes[-1]],
            "y": [curve["base"]] * 2,
            "line": {"color": colors.plain, "width": 2, "dash": "dot"},
            "hoverinfo": "skip",
        },
    ]
    layout = layout_of(colors, height=420)
    layout["xaxis"] |= {"type": "log", "title": title_of("labelled queries"), "zeroline": False, **_ticks(sizes)}
    layout["yaxis"] |= {"title": title_of(escape(curve["metric"])), "tickformat": ".3~f", "zeroline": False}
    return {"data": data, "layout": layout}


def curve_page(curve: Mapping[str, Any]) -> str:
    """Give a learning curve as one HTML page that asks for nothing from the network.

    Args:
        curve: `LearningCurve.to_dict`.

    Example:
        >>> "<h1>Stop labelling" in curve_page(example_curve())
        True
    """
    from plotly.offline import get_plotlyjs  # 5 MB of text, read only when a page is made

    headline, _, rest = curve["advice"].partition(": ")
    where = f"Embertune learning curve · {curve['name']} · {curve['encoder']}"
    caption = (
        f"{curve['metric']} on {count(curve['queries'])} test queries, after tuning on parts of the labels. Points are "
        "means over draws with the interval over test queries; the band foretells one more draw on other test queries."
    )
    lead = element("p", typeset(capital(rest)), class_="lead")
    plot = element("div", id="plot-curve", class_="plot", role="img", aria_label=caption)
    body = [
        element(
            "header",
            element("p", where, class_="eyebrow"),
            element("div", element("h1", headline), lead, class_="verdict"),
        ),
        element(
            "main",
            element("section", element("figure", plot, element("figcaption", typeset(caption)))),
            element("section", element("h2", "What more labels would bring"), _forecasts(curve)),
            element("section", element("h2", "What was measured"), _points(curve)),
            *([element("section", element("h2", "Notes"), _notes(curve))] if curve["notes"] else []),
        ),
    ]
    folder = files("embertune.reports")
    figures = {"figures": {"curve": curve_figure(curve)}, "dark": dark_for_light()}
    told = json.dumps(figures, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Template(folder.joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{curve['name']}: learning curve · Embertune"),
        style=folder.joinpath("report.css").read_text(encoding="utf-8"),
        body="\n".join(body),
        # It must not end the script element that it stands in.
        figures=told.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        plotly=get_plotlyjs(),
    )


def example_curve() -> dict[str, Any]:
    """Give a small curve for examples and tests."""

    def at(size: int, value: float) -> dict[str, Any]:
        ends = {"low": value - 0.02, "high": value + 0.02}
        return {"size": size, "score": value, **ends, "gain": value - 0.72, "gain_low": 0.0, "gain_high": 0.009}

    return {
        "name": "example",
        "encoder": "static",
        "metric": "ndcg@10",
        "queries": 120,
        "base": 0.6,
        "points": [{**at(size, value), "draws": 3} for size, value in ((50, 0.68), (100, 0.7), (200, 0.72))],
        "law": {"ceiling": 0.8, "drop": 0.4, "offset": 30.0, "exponent": 0.3},
        "forecasts": [at(300, 0.723), at(1200, 0.727), at(10200, 0.728)],
        "doubled": at(400, 0.725),
        "band": [at(50, 0.68), at(200, 0.72), at(2000, 0.728)],
        "notes": [],
        "advice": "Stop labelling: as many labels again would bring +0.005 [+0.000, +0.009] of ndcg@10.",
    }


def _ticks(sizes: list[int]) -> dict[str, Any]:
    """Put ticks at 1, 2 and 5 times the powers of ten; Plotly's own stand too close on a narrow screen."""
    steps = [step * 10**power for power in range(7) for step in (1, 2, 5)]
    shown = [step for step in steps if sizes[0] <= step <= sizes[-1]]
    return {"tickvals": shown, "ticktext": [count(step) for step in shown]}


def _measured(points: list[Mapping[str, Any]], colors: Palette) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured",
        "x": [point["size"] for point in points],
        "y": [point["score"] for point in points],
        "marker": {"color": colors.ink, "size": 9},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point["high"] - point["score"] for point in points],
            "arrayminus": [point["score"] - point["low"] for point in points],
            "color": colors.ink,
            "thickness": 1.5,
            "width": 4,
        },
        "hovertext": [f"{count(point['size'])} labels: {_with_interval(point)}" for point in points],
        "hoverinfo": "text",
    }


def _with_interval(one: Mapping[str, Any]) -> str:
    return f"{score(one['score'])} [{score(one['low'])}, {score(one['high'])}]"


def _forecasts(curve: Mapping[str, Any]) -> Markup:
    size = curve["points"][-1]["size"]
    rows = [
        [
            f"+{count(one['size'] - size)}" + (" (far beyond what was measured)" if one["size"] > _FAR * size else ""),
            _with_interval(one),
            typeset(f"{one['gain']:+.3f} [{one['gain_low']:+.3f}, {one['gain_high']:+.3f}]"),
        ]
        for one in curve["forecasts"]
    ]
    return scroll_table(table(["more labels", curve["metric"], "gain"], rows), "Forecast")


def _points(curve: Mapping[str, Any]) -> Markup:
    rows = [["0", score(curve["base"]), "the frozen encoder"]]
    rows += [[count(point["size"]), _with_interval(point), str(point["draws"])] for point in curve["points"]]
    return scroll_table(table(["labels", curve["metric"], "draws"], rows), "Measured")


def _notes(curve: Mapping[str, Any]) -> Markup:
    return element("ul", *(element("li", note) for note in curve["notes"]))
