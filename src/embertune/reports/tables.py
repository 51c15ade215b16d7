"""The comparison base / baselines / tuned as text, Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embertune.reports.record import Record
from embertune.reports.words import (
    capital,
    change,
    clip,
    count,
    encoder_name,
    p_value,
    queries,
    score,
    system_name,
    with_interval,
)

__all__ = [
    "LEGEND",
    "Block",
    "Row",
    "blocks",
    "latex_table",
    "markdown_table",
    "other_queries",
    "remarks",
    "text_table",
]

LEGEND = (
    "change: mean over the test queries of tuned minus base, with its 95 % interval (paired bootstrap); "
    "p: paired randomisation test; w/t/l: queries that win, tie, lose."
)

# A terminal line; what does not fit is left out from the right end of this list first.
_WIDTH = 100
_OPTIONAL = ("w/t/l", "p")

_GROUPS = {
    "seen": "documents with training queries (seen)",
    "unseen": "documents without training queries (unseen)",
}


@dataclass(frozen=True)
class Row:
    """One metric of the table.

    Attributes:
        metric: Its name.
        cells: Text of every further column, by the column's name.
        direction: 1 where the whole interval of the change lies above zero, -1 where below, else 0.
    """

    metric: str
    cells: Mapping[str, str]
    direction: int


@dataclass(frozen=True)
class Block:
    """One part of the comparison: all test queries, or one group of them.

    Attributes:
        name: "all", "seen" or "unseen".
        title: What it is, with the number of its queries.
        columns: Names of the columns after the metric, the base first.
        rows: One per metric, the primary first; empty for a group without queries.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def blocks(record: Mapping[str, Any]) -> list[Block]:
    """Give the comparison as cells of text: all test queries, then seen and unseen apart.

    Args:
        record: A `Record`, or its values.

    Returns:
        Three blocks; a group without queries has no rows. Metrics that lost stay.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> [(block.name, block.rows[0].cells["change"]) for block in blocks(example_record())]
        [('all', '+0.196'), ('seen', '+0.415'), ('unseen', '-0.023')]
    """
    record = Record.of(record)
    metrics = [record["primary"], *(name for name in record["metrics"] if name != record["primary"])]
    baselines = record.get("baselines") or {}
    total = record["counts"]["test"]
    title = "the one test query" if total == 1 else f"all {queries(total)}"
    everything = _block("all", title, record, baselines, metrics)
    groups = [
        _block(name, f"{title}: {queries(record['groups'][name]['n'])}", record["groups"][name], {}, metrics)
        for name, title in _GROUPS.items()
    ]
    return [everything, *groups]


def remarks(record: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the table must not miss: a candidate that was not kept, a baseline that is better.

    A verdict other than "ship" keeps the identity, while the table shows what was measured of the candidate.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> remarks(example_record())
        ['"tuned" is the candidate that was measured and not kept: the saved adapter is the identity.']
    """
    record = Record.of(record)
    primary, said = record["primary"], []
    candidate = record.get("candidate") or record["adapter"]
    if record["adapter"]["type"] == "identity" and candidate.get("type") != "identity":
        said.append('"tuned" is the candidate that was measured and not kept: the saved adapter is the identity.')
    tuned = record["tuned"][primary]
    for name, means in (record.get("baselines") or {}).items():
        theirs = means.get(primary) or 0.0
        if theirs > tuned:
            said.append(
                f"{system_name(name)} alone has the higher {primary} here: {score(theirs)}, tuned {score(tuned)}."
            )
    return said


def other_queries(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what queries lose that the adapter is not for: which they are, and the numbers; nothing where there are none.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> other_queries(example_record())
        ('other queries, 4 of tales over the corpora of both', 'ndcg@10 0.631 → 0.625, -0.006 [-0.012, 0.000]')
    """
    record = Record.of(record)
    foreign, primary = record.get("foreign"), record["primary"]
    if not foreign:
        return ()
    return (
        f"other queries, {count(foreign['n'])} of {foreign['name']} over the corpora of both",
        f"{primary} {score(foreign['base'][primary])} → {score(foreign['tuned'][primary])}, "
        f"{with_interval(foreign['delta'][primary])}",
    )


def text_table(record: Mapping[str, Any]) -> str:
    """Give the comparison as plain text of at most 100 columns.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> for line in text_table(example_record()).splitlines()[2:5]:
        ...     print(line)
        all 6 test queries
        metric    base   BM25  tuned  change     95 % interval      p  w/t/l
        ndcg@10  0.420  0.451  0.615  +0.196  -0.023 to +0.418  0.500  2/3/1
    """
    record = Record.of(record)
    parts = [clip(f"{record['data']['name']} · {encoder_name(record['encoder'])}", _WIDTH)]
    for block in blocks(record):
        parts.append(_text_block(block) if block.rows else block.title)
    if others := other_queries(record):
        parts.append("\n".join(clip(line, _WIDTH) for line in others))
    return "\n\n".join([*parts, *remarks(record)])


def markdown_table(record: Mapping[str, Any]) -> str:
    """Give the comparison as Markdown tables; a change is bold where its interval excludes zero.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> print(markdown_table(example_record()).splitlines()[4])
        | ndcg@10 | 0.420 | 0.451 | 0.615 | +0.196 | -0.023 to +0.418 | 0.500 | 2/3/1 |
    """
    record = Record.of(record)
    parts = []
    for block in blocks(record):
        lines = [f"**{capital(block.title)}**"]
        if block.rows:
            lines += ["", _markdown_line(["metric", *block.columns]), "|---|" + "--:|" * len(block.columns)]
        for row in block.rows:
            cells = [f"**{row.cells[name]}**" if _is_bold(row, name) else row.cells[name] for name in block.columns]
            lines.append(_markdown_line([row.metric, *cells]))
        parts.append("\n".join(lines))
    if others := other_queries(record):
        parts.append(f"{capital(': '.join(others))}.")
    return "\n\n".join([*parts, *remarks(record), capital(LEGEND)]) + "\n"


def latex_table(record: Mapping[str, Any]) -> str:
    r"""Give the comparison as one LaTeX ``tabular`` (needs ``\usepackage{booktabs}``).

    A change is bold where its interval excludes zero.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> print(latex_table(example_record()).splitlines()[3])
        metric & base & BM25 & tuned & change & 95 \% interval & p & w/t/l \\
    """
    every = blocks(record)
    columns = every[0].columns
    lines = [
        f"% {LEGEND.replace('%', 'percent')}",
        r"\begin{tabular}{l" + "r" * len(columns) + "}",
        r"\toprule",
        _latex_line(["metric", *map(_latex, columns)]),
    ]
    for block in every:
        lines += [
            r"\midrule",
            rf"\multicolumn{{{len(columns) + 1}}}{{l}}{{\emph{{{_latex(capital(block.title))}}}}} \\",
        ]
        for row in block.rows:
            cells = [_latex(row.cells.get(name, ""), bold=_is_bold(row, name)) for name in columns]
            lines.append(_latex_line([_latex(row.metric), *cells]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _block(
    name: str, title: str, part: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]
) -> Block:
    columns = ("base", *map(system_name, baselines), "tuned", "change", "95 % interval", "p", "w/t/l")
    if not part.get("base"):
        return Block(name, title, columns, ())
    rows = []
    for metric in metrics:
        delta = part["delta"][metric]
        low, high = delta.get("low"), delta.get("high")
        known = low is not None and high is not None
        cells = {
            "base": score(part["base"][metric]),
            **{system_name(system): score(means.get(metric)) for system, means in baselines.items()},
            "tuned": score(part["tuned"][metric]),
            "change": change(delta["mean"]),
            "95 % interval": f"{change(low)} to {change(high)}" if known else "–",
            "p": p_value(delta.get("p")),
            "w/t/l": "/".join(str(delta[kind]) for kind in ("wins", "ties", "losses"))
            if all(delta.get(kind) is not None for kind in ("wins", "ties", "losses"))
            else "–",
        }
        rows.append(Row(metric, cells, (int(low > 0) - int(high < 0)) if known else 0))
    return Block(name, title, columns, tuple(rows))


def _text_block(block: Block) -> str:
    columns, moved = list(block.columns), []
    for name in _OPTIONAL:
        if len(_text_lines(block, columns)[0]) > _WIDTH:
            columns.remove(name)
    # Baselines stand between base and tuned; those that do not fit get lines of their own below.
    while len(_text_lines(block, columns)[0]) > _WIDTH and columns.index("tuned") > 1:
        moved.append(columns.pop(columns.index("tuned") - 1))
    lines = [block.title, *_text_lines(block, columns)]
    for name in reversed(moved):
        lines += ["", *_text_lines(block, [name])]
    return "\n".join(lines)


def _text_lines(block: Block, columns: Sequence[str]) -> list[str]:
    header = Row("metric", {name: name for name in columns}, 0)
    rows = [header, *block.rows]
    first = max(len(row.metric) for row in rows)
    widths = {name: max(len(row.cells[name]) for row in rows) for name in columns}
    return [
        "".join([f"{row.metric:<{first}}", *(f"  {row.cells[name]:>{widths[name]}}" for name in columns)])
        for row in rows
    ]


def _is_bold(row: Row, column: str) -> bool:
    return column == "change" and row.direction != 0


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "→": r"$\to$",
    "\u202f": r"\,",
    "<": "$<$",
    ">": "$>$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def _latex(text: str, *, bold: bool = False) -> str:
    """Escape a cell; signed numbers become formulas, so that their minus is one."""
    escaped = "".join(_LATEX.get(mark, mark) for mark in text)
    number = r"$\\mathbf{\1}$" if bold else r"$\1$"
    return re.sub(r"(?<![^ ])([+-]\d[\d.]*)", number, escaped)
