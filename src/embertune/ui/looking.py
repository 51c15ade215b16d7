"""What the tab Look shows of a query, as HTML: both rankings, what moved, and the training queries that are near."""

from __future__ import annotations

from collections.abc import Sequence

from embertune.recipes.look import Hit, Near, QueryRow, QueryView
from embertune.reports.markup import Markup, element, scroll_table, table
from embertune.reports.words import change, clip, score

__all__ = ["KINDS", "cells_of", "is_of_kind", "query_page"]

KINDS = ("all", "gained", "lost", "unchanged")
_LEAD, _WHOLE = 200, 4000


def is_of_kind(row: QueryRow, kind: str) -> bool:
    """Say whether a query belongs to those that are listed.

    Example:
        >>> is_of_kind(QueryRow("q1", "how", "seen", 0.1, 0.3), "gained")
        True
    """
    gain = round(row.gain, 9)
    return {"all": True, "gained": gain > 0, "lost": gain < 0, "unchanged": gain == 0}[kind]


def cells_of(row: QueryRow) -> tuple[str, ...]:
    """Give a query as a row of a table: text, whose documents, metric before and after, change, id."""
    return (row.text, row.group, score(row.base), score(row.tuned), change(row.gain), row.id)


def query_page(view: QueryView, metric: str) -> Markup:
    """Show one query.

    Args:
        view: Of the query.
        metric: The one that decides.
    """
    row = view.row
    said = f"query {row.id} · {row.group} documents · {metric} {score(row.base)} → {score(row.tuned)} · "
    return element(
        "div",
        element("h2", clip(row.text, _WHOLE)),
        element("p", said, _signed(row.gain), class_="quiet"),
        element("p", view.why),
        element(
            "div",
            element("section", element("h3", "Before: the frozen encoder"), _ranking(view.base, "after")),
            element("section", element("h3", "After: with the adapter"), _ranking(view.tuned, "before")),
            class_="sides",
        ),
        _answers(view.answers),
        _near(view.near),
        class_="query",
    )


def _signed(gain: float) -> Markup:
    return element("strong", change(gain), class_="up" if gain > 0 else "down" if gain < 0 else "")


def _ranking(hits: Sequence[Hit], other: str) -> Markup:
    return element("ol", *(_hit(hit, other) for hit in hits), class_="hits")


def _hit(hit: Hit, other: str) -> Markup:
    judged = [element("strong", "relevant")] if hit.is_relevant else []
    if hit.grade is not None and not hit.is_relevant:
        judged = [element("span", "judged not relevant")]
    line = element(
        "div",
        element("span", f"{hit.rank}."),
        *judged,
        element("span", f"cosine {hit.score:.3f}"),
        element("span", f"{other}: {_place(hit.other_rank)}, {hit.other_score:.3f}"),
        element("span", _moved(hit, other), class_=_direction(hit, other)),
        class_="hit",
    )
    return element("li", line, passage(hit.text), class_="relevant" if hit.is_relevant else "")


def passage(text: str) -> Markup:
    """Show a text, of a long one the beginning, and the rest where it is asked for."""
    whole = clip(text, _WHOLE)
    if len(whole) <= _LEAD:
        return element("div", whole, class_="text")
    summary = element("summary", clip(whole, _LEAD))
    return element("details", summary, element("div", whole), class_="text")


def _place(rank: int | None) -> str:
    return f"rank {rank}" if rank else "not ranked"


def _steps(hit: Hit, other: str) -> int | None:
    """How many ranks it rose from before to after; None where one of the two is not known."""
    if not hit.other_rank:
        return None
    return hit.other_rank - hit.rank if other == "before" else hit.rank - hit.other_rank


def _moved(hit: Hit, other: str) -> str:
    steps = _steps(hit, other)
    if steps is None:
        return "↑ came in" if other == "before" else "↓ fell out"
    return "same rank" if steps == 0 else f"{'↑' if steps > 0 else '↓'} {abs(steps)}"


def _direction(hit: Hit, other: str) -> str:
    steps = _steps(hit, other)
    if steps is None:
        return "up" if other == "before" else "down"
    return "up" if steps > 0 else "down" if steps < 0 else ""


def _answers(answers: Sequence[Hit]) -> Markup:
    if not answers:
        return Markup("")
    rows = [
        [clip(hit.text, 90), _place(hit.other_rank), _place(hit.rank), f"{hit.other_score:.3f}", f"{hit.score:.3f}",
         change(hit.score - hit.other_score)]
        for hit in answers
    ]  # fmt: skip
    header = ["What answers it", "before", "after", "cosine before", "after", "change"]
    return scroll_table(table(header, rows, caption="Its answers"), "Its answers")


def _near(near: Sequence[Near]) -> Markup:
    if not near:
        return Markup("")
    rows = [
        [clip(each.text, 120), f"{each.cosine:.3f}", ", ".join(clip(name, 40) for name in each.answers[:3]) or "–"]
        for each in near
    ]
    header = ["Training query", "cosine", "its answers among these documents"]
    return scroll_table(table(header, rows, caption="Nearest training queries"), "Nearest training queries")
