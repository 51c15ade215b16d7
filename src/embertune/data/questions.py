"""Questions from a file: a text with one on each line, or a table, which may hold reference answers, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embertune.core.paths import as_path
from embertune.data.builder import as_text, examples
from embertune.data.lines import read_lines
from embertune.data.tables import SUFFIXES, read_table
from embertune.data.texts import counted
from embertune.errors import DataError

__all__ = ["Question", "check_ids", "read_questions"]

_QUESTIONS = ("question", "query", "text", "prompt")
_ANSWERS = ("answer", "answers", "reference_answer", "response")
_IDS = ("id", "_id", "question_id", "query_id")


class Question(NamedTuple):
    """What was asked, and what is the right answer, if the file says it.

    Example:
        >>> Question("q1", "how old is it?").answer
        ''
    """

    id: str
    text: str
    answer: str = ""


def read_questions(path: str | Path) -> list[Question]:
    r"""Read questions, in their order.

    Args:
        path: .txt with a question on each line, or a table (.jsonl, .csv, .tsv, .json, .parquet) with a column
            question, query, text or prompt, and perhaps answer (or answers, reference_answer, response: the first that
            a row fills) and id. Rows without a question are passed over.

    Raises:
        DataError: It cannot be read, has no such column, or no question; an answer is a list; an id stands there twice.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "asked.txt")
        ...     _ = path.write_text("how old is it?\n\nwho built it?\n")
        ...     read_questions(path)
        [Question(id='q1', text='how old is it?', answer=''), Question(id='q2', text='who built it?', answer='')]
    """
    source = as_path(path)
    if source.suffix.lower() in (".txt", ".text"):
        found = [Question("", line.strip()) for line in read_lines(source)]
    elif source.suffix.lower() in SUFFIXES:
        found = _from_table(source)
    else:
        raise DataError(f"{source} ends in {source.suffix or 'nothing'!r}. Expected .txt, {', '.join(SUFFIXES)}.")
    kept = [question for question in found if question.text]
    if not kept:
        raise DataError(f"{source} holds no question. Expected one on each line, or a column question.")
    named = [each._replace(id=each.id or f"q{number}") for number, each in enumerate(kept, 1)]
    check_ids(named, str(source))
    return named


def check_ids(questions: Sequence[Question], place: str) -> None:
    """Refuse questions that share an id, because what is said of one would be said of both.

    Args:
        questions: Any number.
        place: Where they are from, as the start of the error.

    Raises:
        DataError: With up to three of the ids.

    Example:
        >>> check_ids([Question("a", "how old?"), Question("a", "how tall?")], "asked.csv")
        Traceback (most recent call last):
        embertune.errors.DataError: asked.csv has 1 id more than once: 'a'. Expected each once; without ids they are \
numbered.
    """
    twice = [key for key, times in Counter(each.id for each in questions).items() if times > 1]
    if twice:
        raise DataError(
            f"{place} has {counted(len(twice), 'id')} more than once: {examples(twice)}. Expected each once; without "
            "ids they are numbered."
        )


def _from_table(source: Path) -> list[Question]:
    table = read_table(source)
    names = {str(name).lower(): str(name) for name in table.columns}
    ids, questions, answers = (
        [names[name] for name in wanted if name in names] for wanted in (_IDS, _QUESTIONS, _ANSWERS)
    )
    if not questions:
        raise DataError(
            f"{source} has the columns {examples(table.columns, 8)}. Expected one of {', '.join(_QUESTIONS)}."
        )
    return [
        Question(
            *(_cell(row, columns, f"{source} {table.unit} {number}") for columns in (ids[:1], questions[:1], answers))
        )
        for number, row in table.rows
    ]


def _cell(row: Mapping[str, Any], columns: Sequence[str], place: str) -> str:
    """Give the first text in any of the columns."""
    texts = (as_text(row.get(column), f"{place}: {column!r}").strip() for column in columns)
    return next(filter(None, texts), "")
