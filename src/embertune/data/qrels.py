"""Judgements: who has a relevant document; and on disk, TREC qrels and BEIR's TSV, told apart by their columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from embertune.data.builder import as_grade
from embertune.data.lines import read_lines
from embertune.errors import DataError

__all__ = ["Qrels", "judged_queries", "read_qrels", "read_trec_qrels", "write_qrels"]

Qrels = dict[str, dict[str, float]]

_HEADER = ("query-id", "corpus-id", "score")
_GRADE_NAMES = ("score", "grade", "relevance", "relevancy", "rel", "label", "judgment", "judgement")


def judged_queries(qrels: Mapping[str, Mapping[str, float]]) -> list[str]:
    """List the queries that have a relevant document (a grade above 0), in the order of the judgements.

    Example:
        >>> judged_queries({"a": {"x": 0}, "b": {"x": 0, "y": 0.5}})
        ['b']
    """
    return [query_id for query_id, grades in qrels.items() if any(grade > 0 for grade in grades.values())]


def read_qrels(path: Path) -> tuple[Qrels, list[int]]:
    r"""Read judgements, of 3 columns (query, document, grade; BEIR) or 4 (query, 0, document, grade; TREC).

    Columns are separated by tabs or, in TREC's files, by spaces. A header line is passed over.

    Args:
        path: The file.

    Returns:
        Query id -> document id -> grade, in the order of the file; and the lines that judged a pair again. Of two
        grades the higher is kept.

    Raises:
        DataError: A line has another number of columns or a grade that is no number, or there is no judgement.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "test.tsv")
        ...     _ = path.write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
        ...     read_qrels(path)
        ({'q1': {'d1': 2.0, 'd2': 0.0}}, [])
    """
    qrels: Qrels = {}
    repeated: list[int] = []
    width = 0
    for number, row in _rows(path):
        if len(row) not in (3, 4):
            raise DataError(
                f"{path}:{number}: found {len(row)} columns. Expected 3 (query, document, grade; BEIR) "
                "or 4 (query, 0, document, grade; TREC), separated by tabs."
            )
        if not width:
            width = len(row)
            if _is_header(row):
                continue
        query_id, document_id = row[0], row[-2]
        grade = as_grade(row[-1], f"{path}:{number}: the last column")
        grades = qrels.setdefault(query_id, {})
        if document_id in grades:
            repeated.append(number)
            grade = max(grade, grades[document_id])
        grades[document_id] = grade
    if not qrels:
        raise DataError(f"{path} holds no judgement. Expected lines such as: q1<tab>d7<tab>1")
    return qrels, repeated


def read_trec_qrels(path: str | Path) -> Qrels:
    r"""Read a TREC qrels file (query, 0, document, grade); BEIR's three columns are read too.

    Args:
        path: The file.

    Returns:
        Query id -> document id -> grade. Grades of 0 and below are kept: they are judgements.

    Raises:
        DataError: As `read_qrels`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "qrels.txt")
        ...     _ = path.write_text("301 0 FBIS3-10082 1\n301 0 FBIS3-10169 0\n")
        ...     read_trec_qrels(path)
        {'301': {'FBIS3-10082': 1.0, 'FBIS3-10169': 0.0}}
    """
    return read_qrels(Path(path))[0]


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, float]], query_ids: Iterable[str]) -> None:
    r"""Write the judgements of some queries in BEIR's three columns; integral grades as integers.

    BEIR's own reader takes integers only, so fractional grades are for readers that take floats (ours does).

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "test.tsv")
        ...     write_qrels(path, {"q1": {"d1": 2.0, "d2": 0.5}}, ["q1"])
        ...     path.read_text().splitlines()
        ['query-id\tcorpus-id\tscore', 'q1\td1\t2', 'q1\td2\t0.5']
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        # The quoting of BEIR's GenericDataLoader, so that an id with a tab or a quote comes back whole.
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
        writer.writerow(_HEADER)
        for query_id in query_ids:
            for document_id, grade in qrels[query_id].items():
                grade = float(grade)
                writer.writerow([query_id, document_id, int(grade) if grade.is_integer() else repr(grade)])


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(read_lines(path), delimiter="\t", strict=True)
    try:
        for row in reader:
            if len(row) == 1:
                row = row[0].split()
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}. Expected columns separated by tabs.") from None


def _is_header(row: list[str]) -> bool:
    try:
        float(row[-1])
    except ValueError:
        # Only known words: a broken first judgement ("q1 d1 one") is left to fail with its line.
        return row[-1].strip().lower() in _GRADE_NAMES
    return False
