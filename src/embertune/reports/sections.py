"""The parts of the page that are words and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from embertune.reports.markup import Markup, element, facts, scroll_table, table
from embertune.reports.record import Record
from embertune.reports.tables import LEGEND, Block, Row, blocks, other_queries, remarks
from embertune.reports.words import (
    capital,
    change,
    clip,
    count,
    encoder_name,
    p_value,
    params,
    score,
    seconds,
    synthetic_queries,
    typeset,
)

__all__ = ["comparison", "data_notes", "groups", "heading", "others", "reproduction", "tried"]

_HEADLINE = 90
_CANDIDATES = 12


def heading(record: Record) -> list[Markup]:
    """Give the verdict as a heading, and the reason in numbers.

    Example:
        >>> from embertune.reports.record import example_record
        >>> heading(example_record())[0][:36]
        '<p class="eyebrow">Embertune report '
    """
    verdict = record["verdict"]
    headline, rest = split_sentence(verdict["sentence"])
    line = f"Embertune report · {record['data']['name']} · {encoder_name(record['encoder'])} · {record['created'][:10]}"
    lead = [element("p", typeset(rest), class_="lead")] if rest else []
    warnings = [element("li", element("strong", note)) for note in remarks(record)]
    reasons = [element("li", typeset(capital(part.rstrip(".")))) for part in verdict["reason"].split("; ") if part]
    return [
        element("p", line, class_="eyebrow"),
        element("div", element("h1", typeset(headline)), *lead, class_=f"verdict {verdict['code']}"),
        _key_numbers(record),
        *([element("ul", *warnings, *reasons, class_="reasons")] if warnings or reasons else []),
    ]


def split_sentence(sentence: str) -> tuple[str, str]:
    """Split a verdict into what fits a heading and the rest.

    Example:
        >>> split_sentence("Ship it: ndcg@10 0.455 → 0.672 (+0.217).")
        ('Ship it', 'ndcg@10 0.455 → 0.672 (+0.217).')
        >>> split_sentence("Do not ship this: there is no gain. ndcg@10 0.455 → 0.450.")
        ('Do not ship this: there is no gain.', 'ndcg@10 0.455 → 0.450.')
    """
    for mark, kept in ((". ", "."), (": ", "")):
        head, found, rest = sentence.partition(mark)
        if found and len(head) < _HEADLINE:
            return head + kept, rest if rest[:1].isupper() or "@" in rest.split(" ")[0] else capital(rest)
    return sentence, ""


def comparison(record: Record) -> list[Markup]:
    """Give the table of all test queries.

    Example:
        >>> from embertune.reports.record import example_record
        >>> len(comparison(example_record()))
        2
    """
    block = blocks(record)[0]
    return [_block_table(block, record["primary"]), element("p", capital(LEGEND), class_="quiet")]


def groups(record: Record) -> list[Markup]:
    """Give one table for seen and one for unseen documents.

    Example:
        >>> from embertune.reports.record import example_record
        >>> groups(example_record())[1]
        '<h3>Documents with training queries (seen): 3 test queries</h3>'
    """
    said = (
        "A test query counts as seen if one of its relevant documents also answers a training query. "
        "Gains on unseen documents are what new documents can expect."
    )
    parts = [element("p", said, class_="quiet")]
    for block in blocks(record)[1:]:
        parts.append(element("h3", capital(block.title)))
        if block.rows:
            parts.append(_block_table(block, record["primary"]))
        else:
            parts.append(element("p", f"Nothing is known about {block.name} documents: no test query asks for one."))
    return parts


def others(record: Record) -> list[Markup]:
    """Give what queries lose that the adapter is not for.

    Example:
        >>> from embertune.reports.record import example_record
        >>> others(example_record())[0][:55]
        '<p>Other queries, 4 of tales over the corpora of both: '
    """
    foreign = record.get("foreign")
    if not foreign:
        return []
    notes = [element("li", str(note)) for note in foreign.get("notes") or ()]
    said = (
        "They are not what the adapter is for, so they should stay as they were. They are searched in their own corpus "
        "and that of the adapter at once, as in an index that serves both. Their answers chose nothing."
    )
    return [
        element("p", typeset(f"{capital(': '.join(other_queries(record)))}.")),
        element("p", said, class_="quiet"),
        *([element("ul", *notes)] if notes else []),
    ]


def tried(record: Record) -> list[Markup]:
    """Give what was compared on dev, and what other seeds gave.

    Example:
        >>> from embertune.reports.record import example_record
        >>> str(tried(example_record())[-1])[-27:]
        'split: +0.196 (seed 0).</p>'
    """
    selection = record.get("selection") or {}
    candidates = selection.get("candidates") or ()
    parts = []
    if candidates:
        names = list(dict.fromkeys(name for one in candidates for name in one["params"]))
        rows = [_candidate_row(one, names, record["primary"]) for one in candidates]
        header = ["candidate", f"{record['primary']} on dev", "share"]
        chosen = {at: "chosen" for at, one in enumerate(candidates) if one["weight"]}
        whole = scroll_table(table(header, rows, classes=chosen), "Candidates")
        if len(rows) > _CANDIDATES:
            whole = element("details", element("summary", f"All {len(rows)} candidates"), whole, class_="more")
        parts.append(whole)
    parts += [element("p", str(reason)) for reason in selection.get("reasons") or ()]
    seeds = selection.get("seeds") or ()
    if seeds:
        listed = ", ".join(f"{change(one['delta'])} (seed {one['seed']})" for one in seeds)
        said = f"Change of {record['primary']} by seed; each draws its own folds and, unless it is given, its own split"
        parts.append(element("p", f"{said}: {typeset(listed)}."))
    return parts


def data_notes(record: Record) -> list[Markup]:
    """Give where the data came from, how it was split, and what was found on both sides.

    Example:
        >>> from embertune.reports.record import example_record
        >>> "18 train · 6 dev · 6 test" in data_notes(example_record())[0]
        True
    """
    data, counts = record["data"], record["counts"]
    split = data["split"]
    fractions = " / ".join(f"{part:g}" for part in split.get("fractions") or ())
    how = [
        str(split.get("method", "unknown")),
        *([f"fractions {fractions}"] if fractions else []),
        *([f"seed {split['seed']}"] if split.get("seed") is not None else []),
    ]
    rows = [
        ("data set", data["name"]),
        ("documents", count(counts["documents"])),
        ("queries", " · ".join(f"{count(counts[part])} {part}" for part in ("train", "dev", "test"))),
        *([("relevant pairs", count(counts["pairs"]))] if counts.get("pairs") is not None else []),
        ("split", ", ".join(how)),
        *([("synthetic queries", made)] if (made := synthetic_queries(data)) else []),
        *_leakage(data.get("leakage") or {}),
    ]
    notes = [element("li", str(note)) for note in data.get("notes") or ()]
    loading = [element("h3", "Notes from loading"), element("ul", *notes)] if notes else []
    return [facts(rows), *loading]


def reproduction(record: Record) -> list[Markup]:
    """Give everything that another run needs to get the same numbers.

    Example:
        >>> from embertune.reports.record import example_record
        >>> "<td>once</td>" in reproduction(example_record())[0]
        True
    """
    opened = record["test_opened"]
    times = {0: "never", 1: "once"}.get(opened, f"{opened} times")
    warning = "" if opened <= 1 else "; numbers of a test split that was opened before are too good"
    took = ", ".join(f"{name} {seconds(value)}" for name, value in record["seconds"].items() if value is not None)
    rows = [
        ("test split opened", times + warning),
        ("seed", str(record["seed"])),
        ("data fingerprint", element("code", record["data"]["fingerprint"])),
        ("encoder", _settings(record["encoder"])),
        ("adapter", _settings(record["adapter"])),
        ("time taken", took),
        ("versions", _settings(record["versions"])),
        ("created", record["created"]),
    ]
    return [facts((name, value) for name, value in rows if value)]


def _key_numbers(record: Record) -> Markup:
    primary = record["primary"]
    delta = record["delta"][primary]
    said = [(f"{primary}, base → tuned", f"{score(record['base'][primary])} → {score(record['tuned'][primary])}", "")]
    for name, means in (record.get("baselines") or {}).items():
        if name == "bm25":
            said[0] = (*said[0][:2], f"BM25: {score(means.get(primary))}")
    note = f"{change(delta.get('low'))} to {change(delta.get('high'))}, p {_p_text(delta.get('p'))}"
    known = delta.get("low") is not None and delta.get("high") is not None
    said.append(("change, with 95 % interval", change(delta["mean"]), note if known else "no interval"))
    if delta.get("wins") is not None and delta.get("losses") is not None:
        unchanged = f"{count(delta.get('ties') or 0)} of {count(record['counts']['test'])} unchanged"
        said.append(("test queries", f"{count(delta['wins'])} gain, {count(delta['losses'])} lose", unchanged))
    both = [(name, record["groups"][name]) for name in ("seen", "unseen")]
    values = " / ".join(change(group["delta"][primary]["mean"]) if group["n"] else "–" for _, group in both)
    sizes = " / ".join(f"{count(group['n'])}" for _, group in both)
    said.append(("change on seen / unseen", values, f"{sizes} queries"))
    tiles = [
        element(
            "div",
            element("dt", label),
            element("dd", typeset(value), class_="big"),
            *([element("dd", typeset(more), class_="note")] if more else []),
        )
        for label, value, more in said
    ]
    return element("dl", *tiles, class_="numbers")


def _p_text(value: float | None) -> str:
    text = p_value(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _block_table(block: Block, primary: str) -> Markup:
    rows = [[row.metric, *(_cell(row, name) for name in block.columns)] for row in block.rows]
    main = {at: "primary" for at, row in enumerate(block.rows) if row.metric == primary}
    return scroll_table(table(["metric", *block.columns], rows, classes=main), capital(block.title))


def _cell(row: Row, column: str) -> str:
    text = typeset(row.cells[column])
    if column == "change" and row.direction:
        return element(
            "span", f"{'▲' if row.direction > 0 else '▼'} {text}", class_="up" if row.direction > 0 else "down"
        )
    return text


def _candidate_row(one: Mapping[str, Any], names: Sequence[str], primary: str) -> list[str]:
    ordered = {name: one["params"][name] for name in names if name in one["params"]}
    return [params(ordered), score(one["dev"]), f"{one['weight']:.0%}" if one["weight"] else ""]


def _leakage(leakage: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not leakage:
        return [("near-copies across the split", "not looked for")]
    known = {
        "exact": "test queries equal to a training query",
        "near": "further test queries nearly equal to one",
        "threshold": "cosine that counts as nearly equal",
        "test_queries": "test queries looked at",
        "pairs": "such pairs",
    }
    rows = [(known.get(name, name), _leak(value)) for name, value in leakage.items()]
    return [row for row in rows if row[1]]


def _leak(value: Any) -> str:
    if value is None:
        return "not looked for"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = "; ".join(clip(_plain(one), 90) for one in value[:3])
        return f"{shown}; and {len(value) - 3} more" if len(value) > 3 else shown
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return _settings(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ~ ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value)


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in values.items() if value not in (None, ""))
