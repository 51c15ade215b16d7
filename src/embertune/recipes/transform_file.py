"""Apply a saved adapter to a file of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter, Side
from embertune.core.files import replacing
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors
from embertune.encoders.vector_files import load_array
from embertune.errors import ConfigError, DataError

__all__ = ["transform"]

_ROWS = 16_384


def transform(
    adapter: Adapter | str | Path,
    source: str | Path,
    target: str | Path,
    *,
    side: str,
    strength: float | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Read vectors, adapt them block by block, and write them.

    Args:
        adapter: An adapter, or the folder of one.
        source: A .npy file of shape (n, d).
        target: The .npy file to write, float32; it appears whole or not at all.
        side: "query" or "document".
        strength: How much is applied, from 0 (nothing learned) to 1 (as trained); None: as saved.
        progress: Told of rows.

    Returns:
        {"rows", "dimension", "side", "out"}.

    Raises:
        ArtifactError: The adapter cannot be read.
        ConfigError: There is no such side or strength.
        DataError: The file is not a matrix of finite numbers, or has another dimension.
        EncoderError: The file is missing or damaged.
        StorageError: The disk refused; an earlier file of that name is unchanged.

    Example:
        >>> import tempfile
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.eye(2))
        ...     done = transform(IdentityAdapter(), f"{folder}/x.npy", f"{folder}/y.npy", side="query")
        ...     np.load(f"{folder}/y.npy").tolist(), done["rows"]
        ([[1.0, 0.0], [0.0, 1.0]], 2)
    """
    if side not in ("query", "document"):
        raise ConfigError(f"side must be 'query' or 'document', got {side!r}")
    at: Side = "query" if side == "query" else "document"
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    loaded = loaded if strength is None else loaded.scaled(strength)
    vectors = _open(as_path(source), loaded)
    goal = as_path(target)
    width = (loaded.output_dimension if loaded.changes(at) else None) or vectors.shape[1]
    # Plain writes, not a memory map: a full disk is then an error and not a bus error that ends the process.
    with replacing(goal) as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (len(vectors), width)}
        )
        for start in range(0, len(vectors), _ROWS):
            rows = _checked(vectors, start, source)
            file.write(np.ascontiguousarray(loaded.transform(rows, at), dtype="<f4").tobytes())
            progress("transform", min(start + _ROWS, len(vectors)), len(vectors))
    return {"rows": len(vectors), "dimension": width, "side": side, "out": str(goal)}


def _open(source: Path, adapter: Adapter) -> npt.NDArray[Any]:
    vectors = load_array(source)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise DataError(
            f"{source} holds shape {vectors.shape}, {vectors.dtype}. Expected one array of numbers, shape (n, d): one "
            "row per text."
        )
    if adapter.dimension not in (None, vectors.shape[1]):
        raise DataError(
            f"The vectors of {source} have {vectors.shape[1]} dimensions; this adapter was fitted on "
            f"{adapter.dimension}. Use vectors of the encoder that it was fitted on."
        )
    return vectors


def _checked(vectors: npt.NDArray[Any], start: int, source: str | Path) -> Vectors:
    """Give one block, and count rows that hold no finite numbers from the top of the file."""
    with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
        block = np.asarray(vectors[start : start + _ROWS], dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if len(bad):
        raise DataError(
            f"{source}: {len(bad)} of the rows {start} to {start + len(block) - 1} hold NaN or infinite values (such "
            f"as row {start + bad[0]}). Embed those texts again, or remove them."
        )
    return block
