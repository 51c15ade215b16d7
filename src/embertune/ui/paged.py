"""Tables of any length: a page at a time goes to the browser, and is searched and cut on the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple

from embertune._optional import require
from embertune.data.texts import shortened
from embertune.reports.markup import Markup, element, scroll_table
from embertune.ui.notices import explained, on_event

__all__ = ["PagedTable", "Rows"]

_PAGE = 20
_WORDS = re.compile(r'"([^"]+)"|(\S+)')
# A cell shows the beginning; the whole text is shown where a row is chosen.
_CELL = 160
# With more columns a table needs more than a narrow window's width.
_WIDE = 6
# A click anywhere in a row chooses it, and so does its button, by mouse or keyboard.
_CHOOSE = """
element.addEventListener('click', event => {
  const row = event.target.closest('tr[data-row]');
  if (!row || !row.querySelector('button')) return;
  element.querySelectorAll('tr.chosen').forEach(other => other.classList.remove('chosen'));
  row.classList.add('chosen');
  trigger('select', {row: Number(row.dataset.row)});
});
"""


class Rows:
    """Rows of texts that can be searched.

    Args:
        rows: All of one length.

    Example:
        >>> rows = Rows([("q1", "How old?"), ("q2", "How long?")])
        >>> list(rows.find("LONG")), list(rows.find(""))
        ([1], [0, 1])
    """

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self.rows = rows
        self._mark: Callable[[Sequence[Any]], str] | None = None

    def marked(self, mark: Callable[[Sequence[Any]], str]) -> Rows:
        """Give the same rows with a first column that is made when a row is shown; it is not searched."""
        view = Rows(self.rows)
        view.__dict__.update({"_texts": self._texts, "_mark": mark})
        return view

    def cells(self, at: int) -> Sequence[Any]:
        """Give a row as it is shown."""
        row = self.rows[at]
        return row if self._mark is None else [self._mark(row), *row]

    @cached_property
    def _texts(self) -> list[str]:
        return ["\n".join(map(str, row)).casefold() for row in self.rows]

    def find(self, text: str) -> Sequence[int]:
        """Give the positions of the rows that hold every word, and every "phrase" in quotes, whatever the case."""
        words = [phrase or word for phrase, word in _WORDS.findall(text.casefold())]
        if not words:
            return range(len(self.rows))
        first, *others = words
        found = [at for at, row in enumerate(self._texts) if first in row]
        return [at for at in found if all(word in self._texts[at] for word in others)] if others else found


class _View(NamedTuple):
    """What a page shows, as lists of texts, and where it stands."""

    cells: list[list[str]]
    positions: list[int]
    page: int
    said: str
    is_first: bool
    is_last: bool


def _view(rows: Rows, text: str, page: int) -> _View:
    found = rows.find(text or "")
    last = max(0, (len(found) - 1) // _PAGE)
    page = min(max(0, page), last)
    positions = list(found[page * _PAGE : (page + 1) * _PAGE])
    cells = [[shortened(str(cell), _CELL) for cell in rows.cells(at)] for at in positions]
    shown = (
        f"{page * _PAGE + 1:,}–{page * _PAGE + len(positions):,} of {len(found):,}" if positions else "nothing found"
    )
    if len(found) < len(rows.rows):
        shown += f" (of {len(rows.rows):,} in all)"
    return _View(cells, positions, page, shown, page == 0, page == last)


class PagedTable:
    """A search field, a table of one page, and buttons to turn it.

    The table is plain HTML, whose texts are escaped here: it is read out as a table, scrolls by itself on a narrow
    screen, and where rows can be chosen each begins with a button, which the keyboard reaches.

    Args:
        label: What the table holds.
        headers: Of the columns.
        rows: Gives the rows for the values of `inputs`.
        inputs: Components that choose what is shown.
        name: Start of the ids of its elements.
        widths: Of the columns, such as "20%".
    """

    def __init__(
        self,
        label: str,
        headers: Sequence[str],
        rows: Callable[..., Rows],
        inputs: Sequence[Any],
        *,
        name: str,
        widths: Sequence[str] | None = None,
    ) -> None:
        gr = require("gradio", extra="ui", purpose="The workbench")
        self._gr, self._rows, self.inputs = gr, rows, list(inputs)
        self._label, self._headers, self._widths = label, list(headers), list(widths or [])
        self._is_chosen_from = False
        self.search = gr.Textbox(
            label=f"Search {label.lower()}", placeholder='words, or a "phrase"', elem_id=f"{name}-search", max_lines=1
        )
        self.table = gr.HTML(elem_id=f"{name}-table", js_on_load=_CHOOSE, elem_classes=["paged"])
        with gr.Row(elem_classes="pager"):
            self._before = gr.Button("← Before", size="sm", elem_id=f"{name}-before")
            self._said = gr.Markdown("", elem_id=f"{name}-said")
            self._after = gr.Button("Next →", size="sm", elem_id=f"{name}-after")
        self.page, self._positions = gr.State(0), gr.State([])
        self._wire()

    @property
    def outputs(self) -> list[Any]:
        """What `show` gives values for."""
        return [self.table, self._said, self._before, self._after, self.page, self._positions]

    def show(self, text: str, page: int, *values: Any) -> tuple[Any, ...]:
        """Give the values of `outputs` for a page."""
        view = _view(self._rows(*values), text, page)
        before = self._gr.Button(interactive=not view.is_first)
        after = self._gr.Button(interactive=not view.is_last)
        return self._drawn(view), view.said, before, after, view.page, view.positions

    def refresh(self, trigger: Callable[..., Any], **options: Any) -> Any:
        """Show the first page when something happens, such as ``component.change``."""
        values = [self.search, *self.inputs]
        return trigger(
            explained(lambda text, *rest: self.show(text, 0, *rest)), values, self.outputs,
            show_progress="hidden", **options,
        )  # fmt: skip

    def select(self, handler: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Call a handler with the position of the row that was chosen, then the inputs."""
        self._is_chosen_from = True

        def chosen(event: Any, positions: list[int], *values: Any) -> Any:
            row = int(event.row)
            if not 0 <= row < len(positions):
                return tuple(self._gr.skip() for _ in outputs) if len(outputs) > 1 else self._gr.skip()
            return handler(positions[row], *values)

        return self.table.select(on_event(chosen), [self._positions, *inputs], list(outputs), show_progress="hidden")

    def _drawn(self, view: _View) -> Markup:
        choosing = self._is_chosen_from
        lead = (
            [element("th", element("span", "Choose", class_="unseen"), scope="col", class_="lead")] if choosing else []
        )
        columns = [
            element("th", header, scope="col", style=f"width:{width}" if width else "")
            for header, width in zip_longest(self._headers, self._widths, fillvalue="")
        ]
        body = [
            element("tr", *([_button(at, cells)] if choosing else []), *(element("td", cell) for cell in cells),
                    data_row=str(at))
            for at, cells in enumerate(view.cells)
        ]  # fmt: skip
        wide = " wide" if len(columns) > _WIDE else ""
        caption = element("caption", self._label, class_="unseen")
        table = element("table", caption, element("thead", element("tr", *lead, *columns)), element("tbody", *body),
                        class_=f"rows{wide}")  # fmt: skip
        return scroll_table(table, self._label)

    def _wire(self) -> None:
        self.refresh(self.search.change, trigger_mode="always_last")
        for button, step in ((self._before, -1), (self._after, 1)):
            button.click(
                explained(lambda text, page, *rest, step=step: self.show(text, page + step, *rest)),
                [self.search, self.page, *self.inputs], self.outputs, show_progress="hidden",
            )  # fmt: skip


def _button(at: int, cells: Sequence[str]) -> Markup:
    named = next(filter(None, cells), "")
    return element(
        "td", element("button", "▸", type="button", aria_label=f"Choose row {at + 1}: {named}"), class_="lead"
    )
