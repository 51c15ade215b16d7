"""PostgreSQL's binary COPY of two columns, an id and a pgvector, without a Python object per number.

Form: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"; a vector is its dimension and a zero, two
bytes each, then float32; all of it big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from embertune.core.vectors import Vectors

__all__ = ["from_copy", "to_copy", "vector_from"]

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"


def from_copy(data: bytes) -> tuple[list[bytes], Vectors]:
    """Read ids, as they stand there, and vectors.

    Args:
        data: All that COPY ... TO STDOUT gave.

    Example:
        >>> ids, vectors = from_copy(to_copy([b"d1", b"d10"], np.eye(2, dtype=np.float32)))
        >>> ids, vectors.tolist()
        ([b'd1', b'd10'], [[1.0, 0.0], [0.0, 1.0]])
    """
    body = memoryview(data)[len(_HEAD) : -len(_TAIL)]
    if not len(body):
        return [], np.empty((0, 0), dtype=np.float32)
    width = struct.unpack_from(">i", body, 2)[0]
    size = struct.unpack_from(">i", body, 6 + width)[0]
    stride = 10 + width + size
    if len(body) % stride == 0:
        rows = np.frombuffer(body, np.uint8).reshape(-1, stride)
        # Ids of a fixed length, as numbers and uuids have, put every length in the same place.
        lengths = rows[:, [*range(6), *range(6 + width, 10 + width)]]
        if (lengths == lengths[0]).all():
            ids = rows[:, 6 : 6 + width].tobytes()
            vectors = np.ascontiguousarray(rows[:, 14 + width :]).view(">f4").astype(np.float32)
            return [ids[at : at + width] for at in range(0, len(ids), width)], vectors
    found, at = [], 0
    raw = []
    while at < len(body):
        width = struct.unpack_from(">i", body, at + 2)[0]
        found.append(bytes(body[at + 6 : at + 6 + width]))
        raw.append(body[at + 14 + width : at + 10 + width + size])
        at += 10 + width + size
    return found, np.frombuffer(b"".join(raw), ">f4").reshape(len(raw), -1).astype(np.float32)


def to_copy(ids: Sequence[bytes], vectors: Vectors) -> bytes:
    """Write what COPY ... FROM STDIN takes.

    Args:
        ids: (n,) as `from_copy` gave them.
        vectors: (n, d).

    Example:
        >>> len(to_copy([b"d1"], np.eye(1, 3, dtype=np.float32)))
        49
    """
    size = vectors.shape[1]
    head = struct.pack(">iHH", 4 + 4 * size, size, 0)
    if len({len(each) for each in ids}) == 1:
        width = len(ids[0])
        rows = np.empty((len(ids), 14 + width + 4 * size), np.uint8)
        rows[:, :6] = np.frombuffer(struct.pack(">hi", 2, width), np.uint8)
        rows[:, 6 : 6 + width] = np.frombuffer(b"".join(ids), np.uint8).reshape(len(ids), -1)
        rows[:, 6 + width : 14 + width] = np.frombuffer(head, np.uint8)
        rows[:, 14 + width :] = vectors.astype(">f4").view(np.uint8).reshape(len(ids), -1)
        return _HEAD + rows.tobytes() + _TAIL
    raw = vectors.astype(">f4").tobytes()
    pieces = [_HEAD]
    for at, each in enumerate(ids):
        pieces += (struct.pack(">hi", 2, len(each)), each, head, raw[at * 4 * size : (at + 1) * 4 * size])
    return b"".join([*pieces, _TAIL])


def vector_from(raw: bytes) -> Vectors:
    """Read one vector (d,) from pgvector's binary form.

    Example:
        >>> vector_from(bytes([0, 1, 0, 0, 0x3F, 0x80, 0, 0])).tolist()
        [1.0]
    """
    return np.frombuffer(raw, ">f4", offset=4).astype(np.float32)
