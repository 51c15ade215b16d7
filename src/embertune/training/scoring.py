"""Score queries under many adapters at once: a metric needs the ranks of relevant documents, and those are counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.core.search import Positions, exact_products
from embertune.core.threads import spread
from embertune.core.vectors import Vectors
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Metric, Ranked
from embertune.training.views import Block, Moved, View, common_basis, view

__all__ = ["count_before", "score"]

# Products of a block, 8 MB, stay in a shared cache while documents are counted in them.
_BLOCK_CELLS = 2**21
_FEWEST_DOCUMENTS = 256


def score(
    adapters: Sequence[Adapter | Moved],
    queries: Vectors,
    documents: Vectors,
    answers: Sequence[Judgments],
    metric: Metric,
) -> npt.NDArray[np.float64]:
    """Score queries under adapters, as exact search over all documents and the metric would.

    Args:
        adapters: Fitted.
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1; may be a memory map.
        answers: Judgements of the n queries over the m documents, such as their own and those of others.
        metric: What is measured.

    Returns:
        (answers, adapters, n).

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> from embertune.evaluation.metrics import parse_metric
        >>> judged = Judgments.from_qrels({"p": {"a": 1}, "q": {"a": 1}}, ["p", "q"], ["a", "b"])
        >>> eye = np.eye(2, dtype=np.float32)
        >>> score([IdentityAdapter()], eye, eye, [judged], parse_metric("mrr@2")).tolist()
        [[[1.0, 0.5]]]
    """
    depth = min(metric.k or len(documents), len(documents))
    pairs = [judged.pairs for judged in answers]
    ranks = count_before(adapters, queries, documents, np.concatenate(pairs), depth)
    retrieved = np.full(len(queries), depth, dtype=np.intp)
    found = np.empty((len(answers), len(adapters), len(queries)))
    start = 0
    for at, (judged, own) in enumerate(zip(answers, pairs, strict=True)):
        for row, places in enumerate(ranks[:, start : start + len(own)]):
            near = places < depth
            gains = np.zeros((len(queries), depth))
            gains[own[near, 0], places[near]] = judged.values[near]
            found[at, row] = metric.score(Ranked(gains, judged.ideal, retrieved))
        start += len(own)
    return found


def count_before(
    adapters: Sequence[Adapter | Moved], queries: Vectors, documents: Vectors, pairs: Positions, depth: int
) -> Positions:
    """Count the documents that stand before some documents, each in the ranking of a query.

    What stands before is as in `top_k`: products are summed in float64 and rounded to float32, and of equals the lower
    position comes first. A float32 product decides where the bound of its error lets it, and nothing is sorted.

    Args:
        adapters: Fitted.
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1; may be a memory map.
        pairs: (p, 2) positions of a query and of a document.
        depth: A count that reaches this need not be right; it is at least this.

    Returns:
        (adapters, p).

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> eye = np.eye(3, dtype=np.float32)
        >>> count_before([IdentityAdapter()], eye[:1], eye, np.array([[0, 0], [0, 2]]), 3).tolist()
        [[0, 2]]
    """
    basis = common_basis(adapters)
    counters = list(spread(lambda adapter: _Counter(view(adapter, queries, basis), documents, pairs, depth), adapters))
    layers = list(_layers(pairs[:, 0]))
    for block in _blocks(queries, documents, basis):
        if basis is not None:
            _ = block.frozen, block.inside  # made once, before several threads ask for them
        for _ in spread(partial(_Counter.add, block=block, layers=layers), counters):
            pass
    return np.stack([counter.counts for counter in counters])


class _Counter:
    """The documents that stand before those of some pairs, under one adapter, block by block."""

    def __init__(self, seen: View, documents: Vectors, pairs: Positions, depth: int) -> None:
        self._view, self._pairs, self._depth = seen, pairs, depth
        self._scores = self._exact(pairs[:, 0], documents, pairs[:, 1], 0)
        self.counts = np.zeros(len(pairs), dtype=np.intp)

    def add(self, block: Block, layers: Sequence[Positions]) -> None:
        """Count the documents of a block; a layer holds pairs of different queries."""
        products, slack = self._view.products(block)
        for layer in layers:
            rows = self._pairs[layer, 0]
            mine = products if len(rows) == len(products) else products[rows]
            middle = self._scores[layer] * self._view.lengths[rows]
            low, high = (middle - slack[rows])[:, None], (middle + slack[rows])[:, None]
            before = _count(mine > high)
            self.counts[layer] += before
            place = self._pairs[layer, 1] - block.start
            own = (place >= 0) & (place < len(block.documents))
            open_ = (_count(mine >= low) > before + own) & (self.counts[layer] < self._depth)
            if open_.any():
                at = np.flatnonzero(open_)
                row, column = np.nonzero((mine[at] >= low[at]) & (mine[at] <= high[at]))
                self._settle(layer[at][row], block, column)

    def _settle(self, pairs: Positions, block: Block, columns: Positions) -> None:
        """Count those documents among some that do stand before that of a pair, each told by an exact product."""
        own = self._pairs[pairs, 1]
        scores = self._scores[pairs]
        others = self._exact(self._pairs[pairs, 0], block.documents, columns, block.start)
        places = columns + block.start
        before = ((others > scores) & (places != own)) | ((others == scores) & (places < own))
        self.counts += np.bincount(pairs[before], minlength=len(self.counts))

    def _exact(self, rows: Positions, documents: Vectors, columns: Positions, start: int) -> Vectors:
        return exact_products(
            self._view.queries, rows, lambda part: self._view.mapped(documents[part], part + start), columns
        )


def _count(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Count per row; numpy counts bytes twice as fast as it counts truth."""
    return np.asarray(np.add.reduce(mask.view(np.uint8), axis=1, dtype=np.uint32))


def _layers(rows: Positions) -> Iterator[Positions]:
    """Deal pairs into layers, in each of which a query stands at most once, in rising order."""
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    depth = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    for level in range(int(depth.max(initial=-1)) + 1):
        yield order[depth == level]


def _blocks(queries: Vectors, documents: Vectors, basis: Vectors | None) -> Iterator[Block]:
    size = max(_FEWEST_DOCUMENTS, _BLOCK_CELLS // max(1, len(queries)))
    for start in range(0, len(documents), size):
        yield Block(start, queries, np.asarray(documents[start : start + size], dtype=np.float32), basis, {})
