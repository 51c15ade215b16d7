"""Runs compared by their records equal runs compared by their scores."""

from __future__ import annotations

import re

import numpy as np
import pytest

from embertune.errors import DataError
from embertune.evaluation.statistics import bootstrap_interval, randomization_test
from embertune.recipes.compare_records import compare_records
from embertune.reports.record import example_record


@pytest.fixture
def records():
    one, other = example_record().to_dict(), example_record().to_dict()
    noise = np.random.default_rng(0).uniform(-0.2, 0.3, len(other["queries"]))
    for query, more in zip(other["queries"], noise, strict=True):
        query["tuned"] += float(more)
    other["queries"].reverse()
    return {"one": one, "other": other}, noise


def test_the_difference_is_that_of_the_queries_whatever_their_order(records):
    told, noise = records
    found = compare_records(told)
    delta = found.duels["other"].overall.delta[found.primary]
    assert delta.mean == pytest.approx(noise.mean())
    assert delta.wins + delta.ties + delta.losses == len(noise) == found.n
    by_id = [query["id"] for query in told["one"]["queries"]]
    ordered = noise[np.argsort(by_id, kind="stable")]
    assert (delta.low, delta.high) == pytest.approx(bootstrap_interval(ordered, seed=0), abs=0.02)
    assert delta.p == pytest.approx(randomization_test(ordered, seed=0), abs=0.05)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda record: record["data"].update(fingerprint="sha256:x"), "data set"),
        (lambda record: record["queries"].pop(), "set of test queries"),
    ],
)
def test_what_cannot_be_compared_is_said(records, change, what):
    told, _ = records
    change(told["other"])
    with pytest.raises(DataError, match=re.escape(f"These 2 runs have 2 different values of: {what}.")):
        compare_records(told)
