"""The figures of a report as plain plotly specifications: {"data": [...], "layout": {...}}."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from embertune.reports.palette import PALETTES, Palette, Theme
from embertune.reports.record import Record
from embertune.reports.words import change, clip, params, score

__all__ = ["Figure", "figures"]

Figure = dict[str, Any]

# More bars than a wide screen has columns cannot be told apart.
_BARS = 600
_CANDIDATES = 24
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figures(record: Mapping[str, Any], theme: Theme = "light") -> dict[str, Figure]:
    """Draw everything that a record has data for.

    The specifications are plain JSON-able dictionaries: hand one to ``plotly.graph_objects.Figure``,
    to Plotly.js, or to a Gradio plot. Names in them are escaped, since Plotly reads tags in text.

    Args:
        record: A `Record`, or its values.
        theme: "light" or "dark".

    Returns:
        "intervals", "training", "cosines", "queries", "candidates"; a figure without data is left out.

    Raises:
        ArtifactError: The record is incomplete.
    """
    record = Record.of(record)
    drawn: dict[str, Callable[[Record, Palette], Figure | None]] = {
        "intervals": _intervals,
        "training": _training,
        "cosines": _cosines,
        "queries": _queries,
        "candidates": _candidates,
    }
    made = {name: draw(record, PALETTES[theme]) for name, draw in drawn.items()}
    return {name: figure for name, figure in made.items() if figure is not None}


def _intervals(record: Record, colors: Palette) -> Figure | None:
    """Forest plot: the change of every metric with its interval, for all, seen and unseen."""
    metrics = [record["primary"], *(name for name in record["metrics"] if name != record["primary"])]
    parts = {"all": record, "seen": record["groups"]["seen"], "unseen": record["groups"]["unseen"]}
    parts = {name: part for name, part in parts.items() if part.get("delta")}
    looks = {
        "all": (colors.ink, "circle", 10),
        "seen": (colors.gain, "square", 9),
        "unseen": (colors.loss, "diamond", 10),
    }
    data = []
    for at, (name, part) in enumerate(parts.items()):
        color, symbol, size = looks[name]
        offset = 0.24 * (at - (len(parts) - 1) / 2)
        deltas = [part["delta"][metric] for metric in metrics]
        label = "all test queries" if name == "all" else f"{name} documents"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [delta["mean"] for delta in deltas],
                "y": [row + offset for row in range(len(metrics))],
                "marker": {"color": color, "symbol": symbol, "size": size},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [_reach(delta["high"], delta["mean"]) for delta in deltas],
                    "arrayminus": [_reach(delta["mean"], delta["low"]) for delta in deltas],
                    "color": color,
                    "thickness": 2,
                    "width": 4,
                },
                "hovertext": [
                    f"{escape(metric)}, {label}: {change(delta['mean'])} [{change(delta['low'])}, {change(delta['high'])}]"
                    for metric, delta in zip(metrics, deltas, strict=True)
                ],
                "hoverinfo": "text",
            }
        )
    layout = _layout(colors, height=120 + len(metrics) * (22 + 20 * len(parts)))
    layout["xaxis"] |= {"title": _title("change, tuned minus base"), "zerolinecolor": colors.zero, "zerolinewidth": 2}
    # Without room on both sides a change of exactly zero would be drawn at the edge.
    layout["xaxis"] |= {"tickformat": "+.2~f", "range": _range_around_zero(parts.values(), metrics)}
    layout["yaxis"] |= {
        "tickvals": list(range(len(metrics))),
        "ticktext": [escape(metric) for metric in metrics],
        "range": [len(metrics) - 0.45, -0.55],
        "showgrid": False,
        "zeroline": False,
    }
    return {"data": data, "layout": layout}


def _training(record: Record, colors: Palette) -> Figure | None:
    """The metric on dev above, the loss below, along the steps of training."""
    curve = (record.get("selection") or {}).get("curve") or ()
    panels = []
    for key, label, color in (
        ("dev", f"{record['primary']} on dev", colors.gain),
        ("loss", "training loss", colors.plain),
    ):
        points = [(point["step"], point[key]) for point in curve if point.get(key) is not None]
        if points:
            panels.append((label, color, points))
    if not panels or max(len(points) for _, _, points in panels) < 2:
        return None
    layout = _layout(colors, height=190 + 170 * (len(panels) - 1), panels=len(panels))
    data = []
    for at, (label, color, points) in enumerate(panels):
        axis = "" if at == 0 else str(at + 1)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(points) <= 40 else "lines",
                "name": escape(label),
                "x": [step for step, _ in points],
                "y": [value for _, value in points],
                "yaxis": f"y{axis}",
                "line": {"color": color, "width": 2},
                "marker": {"color": color, "size": 6},
                "hovertemplate": "step %{x}: %{y:.4f}<extra></extra>",
                "showlegend": False,
            }
        )
        layout["annotations"].append(_panel_label(escape(label), f"y{axis}", colors))
    layout["xaxis"] |= {"title": _title("training step"), "anchor": "free", "position": 0, "zeroline": False}
    return {"data": data, "layout": layout}


def _cosines(record: Record, colors: Palette) -> Figure | None:
    """Histograms of the cosines of relevant and irrelevant pairs, base above tuned."""
    cosines = record.get("cosines") or {}
    counts = (
        [cosines[system][kind] for system in ("base", "tuned") for kind in ("relevant", "irrelevant")]
        if cosines
        else []
    )
    if not any(map(sum, counts)):
        return None
    edges = cosines["edges"]
    filled = [at for at in range(len(edges) - 1) if any(one[at] for one in counts)]
    span = range(max(filled[0] - 1, 0), min(filled[-1] + 2, len(edges) - 1))
    layout = _layout(colors, height=400, panels=2)
    data = []
    for at, (system, title) in enumerate((("base", "before: base"), ("tuned", "after: tuned"))):
        axis = "" if at == 0 else "2"
        for kind, color, area in (
            ("irrelevant", colors.plain, colors.plain_area),
            ("relevant", colors.gain, colors.gain_area),
        ):
            shares = _shares(cosines[system][kind])
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{kind} pairs",
                    "legendgroup": kind,
                    "showlegend": at == 0,
                    "x": [round((edges[bin] + edges[bin + 1]) / 2, 4) for bin in span],
                    "y": [round(shares[bin], 5) for bin in span],
                    "yaxis": f"y{axis}",
                    "line": {
                        "color": color,
                        "width": 2,
                        "shape": "hvh",
                        **({"dash": "dot"} if kind == "irrelevant" else {}),
                    },
                    "fill": "tozeroy",
                    "fillcolor": area,
                    "hovertemplate": f"{kind}, cosine about %{{x:.2f}}: %{{y:.1%}}<extra></extra>",
                }
            )
        layout[f"yaxis{axis}"] |= {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4}
        layout["annotations"].append(_panel_label(title, f"y{axis}", colors))
    layout["xaxis"] |= {
        "title": _title("cosine of query and document"),
        "anchor": "free",
        "position": 0,
        "zeroline": False,
    }
    return {"data": data, "layout": layout}


def _queries(record: Record, colors: Palette) -> Figure | None:
    """What every test query gained or lost, sorted."""
    rows = sorted(record.get("queries") or (), key=lambda row: row["base"] - row["tuned"])
    if not rows:
        return None
    last, shown = len(rows) - 1, min(len(rows), _BARS)
    # Spread evenly over the sorted queries, both ends always in.
    places = [round(at * last / max(shown - 1, 1)) for at in range(shown)]
    kept = [rows[place] for place in places]
    gains = [round(row["tuned"] - row["base"], 5) for row in kept]
    layout = _layout(colors, height=300)
    layout["bargap"] = 0.08 if shown <= 80 else 0
    layout["xaxis"] |= {
        "title": _title(f"test queries, from the most gained to the most lost ({len(rows)})"),
        "range": [0.5 - 0.02 * last, last + 1.5 + 0.02 * last],
        "showgrid": False,
        "zeroline": False,
        "tickformat": "d",
        **({"tickvals": [1]} if last == 0 else {}),
    }
    bound = max(map(abs, gains), default=0) * 1.08 or 0.1
    layout["yaxis"] |= {
        "title": _title(f"change of {escape(record['primary'])}"),
        "tickformat": "+.2~f",
        "range": [-bound if min(gains) < 0 else -0.08 * bound, bound if max(gains) > 0 else 0.08 * bound],
        "zerolinecolor": colors.zero,
        "zerolinewidth": 1,
    }
    bars = {
        "type": "bar",
        "x": [place + 1 for place in places],
        "y": gains,
        "marker": {"color": [colors.gain if gain > 0 else colors.loss for gain in gains], "line": {"width": 0}},
        # The last word on width is left to plotly, save where bars stand for several queries each.
        **({"width": (last + 1) / shown} if shown > 80 else {}),
        "hovertext": [
            f"{escape(clip(row['id'], 40))} ({escape(row['group'])}): {score(row['base'])} → {score(row['tuned'])}"
            for row in kept
        ],
        "hoverinfo": "text",
        "showlegend": False,
    }
    return {"data": [bars], "layout": layout}


def _candidates(record: Record, colors: Palette) -> Figure | None:
    """Every candidate's score on dev, the chosen one marked."""
    tried = (record.get("selection") or {}).get("candidates") or ()
    if len(tried) < 2:
        return None
    best = sorted(range(len(tried)), key=lambda at: tried[at]["dev"], reverse=True)[:_CANDIDATES]
    always = [at for at, one in enumerate(tried) if one["chosen"] or not one["params"]]
    rows = [tried[at] for at in sorted({*best, *always})]
    layout = _layout(colors, height=100 + 27 * len(rows))
    layout["xaxis"] |= {"title": _title(f"{escape(record['primary'])} on dev"), "zeroline": False}
    layout["yaxis"] |= {
        "tickvals": list(range(len(rows))),
        "ticktext": [escape(clip(params(row["params"]), 34)) for row in rows],
        "range": [len(rows) - 0.4, -0.6],
        "zeroline": False,
    }
    data = []
    for chosen, name, color, symbol in (
        (False, "tried", colors.plain, "circle-open"),
        (True, "chosen", colors.gain, "star"),
    ):
        places = [at for at, row in enumerate(rows) if row["chosen"] is chosen]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [rows[at]["dev"] for at in places],
                "y": places,
                "marker": {
                    "color": color,
                    "symbol": symbol,
                    "size": 15 if chosen else 10,
                    "line": {"width": 2 - 2 * chosen},
                },
                "hovertemplate": "%{x:.4f}<extra></extra>",
            }
        )
    return {"data": data, "layout": layout}


def _layout(colors: Palette, *, height: int, panels: int = 1) -> dict[str, Any]:
    """Give the look that all figures share; panels stand one above the other over one x axis."""
    axis = {
        "gridcolor": colors.grid,
        "linecolor": colors.grid,
        "zerolinecolor": colors.grid,
        "tickfont": {"color": colors.muted, "size": 12},
        "automargin": True,
        # A finger that scrolls the page must not drag the figure.
        "fixedrange": True,
    }
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13, "color": colors.ink},
        "hoverlabel": {
            "bgcolor": colors.ground,
            "bordercolor": colors.zero,
            "font": {"color": colors.ink, "family": _FONT},
        },
        "hovermode": "closest",
        "dragmode": False,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 13}},
        "xaxis": dict(axis),
        "annotations": [],
    }
    gap = 0.16
    share = (1 - gap * (panels - 1)) / panels
    for at in range(panels):
        top = 1 - at * (share + gap)
        layout["yaxis" if at == 0 else f"yaxis{at + 1}"] = {
            **axis,
            "domain": [max(round(top - share, 4), 0), round(top, 4)],
        }
    return layout


def _panel_label(text: str, axis: str, colors: Palette) -> dict[str, Any]:
    return {
        "text": f"<b>{text}</b>",
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": f"{axis} domain",
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 13, "color": colors.muted},
    }


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 13}, "standoff": 8}


def _reach(outer: float | None, inner: float | None) -> float:
    return 0.0 if outer is None or inner is None else max(outer - inner, 0.0)


def _range_around_zero(parts: Any, metrics: Sequence[str]) -> list[float]:
    ends = [
        end
        for part in parts
        for metric in metrics
        for end in (part["delta"][metric]["low"], part["delta"][metric]["high"], part["delta"][metric]["mean"])
        if end is not None
    ]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.08 * (high - low) or 0.05
    return [low - room, high + room]


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
