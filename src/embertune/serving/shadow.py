"""Shadow mode: clients get base vectors, and a file gets base and adapted ones, to be compared later."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embertune.core.paths import as_path
from embertune.core.vectors import Vectors
from embertune.errors import StorageError
from embertune.serving.metrics import Metrics
from embertune.serving.schemas import Input

__all__ = ["ShadowLog"]

_log = logging.getLogger("embertune.serving")

_FLUSH_SECONDS = 1.0
# At 16 KB an entry (two vectors of 1536 in base64) 160 MB, which a disk that hangs may cost and no more.
_MOST_WAITING = 10_000
_MOST_BYTES = 2**31


class ShadowLog:
    """Appends lines of JSON in the background; a disk that is full or slow costs lines, never answers.

    A line holds time, request, model, side, a hash of the text, the cosine of the two vectors, and both as float32 in
    base64. It holds no text; but vectors tell something of their texts, so the file is readable for its owner alone.

    Args:
        path: Where to; lines are added to what is there, up to 2 GiB.
        metrics: Told of what was dropped.

    Raises:
        StorageError: The file cannot be written.
    """

    def __init__(self, path: str | Path, metrics: Metrics) -> None:
        self.path, self._metrics = as_path(path), metrics
        self._waiting: list[dict[str, Any]] = []
        self._stopped = False
        try:
            self.path.touch(mode=0o600)
            self._size = self.path.stat().st_size
            with self.path.open("ab"):
                pass
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written: {error.strerror or error}. Name another file: --shadow FILE"
            ) from None

    def add(
        self, request: str, model: str, side: str, inputs: Sequence[Input], base: Vectors, adapted: Vectors
    ) -> float:
        """Take down a request.

        Args:
            request: Its id.
            model: What was asked for.
            side: "query" or "document".
            inputs: n texts or arrays of tokens.
            base: (n, d), rows of length 1, which the client gets.
            adapted: (n, k).

        Returns:
            The mean cosine of base and adapted; NaN where they have different dimensions.
        """
        cosines = _cosines(base, adapted)
        now = time.time()
        for row, one in enumerate(inputs):
            if self._stopped or len(self._waiting) >= _MOST_WAITING:
                self._metrics.dropped.add()
                continue
            self._waiting.append({
                "time": round(now, 3), "request": request, "model": model, "side": side, "row": row,
                "text": hashlib.blake2b(repr(one).encode(), digest_size=16).hexdigest(),
                "cosine": None if np.isnan(cosines[row]) else round(float(cosines[row]), 6),
                "base": base[row].copy(), "adapted": adapted[row].copy(),
            })  # fmt: skip
        return float(np.mean(cosines))

    async def run(self) -> None:
        """Write once a second, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        import orjson

        taken, self._waiting = self._waiting, []
        if not taken:
            return
        data = b"".join(orjson.dumps({**line, **_packed(line)}) + b"\n" for line in taken)
        try:
            if self._size + len(data) > _MOST_BYTES:
                raise OSError(f"it has reached {_MOST_BYTES // 2**30} GiB")
            with self.path.open("ab") as file:
                file.write(data)
            self._size += len(data)
        except OSError as error:
            self._metrics.dropped.add(by=len(taken))
            if not self._stopped:
                _log.error("shadow_stopped", extra={"fields": {"file": str(self.path), "reason": str(error)}})
            self._stopped = True


def _packed(line: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64encode(line[name].astype("<f4").tobytes()).decode() for name in ("base", "adapted")}


def _cosines(base: Vectors, adapted: Vectors) -> Vectors:
    if base.shape != adapted.shape:
        return np.full(len(base), np.nan, dtype=np.float32)
    lengths = np.linalg.norm(base, axis=1) * np.linalg.norm(adapted, axis=1)
    return np.asarray(np.einsum("ij,ij->i", base, adapted) / np.where(lengths > 0, lengths, 1))
