"""Pairs by hand: other texts and grades, pairs struck out. They are saved as a new version; the source stays."""

from __future__ import annotations

from typing import Any

from embertune._optional import require
from embertune.data.edits import Edits, apply_edits
from embertune.errors import DataError
from embertune.reports.markup import Markup, element
from embertune.ui.bench import Bench
from embertune.ui.dataview import DataView
from embertune.ui.notices import explained
from embertune.ui.paged import PagedTable, Rows

__all__ = ["build_editor"]

At = tuple[str, int]


def build_editor(bench: Bench, view: DataView, shown: Any) -> None:
    """Lay out and wire what changes pairs.

    Args:
        bench: The workbench.
        view: Reads data sets.
        shown: gr.State of the data set and version that is looked at.
    """
    gr = require("gradio", extra="ui", purpose="The workbench")
    edits, pair = gr.State(Edits()), gr.State(())
    table = PagedTable(
        "Pairs", ["edit", "query", "document", "grade", "query id", "document id"],
        lambda at, edits: _rows(view, at, edits), [shown, edits],
        name="data-pairs", widths=["8%", "30%", "36%", "6%", "10%", "10%"],
    )  # fmt: skip
    form, texts = _build_form(gr, bench, shown, pair, edits)
    save = gr.Button("Save as a new version", variant="primary", elem_id="data-save")

    def choose(position: int, at: At, edits: Edits) -> tuple[Any, ...]:
        found = view.pairs(*at).rows[position]
        return (found[3], found[4]), gr.Group(visible=True), *_values(bench, at, (found[3], found[4]), edits)

    def store(at: At, edits: Edits, count: int) -> tuple[Any, ...]:
        if not edits:
            raise DataError("Nothing was changed yet. Choose a row of the table, change it, then save.")
        changed = apply_edits(bench.workspace.load(*at), edits)
        entry = bench.workspace.add_version(at[0], changed, str(edits))
        gr.Info(f"Saved as version {entry.latest.number}; those before stay as they are.")
        return Edits(), count + 1

    table.select(choose, [shown, edits], [pair, form, *texts])
    edits.change(explained(table.show), [table.search, table.page, shown, edits], table.outputs, show_progress="hidden")
    save.click(explained(store), [shown, edits, bench.changed], [edits, bench.changed])
    shown.change(lambda: (Edits(), gr.Group(visible=False)), None, [edits, form], show_progress="hidden")
    table.refresh(shown.change)


def _build_form(gr: Any, bench: Bench, shown: Any, pair: Any, edits: Any) -> tuple[Any, list[Any]]:
    """Lay out the form of one pair; give it, and its texts and grade."""
    with gr.Group(visible=False) as form:
        query = gr.Textbox(label="Query", lines=2, elem_id="data-pair-query")
        document = gr.Textbox(label="Document", lines=5, max_lines=15, elem_id="data-pair-document")
        grade = gr.Number(label="Grade: above 0 is relevant", elem_id="data-pair-grade")
        with gr.Row():
            keep = gr.Button("Keep this change", elem_id="data-pair-keep")
            strike = gr.Button("Strike the pair out", variant="stop", elem_id="data-pair-strike")
            undo = gr.Button("Undo for this pair", elem_id="data-pair-undo")
    said = gr.HTML(_said(Edits()), elem_id="data-edits")
    texts = [query, document, grade]
    for button, change in ((keep, _kept), (strike, _struck), (undo, _undone)):
        button.click(
            explained(lambda *values, change=change: _after(bench, change, *values)),
            [shown, pair, edits, *texts], [edits, *texts], show_progress="hidden",
        )  # fmt: skip
    edits.change(_said, [edits], [said], show_progress="hidden")
    return form, texts


def _rows(view: DataView, at: At, edits: Edits) -> Rows:
    def mark(row: Any) -> str:
        query, document = row[3], row[4]
        if (query, document) in edits.grades:
            return "struck out" if edits.grades[query, document] is None else "changed"
        return "changed" if query in edits.queries or document in edits.documents else ""

    return view.pairs(*at).marked(mark)


def _values(bench: Bench, at: At, pair: tuple[str, str], edits: Edits) -> tuple[str, str, float]:
    """Give what the form shows of a pair: what it is to become, or what it is."""
    data = bench.workspace.load(*at)
    query, document = pair
    grade = edits.grades.get(pair)
    return (
        edits.queries.get(query, data.queries[query]),
        edits.documents.get(document, data.corpus[document].text),
        data.qrels[query][document] if grade is None else grade,
    )


def _after(bench: Bench, change: Any, at: At, pair: Any, edits: Edits, *texts: Any) -> tuple[Any, ...]:
    if not pair:
        raise DataError("No pair is chosen. Choose a row of the table first.")
    edits = change(bench, at, tuple(pair), edits, *texts)
    return edits, *_values(bench, at, tuple(pair), edits)


def _kept(
    bench: Bench, at: At, pair: tuple[str, str], edits: Edits, query: str, document: str, grade: float | None
) -> Edits:
    data = bench.workspace.load(*at)
    if not query.strip() or not document.strip() or grade is None:
        raise DataError("The query, the document or the grade is empty. Fill it in, or strike the pair out.")
    changed = edits.without(*pair)
    if query != data.queries[pair[0]]:
        changed = changed.with_query(pair[0], query)
    if document != data.corpus[pair[1]].text:
        changed = changed.with_document(pair[1], document)
    if grade != data.qrels[pair[0]][pair[1]]:
        changed = changed.with_grade(*pair, grade)
    return changed


def _struck(bench: Bench, at: At, pair: tuple[str, str], edits: Edits, *_: Any) -> Edits:
    return edits.with_grade(*pair, None)


def _undone(bench: Bench, at: At, pair: tuple[str, str], edits: Edits, *_: Any) -> Edits:
    return edits.without(*pair)


def _said(edits: Edits) -> Markup:
    return element("p", f"{edits}." if edits else "Nothing changed yet: choose a row to edit it or strike it out.")
