"""Vectors that the user already has, looked up by id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embertune.core.vectors import Vectors, normalize
from embertune.encoders.base import Side
from embertune.encoders.spec import EncoderSpec
from embertune.encoders.vector_files import VectorTable, read_tables
from embertune.errors import EncoderError

if TYPE_CHECKING:
    from embertune.adapters.base import Adapter
    from embertune.encoders.adapted import AdaptedEncoder

__all__ = ["PrecomputedEncoder"]


class PrecomputedEncoder:
    """Look vectors up by id in files of vectors; it cannot embed a new text.

    Args:
        source: ``FILE.npz`` with the arrays corpus, queries, corpus_ids and query_ids; or
            ``CORPUS.npy,QUERIES.npy`` with the ids in ``CORPUS_ids.txt`` or ``.json`` beside each; or
            ``FILE.parquet`` with the columns id, side and vector.
        name: The model that made the vectors, for the record; the file's name otherwise.

    Raises:
        EncoderError: The files are missing, damaged, or do not fit together.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/v.npz", corpus=np.eye(2), queries=2 * np.eye(1, 2),
        ...              corpus_ids=["d1", "d2"], query_ids=["q1"])
        ...     encoder = PrecomputedEncoder(f"{folder}/v.npz")
        ...     print(encoder.spec, encoder.lookup(["q1"], "query").tolist())
        precomputed/v.npz (2 dimensions) [[1.0, 0.0]]
    """

    def __init__(self, source: str | Path, *, name: str | None = None) -> None:
        self._source = str(source)
        self._tables: dict[Side, VectorTable] = read_tables(self._source)
        widths = {side: table.vectors.shape[1] for side, table in self._tables.items()}
        if widths["query"] != widths["document"]:
            raise EncoderError(
                f"{self._source}: the queries have {widths['query']} dimensions and the corpus {widths['document']}. "
                "Both must come from the same model: embed them again together."
            )
        model = name or ",".join(Path(part).name for part in self._source.split(","))
        self.spec = EncoderSpec("precomputed", model, dimension=widths["query"])

    def lookup(self, ids: Sequence[str], side: Side) -> Vectors:
        """Give the vectors of ids.

        Args:
            ids: n query or document ids.
            side: "query" or "document".

        Returns:
            (n, d), rows of length 1, in the order given.

        Raises:
            EncoderError: Some ids have no vector, or a vector holds NaN or only zeros.
        """
        table, kind = self._tables[side], "queries" if side == "query" else "documents"
        missing = [name for name in ids if name not in table.rows]
        if missing:
            raise EncoderError(
                f"{self._source}: {len(missing)} of {len(ids)} {kind} have no vector (such as {_some(missing)}); the "
                f"file has {len(table.rows)} {side} ids (such as {_some(list(table.rows)[:3])}). Embed the missing "
                "ones, or check that the file was made from this data set."
            )
        rows = np.fromiter((table.rows[name] for name in ids), dtype=np.intp, count=len(ids))
        with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
            vectors = np.asarray(table.vectors[rows], dtype=np.float32)
        self._refuse(np.logical_not(np.isfinite(vectors).all(axis=1)), ids, kind, "NaN or infinite values")
        self._refuse(np.logical_not(vectors.any(axis=1)), ids, kind, "only zeros")
        return normalize(vectors)

    def __or__(self, adapter: Adapter) -> AdaptedEncoder:
        """Give this encoder with an adapter behind it, as ``encoder | adapter``."""
        from embertune.encoders.adapted import AdaptedEncoder

        return AdaptedEncoder(self, adapter)

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Refuse: there is no model here, only vectors by id.

        Raises:
            EncoderError: Always.
        """
        raise EncoderError(
            f"{self._source} holds vectors of known ids and cannot embed {len(texts)} new texts. Use the model that "
            'made them, such as load_encoder("sentence-transformers/all-MiniLM-L6-v2"), or look up ids with '
            "encode_dataset(encoder, dataset)."
        )

    def encode_document(self, texts: Sequence[str]) -> Vectors:
        """Refuse, as `encode_query` does."""
        return self.encode_query(texts)

    def _refuse(self, bad: npt.NDArray[np.bool_], ids: Sequence[str], kind: str, what: str) -> None:
        found = [ids[row] for row in np.flatnonzero(bad).tolist()]
        if found:
            raise EncoderError(
                f"{self._source}: the vectors of {len(found)} of {len(ids)} {kind} hold {what} (such as "
                f"{_some(found)}). Embed those texts again, or remove them from the data set."
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3])
