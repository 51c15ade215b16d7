"""Which column of a table is the query, which the document: by the names that users have, or as told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from embertune.data.builder import examples
from embertune.data.log_columns import FEEDBACK
from embertune.errors import DataError

__all__ = ["Columns", "recognise_columns"]

# Of several that are present the first counts: a table with "context" and "answer" (SQuAD) searches contexts.
_NAMES: dict[str, tuple[str, ...]] = {
    "query": (
        *("query", "queries", "question", "questions", "anchor", "query_text", "question_text", "search_query"),
        *("user_query", "prompt_query", "q", "doc1", "text1", "text_1", "sentence1", "sentence_1", "sentence_a"),
    ),
    "document": (
        *("document", "documents", "chunk", "chunks", "passage", "passages", "positive", "positives", "pos"),
        *("positive_passages", "positive_1", "positive_doc", "context", "contexts", "text", "content", "document_text"),
        *("doc_text", "passage_text", "answer", "answers", "response", "doc", "paragraph", "body"),
        *("doc2", "text2", "text_2", "sentence2", "sentence_2", "sentence_b"),
    ),
    "title": ("title", "document_title", "doc_title", "passage_title"),
    "score": ("similarity", "score", "label", "labels", "similarity_score", "grade", "relevance", "rating", "target"),
    # Not a bare "id": it names the row as often as the query or the document.
    "query_id": ("query_id", "queryid", "qid"),
    "document_id": ("document_id", "documentid", "doc_id", "docid", "corpus_id", "corpusid", "pid"),
}
_NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?(_(doc|document|passage)s?)?_?\d*")
ROLES = ("query", "document", "negative", "score", "title", "query_id", "document_id")
# Where no score is there: a row is no pair then, as half of them may say that the passage was wrong.
_VOTES = tuple(name for name in FEEDBACK["vote"] if name not in _NAMES["score"])
_EXPECTED = (
    "Expected a column for the query (query, question, anchor, …) and one for the document (document, chunk, passage, "
    "positive, context, answer, text, …), and if there are any: negative, negative_1, hard_negatives, …; "
    "similarity, score, label; title; query_id, document_id; or doc1, doc2 and similarity."
)


@dataclass(frozen=True)
class Columns:
    """The columns of a table by their role.

    Example:
        >>> Columns(query="question", document="chunk").used
        ['question', 'chunk']
    """

    query: str
    document: str
    negatives: tuple[str, ...] = ()
    score: str | None = None
    title: str | None = None
    query_id: str | None = None
    document_id: str | None = None

    @property
    def used(self) -> list[str]:
        """All of them."""
        others = (self.score, self.title, self.query_id, self.document_id)
        return [self.query, self.document, *self.negatives, *(name for name in others if name)]


def recognise_columns(names: Sequence[str], given: Mapping[str, str | Sequence[str]] | None, source: str) -> Columns:
    """Find the role of each column.

    Args:
        names: The columns that the table has.
        given: Role ("query", "document", "negative", "score", "title", "query_id", "document_id") -> column, for those
            whose name says something else; "negative" takes a list too. Roles that are not given are recognised.
        source: The file, for the error.

    Raises:
        DataError: No query or no document column is recognised, a given one is not there, or rows hold thumbs.

    Example:
        >>> recognise_columns(["Question", "answer", "hard_negative_1", "qid", "id"], None, "a.csv").used
        ['Question', 'answer', 'hard_negative_1', 'qid']
        >>> recognise_columns(["x", "chunk"], {"query": "x"}, "a.csv").query
        'x'
    """
    told = _check_given(names, given or {}, source)
    taken = {column for columns in told.values() for column in columns}
    free = {_normal(name): name for name in reversed(names) if name not in taken}
    chosen = {role: columns[0] for role, columns in told.items() if role != "negative"}
    for role, known in _NAMES.items():
        if role not in chosen and (match := next((name for name in known if name in free), None)):
            chosen[role] = free.pop(match)
    votes = [name for name in names if _normal(name) in _VOTES and name in free.values()]
    if votes and "score" not in chosen:
        raise DataError(
            f"{source} has the column {votes[0]!r}, a name of thumbs up and down: read as pairs, passages with a thumb "
            f"down would count as answers. Type: embertune feedback {source}, or "
            f"Dataset.from_feedback({source!r}). If {votes[0]!r} grades how well a document answers, say so: "
            f"--columns score={votes[0]}. If it is something else, give it another name."
        )
    negatives = told.get("negative") or tuple(name for name in names if _is_negative(name) and name in free.values())
    if missing := [role for role in ("query", "document") if role not in chosen]:
        raise DataError(_missing_text(names, missing, source))
    return Columns(negatives=negatives, **chosen)


def _is_negative(name: str) -> bool:
    return _NEGATIVE.fullmatch(_normal(name)) is not None


def _normal(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", str(name).strip().casefold())


def _check_given(
    names: Sequence[str], given: Mapping[str, str | Sequence[str]], source: str
) -> dict[str, tuple[str, ...]]:
    told: dict[str, tuple[str, ...]] = {}
    for role, value in given.items():
        if role not in ROLES:
            hint = _did_you_mean(role, ROLES)
            raise DataError(f"columns= has the role {role!r}. Expected {', '.join(ROLES)}.{hint}")
        columns = (value,) if isinstance(value, str) else tuple(value)
        if role != "negative" and len(columns) != 1:
            raise DataError(f"columns= gives {len(columns)} columns for {role!r}. Expected one.")
        if absent := [column for column in columns if column not in names]:
            raise DataError(
                f"{source} has no column {absent[0]!r}, which columns= gives for {role!r}. "
                f"It has: {examples(names, 12)}.{_did_you_mean(absent[0], names)}"
            )
        told[role] = columns
    return told


def _missing_text(names: Sequence[str], missing: Sequence[str], source: str) -> str:
    hints = ""
    for role in missing:
        for name in names:
            near = get_close_matches(_normal(name), _NAMES[role], n=1, cutoff=0.8)
            if near and not hints:
                hints = f" Did you mean {near[0]!r} by {name!r}?"
    options = " ".join(f'--columns "{role}=<your column>"' for role in missing)
    mapping = ", ".join(f'"{role}": "<your column>"' for role in missing)
    found = f"found the columns {examples(names, 12)}" if names else "found no columns"
    return (
        f"{source}: {found}; none is recognised as the {' or the '.join(missing)}.{hints} {_EXPECTED} "
        f"Or say which it is: {options}, in Python columns={{{mapping}}}"
    )


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
