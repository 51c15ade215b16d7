"""Every text is embedded, and paid for, once: vectors on disk, found by a hash of how they were made.

The store is one SQLite file. It is safe under several processes (write-ahead log, busy timeout) and
under ``kill -9`` (a batch is committed whole or not at all). Every entry has a checksum, and one that
does not match is a miss. A disk that is full or read-only costs the cache, never the embedding run.
Texts are not stored, only hashes of them.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from embertune.core.paths import cache_folder
from embertune.core.vectors import Vectors

__all__ = ["CacheSession", "VectorCache", "cache_key", "default_cache"]

_log = logging.getLogger(__name__)

_FILE = "embeddings.sqlite3"
_BUSY_SECONDS = 30
_LOOKUP = 500  # SQLite before 3.32 allows 999 parameters
_DIGEST = 16


def cache_key(parts: Sequence[str]) -> bytes:
    """Hash what determines a vector; the borders between the parts count.

    Example:
        >>> cache_key(["ab", "c"]) == cache_key(["a", "bc"])
        False
    """
    state = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.digest()


def default_cache() -> VectorCache | None:
    """Give the cache of this user, or None where it is switched off.

    ``EMBERTUNE_CACHE`` names another folder; "off" disables it.
    """
    folder = cache_folder()
    return None if folder is None else VectorCache(folder)


class VectorCache:
    """Vectors on disk, in one file of a folder.

    Args:
        folder: Created on first use.

    Example:
        >>> import tempfile
        >>> key = cache_key(["openai", "text-embedding-3-small", "query", "how do I split a list"])
        >>> with tempfile.TemporaryDirectory() as folder, VectorCache(folder).session() as session:
        ...     session.put([key], np.ones((1, 3), dtype=np.float32))
        ...     session.get([key])[key].tolist()
        [1.0, 1.0, 1.0]
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / _FILE
        self._warned = False

    @contextmanager
    def session(self) -> Iterator[CacheSession]:
        """Open the file for a series of lookups and inserts in one thread."""
        session = CacheSession(self)
        try:
            yield session
        finally:
            session.close()

    def warn(self, what: str, error: Exception) -> None:
        """Say once that the cache is not used as it should be; the run goes on without it."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s %s (%s). Embedding goes on, but these vectors will be computed, and paid for, again next time. "
                "Free space, or choose another folder with EMBERTUNE_CACHE=FOLDER.",
                what,
                self.path,
                error,
            )

    def __repr__(self) -> str:
        """Give the call that makes it."""
        return f"VectorCache({str(self.folder)!r})"


class CacheSession:
    """One open connection; made by `VectorCache.session`. No method raises because of the disk."""

    def __init__(self, cache: VectorCache) -> None:
        self._cache = cache
        self._connection: sqlite3.Connection | None = None
        self._writable = True
        self._file: tuple[int, int] | None = None
        self._open()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Find vectors; a missing or damaged entry is left out.

        Args:
            keys: From `cache_key`.

        Returns:
            Key -> vector (d,), for the keys that were found.
        """
        if self._connection is None:
            return {}
        try:
            return self._get(self._connection, keys)
        except sqlite3.OperationalError as error:
            self._cache.warn("Could not read the cache", error)
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
        return {}

    def put(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Store vectors, all or none.

        Args:
            keys: From `cache_key`.
            vectors: (n, d), one row per key.
        """
        if self._connection is None or not self._writable:
            return
        rows = []
        for key, vector in zip(keys, np.ascontiguousarray(vectors, dtype="<f4"), strict=True):
            data = vector.tobytes()
            rows.append((key, data, _checksum(key, data)))
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows).close()
        except sqlite3.OperationalError as error:  # full disk, read-only folder, lock held too long
            self._writable = False
            self._cache.warn("Could not write to the cache", error)
        except sqlite3.DatabaseError as error:
            self._move_aside(error)

    def close(self) -> None:
        """Close the file; what was put is already committed."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _open(self) -> None:
        try:
            self._cache.folder.mkdir(parents=True, exist_ok=True)
            self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            self.close()
            self._open_for_reading(error)
        except sqlite3.DatabaseError as error:
            self._move_aside(error)

    def _connect(self) -> None:
        path = self._cache.path
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        self._file = _identity(path)
        # Switching the mode can be refused while another process opens the file; that one then sets it.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL can lose the last commits on a power cut, but never damages the file.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, data BLOB NOT NULL, checksum BLOB NOT NULL)"
            )

    def _open_for_reading(self, cause: Exception) -> None:
        self._writable = False
        self._cache.warn("Could not write to the cache", cause)
        try:
            if self._cache.path.is_file():
                # immutable: a write-ahead log cannot be opened where its helper files cannot be made.
                uri = f"{self._cache.path.resolve().as_uri()}?mode=ro&immutable=1"
                self._connection = sqlite3.connect(uri, uri=True)
        except (OSError, sqlite3.Error):
            self._connection = None

    def _move_aside(self, error: Exception) -> None:
        """Keep a damaged file for inspection under another name, and go on with a new one."""
        damaged = self._file
        self.close()
        path = self._cache.path
        kept = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        try:
            # Another process may have moved it and begun a good file in the meantime.
            if damaged is None or _identity(path) == damaged:
                path.rename(kept)
                for suffix in ("-wal", "-shm"):
                    with suppress(FileNotFoundError):
                        path.with_name(path.name + suffix).unlink()
                _log.warning(
                    "The cache %s is damaged (%s). It was moved to %s and a new one begun.", path, error, kept.name
                )
            self._connect()
        except (OSError, sqlite3.Error) as problem:
            self.close()
            self._cache.warn("Could not replace the damaged cache", problem)

    @staticmethod
    def _get(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(keys), _LOOKUP):
            part = keys[start : start + _LOOKUP]
            query = f"SELECT key, data, checksum FROM vectors WHERE key IN ({','.join('?' * len(part))})"
            with closing(connection.execute(query, part)) as rows:
                for key, data, checksum in rows:
                    if checksum == _checksum(key, data):
                        found[key] = np.frombuffer(data, dtype="<f4")
        return found


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=_DIGEST).digest()


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
