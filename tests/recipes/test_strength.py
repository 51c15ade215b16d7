"""The curve along the strength: its ends are base and tuned, what lies between is the dial of the adapter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embertune.adapters import Chain, LinearAdapter, TruncationAdapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.vectors import normalize
from embertune.recipes.strength import STRENGTHS
from embertune.recipes.tune import tune
from embertune.reports.captions import captions


@pytest.fixture(scope="module")
def result(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=replace(quick, gate="no"), seed=3)


def test_the_ends_are_base_and_tuned_to_the_last_bit(result):
    record = result.record
    curve = record["strength"]
    assert [row["strength"] for row in curve] == list(STRENGTHS) == [0, 0.25, 0.5, 0.75, 1]
    for row, system in ((curve[0], "base"), (curve[-1], "tuned")):
        assert row["all"] == record[system]["ndcg@10"]
        for group in ("seen", "unseen"):
            assert row[group] == record["groups"][group][system]["ndcg@10"]
        assert row["foreign"] is None


def test_between_the_ends_is_the_dial_of_the_adapter(result, learnable):
    """Ranks by sorting all cosines of what `scaled` gives; with one answer at rank r nDCG is 1 / log2(r + 1)."""
    ids = [row["id"] for row in result.record["queries"]]
    asked = learnable.queries[[int(name[1:]) for name in ids]]
    answers = np.array([int(learnable.answer[name][1:]) for name in ids])
    seen = np.array([row["group"] == "seen" for row in result.record["queries"]])
    for row in result.record["strength"]:
        mapped = result.candidate.scaled(row["strength"]).transform(asked).astype(np.float64)
        order = np.argsort(-(mapped @ learnable.documents.T.astype(np.float64)), axis=1, kind="stable")
        ranks = 1 + (order == answers[:, None]).argmax(axis=1)
        scores = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
        assert row["all"] == pytest.approx(scores.mean(), abs=1e-9)
        assert row["seen"] == pytest.approx(scores[seen].mean(), abs=1e-9)
        assert row["unseen"] == pytest.approx(scores[~seen].mean(), abs=1e-9)
    assert len({row["all"] for row in result.record["strength"]}) == 5


def test_foreign_queries_have_their_curve(toy, quick):
    few, foreign = toy(60, 30), toy(40, 20)
    texts = {name: f"another {text}" for name, text in foreign.data.queries.items()}
    encoder = few.encoder
    encoder.vectors |= {texts[f"q{n}"]: vector for n, vector in enumerate(foreign.queries)}
    others = replace(foreign.data, queries=texts, name="others")
    record = tune(few.data, encoder, effort=quick, foreign=others).record
    curve = record["strength"]
    assert (curve[0]["foreign"], curve[-1]["foreign"]) == tuple(
        record["foreign"][system]["ndcg@10"] for system in ("base", "tuned")
    )
    assert curve[0]["all"] == record["base"]["ndcg@10"]
    assert curve[-1]["all"] == record["tuned"]["ndcg@10"]


def test_strength_0_of_one_that_reduces_is_its_plain_reduction(learnable, quick, toy):
    foreign = toy(40, 20)
    texts = {name: f"another {text}" for name, text in foreign.data.queries.items()}
    encoder = learnable.encoder
    encoder.vectors |= {texts[f"q{n}"]: vector for n, vector in enumerate(foreign.queries)}
    others = replace(foreign.data, queries=texts, name="others")
    given = Chain([TruncationAdapter(6, start="first", pull=0.01), LinearAdapter(pull=0.01)])
    result = tune(learnable.data, encoder, effort=replace(quick, adapter=given), seed=3, foreign=others)
    record = result.record
    ids = [row["id"] for row in record["queries"]]
    asked, documents = learnable.queries[[int(name[1:]) for name in ids]][:, :6], learnable.documents[:, :6]
    cosines = asked.astype(np.float64) @ normalize(documents).astype(np.float64).T
    answers = np.array([int(learnable.answer[name][1:]) for name in ids])
    ranks = 1 + (np.argsort(-cosines, axis=1, kind="stable") == answers[:, None]).argmax(axis=1)
    scores = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
    first, last = record["strength"][0], record["strength"][-1]
    assert first["all"] == pytest.approx(scores.mean(), abs=1e-9)
    assert first["all"] != pytest.approx(record["base"]["ndcg@10"], abs=0.01)
    assert first["foreign"] != pytest.approx(record["foreign"]["base"]["ndcg@10"], abs=0.001)
    assert (last["all"], last["foreign"]) == (record["tuned"]["ndcg@10"], record["foreign"]["tuned"]["ndcg@10"])
    assert record["candidate"]["output_dimension"] == 6
    assert captions(record)["strength"].startswith("Strength 0 is the plain reduction, 1 is as trained.")


def test_a_group_without_queries_is_none(learnable, quick):
    record = tune(learnable.data, learnable.encoder, effort=quick, split="by-document").record
    assert all(row["seen"] is None and row["unseen"] == row["all"] for row in record["strength"])


def test_without_a_candidate_there_is_nothing_to_scale(toy, quick):
    perfect = toy(150, 150, mix=1.0)
    result = tune(perfect.data, perfect.encoder, effort=quick)
    assert isinstance(result.candidate, IdentityAdapter)
    assert result.record["strength"] == []
