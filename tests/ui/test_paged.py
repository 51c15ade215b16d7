"""Rows are searched and cut where they are."""

from __future__ import annotations

from embertune.ui.paged import _PAGE, Rows, _view


def test_search_finds_every_word_in_any_column_and_case():
    rows = Rows([("q1", "How OLD is it?"), ("q2", "how long"), ("old", "x")])
    assert list(rows.find("old")) == [0, 2]
    assert list(rows.find("how old")) == [0]
    assert list(rows.find('"how old"')) == [0]
    assert list(rows.find('"old how"')) == []
    assert list(rows.find('how" lon')) == []
    assert list(rows.find("  ")) == [0, 1, 2]
    assert list(rows.find("nothing")) == []


def test_pages_cover_all_rows_once():
    rows = Rows([(f"d{n}", "text") for n in range(2 * _PAGE + 3)])
    pages = [_view(rows, "", page) for page in range(3)]
    assert [at for view in pages for at in view.positions] == list(range(2 * _PAGE + 3))
    assert [view.is_first for view in pages] == [True, False, False]
    assert [view.is_last for view in pages] == [False, False, True]
    assert pages[1].said == f"{_PAGE + 1}–{2 * _PAGE} of {2 * _PAGE + 3}"
    assert _view(rows, "", 99) == pages[2]
    assert _view(rows, "d1", 0).said.endswith(f"(of {2 * _PAGE + 3} in all)")
    assert _view(rows, "nothing", 0).said == f"nothing found (of {2 * _PAGE + 3} in all)"


def test_a_cell_holds_the_beginning_and_the_browser_never_more():
    (cells,) = _view(Rows([("x" * 10_000,)]), "", 0).cells
    assert len(cells[0]) < 200


def test_a_mark_is_made_for_the_rows_that_are_shown_alone():
    asked = []
    rows = Rows([(n,) for n in range(1000)]).marked(lambda row: asked.append(row[0]) or "x")
    assert _view(rows, "", 0).cells[0] == ["x", "0"]
    assert asked == list(range(_PAGE))
