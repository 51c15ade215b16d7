"""Losses of mapped embeddings as plain functions: rows and positions in; value and gradients by both kinds of row out.

Every function takes queries (n, d) and documents (m, d) as rows of length 1, so that a dot product is a cosine, and
positions of what is compared. It gives the mean loss and its derivatives (n, d) and (m, d) by those rows, taken as free
vectors; going back through the normalisation and the map is the caller's. Rows that nothing points at get zeros.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embertune.adapters.device import beside, get, namespace
from embertune.adapters.solvers.rows import Loss, Positions, Rows, add_rows, by_scores, dots, labelled, mean, positions
from embertune.adapters.solvers.softmax import BLOCK_CELLS, blocks, softmax
from embertune.errors import ConfigError

__all__ = ["cosent", "cosine_mse", "info_nce", "triplet"]

_BLOCK_CELLS = BLOCK_CELLS


def info_nce(
    queries: Rows,
    documents: Rows,
    pairs: Any,
    *,
    temperature: float = 0.05,
    candidates: Any = None,
    ignored: Any = None,
    by_documents: bool = True,
) -> Loss:
    """Compare every pair with the candidates that are not positives of its query.

    The loss of a pair is ``-s(q, p) / T + log(exp(s(q, p) / T) + sum over negatives c of exp(s(q, c) / T))``.
    At most four million scores are held at a time (one row of them, where there are more candidates).

    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (2018). The same as
    sentence-transformers' MultipleNegativesRankingLoss (scale = 1 / temperature) where each query has one positive
    and the candidates are the batch's documents. `contrastive.InfoNCE` is its shortcut for linear maps.

    Args:
        queries: (n, d).
        documents: (m, d).
        pairs: (p, 2) positions of a query and of one of its positives.
        temperature: Of the softmax over cosines.
        candidates: (c,) positions of the documents that every query is compared with; None is all.
        ignored: (k, 2) positions of a query and of a document that is not its negative, such as false negatives.
        by_documents: Whether the derivative by documents is wanted; without it (zeros) a third of the work is saved.

    Raises:
        DataError: There is no pair.

    Example:
        >>> same = np.tile([1.0, 0.0], (4, 1))
        >>> value, *_ = info_nce(same, same, [(0, 0), (1, 1), (2, 2), (3, 3)])
        >>> round(value, 4) == round(float(np.log(4)), 4)
        True
    """
    pairs = _by_query(positions(pairs, 2, "pair"))
    ignored = None if ignored is None else _by_query(np.asarray(ignored, dtype=np.intp).reshape(-1, 2))
    columns = np.arange(len(documents)) if candidates is None else np.unique(np.asarray(candidates, dtype=np.intp))
    xp, places = namespace(queries), beside(queries, columns)
    chosen = documents if candidates is None else documents[places]
    by_q, by_d, by_c = xp.zeros_like(queries), xp.zeros_like(documents), xp.zeros_like(chosen)
    heat, total = float(1 / temperature), 0.0
    shape = len(queries), len(documents)
    for rows, span, cells in blocks(pairs, columns, shape, ignored=ignored, cells=_BLOCK_CELLS):
        block = queries[rows]
        query, document, *masked = (beside(queries, each) for each in (*pairs[span].T, *cells))
        logits = block @ chosen.T
        logits *= heat
        logits[tuple(masked)] = -np.inf
        matched = xp.einsum("ij,ij->i", queries[query], documents[document]) * heat
        loss, share, missing = softmax(logits, query - rows.start, matched, len(pairs))
        total += loss
        share *= heat
        pull = -(missing * heat)[:, None]
        by_q[rows] = share @ chosen
        add_rows(by_q, query, pull * documents[document])
        if by_documents:
            by_c += share.T @ block
            add_rows(by_d, document, pull * queries[query])
    by_d[places] += by_c
    return total, by_q, by_d


def triplet(
    queries: Rows,
    documents: Rows,
    triplets: Any,
    *,
    margin: float,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> Loss:
    """Ask that a negative be further from its query than the positive is, by a margin.

    The loss of a triplet is ``max(0, distance(q, p) - distance(q, n) + margin)``; the cosine distance is 1 - cosine.
    Where a query stands on its document the Euclidean distance has no derivative; 0 is taken, as torch does.

    Source: Schroff et al., FaceNet (2015); sentence-transformers' TripletLoss, whose own margin of 5 is more than any
    two rows of length 1 are apart.

    Args:
        queries: (n, d).
        documents: (m, d).
        triplets: (t, 3) positions of a query, of one of its positives, and of a negative.
        margin: How much further.
        distance: Which.

    Raises:
        ConfigError: The distance is unknown.
        DataError: There is no triplet.

    Example:
        >>> rows = np.eye(2)
        >>> triplet(rows, rows, [(0, 0, 1)], margin=0.3)[0], triplet(rows, rows, [(0, 1, 0)], margin=0.3)[0]
        (0.0, 1.3)
    """
    if distance not in ("cosine", "euclidean"):
        raise ConfigError(f"distance must be 'cosine' or 'euclidean', got {distance!r}")
    rows = positions(triplets, 3, "triplet")
    near, far = rows[:, :2], rows[:, ::2]
    if distance == "cosine":
        apart = dots(queries, documents, far) - dots(queries, documents, near)
    else:
        lengths = [_lengths(queries, documents, pairs) for pairs in (near, far)]
        apart = lengths[0] - lengths[1]
    losses = np.maximum(apart + float(margin), 0)
    value, weights = mean(losses), (losses > 0).astype(losses.dtype) / len(rows)
    pairs = np.concatenate([near, far])
    if distance == "cosine":
        return value, *by_scores(queries, documents, pairs, np.concatenate([-weights, weights]))
    along = np.concatenate([weights, -weights])
    length = np.concatenate(lengths)
    along = np.divide(along, length, out=np.zeros_like(along), where=length > 0)[:, None]
    query, document, pace = (beside(queries, each) for each in (*pairs.T, along))
    step = pace * (queries[query] - documents[document])
    by_q, by_d = namespace(queries).zeros_like(queries), namespace(queries).zeros_like(documents)
    add_rows(by_q, query, step)
    add_rows(by_d, document, -step)
    return value, by_q, by_d


def _lengths(queries: Rows, documents: Rows, pairs: Positions) -> npt.NDArray[Any]:
    """Give how far apart the two of each pair are (p,)."""
    query, document = (beside(queries, column) for column in pairs.T)
    return get(namespace(queries).linalg.vector_norm(queries[query] - documents[document], axis=1))


def cosent(queries: Rows, documents: Rows, pairs: Any, grades: Any, *, temperature: float = 0.05) -> Loss:
    """Ask that pairs of a higher grade have a higher cosine, whatever the cosines are.

    With ``s`` the cosine of a pair over the temperature, the loss is
    ``log(1 + sum over pairs i graded above pairs j of exp(s_j - s_i))``. It takes p log p steps and no p² cells.

    Source: Huang et al., CoSENT: Consistent Sentence Embedding via Similarity Ranking (2024); sentence-transformers'
    CoSENTLoss (scale = 1 / temperature).

    Args:
        queries: (n, d).
        documents: (m, d).
        pairs: (p, 2) positions of a query and of a document.
        grades: (p,) how alike they are; only the order counts.
        temperature: Of the sum over pairs.

    Raises:
        DataError: There is no pair, or not one grade for each.

    Example:
        >>> rows = np.eye(2)
        >>> value, *_ = cosent(rows, rows, [(0, 0), (0, 1)], [1, 0], temperature=1)
        >>> round(value, 4) == round(float(np.log(1 + np.exp(-1))), 4)
        True
    """
    pairs, grades = labelled(pairs, grades, "pair", "grade")
    order = np.argsort(grades, kind="stable")
    pairs, grades = pairs[order], grades[order]
    heat = float(1 / temperature)
    scores = dots(queries, documents, pairs) * heat
    # Sums over all pairs graded above, and over all graded below, that lie in a suffix and a prefix of this order.
    edge = np.array([-np.inf], dtype=scores.dtype)
    above = np.concatenate([np.logaddexp.accumulate(-scores[::-1])[::-1], edge])
    below = np.concatenate([edge, np.logaddexp.accumulate(scores)])
    as_lower = scores + above[np.searchsorted(grades, grades, side="right")]
    as_higher = below[np.searchsorted(grades, grades, side="left")] - scores
    value = np.logaddexp(0, np.logaddexp.reduce(as_lower))
    slopes = (np.exp(as_lower - value) - np.exp(as_higher - value)) * heat
    return float(value), *by_scores(queries, documents, pairs, slopes)


def cosine_mse(queries: Rows, documents: Rows, pairs: Any, targets: Any) -> Loss:
    """Ask that cosines equal given numbers, in the mean of squares.

    Source: sentence-transformers' CosineSimilarityLoss; weightgain trains on it with targets of 1 and -1.

    Args:
        queries: (n, d).
        documents: (m, d).
        pairs: (p, 2) positions of a query and of a document.
        targets: (p,) the cosine each should have.

    Raises:
        DataError: There is no pair, or not one target for each.

    Example:
        >>> rows = np.eye(2)
        >>> cosine_mse(rows, rows, [(0, 0), (0, 1)], [1, 0.5])[0]
        0.125
    """
    pairs, targets = labelled(pairs, targets, "pair", "target")
    scores = dots(queries, documents, pairs)
    errors = scores - targets.astype(scores.dtype)
    return mean(errors**2), *by_scores(queries, documents, pairs, 2 * errors / len(pairs))


def _by_query(rows: Positions) -> Positions:
    return rows if (np.diff(rows[:, 0]) >= 0).all() else rows[np.argsort(rows[:, 0], kind="stable")]
