"""Files of vectors and their ids: .npz, pairs of .npy, Parquet. Nothing is ever unpickled."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune._optional import require
from embertune.core.paths import as_path
from embertune.encoders.base import Side
from embertune.errors import EncoderError

__all__ = ["VectorTable", "load_array", "read_tables"]

_ARRAYS: dict[Side, tuple[str, str]] = {"query": ("queries", "query_ids"), "document": ("corpus", "corpus_ids")}
_SIDES: dict[str, Side] = {
    "query": "query",
    "queries": "query",
    "document": "document",
    "documents": "document",
    "doc": "document",
    "corpus": "document",
    "passage": "document",
}
_SAVE = "np.savez(FILE, corpus=C, queries=Q, corpus_ids=np.array(ids, dtype=str), query_ids=np.array(qids, dtype=str))"
_MAP_FROM_BYTES = 256 * 2**20  # below, reading at once is as fast and lets zip verify its checksum


class VectorTable(NamedTuple):
    """Vectors of one side.

    Attributes:
        rows: Id -> row.
        vectors: (n, d), of any float type, perhaps a memory map.
    """

    rows: dict[str, int]
    vectors: npt.NDArray[Any]


def read_tables(source: str) -> dict[Side, VectorTable]:
    """Read the vectors of both sides.

    Args:
        source: ``FILE.npz``, ``CORPUS.npy,QUERIES.npy`` or ``FILE.parquet``.

    Returns:
        Side -> vectors with their ids.

    Raises:
        EncoderError: A file is missing, damaged or incomplete.
    """
    paths = [as_path(part.strip()) for part in source.split(",")]
    for path in paths:
        _must_be_file(path)
    endings = [path.suffix.lower() for path in paths]
    if endings == [".npz"]:
        return _read_npz(paths[0])
    if endings == [".npy", ".npy"]:
        return {"document": _read_npy(paths[0]), "query": _read_npy(paths[1])}
    if endings == [".parquet"]:
        return _read_parquet(paths[0])
    raise EncoderError(
        f"precomputed:{source} is none of the known forms. Expected precomputed:FILE.npz, "
        "precomputed:CORPUS.npy,QUERIES.npy or precomputed:FILE.parquet."
    )


def _must_be_file(path: Path, such: str = "vectors.npz", save: str = _SAVE) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise EncoderError(f"{path} is a folder. Expected a file of vectors, such as {path / such}.")
    near = sorted(p.name for p in path.parent.glob("*") if p.suffix in (".npz", ".npy", ".parquet"))
    there = f"The folder {path.parent} has {', '.join(near[:3])}." if near else f"{path.parent} has no file of vectors."
    raise EncoderError(f"There is no file {path}. {there} Write one with: {save}")


def _read_npz(path: Path) -> dict[Side, VectorTable]:
    try:
        # A file of our own: numpy leaves its file open when the archive is cut off.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise EncoderError(f"{path} is no npz archive but a single array. Write one with: {_SAVE}")
            with loaded as archive:
                return _tables(path, archive)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise EncoderError(
            f"{path} ({path.stat().st_size} bytes) is damaged or no npz file: {_reason(error)}. "
            f"Copy or write it again with: {_SAVE}"
        ) from None


def _reason(error: Exception) -> str:
    # What numpy does not know it takes for a pickle, and advises to load that.
    text = getattr(error, "strerror", None) or str(error)
    return "its first bytes are those of another kind of file" if "pickle" in text else text


def _tables(path: Path, archive: Any) -> dict[Side, VectorTable]:
    wanted = [name for pair in _ARRAYS.values() for name in pair]
    missing = [name for name in wanted if name not in archive.files]
    if missing:
        raise EncoderError(
            f"{path} has no {' and no '.join(missing)}; it has {', '.join(archive.files) or 'no arrays'}. "
            f"Write it with: {_SAVE}"
        )
    return {
        side: _table(path, vectors, _member(path, archive, vectors), ids, _member(path, archive, ids))
        for side, (vectors, ids) in _ARRAYS.items()
    }


def _member(path: Path, archive: Any, name: str) -> npt.NDArray[Any]:
    """Give one array of an npz; a large one that is stored uncompressed is mapped, not read."""
    try:
        info = archive.zip.getinfo(f"{name}.npy")
        if info.file_size < _MAP_FROM_BYTES or info.compress_type != zipfile.ZIP_STORED:
            return np.asarray(archive[name])
        with archive.zip.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(member)
            header = member.tell()
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded")
        with path.open("rb") as file:
            # A zip entry starts with 30 fixed bytes, the lengths of its name and extra field in the last four.
            file.seek(info.header_offset + 26)
            names = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        offset = info.header_offset + 30 + names + header
        return np.memmap(path, dtype, "r", offset=offset, shape=shape, order="F" if fortran else "C")
    except ValueError as error:
        raise _object_error(path, name, error) from None


def _object_error(path: Path, name: str, error: ValueError) -> Exception:
    if not any(words in str(error) for words in ("Object arrays", "Python objects")):
        return error
    return EncoderError(
        f"{path}: {name} is an array of Python objects, which only pickle could read, and pickle can run any code. "
        f"Save it as text: np.array({name}, dtype=str), or as numbers: np.array({name}, dtype=np.float32)."
    )


def _read_npy(path: Path) -> VectorTable:
    vectors = load_array(path)
    candidates = [path.with_name(f"{path.stem}_ids{ending}") for ending in (".txt", ".json", ".npy")]
    ids_path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if ids_path is None:
        raise EncoderError(
            f"{path} has {len(vectors)} rows but no ids beside it. Expected one of "
            f"{', '.join(candidate.name for candidate in candidates)}, one id per row. Write it with: "
            f"Path({str(candidates[0])!r}).write_text('\\n'.join(ids))"
        )
    return _table(path, path.name, vectors, ids_path.name, _read_ids(ids_path))


def load_array(path: Path) -> npt.NDArray[Any]:
    """Map an array on disk, of any shape and type but Python objects.

    Raises:
        EncoderError: The file is missing, damaged, or not one array.
    """
    _must_be_file(path, "vectors.npy", "np.save(FILE, X), where X has shape (n, d)")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        found = _object_error(path, path.name, error) if isinstance(error, ValueError) else error
        if isinstance(found, EncoderError):
            raise found from None
        raise EncoderError(
            f"{path} is damaged or no npy file: {_reason(error)}. Write it again with: np.save(FILE, X)"
        ) from None
    if isinstance(loaded, np.lib.npyio.NpzFile):
        with loaded:
            names = ", ".join(loaded.files[:3])
        raise EncoderError(f"{path} holds several arrays ({names}). Expected one: np.save(FILE, X)")
    return np.asanyarray(loaded)


def _read_ids(path: Path) -> npt.NDArray[Any]:
    if path.suffix == ".npy":
        return load_array(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        ids = _lines(text) if path.suffix == ".txt" else json.loads(text)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{path} cannot be read: {error}. Expected UTF-8 text, one id per line or a JSON list."
        ) from None
    if not isinstance(ids, list):
        raise EncoderError(f"{path} holds a JSON {type(ids).__name__}. Expected a list of ids.")
    return np.array([str(name) for name in ids], dtype=str)


def _lines(text: str) -> list[str]:
    # splitlines would also break at U+2028, U+0085 and others that an id may hold.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _read_parquet(path: Path) -> dict[Side, VectorTable]:
    parquet = require("pyarrow.parquet", extra="parquet", purpose="Reading Parquet files")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise EncoderError(f"{path} is damaged or no Parquet file: {error}") from None
    columns = set(table.column_names)
    kind = "side" if "side" in columns else "kind"
    missing = [name for name in ("id", kind, "vector") if name not in columns]
    if missing:
        raise EncoderError(
            f"{path} has no column {' and no '.join(missing)}; it has {', '.join(table.column_names)}. Expected the "
            "columns id, side (query or document) and vector (a list of numbers)."
        )
    labels = [str(value).lower() for value in table[kind].to_pylist()]
    unknown = sorted(set(labels) - set(_SIDES))
    if unknown:
        raise EncoderError(f"{path}: {kind} holds {', '.join(unknown[:3])}. Expected query or document.")
    ids, vectors = table["id"].to_pylist(), table["vector"]
    tables: dict[Side, VectorTable] = {}
    for side in _ARRAYS:
        rows = np.array([row for row, label in enumerate(labels) if _SIDES[label] == side], dtype=np.int64)
        names = np.array([str(ids[row]) for row in rows.tolist()], dtype=str)
        tables[side] = _table(path, f"vector of {side} rows", _matrix(path, vectors.take(rows)), "id", names)
    return tables


def _matrix(path: Path, column: Any) -> npt.NDArray[Any]:
    lists = column.combine_chunks()
    compute = require("pyarrow.compute", extra="parquet", purpose="Reading Parquet files")
    try:
        widths = set(compute.list_value_length(lists).to_pylist())
    except NotImplementedError:
        raise EncoderError(f"{path}: the column vector holds {lists.type}. Expected lists of numbers.") from None
    if len(widths) > 1 or None in widths:
        found = ", ".join(sorted(map(str, widths))[:3]).replace("None", "empty")
        raise EncoderError(f"{path}: the vectors have several lengths ({found}). Expected one length for all rows.")
    return np.asarray(lists.flatten().to_numpy(zero_copy_only=False)).reshape(len(lists), -1 if len(lists) else 0)


def _table(path: Path, name: str, vectors: npt.NDArray[Any], ids_name: str, ids: npt.NDArray[Any]) -> VectorTable:
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.shape[1]:
        raise EncoderError(
            f"{path}: {name} has shape {vectors.shape} and type {vectors.dtype}. "
            "Expected numbers of shape (n, d), one row per text."
        )
    if ids.ndim != 1 or len(ids) != len(vectors):
        raise EncoderError(
            f"{path}: {name} has {len(vectors)} rows and {ids_name} {ids.size} ids. Expected one id per row."
        )
    if not len(vectors):
        raise EncoderError(f"{path}: {name} has no rows. Expected one row per text.")
    names = _names(ids)
    rows = {key: row for row, key in enumerate(names)}
    if len(rows) < len(names):
        twice = [key for row, key in enumerate(names) if rows[key] != row]
        raise EncoderError(
            f"{path}: {len(twice)} of {len(names)} {ids_name} occur more than once (such as {twice[0]!r}). "
            "Expected every id once."
        )
    return VectorTable(rows, vectors)


def _names(ids: npt.NDArray[Any]) -> Sequence[str]:
    if ids.dtype.kind == "S":
        return [name.decode("utf-8", "replace") for name in ids.tolist()]
    return [str(name) for name in ids.tolist()]
