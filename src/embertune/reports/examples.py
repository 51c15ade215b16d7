"""The queries that gained and lost most, with what each system found for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embertune.reports.markup import Markup, element, scroll_table, table
from embertune.reports.record import Record
from embertune.reports.words import change, clip, score, typeset

__all__ = ["Texts", "wins_and_losses"]

_ROWS = 10
_OPEN = 3
_VERBS = {"gained": "gained", "lost": "lost", "unchanged": "did not change"}
_LEAD, _WHOLE = 220, 1500


@dataclass(frozen=True)
class Texts:
    """What a report shows of texts; a record holds none.

    Attributes:
        queries: Query id -> text.
        examples: Per query to show {"query_id", "base", "tuned"}; each ranking is a list of
            (document id, score, whether it is relevant, text), best first.

    Example:
        >>> Texts({"q1": "how to"}, [{"query_id": "q1", "base": [], "tuned": [("d1", 0.9, True, "So.")]}]).queries["q1"]
        'how to'
    """

    queries: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] = ()


def wins_and_losses(record: Record, texts: Texts | None) -> list[Markup]:
    """Give the examples side by side; without them, the ids and scores of the most gained and most lost.

    Args:
        record: The record.
        texts: The texts, if there are any.

    Example:
        >>> from embertune.reports.record import example_record
        >>> wins_and_losses(example_record(), None)[2]
        '<h3>Lost most</h3>'
    """
    rows = {row["id"]: row for row in record.get("queries") or ()}
    if texts is None or not texts.examples:
        return _without_texts(record, list(rows.values()), texts)
    lists: dict[str, list[tuple[float, Mapping[str, Any]]]] = {"gained": [], "lost": [], "unchanged": []}
    for example in texts.examples:
        row = rows.get(example["query_id"])
        gain = row["tuned"] - row["base"] if row else 0.0
        lists["gained" if gain > 0 else "lost" if gain < 0 else "unchanged"].append((gain, example))
    titles = {"gained": "Gained most", "lost": "Lost most", "unchanged": "Unchanged"}
    parts = [element("p", "A bar marks the documents judged relevant.", class_="quiet")]
    for name, found in lists.items():
        found.sort(key=lambda one: -abs(one[0]))
        if found:
            parts.append(element("h3", titles[name]))
            made = [_example(one, rows.get(one["query_id"]), record["primary"], texts) for _, one in found]
            parts += made[:_OPEN]
            if len(made) > _OPEN:
                summary = element("summary", f"{len(made) - _OPEN} more that {_VERBS[name]}")
                parts.append(element("details", summary, *made[_OPEN:], class_="more"))
    if rows and not lists["lost"] and all(row["tuned"] >= row["base"] for row in rows.values()):
        parts.append(element("p", "No test query lost."))
    return parts


def _without_texts(record: Record, rows: list[Mapping[str, Any]], texts: Texts | None) -> list[Markup]:
    if not rows:
        return []
    known = texts.queries if texts else {}
    ordered = sorted(rows, key=lambda row: row["base"] - row["tuned"])
    parts: list[Markup] = []
    for title, found in (
        ("Gained most", [row for row in ordered if row["tuned"] > row["base"]][:_ROWS]),
        ("Lost most", [row for row in reversed(ordered) if row["tuned"] < row["base"]][:_ROWS]),
    ):
        cells = [
            [
                clip(known.get(row["id"], row["id"]), 80),
                row["group"],
                score(row["base"]),
                score(row["tuned"]),
                _signed(row["tuned"] - row["base"]),
            ]
            for row in found
        ]
        parts.append(element("h3", title))
        if cells:
            header = ["query", "documents", f"{record['primary']}, base", "tuned", "change"]
            parts.append(scroll_table(table(header, cells), title))
        else:
            parts.append(element("p", f"No test query {title.split()[0].lower()}."))
    return parts


def _example(example: Mapping[str, Any], row: Mapping[str, Any] | None, metric: str, texts: Texts) -> Markup:
    name = example["query_id"]
    said = [f"query {name}"] if name in texts.queries else []
    if row:
        said += [f"{row['group']} documents", f"{metric} {score(row['base'])} → {score(row['tuned'])}"]
    title = element("h4", clip(texts.queries.get(name, name), _WHOLE))
    gain = [Markup(" · "), _signed(row["tuned"] - row["base"])] if row else []
    was = {hit[0]: rank for rank, hit in enumerate(example["base"], start=1)}
    sides = [
        element("div", element("h5", "Base found"), _ranking(example["base"], None)),
        element("div", element("h5", "Tuned found"), _ranking(example["tuned"], was)),
    ]
    return element(
        "div", title, element("p", " · ".join(said), *gain, class_="quiet"), element("div", *sides, class_="sides"),
        class_="example",
    )  # fmt: skip


def _ranking(hits: Sequence[Sequence[Any]], was: Mapping[str, int] | None) -> Markup:
    if not hits:
        return element("p", "Nothing.", class_="quiet")
    items = []
    for rank, (document, similarity, is_relevant, text) in enumerate(hits, start=1):
        line = [element("span", f"{rank}.")]
        line += [element("strong", "relevant")] if is_relevant else []
        line += [
            element("span", clip(str(document), 24), title=str(document)),
            element("span", f"cosine {similarity:.3f}"),
        ]
        if was is not None:
            line.append(element("span", _moved(was.get(document), rank)))
        items.append(
            element("li", element("div", *line, class_="hit"), _passage(text), class_="relevant" if is_relevant else "")
        )
    return element("ol", *items, class_="hits")


def _moved(before: int | None, rank: int) -> str:
    if before is None:
        return "↑ new here"
    if before == rank:
        return "same rank"
    return f"{'↑' if before > rank else '↓'} from {before}"


def _passage(text: str) -> Markup:
    whole = clip(text, _WHOLE)
    if len(whole) <= _LEAD:
        return element("div", whole)
    return element("details", element("summary", element("span", clip(whole, _LEAD))), element("div", whole))


def _signed(gain: float) -> Markup:
    return element("span", typeset(change(gain)), class_="up" if gain > 0 else "down" if gain < 0 else "")
