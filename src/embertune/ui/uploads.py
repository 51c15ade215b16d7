"""What a browser sent, put where it can be read: files of a data set, documents, and archives, unpacked with care."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from embertune.data.texts import shortened
from embertune.errors import DataError, StorageError

__all__ = ["gather"]

_MOST_BYTES = 2 * 1024**3
_MOST_FILES = 10_000
_BLOCK = 1 << 20
# Beyond the 1032 that deflate can reach nothing honest compresses; a table of equal rows comes near 300.
_MOST_PACKED = 400
_QRELS = (".tsv", ".txt", ".trec", ".qrels")


def gather(files: Sequence[str | Path], folder: Path) -> Path:
    """Put uploaded files into a folder, as `embertune.data.io.load_dataset` and `read_documents` expect them.

    Zip archives are unpacked. Where there is a corpus.jsonl or a queries.jsonl, other tables are its judgements and go
    into qrels/.

    Args:
        files: Where the browser's files lie.
        folder: An empty folder.

    Returns:
        The one file, or the folder of several.

    Raises:
        DataError: Nothing was sent, or an archive is broken, too large, or names files outside itself.
        StorageError: The disk is full.
    """
    if not files:
        raise DataError("No file was chosen. Drop one or several files, then load them.")
    try:
        for path in map(Path, files):
            if path.suffix.lower() == ".zip":
                _unpack(path, folder)
            else:
                shutil.copyfile(path, _free(folder / _bare(path.name)))
    except OSError as error:
        raise StorageError(
            f"The upload could not be kept: {error.strerror or error}. Nothing was changed; free some space."
        ) from None
    return _arranged(folder)


def _arranged(folder: Path) -> Path:
    """Find what is to be read, below folders that hold one other, and sort judgements into qrels/."""
    found = _visible(folder)
    while len(found) == 1 and found[0].is_dir():
        folder = found[0]
        found = _visible(folder)
    if not found:
        raise DataError("The upload holds no file. Expected tables, a BEIR folder or documents.")
    if len(found) == 1:
        return found[0]
    names = {path.name for path in found}
    if names & {"corpus.jsonl", "queries.jsonl"} and "qrels" not in names:
        tables = [path for path in found if path.suffix.lower() in _QRELS and path.stem != "qrels"]
        if tables:
            (folder / "qrels").mkdir()
        for path in tables:
            path.rename(folder / "qrels" / path.name)
    return folder


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")


def _bare(name: str) -> str:
    """Give the last part of a name that another system wrote."""
    return PurePosixPath(name.replace("\\", "/")).name.lstrip(".") or "upload"


def _free(path: Path) -> Path:
    """Give a name that is not taken."""
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"{path.stem.rpartition('~')[0] or path.stem}~{number}{path.suffix}")
    return path


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, counting what really comes out: the sizes that it states may be lies."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > _MOST_FILES:
                raise DataError(f"{archive.name} holds {len(entries):,} files. Expected at most {_MOST_FILES:,}.")
            left = min(_MOST_BYTES, max(archive.stat().st_size, _BLOCK) * _MOST_PACKED)
            for entry in entries:
                left -= _unpack_one(opened, entry, folder, left, archive.name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{archive.name} is no zip archive that can be read: {shortened(str(error), 120)}. "
            "Pack it anew, without a password, or drop the files themselves."
        ) from None


def _unpack_one(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, left: int, archive: str) -> int:
    target = (folder / entry.filename.replace("\\", "/")).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise DataError(
            f"{archive} holds a file called {shortened(entry.filename)!r}, outside of itself. Nothing was kept; "
            "pack it anew."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > left:
                raise DataError(
                    f"{archive} unpacks to more than it should: it looks like a zip bomb, or holds more than "
                    f"{_MOST_BYTES >> 30} GiB. Nothing was kept. Drop the files themselves."
                )
            file.write(block)
    return written
