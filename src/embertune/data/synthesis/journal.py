"""Every answer is written down when it arrives, so that it is paid for once.

The journal is one SQLite file, as the cache of embeddings is. Several processes may write to it at once, and after
``kill -9`` every answer is in it whole or not at all. It holds answers and hashes of what was asked: no prompt, no
document, no key. A disk that is full is an error, raised after the answers that had arrived were written to space
that was kept for them.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from embertune.core.paths import as_path, cache_folder
from embertune.errors import StorageError

__all__ = ["Journal", "answer_key", "open_journal"]

_FILE = "answers.sqlite3"
_BUSY_SECONDS = 30
_SYNC_SECONDS = 2.0
# Sixteen answers of 8 kB are under way at most in common settings; SQLite writes each twice, log and table.
_RESERVE_BYTES = 512 * 1024
_LOOKUP = 500  # SQLite before 3.32 allows 999 parameters


def answer_key(asked: Mapping[str, Any]) -> bytes:
    """Hash everything that an answer depends on.

    Example:
        >>> answer_key({"model": "m", "n": 1}) == answer_key({"n": 1, "model": "m"})
        True
    """
    told = json.dumps(asked, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(told.encode("ascii")).digest()


def open_journal(path: str | Path | None = None) -> Journal:
    """Open a journal: a file, or that of this user.

    Where the cache is switched off (``EMBERTUNE_CACHE=off``) and no file is named it is held in memory, and
    nothing is kept for the next time.

    Raises:
        StorageError: It cannot be opened or written to.
    """
    if path is not None:
        return Journal(as_path(path))
    folder = cache_folder()
    return Journal(None if folder is None else folder / _FILE)


class Journal:
    """Answers by the hash of what was asked; used by several threads.

    Args:
        path: The file; None keeps it in memory.

    Raises:
        StorageError: It cannot be opened or written to, or is damaged.

    Example:
        >>> with Journal(None) as journal:
        ...     journal.put([(b"key", ["an answer"])])
        ...     journal.get([b"key", b"another"])
        {b'key': ['an answer']}
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._synced = time.monotonic()
        self._reserve = None if path is None else path.with_name(path.name + ".reserve")
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()
            self._fill_reserve()
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error, "Nothing was asked yet.") from None

    def __enter__(self) -> Journal:
        """Use it in a with statement, which closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; what was put is already written."""
        self.close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Any]:
        """Find answers; a missing one is left out.

        Raises:
            StorageError: The file cannot be read.
        """
        found = {}
        try:
            for start in range(0, len(keys), _LOOKUP):
                part = keys[start : start + _LOOKUP]
                query = f"SELECT key, answer FROM answers WHERE key IN ({','.join('?' * len(part))})"
                with self._lock, closing(self._connection.execute(query, part)) as cursor:
                    rows = cursor.fetchall()
                found.update({key: json.loads(answer) for key, answer in rows})
        except sqlite3.Error as error:
            raise self._refused(error, "Answers in it are kept.") from None
        return found

    def put(self, rows: Sequence[tuple[bytes, Any]]) -> None:
        """Write answers down, all or none.

        Raises:
            StorageError: The disk refused. On a full disk these answers are written all the same, where the space that
                was kept for them is still there.
        """
        content = [(key, json.dumps(answer, ensure_ascii=True)) for key, answer in rows]
        with self._lock:
            try:
                self._write(content)
            except sqlite3.Error as error:
                raise self._rescue(error, content) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path or ":memory:", timeout=_BUSY_SECONDS, check_same_thread=False)
        if self.path is not None:
            self.path.chmod(0o600)  # what a model wrote about private documents
        # Switching the mode can be refused while another process opens the file; that one then sets it.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL leaves a commit to the system, which keeps it when this process is killed. A power cut can
        # take what came after the last checkpoint.
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL)")
        return connection

    def _write(self, content: Sequence[tuple[bytes, str]]) -> None:
        # Whoever lists all objects (a memory profiler) holds the cursor, too. Dropped when not closed it resets its
        # statement, which another thread may be executing by then.
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", content).close()
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._synced = time.monotonic()

    def _rescue(self, error: sqlite3.Error, content: Sequence[tuple[bytes, str]]) -> StorageError:
        """Write once more, to the space that was kept for this."""
        kept = "The last answer could not be written and will be asked again."
        if self._reserve is not None:
            with suppress(OSError):
                self._reserve.unlink(missing_ok=True)
            with suppress(sqlite3.Error):
                self._write(content)
                kept = "Every answer that arrived is in it."
        return self._refused(error, kept)

    def _fill_reserve(self) -> None:
        if self._reserve is None or (self._reserve.is_file() and self._reserve.stat().st_size == _RESERVE_BYTES):
            return
        self._reserve.write_bytes(b"\xff" * _RESERVE_BYTES)  # real bytes: zeros take no space on some disks

    def _refused(self, error: Exception, kept: str) -> StorageError:
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        line = f"mv {self.path} {self.path}.damaged" if damaged else "journal=FILE (--journal FILE) on another disk"
        what = "Move it away" if damaged else "Free space or name another file"
        return StorageError(f"The journal {self.path} cannot be used: {error}. {kept} {what}, then run again: {line}")
