"""The figures of a report as plain plotly specifications: {"data": [...], "layout": {...}}."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from embertune.reports.palette import PALETTES, Palette, Theme
from embertune.reports.plotting import layout_of, panel_label, title_of
from embertune.reports.record import Record
from embertune.reports.words import change, clip, params, score, with_interval

__all__ = ["Figure", "draw_figures"]

Figure = dict[str, Any]

# More bars than a wide screen has columns cannot be told apart.
_BARS = 600
# Up to here bars stand apart from each other.
_SEPARATE = 80
_CANDIDATES = 24


def draw_figures(record: Mapping[str, Any], theme: Theme = "light") -> dict[str, Figure]:
    """Draw everything that a record has data for.

    The specifications are plain JSON-able dictionaries: hand one to ``plotly.graph_objects.Figure``,
    to Plotly.js, or to a Gradio plot. Names in them are escaped, since Plotly reads tags in text.

    Args:
        record: A `Record`, or its values.
        theme: "light" or "dark".

    Returns:
        "intervals", "strength", "training", "cosines", "queries", "candidates"; a figure without data,
        or of changes that are all zero, is left out.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> sorted(draw_figures(example_record()))
        ['candidates', 'cosines', 'intervals', 'queries', 'strength', 'training']
    """
    record = Record.of(record)
    drawn: dict[str, Callable[[Record, Palette], Figure | None]] = {
        "intervals": _intervals,
        "strength": _strength,
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
    looks = {
        "all": ("all test queries", colors.ink, "circle", 10),
        "seen": ("seen documents", colors.gain, "square", 9),
        "unseen": ("unseen documents", colors.loss, "diamond", 10),
    }
    parts = {"all": record["delta"], **{name: record["groups"][name].get("delta") for name in ("seen", "unseen")}}
    rows = [(looks[name], [(metric, part[metric]) for metric in metrics]) for name, part in parts.items() if part]
    if not any(delta["mean"] or delta.get("low") or delta.get("high") for _, deltas in rows for _, delta in deltas):
        return None
    data = []
    for at, (look, deltas) in enumerate(rows):
        data.append(_interval_marks(look, deltas, offset=0.24 * (at - (len(rows) - 1) / 2)))
    layout = layout_of(colors, height=120 + len(metrics) * (22 + 20 * len(rows)))
    layout["xaxis"] |= {
        "title": title_of("change, tuned minus base"),
        "zerolinecolor": colors.zero,
        "zerolinewidth": 2,
        "tickformat": ".2~f",
        "range": _around_zero([delta for _, deltas in rows for _, delta in deltas]),
    }
    layout["yaxis"] |= {
        "tickvals": list(range(len(metrics))),
        "ticktext": [escape(metric) for metric in metrics],
        "range": [len(metrics) - 0.45, -0.55],
        "showgrid": False,
        "zeroline": False,
    }
    return {"data": data, "layout": layout}


def _interval_marks(
    look: tuple[str, str, str, int], deltas: Sequence[tuple[str, Mapping[str, Any]]], *, offset: float
) -> dict[str, Any]:
    label, color, symbol, size = look
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [delta["mean"] for _, delta in deltas],
        "y": [row + offset for row in range(len(deltas))],
        "marker": {"color": color, "symbol": symbol, "size": size},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(delta.get("high"), delta["mean"]) for _, delta in deltas],
            "arrayminus": [_reach(delta["mean"], delta.get("low")) for _, delta in deltas],
            "color": color,
            "thickness": 2,
            "width": 4,
        },
        "hovertext": [f"{escape(metric)}, {label}: {with_interval(delta)}" for metric, delta in deltas],
        "hoverinfo": "text",
    }


def _strength(record: Record, colors: Palette) -> Figure | None:
    """What every group of queries gains and loses along the strength."""
    rows = record.get("strength") or ()
    looks = {
        "all": ("all test queries", colors.ink, "circle", "solid"),
        "seen": ("seen documents", colors.gain, "square", "solid"),
        "unseen": ("unseen documents", colors.loss, "diamond", "solid"),
        "foreign": ("other queries", colors.plain, "triangle-up", "dash"),
    }
    curves = {name: [(row["strength"], row[name]) for row in rows if row.get(name) is not None] for name in looks}
    data = [_strength_marks(looks[name], points) for name, points in curves.items() if points]
    values = [gain for trace in data for gain in trace["y"]]
    if not any(values):
        return None
    layout = layout_of(colors, height=340)
    layout["xaxis"] |= {"title": title_of("strength"), "tickvals": [row["strength"] for row in rows], "zeroline": False}
    layout["yaxis"] |= {
        "title": title_of(f"change of {escape(record['primary'])}"),
        "tickformat": ".3~f",
        "range": _around_zero([{"mean": value} for value in values]),
        "zerolinecolor": colors.zero,
        "zerolinewidth": 1,
    }
    return {"data": data, "layout": layout}


def _strength_marks(look: tuple[str, str, str, str], points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    label, color, symbol, dash = look
    gains = [round(value - points[0][1], 5) for _, value in points]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label,
        "x": [strength for strength, _ in points],
        "y": gains,
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"color": color, "symbol": symbol, "size": 9},
        "hovertext": [
            f"{label}, strength {strength:g}: {score(value)} ({change(gain)})"
            for (strength, value), gain in zip(points, gains, strict=True)
        ],
        "hoverinfo": "text",
    }


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
    layout = layout_of(colors, height=190 + 170 * (len(panels) - 1), panels=len(panels))
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
        layout["annotations"].append(panel_label(escape(label), f"y{axis}", colors))
    layout["xaxis"] |= {"title": title_of("training step"), "anchor": "free", "position": 0, "zeroline": False}
    return {"data": data, "layout": layout}


def _cosines(record: Record, colors: Palette) -> Figure | None:
    """Histograms of the cosines of relevant and irrelevant pairs, base above tuned."""
    cosines = record.get("cosines")
    if not cosines:
        return None
    counts = [cosines[system][kind] for system in ("base", "tuned") for kind in ("relevant", "irrelevant")]
    filled = [at for at, column in enumerate(zip(*counts, strict=True)) if any(column)]
    if not filled:
        return None
    span = range(max(filled[0] - 1, 0), min(filled[-1] + 2, len(counts[0])))
    layout = layout_of(colors, height=400, panels=2)
    data = []
    for axis, system, label in (("y", "base", "base"), ("y2", "tuned", "tuned")):
        for kind in ("irrelevant", "relevant"):
            trace = _histogram(cosines["edges"], cosines[system][kind], span, kind, colors)
            data.append({**trace, "yaxis": axis, "showlegend": axis == "y"})
        layout[axis.replace("y", "yaxis")] |= {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4}
        layout["annotations"].append(panel_label(label, axis, colors))
    layout["xaxis"] |= {
        "title": title_of("cosine of query and document"),
        "anchor": "free",
        "position": 0,
        "zeroline": False,
    }
    return {"data": data, "layout": layout}


def _histogram(
    edges: Sequence[float], counts: Sequence[float], span: range, kind: str, colors: Palette
) -> dict[str, Any]:
    total = sum(counts) or 1
    is_relevant = kind == "relevant"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": kind,
        "legendgroup": kind,
        "x": [round((edges[at] + edges[at + 1]) / 2, 4) for at in span],
        "y": [round(counts[at] / total, 5) for at in span],
        "line": {
            "color": colors.gain if is_relevant else colors.plain,
            "width": 2,
            "shape": "hvh",
            "dash": "solid" if is_relevant else "dot",
        },
        "fill": "tozeroy",
        "fillcolor": colors.gain_area if is_relevant else colors.plain_area,
        "hovertemplate": f"{kind}, cosine about %{{x:.2f}}: %{{y:.1%}}<extra></extra>",
    }


def _queries(record: Record, colors: Palette) -> Figure | None:
    """What every test query gained or lost, sorted."""
    rows = sorted(record.get("queries") or (), key=lambda row: row["base"] - row["tuned"])
    if all(row["tuned"] == row["base"] for row in rows):
        return None
    last, shown = len(rows) - 1, min(len(rows), _BARS)
    # Spread evenly over the sorted queries, both ends always in.
    places = [round(at * last / max(shown - 1, 1)) for at in range(shown)]
    kept = [rows[place] for place in places]
    gains = [round(row["tuned"] - row["base"], 5) for row in kept]
    bars = {
        "type": "bar",
        "x": [place + 1 for place in places],
        "y": gains,
        "width": (last + 1) / shown if shown > _SEPARATE else 0.85,
        "marker": {"color": [colors.gain if gain > 0 else colors.loss for gain in gains], "line": {"width": 0}},
        "hovertext": [
            f"{escape(clip(row['id'], 40))} ({escape(row['group'])}): {score(row['base'])} → {score(row['tuned'])}"
            for row in kept
        ],
        "hoverinfo": "text",
        "showlegend": False,
    }
    layout = layout_of(colors, height=300)
    layout["xaxis"] |= {
        "title": title_of("test queries, most gained first"),
        "range": [0.5 - 0.02 * last, last + 1.5 + 0.02 * last],
        "showgrid": False,
        "zeroline": False,
        "tickformat": "d",
        **({"tickvals": [row + 1 for row in range(len(rows))]} if len(rows) <= 12 else {}),
    }
    layout["yaxis"] |= {
        "title": title_of(f"change of {escape(record['primary'])}"),
        "tickformat": ".2~f",
        "range": _around_zero([{"mean": gain} for gain in gains]),
        "zerolinecolor": colors.zero,
        "zerolinewidth": 1,
    }
    return {"data": [bars], "layout": layout}


def _candidates(record: Record, colors: Palette) -> Figure | None:
    """Every candidate's score on dev; those that have a share in the adapter are marked, by its size."""
    tried = (record.get("selection") or {}).get("candidates") or ()
    if len(tried) < 2:
        return None
    best = sorted(range(len(tried)), key=lambda at: tried[at]["dev"], reverse=True)[:_CANDIDATES]
    always = [at for at, one in enumerate(tried) if one["weight"] or not one["params"]]
    rows = [tried[at] for at in sorted({*best, *always})]
    layout = layout_of(colors, height=100 + 27 * len(rows))
    layout["xaxis"] |= {"title": title_of(f"{escape(record['primary'])} on dev"), "zeroline": False}
    layout["yaxis"] |= {
        "tickvals": list(range(len(rows))),
        "ticktext": [escape(clip(params(row["params"]), 34)) for row in rows],
        "range": [len(rows) - 0.4, -0.6],
        "zeroline": False,
    }
    data = []
    for counted, name, color, symbol in (
        (False, "tried", colors.plain, "circle-open"),
        (True, "has a share", colors.gain, "star"),
    ):
        places = [at for at, row in enumerate(rows) if (row["weight"] > 0) is counted]
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
                    "size": [8 + 10 * rows[at]["weight"] ** 0.5 for at in places] if counted else 10,
                    "line": {"width": 0 if counted else 2},
                },
                "hovertemplate": "%{x:.4f}<extra></extra>",
            }
        )
    return {"data": data, "layout": layout}


def _reach(outer: float | None, inner: float | None) -> float:
    return 0.0 if outer is None or inner is None else max(outer - inner, 0.0)


def _around_zero(deltas: Sequence[Mapping[str, Any]]) -> list[float]:
    """Give an axis range that holds every interval and zero, with room on both sides."""
    given = [delta.get(end) for delta in deltas for end in ("low", "mean", "high")]
    ends = [0.0, *(end for end in given if end is not None)]
    room = 0.08 * (max(ends) - min(ends)) or 0.05
    return [min(ends) - room, max(ends) + room]
