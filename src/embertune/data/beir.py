"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/*.tsv, read and written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embertune.core.paths import as_path
from embertune.data.builder import PARTS, as_id, as_text, examples, without_text
from embertune.data.document import Document
from embertune.data.lines import read_json_lines
from embertune.data.origin import Origin
from embertune.data.qrels import Qrels, judged_queries, read_qrels, write_qrels
from embertune.data.texts import counted
from embertune.errors import DataError, StorageError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset

__all__ = ["is_beir", "part_of", "read_beir", "write_beir"]

_ID_KEYS = ("_id", "id", "docid", "doc_id", "query_id", "qid")
_TEXT_KEYS = ("text", "contents", "content")
_QRELS_SUFFIXES = (".tsv", ".txt", ".trec", ".qrels")
_ENTRIES = ("corpus.jsonl", "queries.jsonl", "qrels")
_OTHER = "other"  # the qrels file of queries that belong to no part
_PART_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "development": "dev",
    "test": "test",
    "testing": "test",
}


def part_of(stem: str) -> str:
    """Tell which part a file is by its name; nothing where it is none.

    Example:
        >>> part_of("Validation"), part_of("extra")
        ('dev', '')
    """
    return _PART_NAMES.get(stem.lower(), "")


def is_beir(folder: Path) -> bool:
    """Tell whether a folder looks like BEIR's: it has a corpus.jsonl or a queries.jsonl.

    Example:
        >>> is_beir(Path("no such folder"))
        False
    """
    return (folder / "corpus.jsonl").is_file() or (folder / "queries.jsonl").is_file()


def read_beir(folder: Path, name: str) -> Dataset:
    """Read a BEIR folder.

    Judgements are in ``qrels/train.tsv``, ``dev.tsv``, ``test.tsv``, or in one ``qrels.tsv``. A folder whose only
    file is ``qrels/test.tsv`` (as most of BEIR) or ``qrels.tsv`` gives no split, so `parts` is empty. Queries and
    documents without text are left out with their judgements, and counted in `notes`. A query whose "metadata" says
    ``{"synthetic": true, "generator": …, "style": …}`` is one that nobody asked.

    Args:
        folder: Where corpus.jsonl and queries.jsonl are.
        name: What reports call it.

    Raises:
        DataError: A file is missing, empty or broken, or judgements name ids that are not there.
    """
    from embertune.data.dataset import Dataset

    for file in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / file).is_file():
            found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8])
            raise DataError(
                f"{folder} has no {file} (it holds {found}). Expected corpus.jsonl, queries.jsonl and qrels/."
            )
    notes: list[str] = []
    corpus, empty_documents = _read_texts(folder / "corpus.jsonl", "documents", notes)
    synthetic: dict[str, Origin] = {}
    titled, empty_queries = _read_texts(folder / "queries.jsonl", "queries", notes, synthetic)
    queries = {query_id: document.text for query_id, document in titled.items()}
    qrels, parts = _read_judgements(_qrels_files(folder), notes)
    _check_ids(folder, qrels, (queries.keys() | empty_queries, corpus.keys() | empty_documents))
    qrels = _without(qrels, empty_queries, empty_documents, notes)
    if not judged_queries(qrels):
        raise DataError(f"{folder}: no judgement has a grade above 0, so no document is relevant to any query.")
    parts = {query_id: part for query_id, part in parts.items() if query_id in qrels}
    synthetic = {query_id: origin for query_id, origin in synthetic.items() if query_id in queries}
    return Dataset(
        corpus=corpus, queries=queries, qrels=qrels, name=name, parts=parts, notes=tuple(notes), synthetic=synthetic
    )


def write_beir(dataset: Dataset, folder: Path) -> None:
    """Write a BEIR folder that any tool of the field reads.

    ``qrels/`` holds one file for each part. Without parts it is one ``qrels/test.tsv``, the file that BEIR's and
    MTEB's loaders open by default; queries without a part, where others have one, go to ``qrels/other.tsv``.

    A data set of which every query is a test query loads again without parts: one lone test.tsv is no split.

    Everything is written to a temporary folder first and moved into place when it is complete, so a full disk
    harms nothing that was there. Other files of an existing folder stay; its old ``qrels/`` is replaced as a whole.

    Args:
        dataset: What to write.
        folder: Where to; made if absent.

    Raises:
        StorageError: The disk or the folder refused.
    """
    folder = as_path(folder)
    is_new = not folder.exists()
    temporary: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Inside the folder, so that moving stays on one disk and needs no right to write beside it.
        temporary = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
        _write_files(dataset, temporary)
        _move_in(temporary, folder)
    except OSError as error:
        raise StorageError(
            f"The data set {dataset.name!r} could not be written to {folder}: {error.strerror or error}. "
            "What was there before is unharmed. Free some space, or choose a folder that you may write to."
        ) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _move_in(complete: Path, folder: Path) -> None:
    """Move a complete data set into its place, and what was there back if that fails half-way."""
    old = complete / "old"
    old.mkdir()
    try:
        for entry in _ENTRIES:
            if (folder / entry).exists():
                (folder / entry).replace(old / entry)
        for entry in _ENTRIES:
            (complete / entry).replace(folder / entry)
    except OSError:
        for entry in _ENTRIES:
            if (old / entry).exists():
                (old / entry).replace(folder / entry)
        raise


def _read_texts(
    path: Path, kind: str, notes: list[str], synthetic: dict[str, Origin] | None = None
) -> tuple[dict[str, Document], set[str]]:
    """Read ids and texts, and who wrote those that are synthetic; give also the ids of those that have no text."""
    texts: dict[str, Document] = {}
    empty: dict[str, None] = {}
    repeated = 0
    for number, row in read_json_lines(path):
        identifier, document = _read_text(row, f"{path}:{number}")
        if not document.content:
            empty[identifier] = None
        elif identifier in texts:
            if texts[identifier] != document:
                raise DataError(
                    f"{path}:{number}: the id {identifier!r} stands on an earlier line with another text. "
                    "Expected one line for each id."
                )
            repeated += 1
        else:
            texts[identifier] = document
            if synthetic is not None and (origin := _origin(row, f"{path}:{number}")):
                synthetic[identifier] = origin
    if not texts:
        raise DataError(f'{path} holds no {kind} with text. Expected lines such as {{"_id": "1", "text": "…"}}.')
    empty = {identifier: None for identifier in empty if identifier not in texts}
    if empty:
        notes.append(without_text(empty, kind == "queries"))
    if repeated:
        lines = counted(repeated, f"line of {path.name} repeats", f"lines of {path.name} repeat")
        notes.append(f"{lines} an earlier one and {'was' if repeated == 1 else 'were'} merged.")
    return texts, set(empty)


def _read_text(row: Mapping[str, Any], place: str) -> tuple[str, Document]:
    id_key = next((key for key in _ID_KEYS if key in row), None)
    text_key = next((key for key in _TEXT_KEYS if key in row), None)
    if id_key is None or text_key is None:
        raise DataError(f"{place}: found the keys {examples(row, 8)}. Expected '_id' and 'text' (and 'title').")
    identifier = as_id(row[id_key], f"{place}: the id")
    text = as_text(row[text_key], f"{place}: the text")
    return identifier, Document(text, as_text(row.get("title"), f"{place}: the title"))


def _origin(row: Mapping[str, Any], place: str) -> Origin | None:
    """Read who wrote a query: BEIR has room for it in "metadata", whose other entries are not looked at."""
    told = row.get("metadata")
    if not isinstance(told, Mapping) or not told.get("synthetic"):
        return None
    generator, style = (as_text(told.get(key), f"{place}: {key!r} of the metadata") for key in ("generator", "style"))
    return Origin(generator or "unknown", style)


def _qrels_files(folder: Path) -> list[tuple[Path, str]]:
    """Find the files of judgements, and the part that each is."""
    inside = folder / "qrels"
    if inside.is_dir():
        files = [file for file in sorted(inside.iterdir()) if file.suffix in _QRELS_SUFFIXES and file.is_file()]
        found = [(file, part_of(file.stem)) for file in files]
        # Train first, so that of a query in two files the judgements stand in the order of use.
        found.sort(key=lambda pair: PARTS.index(pair[1]) if pair[1] else len(PARTS))
        if [part for _, part in found] == ["test"]:
            found = [(found[0][0], "")]
    else:
        found = [(folder / f"qrels{suffix}", "") for suffix in _QRELS_SUFFIXES if (folder / f"qrels{suffix}").is_file()]
    if not found:
        raise DataError(
            f"{folder} has no qrels: which document answers which query is not told. Expected qrels/test.tsv (and "
            "train.tsv, dev.tsv) or qrels.tsv, with the lines: query-id<tab>corpus-id<tab>score"
        )
    return found


def _read_judgements(files: list[tuple[Path, str]], notes: list[str]) -> tuple[Qrels, dict[str, str]]:
    pooled: Qrels = {}
    parts: dict[str, str] = {}
    crossed: dict[str, None] = {}
    for path, part in files:
        qrels, repeated = read_qrels(path)
        if repeated:
            lines = counted(len(repeated), f"line of {path.name} judges", f"lines of {path.name} judge")
            notes.append(f"{lines} a pair again; the higher grade was kept (such as line {repeated[0]}).")
        if not part and len(files) > 1:
            notes.append(f"{path.name} is none of train, dev and test: its queries belong to no part of their own.")
        for query_id, grades in qrels.items():
            known = pooled.setdefault(query_id, {})
            for document_id, grade in grades.items():
                known[document_id] = max(grade, known.get(document_id, grade))
            if part:
                if parts.get(query_id, part) != part:
                    crossed[query_id] = None
                parts[query_id] = part
    if crossed:
        notes.append(
            f"{counted(len(crossed), 'query stands', 'queries stand')} in the qrels of more than one part (such as "
            f"{examples(crossed)}); each was kept in the last of train, dev, test, with all its judgements."
        )
    return pooled, parts


def _check_ids(folder: Path, qrels: Qrels, known: tuple[set[str], set[str]]) -> None:
    documents = {document_id: None for grades in qrels.values() for document_id in grades}
    problems = []
    for ids, there, kind, file in (
        (qrels, known[0], "query", "queries.jsonl"),
        (documents, known[1], "document", "corpus.jsonl"),
    ):
        if unknown := [identifier for identifier in ids if identifier not in there]:
            sample = examples(sorted(there))
            problems.append(
                f"{len(unknown)} of {len(ids)} {kind} ids in the qrels are not in {file} (such as {examples(unknown)}; "
                f"{file} has {sample})"
            )
    if problems:
        raise DataError(
            f"{folder}: {'; and '.join(problems)}. Expected every id of the qrels in both files: "
            "add what is missing, or remove those lines of the qrels."
        )


def _without(qrels: Qrels, queries: set[str], documents: set[str], notes: list[str]) -> Qrels:
    if not queries and not documents:
        return qrels
    kept = {
        query_id: {document_id: grade for document_id, grade in grades.items() if document_id not in documents}
        for query_id, grades in qrels.items()
        if query_id not in queries
    }
    kept = {query_id: grades for query_id, grades in kept.items() if grades}
    lost = sum(map(len, qrels.values())) - sum(map(len, kept.values()))
    if lost:
        one = "judgement names a query or a document without text and was"
        many = "judgements name a query or a document without text and were"
        notes.append(f"{counted(lost, one, many)} left out.")
    return kept


def _write_files(dataset: Dataset, folder: Path) -> None:
    _write_json_lines(
        folder / "corpus.jsonl",
        ({"_id": key, "title": document.title, "text": document.text} for key, document in dataset.corpus.items()),
    )
    _write_json_lines(folder / "queries.jsonl", _query_rows(dataset))
    (folder / "qrels").mkdir()
    files: dict[str, list[str]] = {}
    for query_id in dataset.qrels:
        files.setdefault(dataset.parts.get(query_id, _OTHER if dataset.parts else "test"), []).append(query_id)
    for part, query_ids in files.items():
        write_qrels(folder / "qrels" / f"{part}.tsv", dataset.qrels, query_ids)


def _query_rows(dataset: Dataset) -> Iterable[Mapping[str, Any]]:
    for key, text in dataset.queries.items():
        origin = dataset.synthetic.get(key)
        metadata = {} if origin is None else {"metadata": {"synthetic": True, **origin._asdict()}}
        yield {"_id": key, "text": text, **metadata}


def _write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("wb") as file:
        for row in rows:
            try:
                line = json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError:  # half a surrogate pair has no UTF-8; escaped it is valid JSON
                line = json.dumps(row).encode()
            file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
