"""Verdicts on suspect labels: the file that a person fills in, and what the data set becomes by it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embertune.core.files import write_whole
from embertune.core.paths import as_path
from embertune.data.builder import as_grade, as_text, examples
from embertune.data.dataset import Dataset
from embertune.data.tables import read_table
from embertune.data.texts import counted, shortened
from embertune.errors import ConfigError, DataError

__all__ = ["Applied", "Verdict", "apply_verdicts", "read_verdicts", "write_sheet"]

COLUMNS = ("verdict", "query", "document", "kind", "why", "instead", "score", "query_id", "document_id")
_YES = frozenset({"yes", "y", "relevant", "true", "right", "correct", "ja", "oui", "x", "+"})
_NO = frozenset({"no", "n", "not relevant", "irrelevant", "false", "wrong", "nein", "non", "-"})
# A spreadsheet takes a cell that begins so for a formula, and would run what a stranger wrote into a document.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Verdict:
    """What somebody says of a document for a query: above 0 it is an answer, with that grade; 0 it is none.

    Example:
        >>> Verdict("q1", "d7", 0.0).grade
        0.0
    """

    query_id: str
    document_id: str
    grade: float


@dataclass(frozen=True)
class Applied:
    """A data set with verdicts in it, and what they changed.

    Attributes:
        dataset: The new one.
        added: Answers that had no label.
        removed: Labels that were wrong; they are now judged not relevant.
        negatives: Unlabelled documents that are now judged not relevant.
        confirmed: Verdicts that say what the labels say.
        lost: Queries that have no answer any more.

    Example:
        >>> data = Dataset.from_pairs([("a", "x"), ("b", "y")])
        >>> applied = apply_verdicts(data, [Verdict("q1", "d1", 0.0), Verdict("q1", "d2", 1.0)])
        >>> applied.dataset.qrels["q1"], applied.added, applied.removed
        ({'d1': 0.0, 'd2': 1.0}, 1, 1)
    """

    dataset: Dataset
    added: int
    removed: int
    negatives: int
    confirmed: int
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the counts as plain JSON-able values."""
        counts = {name: getattr(self, name) for name in ("added", "removed", "negatives", "confirmed")}
        return {**counts, "lost": list(self.lost)}

    def __str__(self) -> str:
        """Say what changed."""
        changes = (
            f"{counted(self.added, 'answer')} added, {counted(self.removed, 'wrong label')} removed, "
            f"{counted(self.negatives, 'document')} judged not relevant, {counted(self.confirmed, 'label')} confirmed."
        )
        if not self.lost:
            return changes
        found = counted(len(self.lost), "query has", "queries have")
        return f"{changes} {found} no answer any more (such as {examples(self.lost)})."


def write_sheet(rows: Iterable[Mapping[str, Any]], path: str | Path) -> Path:
    """Write suspects as a file to fill in: CSV for a spreadsheet, or JSONL.

    Args:
        rows: With the keys of `COLUMNS`.
        path: Ends in .csv or .jsonl.

    Raises:
        ConfigError: It ends in something else.
        StorageError: The disk refused.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> row = dict.fromkeys(COLUMNS, "") | {"query": "why?", "query_id": "q1"}
        >>> with TemporaryDirectory() as folder:
        ...     write_sheet([row], f"{folder}/sheet.csv").read_text(encoding="utf-8").splitlines()[1]
        ',why?,,,,,,q1,'
    """
    target = as_path(path)
    if target.suffix.lower() == ".jsonl":
        return write_whole(target, (json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows))
    if target.suffix.lower() != ".csv":
        raise ConfigError(f"{target.name} ends in {target.suffix or 'nothing'!r}. Expected .csv or .jsonl.")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_harmless(row[column]) for column in COLUMNS])
    # Excel reads a CSV as UTF-8 only with this mark.
    return write_whole(target, "\ufeff" + text.getvalue())


def read_verdicts(path: str | Path, dataset: Dataset) -> list[Verdict]:
    r"""Read a file that was filled in; rows without a verdict are passed over.

    Args:
        path: As `write_sheet` wrote it. A verdict is yes or no (relevant, not relevant, x, -), or a grade: 0 for not
            relevant, above 0 for relevant.
        dataset: What was audited.

    Raises:
        DataError: A verdict is something else, an id is unknown, two verdicts contradict each other, or there is none.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> data = Dataset.from_pairs([("a", "x")])
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "sheet.csv")
        ...     _ = path.write_text("verdict,query_id,document_id\nno,q1,d1\n")
        ...     read_verdicts(path, data)
        [Verdict(query_id='q1', document_id='d1', grade=0.0)]
    """
    table = read_table(as_path(path))
    if missing := [name for name in ("verdict", "query_id", "document_id") if name not in table.columns]:
        raise DataError(
            f"{path} has no column {examples(missing)}; it has {examples(table.columns, 12)}. Expected the file that "
            "embertune audit wrote, with its columns."
        )
    found: dict[tuple[str, str], Verdict] = {}
    for number, row in table.rows:
        at = f"{path}, {table.unit} {number}"
        grade = _grade(row.get("verdict"), at)
        if grade is None:
            continue
        query, document = (as_text(row.get(name), at).strip() for name in ("query_id", "document_id"))
        for kind, identifier, known in (("query", query, dataset.queries), ("document", document, dataset.corpus)):
            if identifier not in known:
                raise DataError(f"{at}: {dataset.name} has no {kind} {identifier!r}. Was the file made of other data?")
        verdict = Verdict(query, document, grade)
        if found.setdefault((query, document), verdict) != verdict:
            raise DataError(f"{at}: the pair {query!r}, {document!r} has another verdict above. Keep one of them.")
    if not found:
        raise DataError(
            f"{path}: no row has a verdict. Write yes (it answers the query) or no into the column verdict of the rows "
            "that you have looked at."
        )
    return list(found.values())


def apply_verdicts(dataset: Dataset, verdicts: Sequence[Verdict]) -> Applied:
    """Put verdicts into a data set: answers are added, wrong labels become grade 0, other documents too.

    A label that is confirmed keeps its grade.

    Args:
        dataset: What was audited; it stays as it is.
        verdicts: From `read_verdicts`, or of a judge.

    Raises:
        DataError: A verdict names ids that are not there.
    """
    qrels = {query: dict(grades) for query, grades in dataset.qrels.items()}
    added = removed = negatives = confirmed = 0
    for verdict in verdicts:
        grades = qrels.setdefault(verdict.query_id, {})
        before, is_new = grades.get(verdict.document_id, 0.0), verdict.document_id not in grades
        if (before > 0) == (verdict.grade > 0) and not is_new:
            confirmed += 1
            continue
        grades[verdict.document_id] = verdict.grade
        added += verdict.grade > 0
        removed += verdict.grade <= 0 < before
        negatives += verdict.grade <= 0 and before <= 0
    lost = tuple(query for query in dataset.judged if not any(grade > 0 for grade in qrels[query].values()))
    counts = f"{added} answers added, {removed} wrong labels removed, {negatives} documents judged not relevant"
    changed = replace(dataset, qrels=qrels, notes=(*dataset.notes, f"Audited: {counts}."))
    return Applied(changed, added, removed, negatives, confirmed, lost)


def _grade(cell: Any, at: str) -> float | None:
    text = as_text(cell, f"{at}: the verdict").strip().casefold()
    if not text:
        return None
    if text in _YES or text in _NO:
        return 1.0 if text in _YES else 0.0
    try:
        return max(as_grade(text, f"{at}: the verdict"), 0.0)
    except DataError:
        raise DataError(
            f"{at}: the verdict is {shortened(repr(text), 40)}. Expected yes or no, or a grade: 0, 1, 2, …"
        ) from None


def _harmless(cell: Any) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
