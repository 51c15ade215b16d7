"""Compare runs by their records: the same test queries, query by query, without ranking anything again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from embertune.errors import DataError
from embertune.evaluation.compare import Comparison, compare
from embertune.evaluation.evaluate import Evaluation

__all__ = ["compare_records"]


def compare_records(records: Mapping[str, Mapping[str, Any]], *, seed: int = 0) -> Comparison:
    """Compare what runs scored on the same test queries, under the metric that decided.

    Of each run, what was trained is compared, shipped or not. The test split has then been looked at once by every run:
    the best of many is better on it than it will be on other queries.

    Args:
        records: Name -> record; the first is the baseline.
        seed: Of intervals and tests.

    Returns:
        Differences to the first, with intervals; p is adjusted for their number (Holm).

    Raises:
        DataError: The runs were tested on other data or queries, or another metric decided.
        ConfigError: There are fewer than two.

    Example:
        >>> from embertune.reports.record import example_record
        >>> record = example_record()
        >>> compare_records({"a": record, "b": record}).duels["b"].overall.delta["ndcg@10"].mean
        0.0
    """
    for what, values in (
        ("data set", [record["data"]["fingerprint"] for record in records.values()]),
        ("metric that decides", [record["primary"] for record in records.values()]),
        ("set of test queries", [frozenset(query["id"] for query in record["queries"]) for record in records.values()]),
    ):
        if len(set(values)) > 1:
            raise DataError(
                f"These {len(values)} runs have {len(set(values))} different values of: {what}. Expected one, so that "
                "they can be compared query by query. What each gained over its own base may still be read off."
            )
    return compare({name: _evaluation(name, record) for name, record in records.items()}, seed=seed)


def _evaluation(name: str, record: Mapping[str, Any]) -> Evaluation:
    queries = sorted(record["queries"], key=lambda query: str(query["id"]))
    scores = np.array([query["tuned"] for query in queries], dtype=np.float64)
    return Evaluation(name, tuple(query["id"] for query in queries), {record["primary"]: scores}, 0, 0, 0)
