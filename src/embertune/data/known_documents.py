"""Which document an id or a text of a log means, given the corpus or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embertune.core.paths import as_path
from embertune.data.builder import as_id, as_text, examples
from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.tables import Table, is_frame, read_table, table_of_frame
from embertune.data.texts import counted
from embertune.errors import DataError

__all__ = ["KnownDocuments", "read_corpus"]

_ID = ("_id", "id", "document_id", "doc_id", "docid", "chunk_id", "passage_id", "pid", "url")
_TEXT = ("text", "document", "chunk", "passage", "content", "contents", "body", "answer")
_EXPECTED = "Expected a BEIR folder, a table of ids and texts (columns id and text), or a dictionary of id and text."


class KnownDocuments:
    """Documents by what a log calls them: by id where a corpus is given, else by their text.

    Args:
        corpus: Document id -> document; None where the log holds the texts.

    Example:
        >>> known = KnownDocuments(None)
        >>> known.id_of("a text"), known.id_of("another"), known.id_of("a text")
        ('d1', 'd2', 'd1')
        >>> known = KnownDocuments({"7": Document("a text")})
        >>> known.id_of("7"), known.id_of("a text"), known.id_of("8")
        ('7', '7', None)
    """

    def __init__(self, corpus: Mapping[str, Document] | None) -> None:
        self._corpus = corpus
        self._ids: dict[str, str] = {}
        self._unknown: dict[str, None] = {}
        self._was_found = False
        if corpus is not None:
            for identifier, document in reversed(list(corpus.items())):
                self._ids[document.text.strip()] = self._ids[document.content.strip()] = identifier

    @classmethod
    def of(cls, corpus: Any) -> KnownDocuments:
        """Take what `read_corpus` reads, or None.

        Raises:
            DataError: As `read_corpus`.
        """
        return cls(None if corpus is None else read_corpus(corpus))

    def id_of(self, name: str) -> str | None:
        """Give the id of a document by its id or its text; None if the corpus does not have it."""
        name = name.strip()
        if self._corpus is None:
            return self._ids.setdefault(name, f"d{len(self._ids) + 1}")
        found = name if name in self._corpus else self._ids.get(name)
        if found is None:
            self._unknown[name] = None
        else:
            self._was_found = True
        return found

    def documents(self) -> dict[str, Document]:
        """Give the corpus, or every text that was met."""
        if self._corpus is not None:
            return dict(self._corpus)
        return {identifier: Document(text) for text, identifier in self._ids.items()}

    def notes(self, source: str) -> list[str]:
        """Count the names that no document has.

        Args:
            source: What named them, as the start of a sentence.

        Raises:
            DataError: The corpus has none of them.
        """
        if not self._unknown:
            return []
        found = counted(len(self._unknown), "document", "documents")
        if self._corpus is not None and not self._was_found:
            raise DataError(
                f"{source} names {found} (such as {examples(self._unknown)}), none of them in the corpus of "
                f"{len(self._corpus)} (such as {examples(self._corpus)}). Expected the same ids in both."
            )
        return [f"{source} names {found} that the corpus does not have (such as {examples(self._unknown)}): left out."]


def read_corpus(source: Any) -> Mapping[str, Document]:
    """Read documents and their ids.

    Args:
        source: A data set, a dictionary of id and text or `Document`, a BEIR folder or its corpus.jsonl, a table of ids
            and texts (CSV, TSV, JSONL, Parquet), or a DataFrame.

    Raises:
        DataError: It is none of these, an id stands there twice, or it holds no document.

    Example:
        >>> read_corpus({"7": "a text"})
        {'7': Document(text='a text', title='')}
    """
    if isinstance(source, Dataset):
        return source.corpus
    if isinstance(source, Mapping):
        found = {as_id(key, "An id of the corpus"): _document(value, key) for key, value in source.items()}
    elif isinstance(source, str | os.PathLike):
        path = as_path(source)
        found = _of_table(read_table(path / "corpus.jsonl" if path.is_dir() else _existing(path)))
    elif is_frame(source):
        found = _of_table(table_of_frame(source))
    else:
        raise DataError(f"corpus is a {type(source).__name__}. {_EXPECTED}")
    if not found:
        raise DataError(f"The corpus holds no document. {_EXPECTED}")
    return found


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"There is no file or folder {path}. {_EXPECTED}")
    return path


def _document(value: Any, key: object) -> Document:
    return value if isinstance(value, Document) else Document(as_text(value, f"Document {key!r} of the corpus"))


def _of_table(table: Table) -> dict[str, Document]:
    names = {str(name).strip().casefold(): name for name in reversed(table.columns)}
    identifier, text = (next((names[name] for name in known if name in names), None) for known in (_ID, _TEXT))
    if identifier is None or text is None:
        raise DataError(f"{table.source}: found the columns {examples(table.columns, 12)}. {_EXPECTED}")
    found: dict[str, Document] = {}
    for number, row in table.rows:
        at = f"{table.source} {table.unit} {number}"
        key = as_id(row.get(identifier), f"{at}: the id").strip()
        title = as_text(row.get(names.get("title", "")), f"{at}: the title").strip()
        document = Document(as_text(row.get(text), f"{at}: the text").strip(), title)
        if found.setdefault(key, document) != document:
            raise DataError(f"{at}: the id {key!r} stands there twice, with two texts. Expected each id once.")
    return found
