"""What a learning curve has measured so far, on disk, so that an interruption fits nothing twice."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embertune.core.paths import as_path
from embertune.errors import StorageError

__all__ = ["CurveJournal"]

Scores = npt.NDArray[np.float64]


class CurveJournal:
    """Scores of every subset that was fitted, one JSON line each; lines of other data or settings are passed over.

    Args:
        path: The file; None keeps nothing.
        key: What the scores depend on, beside size and draw.

    Raises:
        StorageError: The file cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     CurveJournal(f"{folder}/curve.jsonl", "data").put(50, 0, np.array([0.5, 1.0]))
        ...     CurveJournal(f"{folder}/curve.jsonl", "data").get(50, 0)
        array([0.5, 1. ])
    """

    def __init__(self, path: str | Path | None, key: str) -> None:
        self._path, self._key = None if path is None else as_path(path), key
        self._known: dict[tuple[int, int], Scores] = {}
        if self._path is not None and self._path.exists():
            try:
                lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError as error:
                raise StorageError(f"{self._path} cannot be read: {error.strerror or error}.") from None
            for line in lines:
                self._take(line)

    def get(self, size: int, draw: int) -> Scores | None:
        """Give the scores of a subset, or None if it was not fitted yet."""
        return self._known.get((size, draw))

    def put(self, size: int, draw: int, scores: Sequence[float] | Scores) -> None:
        """Write the scores of a subset down; they are on the disk when this returns.

        Raises:
            StorageError: The disk refused.
        """
        values = np.asarray(scores, dtype=np.float64)
        self._known[size, draw] = values
        if self._path is None:
            return
        line = json.dumps({"key": self._key, "size": size, "draw": draw, "scores": values.tolist()})
        try:
            # The line break goes first: what a killed process left behind stays a line of its own.
            with self._path.open("ab") as file:
                file.write(f"\n{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self._path} could not be written: {error.strerror or error}. What is in it stays; free some space "
                "and run again."
            ) from None

    def _take(self, line: str) -> None:
        try:
            row = json.loads(line)
            if row["key"] == self._key:
                self._known[int(row["size"]), int(row["draw"])] = np.array(row["scores"], dtype=np.float64)
        except (ValueError, KeyError, TypeError):
            return  # half a line of a process that was killed; its subset is fitted again
