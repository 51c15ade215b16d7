"""The tab Runs: every finished run, sorted, filtered, compared, downloaded, loaded into Tune again, deleted."""

from __future__ import annotations

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.files import write_whole
from embertune.errors import DataError
from embertune.ui.bench import Bench
from embertune.ui.notices import explained
from embertune.ui.paged import PagedTable, Rows
from embertune.ui.runsview import (
    COLUMNS,
    SHOWN,
    VERDICTS,
    Row,
    cells,
    csv_of,
    ordered,
    parallel_coordinates,
    run_rows,
    settings_of,
    side_by_side,
)

__all__ = ["build"]

_ALL = "all"


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    with gr.Row():
        column = gr.Dropdown(list(COLUMNS), value="made", label="Sort by", elem_id="runs-sort")
        falling = gr.Checkbox(True, label="Largest or newest first", elem_id="runs-falling")
        verdict = gr.Dropdown([_ALL, *VERDICTS.values()], value=_ALL, label="Verdict", elem_id="runs-verdict")
    choice = [bench.changed, column, falling, verdict]

    def rows(_: int, column: str, falling: bool, verdict: str) -> list[Row]:
        found = [row for row in run_rows(bench.workspace, bench.jobs) if verdict in (_ALL, row["verdict"])]
        return ordered(found, column, falling=falling)

    table = PagedTable(
        "Runs", SHOWN, lambda *values: Rows([cells(row) for row in rows(*values)]), choice, name="runs",
        widths=["11%", "14%", "14%", "9%", "6%", "7%", "6%", "6%", "14%", "7%", "6%"],
    )  # fmt: skip
    chosen = gr.Dropdown(label="Chosen runs: click a row, or pick here; two or more are compared", choices=[],
                         multiselect=True, elem_id="runs-chosen", interactive=True)  # fmt: skip
    compared = gr.HTML(elem_id="runs-compared")
    _build_actions(gr, bench, chosen)
    plot = gr.Plot(label="Settings against the change", elem_id="runs-parallel", visible=False, buttons=[])
    download = gr.DownloadButton("Download all runs as CSV", elem_id="runs-csv", interactive=False)

    def pick(position: int, picked: list[str], *values: Any) -> tuple[Any, ...]:
        key = rows(*values)[position]["run"]
        picked = [one for one in picked or [] if one != key] if key in (picked or []) else [*(picked or []), key]
        return picked, key

    table.select(pick, [chosen, *choice], [chosen, bench.run])
    chosen.change(explained(lambda keys: _compared(bench, keys)), [chosen], [compared], show_progress="hidden")
    for one in (column, falling, verdict):
        table.refresh(one.change)
    for trigger in (bench.page.load, bench.changed.change):
        table.refresh(trigger)
        trigger(explained(lambda keys: _offered(gr, bench, keys)), [chosen], [chosen], show_progress="hidden")
        trigger(explained(lambda: _drawn(gr, bench)), None, [plot, download], show_progress="hidden")


def _known(bench: Bench, keys: list[str] | None) -> list[Any]:
    runs = {run.id: run for run in bench.workspace.runs()}
    return [runs[key] for key in keys or [] if key in runs]


def _compared(bench: Bench, keys: list[str] | None) -> str:
    return side_by_side(_known(bench, keys), bench.jobs)


def _offered(gr: Any, bench: Bench, keys: list[str] | None) -> Any:
    named = [(run.name, run.id) for run in bench.workspace.runs()]
    return gr.Dropdown(choices=named, value=[run.id for run in _known(bench, keys)])


def _drawn(gr: Any, bench: Bench) -> tuple[Any, ...]:
    rows = run_rows(bench.workspace, bench.jobs)
    figure = parallel_coordinates(rows)
    plot = gr.Plot(value=figure, visible=True) if figure is not None else gr.Plot(visible=False)
    if not rows:
        return plot, gr.DownloadButton(interactive=False)
    # Gradio copies it to where it serves files from.
    folder = Path(tempfile.mkdtemp(prefix="embertune-runs-"))
    return plot, gr.DownloadButton(value=str(write_whole(folder / "runs.csv", csv_of(rows))), interactive=True)


def _build_actions(gr: Any, bench: Bench, chosen: Any) -> None:
    with gr.Row():
        load = gr.Button("Load its settings into Tune", elem_id="runs-load")
        see = gr.Button("Look at it", elem_id="runs-look", visible=find_spec("embertune.ui.tabs.look") is not None)
    with gr.Accordion("Delete the chosen runs", open=False):
        sure = gr.Checkbox(label="Yes, with their adapters and records", elem_id="runs-delete-sure")
        delete = gr.Button("Delete the chosen runs", variant="stop", elem_id="runs-delete")

    def one_of(keys: list[str] | None) -> Any:
        runs = _known(bench, keys)
        if not runs:
            raise DataError("No run is chosen. Click a row of the table first.")
        return runs[-1]

    def reload(keys: list[str] | None) -> tuple[Any, ...]:
        # The time makes every click a change, also the second one on the same run.
        return {**settings_of(bench.jobs, one_of(keys)), "asked": time.time()}, gr.Tabs(selected="tune")

    def remove(keys: list[str] | None, sure: bool, count: int) -> tuple[Any, ...]:
        runs = [one_of(keys), *_known(bench, keys)[:-1]]
        if not sure:
            raise DataError("Tick the box first: a run that is deleted cannot be had back.")
        for run in runs:
            bench.workspace.remove_run(run.id)
        return [], count + 1, False, ""

    load.click(explained(reload), [chosen], [bench.form, bench.tabs], show_progress="hidden")
    see.click(
        explained(lambda keys: (one_of(keys).id, gr.Tabs(selected="look"))), [chosen], [bench.run, bench.tabs],
        show_progress="hidden",
    )  # fmt: skip
    delete.click(explained(remove), [chosen, sure, bench.changed], [chosen, bench.changed, sure, bench.run])
