"""Which queries must stay on one side of a split, and how groups of them fill parts of given sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from embertune.data.dataset import Dataset
from embertune.data.texts import normalize_text

__all__ = ["fill_parts", "group_by_document", "group_by_query", "share_out"]


def group_by_query(dataset: Dataset) -> list[list[str]]:
    """Group the judged queries of equal normalised text; most groups have one member.

    Example:
        >>> group_by_query(Dataset.from_pairs([("How old?", "x"), ("why", "y"), ("how old", "z")]))
        [['q1', 'q3'], ['q2']]
    """
    groups: dict[str, list[str]] = {}
    for query_id in sorted(dataset.judged):  # by id, so that the order of files plays no role
        groups.setdefault(normalize_text(dataset.queries[query_id]), []).append(query_id)
    return list(groups.values())


def group_by_document(dataset: Dataset) -> list[list[str]]:
    """Group the judged queries by connected components of the query–document graph.

    Two queries are connected when they share a relevant document, or documents of equal text, or when their own
    normalised texts are equal; and so on from one to the next.

    Example:
        >>> group_by_document(Dataset.from_pairs([("a", "x"), ("b", "x"), ("b", "y"), ("c", "z"), ("d", "y")]))
        [['q1', 'q2', 'q4'], ['q3']]
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    # Nodes are texts, not ids, so that a document that stands in the corpus twice connects like one.
    queries = sorted(dataset.judged)
    for query_id in queries:
        query = ("query", normalize_text(dataset.queries[query_id]))
        for document_id in dataset.positives(query_id):
            parent[root(("document", dataset.corpus[document_id].content))] = root(query)
    groups: dict[tuple[str, str], list[str]] = {}
    for query_id in queries:
        groups.setdefault(root(("query", normalize_text(dataset.queries[query_id]))), []).append(query_id)
    return list(groups.values())


def share_out(total: int, fractions: Sequence[float]) -> list[int]:
    """Divide a count by fractions that sum to 1; what rounding leaves goes to the largest remainders.

    Example:
        >>> share_out(334, (0.6, 0.2, 0.2))
        [200, 67, 67]
    """
    exact = [total * fraction for fraction in fractions]
    # .6 * 5 is 3.0000000000000004 and .7 * 10 is 7.000000000000001 - or a hair below; neither may move a query.
    sizes = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda part: sizes[part] - exact[part])
    for part in by_remainder[: total - sum(sizes)]:
        sizes[part] += 1
    return sizes


def fill_parts(groups: Iterable[Sequence[str]], sizes: Sequence[int], rng: np.random.Generator) -> list[list[str]]:
    """Put groups into parts so that the parts come as near to their sizes as the groups allow.

    The largest groups go first, in random order among equals, so that the small ones fill what is left. Each goes
    to a part where it fits, drawn in proportion to the room left, so that no part collects the large groups; where
    it fits in none, to the part with the most room, and the other parts shrink in proportion. Groups of one fill
    every size exactly.

    Args:
        groups: Members of each group.
        sizes: Members wanted in each part; they sum to the number of members.
        rng: Decides.

    Returns:
        Members of each part.

    Example:
        >>> parts = fill_parts([["a", "b"], ["c"], ["d"], ["e"]], [3, 2], np.random.default_rng(0))
        >>> [len(part) for part in parts]
        [3, 2]
    """
    listed = list(groups)
    shuffled = [listed[position] for position in rng.permutation(len(listed))]
    parts: list[list[str]] = [[] for _ in sizes]
    room = np.array(sizes)
    for group in sorted(shuffled, key=len, reverse=True):
        fitting = np.where(room >= len(group), room, 0)
        if fitting.any():
            chosen = int(np.searchsorted(fitting.cumsum(), rng.integers(fitting.sum()), side="right"))
        else:
            chosen = int(room.argmax())
        parts[chosen].extend(group)
        room[chosen] -= len(group)
        if room[chosen] < 0:
            excess, room[chosen] = -int(room[chosen]), 0
            room -= share_out(excess, room / room.sum())
    return parts
