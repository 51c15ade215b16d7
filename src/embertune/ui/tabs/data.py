"""The tab Data: what is learned from, and what is wrong with it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.data.dataset import Dataset
from embertune.data.demo import demo_dataset
from embertune.data.io import load_dataset
from embertune.errors import ConfigError, DataError
from embertune.ui.bench import Bench
from embertune.ui.dataview import METHODS, DataView
from embertune.ui.editing import build_editor
from embertune.ui.generating import build_generator
from embertune.ui.notices import explained
from embertune.ui.paged import PagedTable
from embertune.ui.uploads import gather
from embertune.ui.workspace import DataEntry

__all__ = ["build"]

_FILES = ".jsonl, .csv, .tsv, .parquet, .json, a BEIR folder's files, or a .zip of them"


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    view = DataView(bench.workspace)
    with gr.Row():
        chosen = gr.Dropdown(label="Data set", choices=[], value=None, elem_id="data-set", interactive=True, scale=3,
                             min_width=280)  # fmt: skip
        version = gr.Dropdown(label="Version", choices=[], value=None, elem_id="data-version", interactive=True)
    shown = gr.State(("", 0))
    _build_loader(gr, bench)
    facts = gr.HTML(elem_id="data-facts")
    with gr.Tabs(elem_id="data-parts", overflow_behavior="wrap"):
        with gr.Tab("Documents"):
            documents = _table(gr, view.documents, "Documents", ["id", "title", "text"], shown, ["15%", "20%", "65%"])
        with gr.Tab("Queries"):
            heads = ["id", "query", "part", "asked by", "judgements"]
            queries = _table(gr, view.queries, "Queries", heads, shown, ["12%", "46%", "12%", "18%", "12%"])
        with gr.Tab("Pairs: browse and edit"):
            build_editor(bench, view, shown)
        with gr.Tab("Split"):
            _build_split(gr, view, shown)
        with gr.Tab("Generate queries"):
            build_generator(bench, shown)
    _build_remover(gr, bench)
    _wire(gr, bench, chosen, version, shown)
    shown.change(explained(lambda at: view.facts(*at)), [shown], [facts])
    for one in (documents, queries):
        one.refresh(shown.change)


def _table(gr: Any, rows: Any, label: str, heads: list[str], shown: Any, widths: list[str]) -> PagedTable:
    """Make a table whose chosen row is shown whole below it."""
    name = f"data-{label.lower()}"
    table = PagedTable(label, heads, lambda at: rows(*at), [shown], name=name, widths=widths)
    whole = gr.Textbox(label=f"The chosen row of {label.lower()}", lines=4, max_lines=20, interactive=False,
                       elem_id=f"{name}-whole", visible=False)  # fmt: skip

    def tell(position: int, at: tuple[str, int]) -> Any:
        text = "\n".join(f"{head}: {cell}" for head, cell in zip(heads, rows(*at).rows[position], strict=True))
        return gr.Textbox(value=text, visible=True)

    table.select(tell, [shown], [whole])
    shown.change(lambda: gr.Textbox(visible=False), None, [whole], show_progress="hidden")
    return table


def _build_loader(gr: Any, bench: Bench) -> None:
    with gr.Accordion("Load data", open=True, elem_id="data-load") as loader, gr.Row():
        with gr.Column(scale=3):
            files = gr.File(label=f"Drop files: {_FILES}; at most 200 MB", file_count="multiple", height=150,
                            elem_id="data-files")  # fmt: skip
            with gr.Row():
                name = gr.Textbox(label="Name", placeholder="of the file", max_lines=1, elem_id="data-name")
                columns = gr.Textbox(
                    label="Columns, where they are not recognised", placeholder="query=my question, document=body",
                    max_lines=1, elem_id="data-columns",
                )  # fmt: skip
            load = gr.Button("Load the files", variant="primary", elem_id="data-load-files")
        with gr.Column(scale=1):
            gr.Markdown("No data at hand? The demo is the documentation of this machine's Python, with questions.")
            demo = gr.Button("Load the demo", elem_id="data-demo")
            gr.Markdown("Thumbs of the tab Ask are labels, too, for the documents of the data set chosen above.")
            thumbs = gr.Button("Load the thumbs", elem_id="data-thumbs")

    def keep(files: list[str] | None, name: str, columns: str, count: int) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            upload = Path(folder, "upload")
            upload.mkdir()
            source = gather(files or [], upload)
            title = (name or "").strip() or source.stem
            dataset = load_dataset(source, columns=_columns(columns or ""), name=title)
            entry = bench.workspace.add(dataset, title, source=source, note="loaded")
        return entry.id, count + 1, None, "", ""

    def keep_demo(count: int) -> tuple[Any, ...]:
        return bench.workspace.add(demo_dataset(), "Python documentation (demo)", note="the demo").id, count + 1

    def keep_thumbs(key: str, count: int) -> tuple[Any, ...]:
        return _keep_thumbs(bench, key).id, count + 1

    for trigger in (bench.page.load, bench.changed.change):
        trigger(lambda: gr.Accordion(open=not bench.workspace.datasets()), None, [loader], show_progress="hidden")
    load.click(
        explained(keep), [files, name, columns, bench.changed], [bench.data, bench.changed, files, name, columns]
    )
    demo.click(explained(keep_demo), [bench.changed], [bench.data, bench.changed])
    thumbs.click(explained(keep_thumbs), [bench.data, bench.changed], [bench.data, bench.changed])


def _keep_thumbs(bench: Bench, key: str) -> DataEntry:
    """Make a data set of the thumbs on the documents of another, or of the passages themselves where there is none."""
    votes = bench.workspace.votes_file
    if not votes.exists():
        raise DataError("No thumb was given yet. Ask something in the tab Ask, and say which passages help.")
    corpus = bench.workspace.load(key) if key else None
    name = "Thumbs" + (f" on {bench.workspace.data(key).name}" if key else "")
    return bench.workspace.add(Dataset.from_feedback(str(votes), corpus, name=name), name, note="thumbs of the tab Ask")


def _columns(text: str) -> dict[str, list[str]] | None:
    found: dict[str, list[str]] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        role, is_named, column = part.partition("=")
        if not is_named:
            raise ConfigError(f"Columns are ROLE=NAME, such as query=question; found {part!r}.")
        found.setdefault(role.strip(), []).append(column.strip())
    return found or None


def _build_split(gr: Any, view: DataView, shown: Any) -> None:
    with gr.Row():
        method = gr.Radio(list(METHODS), value=next(iter(METHODS)), label="Split", elem_id="data-split-method")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="data-split-seed")
    said = gr.HTML(elem_id="data-split-about")

    def rows(at: tuple[str, int], method: str, seed: float | None) -> Any:
        return view.split(*at, method, int(seed or 0)).rows

    def tell(at: tuple[str, int], method: str, seed: float | None) -> str:
        from embertune.reports.markup import element

        found = view.split(*at, method, int(seed or 0)).said
        return element("ul", *(element("li", sentence) for sentence in found), class_="said")

    heads = ["part", "id", "query", "answers"]
    table = PagedTable(
        "Queries by part", heads, rows, [shown, method, seed], name="data-split", widths=["12%", "12%", "46%", "30%"]
    )
    for trigger in (shown.change, method.change, seed.change):
        trigger(explained(tell), [shown, method, seed], [said], show_progress="hidden")
        table.refresh(trigger)


def _build_remover(gr: Any, bench: Bench) -> None:
    with gr.Accordion("Delete this data set", open=False):
        sure = gr.Checkbox(label="Yes, with all its versions and what it was loaded from", elem_id="data-delete-sure")
        delete = gr.Button("Delete this data set", variant="stop", elem_id="data-delete")

    def remove(key: str, sure: bool, count: int) -> tuple[Any, ...]:
        if not key:
            raise DataError("No data set is chosen.")
        if not sure:
            raise DataError("Tick the box first: a data set that is deleted cannot be had back.")
        bench.workspace.remove_data(key)
        return "", count + 1, False

    delete.click(explained(remove), [bench.data, sure, bench.changed], [bench.data, bench.changed, sure])


def _wire(gr: Any, bench: Bench, chosen: Any, version: Any, shown: Any) -> None:
    def choices(key: str) -> tuple[Any, ...]:
        entries = bench.workspace.datasets()
        known = {entry.id: entry for entry in entries}
        key = key if key in known else (entries[0].id if entries else "")
        named = [(f"{entry.name} · {entry.latest.created}", entry.id) for entry in entries]
        return key, gr.Dropdown(choices=named, value=key or None)

    def versions(key: str) -> tuple[Any, ...]:
        if not key:
            return gr.Dropdown(choices=[], value=None), ("", 0)
        entry = bench.workspace.data(key)
        named = [(f"{one.number} · {one.note}", one.number) for one in reversed(entry.versions)]
        return gr.Dropdown(choices=named, value=entry.latest.number), (key, entry.latest.number)

    for trigger in (bench.page.load, bench.changed.change):
        trigger(explained(choices), [bench.data], [bench.data, chosen], show_progress="hidden").then(
            explained(versions), [bench.data], [version, shown], show_progress="hidden"
        )
    chosen.input(lambda key: key or "", [chosen], [bench.data], show_progress="hidden").then(
        explained(versions), [bench.data], [version, shown], show_progress="hidden"
    )
    version.input(lambda key, number: (key, number), [bench.data, version], [shown], show_progress="hidden")
