"""The tab Look: one run query by query, as a map, and as its report."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from embertune._optional import require
from embertune.errors import DataError
from embertune.recipes.look import Look, QueryRow
from embertune.reports.plane import plane_caption, plane_figure
from embertune.ui.bench import Bench
from embertune.ui.choices import finished_run
from embertune.ui.looking import KINDS, cells_of, is_of_kind, query_page
from embertune.ui.notices import explained
from embertune.ui.paged import PagedTable, Rows
from embertune.ui.workspace import Workspace

__all__ = ["build"]

_STATES: dict[Literal["base", "tuned"], str] = {
    "base": "Before: the frozen encoder",
    "tuned": "After: with the adapter",
}


class _Shelf:
    """Runs that were looked at lately.

    Args:
        workspace: Where they lie.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._read = lru_cache(maxsize=4)(self._open)
        self.rows = lru_cache(maxsize=16)(self._rows)

    def look(self, run: str) -> Look:
        """Give a run; its files are read once."""
        if not run:
            raise DataError("There is no run yet. Start one in the tab Tune.")
        entry = self._workspace.run(run)
        return self._read(run, (entry.folder / "record.json").stat().st_mtime_ns)

    def _open(self, run: str, _: int) -> Look:
        entry = self._workspace.run(run)
        return Look.open(entry.folder, self._workspace.dataset_of(entry))

    def listed(self, run: str, kind: str) -> list[QueryRow]:
        """Give the queries of a kind, in the order of the list."""
        rows = [row for row in self.look(run).rows if is_of_kind(row, kind)]
        return rows[::-1] if kind == "lost" else rows

    def _rows(self, run: str, kind: str) -> Rows:
        return Rows([cells_of(row) for row in self.listed(run, kind)] if run else [])


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    shelf, query = _Shelf(bench.workspace), gr.State("")
    run = finished_run(bench, "look-run")
    verdict = gr.HTML(_verdict(shelf, ""), elem_id="look-verdict")
    run.change(explained(lambda run: _verdict(shelf, run)), [run], [verdict], show_progress="hidden")
    with gr.Tabs(elem_id="look-parts"):
        with gr.Tab("Queries"):
            _build_queries(gr, run, shelf, query)
        with gr.Tab("Map") as tab:
            _build_map(gr, run, shelf, query, tab)
        with gr.Tab("Report") as tab:
            _build_report(gr, bench, run, tab)


def _verdict(shelf: _Shelf, run: str) -> str:
    from embertune.reports.markup import element

    if not run:
        return element("p", "No run yet. Tune one in the tab Tune, then look at it here.", class_="quiet")
    told = shelf.look(run).record["verdict"]
    return element("p", told["sentence"], class_=f"verdict {told['code']}")


def _build_queries(gr: Any, run: Any, shelf: _Shelf, query: Any) -> None:
    kind = gr.Radio(list(KINDS), value="all", label="Queries that", elem_id="look-kind")
    listed = PagedTable(
        "Test queries", ["query", "documents", "before", "after", "change", "id"],
        lambda run, kind: shelf.rows(run, kind), [run, kind], name="look-queries",
        widths=["46%", "12%", "10%", "10%", "10%", "12%"],
    )  # fmt: skip
    with gr.Row(elem_classes="pager"):
        back = gr.Button("← Query before", size="sm", elem_id="look-back")
        on = gr.Button("Query after →", size="sm", elem_id="look-on")
    page = gr.HTML(elem_id="look-query")

    def choose(at: int, run: str, kind: str) -> str:
        return shelf.listed(run, kind)[at].id

    def step(query: str, run: str, kind: str, by: int) -> str:
        ids = [row.id for row in shelf.listed(run, kind)]
        at = ids.index(query) + by if query in ids else 0
        return ids[min(max(at, 0), len(ids) - 1)] if ids else ""

    def first(run: str, kind: str) -> str:
        return step("", run, kind, 0) if run else ""

    def show(query: str, run: str) -> str:
        look = shelf.look(run) if query else None
        return query_page(look.view(query), look.record["primary"]) if look else ""

    listed.refresh(run.change)
    listed.refresh(kind.change)
    listed.select(choose, [run, kind], [query])
    for button, by in ((back, -1), (on, 1)):
        button.click(
            explained(lambda query, run, kind, by=by: step(query, run, kind, by)), [query, run, kind], [query],
            show_progress="hidden",
        )  # fmt: skip
    for trigger in (run.change, kind.change):
        trigger(explained(first), [run, kind], [query], show_progress="hidden")
    query.change(explained(show), [query, run], [page], show_progress="hidden")


def _build_map(gr: Any, run: Any, shelf: _Shelf, query: Any, tab: Any) -> None:
    plain = require("gradio.components.plot", extra="ui", purpose="The workbench").PlotData
    caption = gr.HTML(elem_id="look-map-caption")
    with gr.Row():
        plots = [
            gr.Plot(label=label, elem_id=f"look-map-{state}", buttons=[], min_width=300, scale=1)
            for state, label in _STATES.items()
        ]

    def draw(run: str, query: str) -> tuple[Any, ...]:
        if not run:
            return ("", *(gr.skip() for _ in plots))
        look = shelf.look(run)
        gains = {row.id: row.gain for row in look.rows}
        answers = [hit.id for hit in look.view(query).answers] if query in gains else []
        texts = _texts(look)
        figures = [
            plane_figure(look.details.chart, state, gains, texts, query=query, answers=answers) for state in _STATES
        ]
        return (
            _caption(plane_caption(look.details.chart)),
            *(plain(type="plotly", plot=json.dumps(figure)) for figure in figures),
        )

    for trigger in (tab.select, query.change, run.change):
        trigger(explained(draw), [run, query], [caption, *plots], show_progress="hidden")


def _caption(text: str) -> str:
    from embertune.reports.markup import element

    return element(
        "p",
        f"{text} Triangles point up where a query gained and down where it lost; a green star is the query that is "
        "chosen in the list, joined with its answers.",
        class_="quiet",
    )


def _texts(look: Look) -> dict[str, str]:
    if look.dataset is None:
        return {}
    data, chart = look.dataset, look.details.chart
    told = {f"q{name}": data.queries[name] for name in chart["queries"]["ids"] if name in data.queries}
    named: Sequence[str] = [name for name in chart["documents"]["ids"] if name in data.corpus]
    return told | {f"d{name}": data.corpus[name].content for name in named}


def _build_report(gr: Any, bench: Bench, run: Any, tab: Any) -> None:
    save = gr.DownloadButton("Save the report as one HTML file", elem_id="look-report-save", interactive=False)
    frame = gr.HTML(elem_id="look-report")

    def show(run: str) -> tuple[Any, Any]:
        if not run:
            return "", gr.DownloadButton(interactive=False)
        path = bench.workspace.run(run).folder / "report.html"
        if not path.is_file():
            raise DataError(f"{run} has no report.html. Tune again to have one.")
        # In a frame of its own origin: what runs in the report reaches nothing of this page.
        page = html.escape(path.read_text(encoding="utf-8"))
        inner = f'<iframe title="Report of the run" sandbox="allow-scripts" srcdoc="{page}"></iframe>'
        return inner, gr.DownloadButton(value=str(path), interactive=True)

    tab.select(explained(show), [run], [frame, save])
    run.change(lambda: ("", gr.DownloadButton(interactive=False)), None, [frame, save], show_progress="hidden")
