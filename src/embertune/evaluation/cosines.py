"""How alike queries are to their answers and to anything else: histograms of the cosine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from embertune.core.random import generator
from embertune.core.search import Positions
from embertune.core.vectors import Vectors
from embertune.errors import DataError
from embertune.evaluation.judgments import Judgments

__all__ = ["EDGES", "cosine_histogram"]

EDGES: tuple[float, ...] = tuple(round(-1 + step / 20, 2) for step in range(41))
"""Borders of the 40 bins."""

# Enough that a bin's share is known to half a percentage point.
_IRRELEVANT_PAIRS = 10_000
_BLOCK = 4096


def cosine_histogram(queries: Vectors, documents: Vectors, judgments: Judgments, *, seed: int) -> dict[str, list[int]]:
    """Count the cosines of relevant pairs, and of random pairs that are not relevant, in the 40 bins of `EDGES`.

    Args:
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1.
        judgments: Of these queries over these documents.
        seed: For the random pairs; one seed draws the same pairs whatever the vectors, so that base and tuned compare.

    Returns:
        {"relevant": 40 counts, "irrelevant": 40 counts}. Every relevant pair is counted once; of 10 000 random pairs
        those that happen to be relevant are left out.

    Raises:
        DataError: Vectors and judgements have different sizes.

    Example:
        >>> judgments = Judgments.from_qrels({"q": {"a": 1}}, ["q"], ["a", "b"])
        >>> counts = cosine_histogram(np.eye(1, 2, dtype=np.float32), np.eye(2, dtype=np.float32), judgments, seed=0)
        >>> counts["relevant"][-1], sum(counts["relevant"])
        (1, 1)
    """
    if len(queries) != len(judgments) or len(documents) != judgments.n_documents:
        raise DataError(
            f"Found vectors of {len(queries)} queries and {len(documents)} documents, and judgements of "
            f"{len(judgments)} and {judgments.n_documents}. Expected the same queries and documents in the same order."
        )
    size = np.array([len(queries), len(documents)])
    drawn = generator(seed, "cosines").integers(size, size=(_IRRELEVANT_PAIRS if size.all() else 0, 2))
    one_number = np.array([len(documents), 1])
    irrelevant = drawn[~np.isin(drawn @ one_number, judgments.pairs @ one_number)]
    return {
        "relevant": _histogram(queries, documents, judgments.pairs),
        "irrelevant": _histogram(queries, documents, irrelevant),
    }


def _histogram(queries: Vectors, documents: Vectors, pairs: Positions) -> list[int]:
    counts: npt.NDArray[np.intp] = np.zeros(len(EDGES) - 1, dtype=np.intp)
    for start in range(0, len(pairs), _BLOCK):
        rows, columns = pairs[start : start + _BLOCK].T
        cosines = np.einsum("ij,ij->i", queries[rows], documents[columns], dtype=np.float64)
        # Rounding leaves some products of equal vectors above 1, outside the last bin.
        counts += np.histogram(cosines.clip(-1, 1), bins=EDGES)[0]
    return [int(count) for count in counts]
