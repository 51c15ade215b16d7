"""What the tab Runs shows: rows of the table, runs side by side, the parallel coordinates and the CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from embertune.errors import EmbertuneError
from embertune.recipes.compare_records import compare_records
from embertune.reports.markup import Markup, element, scroll_table, table
from embertune.reports.words import encoder_name, p_value, score, with_interval
from embertune.ui.jobs import Jobs
from embertune.ui.tuning import SEARCHED, of_record
from embertune.ui.workspace import RunEntry, Workspace

__all__ = [
    "COLUMNS",
    "SHOWN",
    "VERDICTS",
    "csv_of",
    "ordered",
    "parallel_coordinates",
    "run_rows",
    "settings_of",
    "side_by_side",
]

COLUMNS = (
    "run", "made", "data", "encoder", "adapter", "effort", "seed", "metric", "before", "after", "change", "low", "high",
    "p", "verdict", "seconds", "test queries",
)  # fmt: skip
_CHANGE = "change [95 %]"
SHOWN = ("made", "data", "encoder", "adapter", "effort", "metric", "before", "after", _CHANGE, "verdict", "seconds")
"""The columns of the table; the CSV file has `COLUMNS`, and every setting that was changed."""
VERDICTS = {"ship": "ship it", "no-gain": "no gain", "too-little-data": "too little data"}
_NUMBERS = ("seed", "before", "after", "change", "low", "high", "p", "seconds", "test queries")
# Spreadsheets take a cell that begins so for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Fewer runs make no picture.
_FEWEST = 2

Row = dict[str, Any]


def settings_of(jobs: Jobs, run: RunEntry) -> dict[str, Any]:
    """Give the settings a run was made with: those of its job, or what its record says."""
    try:
        return dict(jobs.get(run.id).settings)
    except EmbertuneError:
        data, version = jobs.workspace.version_of(run) or ("", 0)
        return {**of_record(run.record), "data": data, "version": version}


def run_rows(workspace: Workspace, jobs: Jobs) -> list[Row]:
    """Give a row for every finished run, newest first: `COLUMNS`, and the settings that were changed."""
    return [_row(run, settings_of(jobs, run)) for run in workspace.runs()]


def _row(run: RunEntry, settings: Mapping[str, Any]) -> Row:
    record = run.record
    metric = record["primary"]
    delta = record["delta"].get(metric, {})
    row: Row = {
        "run": run.id,
        "made": str(record["created"])[:19].replace("T", " "),
        "data": record["data"]["name"],
        "encoder": encoder_name(record["encoder"]),
        "adapter": settings.get("adapter", SEARCHED),
        "effort": settings.get("effort", ""),
        "seed": record["seed"],
        "metric": metric,
        "before": record["base"][metric],
        "after": record["tuned"][metric],
        **{"change": delta.get("mean"), "low": delta.get("low"), "high": delta.get("high"), "p": delta.get("p")},
        "verdict": VERDICTS.get(record["verdict"]["code"], record["verdict"]["code"]),
        "seconds": record["seconds"].get("total"),
        "test queries": record["counts"]["test"],
    }
    changed = {**settings.get("tuning", {}), **settings.get("parameters", {})}
    named = {"side": record["candidate"].get("side"), "split": record["data"]["split"].get("method")}
    return {**row, **named, **{name: _number(value) for name, value in changed.items()}}


def ordered(rows: Sequence[Row], column: str, *, falling: bool) -> list[Row]:
    """Sort rows by a column; those without a value stand last.

    Example:
        >>> [row["p"] for row in ordered([{"p": 0.5}, {"p": None}, {"p": 0.1}], "p", falling=False)]
        [0.1, 0.5, None]
    """
    known = [row for row in rows if row.get(column) is not None]
    other = [row for row in rows if row.get(column) is None]

    def key(row: Row) -> tuple[bool, Any]:
        value = row[column]
        return (True, str(value).casefold()) if isinstance(value, str) else (False, value)

    return [*sorted(known, key=key, reverse=falling), *other]


def cells(row: Row) -> list[str]:
    """Write a row as the table shows it, by `SHOWN`.

    Example:
        >>> cells({"made": "today", "before": 0.25, "after": 0.5, "change": 0.25, "low": 0.1, "high": 0.4})[6:9]
        ['0.250', '0.500', '+0.250 [+0.100, +0.400]']
    """
    told = {"mean": row.get("change"), "low": row.get("low"), "high": row.get("high")}
    change = "–" if told["mean"] is None else with_interval(told)
    return [change if column == _CHANGE else _written(column, row.get(column)) for column in SHOWN]


def csv_of(rows: Sequence[Row]) -> str:
    r"""Write rows as CSV; a text that a spreadsheet would take for a formula is quoted.

    Example:
        >>> csv_of([{"run": "=1+1", "change": -0.5}]).splitlines()[1][:6]
        "'=1+1,"
    """
    names = [*COLUMNS, *dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_harmless(name) for name in names])
    writer.writerows([_harmless(row.get(name)) for name in names] for row in rows)
    return file.getvalue()


def side_by_side(runs: Sequence[RunEntry], jobs: Jobs) -> Markup:
    """Show runs beside each other: what they scored, with intervals, and the settings in which they differ."""
    if not runs:
        return element("p", "Choose a run by its row, or in the list; two or more are compared.")
    rows = {run.id: _row(run, settings_of(jobs, run)) for run in runs}
    metrics = [name for name in runs[0].record["metrics"] if all(name in run.record["tuned"] for run in runs)]
    scores = [
        [metric, *(f"{score(run.record['base'][metric])} → {score(run.record['tuned'][metric])}, "
                   f"{with_interval(run.record['delta'][metric])}" for run in runs)]
        for metric in metrics
    ]  # fmt: skip
    names = dict.fromkeys(
        name for row in rows.values() for name in row if name not in ("run", "made", "verdict", *_NUMBERS[1:])
    )
    differing = [
        [name, *(_written(name, row.get(name)) for row in rows.values())]
        for name in names
        if len(runs) == 1 or len({str(row.get(name)) for row in rows.values()}) > 1
    ]
    head, caption = ["setting", *rows], "Settings" if len(runs) == 1 else "In what they differ"
    tables = [
        scroll_table(table(["metric", *rows], scores, caption="Before → after, change [95 % interval]"), "Metrics"),
        scroll_table(table(head, differing, caption=caption), "Settings"),
    ]
    return element("div", *tables, *([_duels(runs)] if len(runs) > 1 else []), class_="compared")


def _duels(runs: Sequence[RunEntry]) -> Markup:
    try:
        found = compare_records({run.id: run.record for run in runs})
    except EmbertuneError as error:
        return element("p", str(error), class_="trouble")
    rows = [
        [name, with_interval(duel.overall.delta[found.primary].to_dict()), p_value(duel.overall.delta[found.primary].p),
         "{wins} / {ties} / {losses}".format(**duel.overall.delta[found.primary].to_dict())]
        for name, duel in found.duels.items()
    ]  # fmt: skip
    caption = f"After tuning, against {found.baseline}: {found.primary} on the same {found.n} test queries"
    head = ["run", "difference [95 % interval]", "p, Holm", "queries better / same / worse"]
    return scroll_table(table(head, rows, caption=caption), "Differences")


def parallel_coordinates(rows: Sequence[Row]) -> Any:
    """Draw every run as a line through what differs between them, and its change; None where there is too little."""
    from plotly import graph_objects

    usable = [row for row in rows if row.get("change") is not None]
    others = dict.fromkeys(name for row in usable for name in row if name not in (*COLUMNS, "side", "split"))
    names = ["data", "encoder", "adapter", "effort", "side", "split", "seed", "metric", *others]
    varied = [name for name in names if len({str(row.get(name)) for row in usable}) > 1]
    if len(usable) < _FEWEST:
        return None
    lines = [_dimension(name, [row.get(name) for row in usable]) for name in (*varied, "seconds", "change")]
    change = [row["change"] for row in usable]
    figure = graph_objects.Figure(
        graph_objects.Parcoords(
            dimensions=lines, line={"color": change, "colorscale": "Viridis", "showscale": True,
                                    "colorbar": {"title": {"text": "change"}}},
        )
    )  # fmt: skip
    return figure.update_layout(
        height=360, margin={"l": 90, "r": 40, "t": 80, "b": 30}, paper_bgcolor="rgba(0,0,0,0)", font={"size": 12}
    )


def _dimension(name: str, values: Sequence[Any]) -> dict[str, Any]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": name, "values": list(values)}
    words = sorted({str(value or "–") for value in values})
    short = [word if len(word) <= 24 else f"{word[:23]}…" for word in words]
    return {"label": name, "values": [words.index(str(value or "–")) for value in values],
            "tickvals": list(range(len(words))), "ticktext": short}  # fmt: skip


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _written(column: str, value: Any) -> str:
    if value is None or value == "":
        return "–"
    if column in ("before", "after"):
        return score(value)
    if column in ("change", "low", "high"):
        return f"{value:+.3f}"
    if column == "p":
        return p_value(value)
    return f"{value:.1f}" if column == "seconds" else (f"{value:g}" if isinstance(value, float) else str(value))


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
