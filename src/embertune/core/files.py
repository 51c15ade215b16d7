"""Put a file in place whole, or not at all.

This writes, and yet it lives on the floor of pure functions: rankings (floor 4) and reports (5) are written this way,
and so may be whatever lies above. The floors that both may import are those below 4, and data and encoders own formats.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from embertune.core.paths import as_path
from embertune.errors import StorageError

__all__ = ["check_folder", "replacing", "write_whole"]


def check_folder(path: Path) -> None:
    """Refuse a file whose folder is not there, before anything is computed for it.

    Raises:
        StorageError: It is not there.

    Example:
        >>> check_folder(Path("no such/rows.jsonl"))
        Traceback (most recent call last):
        embertune.errors.StorageError: There is no folder no such to write rows.jsonl to. Type: mkdir -p 'no such'
    """
    if not path.parent.is_dir():
        raise _no_folder(path)


def _no_folder(path: Path) -> StorageError:
    return StorageError(
        f"There is no folder {path.parent} to write {path.name} to. Type: mkdir -p {shlex.quote(str(path.parent))}"
    )


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    r"""Open a file for writing that takes its place when all is written; till then what stood there stays.

    Args:
        path: Where to; its folder must exist.

    Raises:
        StorageError: The folder is missing, or it or the disk refused; nothing changed. After any other error nothing
            changed either.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/three.bin") as file:
        ...         _ = file.write(bytes(3))
        ...     Path(folder, "three.bin").read_bytes()
        b'\x00\x00\x00'
    """
    target = as_path(path)
    staging: str | None = None
    try:
        handle, staging = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(staging, 0o644)
        os.replace(staging, target)
        staging = None
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not os.path.isdir(target.parent):
            raise _no_folder(target) from None
        raise StorageError(
            f"{target} could not be written: {error.strerror or error}. What stood there before is unchanged. "
            "Free some space or name another place."
        ) from None
    finally:
        if staging is not None:
            Path(staging).unlink(missing_ok=True)


def write_whole(path: str | Path, text: str | Iterable[str]) -> Path:
    """Write UTF-8 text to a file; what stood there stays until the new text lies complete beside it.

    Args:
        path: Where to; its folder must exist.
        text: What: one text, or pieces of it.

    Returns:
        The path.

    Raises:
        StorageError: The folder is missing, or it or the disk refused; nothing changed.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(f"{folder}/note.txt", "q → d").read_text(encoding="utf-8")
        'q → d'
    """
    pieces = [text] if isinstance(text, str) else text
    with replacing(path) as file:
        # Bytes, so that two systems write equal files. Half a surrogate pair, which broken texts hold, has no UTF-8;
        # its escape is what JSON would write, too.
        file.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)
    return as_path(path)
