"""Documents from a file or a folder: which file is read by what, and what was passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.data.builder import examples
from embertune.data.sources.base import SourceText
from embertune.data.sources.docx import read_docx
from embertune.data.sources.html import read_html
from embertune.data.sources.markdown import read_markdown
from embertune.data.sources.pdf import read_pdf
from embertune.data.sources.plain import read_jsonl, read_text
from embertune.data.texts import counted
from embertune.errors import DataError

__all__ = ["READERS", "Sources", "read_documents"]

READERS: dict[str, Callable[[Path, str], list[SourceText]]] = {
    ".txt": read_text,
    ".text": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
}


class Sources(NamedTuple):
    """What was read, and what was not.

    Example:
        >>> Sources((SourceText("Keys keep their order."),), ()).notes
        ()
    """

    texts: tuple[SourceText, ...]
    """In the order of their paths."""
    notes: tuple[str, ...]
    """Sentences: what was passed over and why, with counts."""


def read_documents(path: str | os.PathLike[str], *, progress: Progress = silent) -> Sources:
    r"""Read a document, or every document of a folder and the folders in it, by path.

    Read are .txt, .md, .html, .pdf, .docx and .jsonl (an object with "text", and "title" if it has one, on each line).
    Of a folder, hidden files, files of another kind, empty files and those that cannot be read are passed over and
    counted in the notes; a single file that cannot be read is an error.

    Args:
        path: A file or a folder.
        progress: Told of every file.

    Raises:
        DataError: Nothing there has text that can be read.
        MissingExtraError: The library that reads such a file is not installed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "b.txt").write_text("Keys keep their order.")
        ...     _ = Path(folder, "a.md").write_text("# Lists\n\nThey may be sorted.")
        ...     [(text.source, text.title) for text in read_documents(folder).texts]
        [('a.md', 'Lists'), ('b.txt', '')]
    """
    root = as_path(path)
    if not root.exists():
        raise DataError(f"There is no file or folder {root}. {_KINDS}")
    if root.is_dir():
        return _read_folder(root, progress)
    if root.suffix.lower() not in READERS:
        raise DataError(f"{root} ends in {root.suffix.lower() or 'nothing'!r}, which is not read. {_KINDS}")
    texts = tuple(text for text in READERS[root.suffix.lower()](root, root.name) if text.text.strip())
    if not texts:
        raise DataError(f"{root} holds no text.")
    return Sources(texts, ())


_KINDS = f"Expected a folder, or a file that ends in {', '.join(READERS)}."


def _read_folder(root: Path, progress: Progress) -> Sources:
    files, hidden = _files(root)
    readable = [file for file in files if file.suffix.lower() in READERS]
    texts: list[SourceText] = []
    empty: list[str] = []
    broken: list[str] = []
    for at, file in enumerate(readable):
        progress("read documents", at, len(readable))
        source = file.relative_to(root).as_posix()
        try:
            found = [text for text in READERS[file.suffix.lower()](file, source) if text.text.strip()]
        except DataError as error:
            broken.append(str(error))
            continue
        texts += found
        if not found:
            empty.append(source)
    progress("read documents", len(readable), len(readable))
    unknown = Counter(file.suffix.lower() or "nothing" for file in files if file.suffix.lower() not in READERS)
    notes = tuple(_notes(hidden, unknown, empty, broken))
    if not texts:
        raise DataError("\n- ".join([f"{root} holds no document that can be read. {_KINDS}", *notes]))
    return Sources(tuple(texts), notes)


def _files(root: Path) -> tuple[list[Path], int]:
    """List the files below a folder, sorted by path, and count those that are hidden."""
    found: list[Path] = []
    hidden = 0
    for folder, folders, names in os.walk(root):
        hidden += sum(name.startswith(".") for name in [*names, *folders])
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda file: file.relative_to(root).parts), hidden


def _notes(hidden: int, unknown: Counter[str], empty: list[str], broken: list[str]) -> list[str]:
    notes = []
    if hidden:
        notes.append(f"{counted(hidden, 'hidden file or folder was', 'hidden files or folders were')} passed over.")
    if unknown:
        kinds = ", ".join(f"{count} {kind}" for kind, count in unknown.most_common(8))
        total = counted(unknown.total(), "file is of another kind and was", "files are of other kinds and were")
        notes.append(f"{total} passed over ({kinds}).")
    if empty:
        total = counted(len(empty), "file holds no text and was", "files hold no text and were")
        notes.append(f"{total} passed over (such as {examples(empty)}).")
    if broken:
        total = counted(len(broken), "file could not be read and was", "files could not be read and were")
        notes.append(f"{total} passed over: {' '.join(broken[:3])}")
    return notes
