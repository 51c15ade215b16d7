from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.progress import silent
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.data.origin import Origin
from embertune.data.splits import split_dataset
from embertune.encoders.adapted import AdaptedEncoder
from embertune.errors import ConfigError, DataError, LeakageError, SplitError
from embertune.recipes.measure import METRICS
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig
from embertune.training.selection import Choice

# With one answer at rank r every metric is a function of r; written down here, not taken from the judge.
BY_RANK = {
    "ndcg@10": lambda r: np.where(r <= 10, 1 / np.log2(r + 1), 0),
    "mrr@10": lambda r: np.where(r <= 10, 1 / r, 0),
    "map@100": lambda r: np.where(r <= 100, 1 / r, 0),
    "recall@10": lambda r: r <= 10,
    "recall@100": lambda r: r <= 100,
    "precision@10": lambda r: (r <= 10) / 10,
    "hit_rate@10": lambda r: r <= 10,
    "accuracy@1": lambda r: r == 1,
}


@pytest.fixture(scope="module")
def result(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=quick, seed=3)


def test_the_record_has_every_key_that_is_promised(result):
    record = result.record
    assert record.keys() >= {
        "format", "name", "created", "primary", "metrics", "base", "tuned", "baselines", "delta", "groups", "verdict",
        "counts", "seconds", "encoder", "adapter", "data", "seed", "versions", "test_opened", "selection", "cosines",
        "queries",
    }  # fmt: skip
    assert record["metrics"] == list(METRICS) == list(record["base"]) == list(record["tuned"]) == list(record["delta"])
    assert record["delta"]["mrr@10"].keys() == {"mean", "low", "high", "p", "wins", "ties", "losses"}
    assert record["groups"].keys() == {"seen", "unseen"}
    assert record["groups"]["seen"].keys() == {"n", "base", "tuned", "delta"}
    assert record["verdict"].keys() >= {"code", "sentence", "reason", "numbers"}
    assert record["counts"] == {"train": 120, "dev": 40, "test": 40, "documents": 120, "pairs": 200}
    assert record["seconds"].keys() == {"embed", "fit", "evaluate", "total"}
    assert record["seconds"]["total"] >= record["seconds"]["fit"] > 0
    assert record["data"]["fingerprint"].startswith("sha256:")
    assert record["data"]["split"] == {
        "method": "by-query", "kind": "three parts", "fractions": [0.6, 0.2, 0.2], "seed": 3,
    }  # fmt: skip
    assert record["data"]["leakage"].keys() >= {"exact", "near"}
    assert record["versions"].keys() >= {"python", "embertune", "numpy", "safetensors"}
    assert (record["seed"], record["test_opened"]) == (3, 1)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_no_text_of_the_user_is_in_the_record(result, learnable):
    text = json.dumps(result.record)
    assert "query number" not in text
    assert "text 7" not in text


def test_means_and_queries_come_out_by_hand(result, learnable):
    record = result.record
    ids = [row["id"] for row in record["queries"]]
    assert len(set(ids)) == 40
    base, tuned = learnable.ranks(ids), learnable.ranks(ids, result.candidate.coef_.astype(np.float64))
    assert record["tuned"]["ndcg@10"] > record["base"]["ndcg@10"] + 0.2
    for metric, score in BY_RANK.items():
        before, after = score(base).astype(float), score(tuned).astype(float)
        assert record["base"][metric] == pytest.approx(before.mean(), abs=1e-9)
        assert record["tuned"][metric] == pytest.approx(after.mean(), abs=1e-9)
        delta = record["delta"][metric]
        assert delta["mean"] == pytest.approx((after - before).mean(), abs=1e-9)
        assert delta["low"] <= delta["mean"] <= delta["high"]
        found = [delta["wins"], delta["ties"], delta["losses"]]
        assert found == [(after > before).sum(), (after == before).sum(), (after < before).sum()]
    assert [row["base"] for row in record["queries"]] == pytest.approx(BY_RANK["ndcg@10"](base), abs=1e-9)
    assert [row["tuned"] for row in record["queries"]] == pytest.approx(BY_RANK["ndcg@10"](tuned), abs=1e-9)


def test_seen_and_unseen_are_what_they_are_called(result, learnable):
    rows = result.record["queries"]
    tested = {row["id"] for row in rows}
    trained_documents = {learnable.answer[query] for query in learnable.data.queries if query not in tested}
    for row in rows:
        assert (row["group"] == "seen") == (learnable.answer[row["id"]] in trained_documents)
    for name, group in result.record["groups"].items():
        members = [row for row in rows if row["group"] == name]
        assert group["n"] == len(members) > 0
        assert group["tuned"]["ndcg@10"] == pytest.approx(np.mean([row["tuned"] for row in members]), abs=1e-12)


def test_candidates_share_the_adapter_and_no_adapter_is_among_them(result):
    candidates = result.record["selection"]["candidates"]
    assert candidates[0]["params"] == {}
    assert sum(candidate["weight"] for candidate in candidates) == pytest.approx(1)
    heaviest = max(candidates, key=lambda candidate: candidate["weight"])["params"]
    assert heaviest == {"pull": result.candidate.pull}
    described = {name: value for name, value in result.record["adapter"].items() if name != "gate"}
    assert described == {"type": "linear", **result.candidate.get_params()}


def _timeless(record):
    return {key: value for key, value in record.items() if key not in ("created", "seconds")}


def test_one_seed_gives_one_record_and_two_seeds_two_splits(result, learnable, quick):
    again, other = (tune(learnable.data, learnable.encoder, effort=quick, seed=seed) for seed in (3, 4))
    assert _timeless(again.record) == _timeless(result.record)
    assert np.array_equal(again.candidate.coef_, result.candidate.coef_)
    assert {row["id"] for row in other.record["queries"]} != {row["id"] for row in result.record["queries"]}


def _parts(train, test):
    return {f"q{n}": "train" if n < train else "test" for n in range(train + test)}


def test_another_test_split_changes_nothing_that_was_chosen(toy, quick):
    one, two = toy(160, 80, parts=_parts(120, 40)), toy(160, 80, parts=_parts(120, 40))
    two.queries[120:] = two.queries[120:][::-1]
    first, second = (tune(each.data, each.encoder, effort=quick) for each in (one, two))
    assert first.record["base"] != second.record["base"]
    assert first.record["selection"]["candidates"] == second.record["selection"]["candidates"]
    assert np.array_equal(first.candidate.coef_, second.candidate.coef_)


def test_ship(result):
    assert result.verdict.code == "ship"
    assert result.adapter is result.candidate
    assert isinstance(result.adapter, LinearAdapter)
    assert str(result.verdict).startswith("Ship it: ndcg@10 ")


def test_no_gain_where_the_base_is_perfect(toy, quick):
    perfect = toy(150, 150, mix=1.0)
    result = tune(perfect.data, perfect.encoder, effort=quick)
    assert result.record["base"]["accuracy@1"] == 1
    assert result.verdict.code == "no-gain"
    assert isinstance(result.adapter, IdentityAdapter)
    assert result.record["adapter"] == {"type": "identity", "side": "none"}
    assert result.record["tuned"] == result.record["base"]


def test_no_gain_where_only_training_gains(toy, quick):
    spoilt = toy(160, 80, parts=_parts(120, 40))
    asked = spoilt.documents[np.arange(120, 160) % 80]
    spoilt.queries[120:] = normalize((0.5 * asked + 0.5 * asked @ spoilt.turn.T).astype(np.float32))
    result = tune(spoilt.data, spoilt.encoder, effort=quick)
    assert result.verdict.code == "no-gain"
    assert result.record["delta"]["ndcg@10"]["mean"] < 0
    assert isinstance(result.adapter, IdentityAdapter)
    assert isinstance(result.candidate, LinearAdapter)
    assert result.record["candidate"]["type"] == "linear"


@pytest.mark.parametrize("tested", [1, 19])
def test_too_little_data(tested, toy, quick):
    few = toy(100 + tested, 60, parts=_parts(100, tested))
    result = tune(few.data, few.encoder, effort=quick)
    assert result.verdict.code == "too-little-data"
    assert f"{tested} test queries are too few to tell" in result.verdict.sentence
    assert isinstance(result.adapter, IdentityAdapter)
    assert result.record["counts"]["test"] == tested


def test_a_given_split_without_dev(toy, quick):
    given = toy(160, 80, parts=_parts(120, 40))
    record = tune(given.data, given.encoder, effort=quick).record
    assert record["data"]["split"]["method"] == "given"
    assert record["counts"] == {"train": 90, "dev": 30, "test": 40, "documents": 80, "pairs": 160}
    assert {row["id"] for row in record["queries"]} == {f"q{n}" for n in range(120, 160)}
    assert (
        "The source gave no dev; 30 of its 120 training queries were taken for it, by-query." in record["data"]["notes"]
    )


def test_by_document_leaves_no_document_seen(learnable, quick):
    record = tune(learnable.data, learnable.encoder, split="by-document", effort=quick).record
    assert record["groups"]["seen"] == {"n": 0, "base": {}, "tuned": {}, "delta": {}}
    assert record["groups"]["unseen"]["n"] == record["counts"]["test"] == len(record["queries"])
    assert record["groups"]["unseen"]["tuned"] == record["tuned"]


def test_a_split_of_ones_own(learnable, quick):
    split = split_dataset(learnable.data, fractions=(0.5, 0.1, 0.4), seed=9)
    record = tune(learnable.data, learnable.encoder, split=split, effort=quick).record
    assert {row["id"] for row in record["queries"]} == set(split.test.queries)
    assert record["data"]["split"]["fractions"] == [0.5, 0.1, 0.4]


def test_both_sides(learnable, quick):
    result = tune(learnable.data, learnable.encoder, effort=replace(quick, side="both", maps=("separate",)))
    ids = [row["id"] for row in result.record["queries"]]
    queries = result.candidate.transform(learnable.queries[[int(name[1:]) for name in ids]], "query")
    documents = result.candidate.transform(learnable.documents, "document")
    assert result.candidate.changes("document")
    best = [f"d{row}" for row in (queries @ documents.T).argmax(axis=1)]
    right = np.mean([learnable.answer[name] == found for name, found in zip(ids, best, strict=True)])
    assert result.record["tuned"]["accuracy@1"] == pytest.approx(right)


class _Memory(IdentityAdapter):
    """Answers every query that it was shown, and leaves all others as they are."""

    known: dict[bytes, np.ndarray]

    def transform(self, vectors, side="query"):
        return np.array([self.known.get(row.tobytes(), row) if side == "query" else row for row in vectors])


def test_folds_judge_every_query_once_under_an_adapter_that_never_saw_it(toy, quick, monkeypatch):
    few = toy(60, 40)

    def memorise(pool, repeats, config, *, seed, seen_share, others=None, progress=silent):
        adapter = _Memory()
        rows = [int(pool.judgments.pairs[pool.judgments.pairs[:, 0] == row, 1][0]) for row in range(len(pool.queries))]
        adapter.known = {query.tobytes(): pool.documents[row] for query, row in zip(pool.queries, rows, strict=True)}
        return Choice(adapter, (), ())

    monkeypatch.setattr("embertune.recipes.choosing.choose", memorise)
    result = tune(few.data, few.encoder, effort=quick)
    assert sorted(row["id"] for row in result.record["queries"]) == sorted(few.data.queries)
    assert result.record["tuned"] == result.record["base"]
    assert result.record["base"]["accuracy@1"] < 0.9
    # The saved one is fitted on all, so a single query under it would have shown as a gain.
    best = (result.candidate.transform(normalize(few.queries)) @ few.documents.T).argmax(axis=1)
    assert [f"d{row}" for row in best] == [few.answer[f"q{n}"] for n in range(60)]


def test_folds_in_the_record(toy, quick):
    few = toy(60, 40)
    record = tune(few.data, few.encoder, effort=quick).record
    assert record["data"]["split"]["kind"] == "5 folds"
    assert record["counts"]["test"] == 60
    assert record["test_opened"] == 1
    assert any("each is judged once, in 5 folds" in note for note in record["data"]["notes"])


@pytest.mark.parametrize("queries", [60, 150])
def test_near_copies_are_counted_and_refused_under_strict(queries, toy, quick):
    copied = toy(queries, queries)
    copied.queries[1::2] = copied.queries[::2]
    leakage = tune(copied.data, copied.encoder, effort=quick).record["data"]["leakage"]
    tested = 60 if queries == 60 else 30
    assert leakage["test_queries"] == tested
    assert leakage["near"] > tested / 2
    with pytest.raises(LeakageError, match=re.escape(f"Of {tested} test queries 0 have an equal text in training")):
        tune(copied.data, copied.encoder, effort=quick, strict=True)


def test_under_strict_equal_texts_are_refused_before_anything_is_embedded(priced, quick):
    data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(60)])
    parts = {query: "train" if at < 30 else "test" for at, query in enumerate(data.queries)}
    queries = {**data.queries, "q59": "WHERE IS CAT 1?", "q60": "Where is cat 0"}
    copied, encoder = replace(data, queries=queries, parts=parts), priced()
    found = (
        "Of 30 test queries 2 have an equal text in training, near copies not looked for. Examples: q59 'WHERE IS CAT "
        "1?' = q2 'where is cat 1?'; q60 'Where is cat 0' = q1 'where is cat 0?'. Expected none under --strict"
    )
    with pytest.raises(LeakageError, match=re.escape(found)):
        tune(copied, encoder, effort=quick, strict=True)
    assert encoder.asked == []
    assert tune(copied, encoder, effort=quick).record["data"]["leakage"]["exact"] == 2


def test_strict_lets_clean_data_pass(learnable, quick):
    clean = tune(
        learnable.data, learnable.encoder, split="by-document", effort=replace(quick, pulls=(1.0,)), strict=True
    )
    assert clean.record["data"]["leakage"]["near"] == 0


@pytest.mark.parametrize("metric", ["recall@3", "mrr", "map@110"])
def test_any_metric_may_decide(metric, learnable, quick):
    record = tune(learnable.data, learnable.encoder, effort=replace(quick, metric=metric)).record
    assert record["primary"] == record["metrics"][0] == metric
    assert list(record["base"]) == [metric, *METRICS]
    ranks = learnable.ranks([row["id"] for row in record["queries"]])
    expected = (
        (ranks <= 3).mean()
        if metric == "recall@3"
        else np.where(ranks <= (110 if "@" in metric else 999), 1 / ranks, 0).mean()
    )
    assert record["base"][metric] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": -1}, ConfigError, "seed must be a whole number, 0 or more, got -1"),
        ({"seed": 1.5}, ConfigError, "seed must be a whole number, 0 or more, got 1.5"),
        ({"split": "by-author"}, ConfigError, "The split method 'by-author' is unknown"),
        ({"side": "document"}, ConfigError, "side must be 'query', 'both' or 'auto', got 'document'"),
        ({"effort": "heroic"}, ConfigError, "effort must be one of fast, normal, thorough, got 'heroic'"),
        ({"effort": TuneConfig(), "side": "both"}, ConfigError, "side is 'both' and TuneConfig.side is 'auto'"),
        ({"split": "given"}, SplitError, "toy has no split of its own"),
    ],
)
def test_impossible_settings(options, error, message, learnable):
    with pytest.raises(error, match=re.escape(message)):
        tune(learnable.data, learnable.encoder, **options)


def test_documents_that_cannot_be_told_apart(toy, quick):
    same = toy(30, 30)
    same.documents[:] = same.documents[0]
    with pytest.raises(DataError, match="toy holds 30 documents, all of them with the same vector"):
        tune(same.data, same.encoder, effort=quick)


def test_input_is_not_modified(learnable, quick):
    queries, documents = learnable.queries.copy(), learnable.documents.copy()
    fingerprint = learnable.data.fingerprint
    tune(learnable.data, learnable.encoder, effort=quick)
    assert np.array_equal(learnable.queries, queries)
    assert np.array_equal(learnable.documents, documents)
    assert learnable.data.fingerprint == fingerprint


def test_progress_names_every_stage(learnable, quick):
    said = []
    tune(learnable.data, learnable.encoder, effort=quick, progress=lambda stage, *rest: said.append(stage))
    assert list(dict.fromkeys(said)) == ["choose on dev", "fit on train and dev", "judge on test"]


def test_nothing_is_shipped_where_the_adapter_for_all_is_the_identity(toy, quick, monkeypatch):
    """In folds the adapters that were judged are not the one that is saved."""
    from embertune.training.selection import choose

    few = toy(60, 40)

    def none_for_all(pool, *arguments, **options):
        choice = choose(pool, *arguments, **options)
        return replace(choice, adapter=IdentityAdapter()) if len(pool.queries) == 60 else choice

    assert tune(few.data, few.encoder, effort=quick).verdict.code == "ship"
    monkeypatch.setattr("embertune.recipes.choosing.choose", none_for_all)
    assert tune(few.data, few.encoder, effort=quick).verdict.code == "no-gain"


def test_an_encoder_with_an_adapter_behind_it_is_refused(learnable, result, quick):
    stacked = AdaptedEncoder(learnable.encoder, result.candidate)
    with pytest.raises(ConfigError, match=re.escape("Tune the encoder itself: embertune.tune(data, adapted.encoder)")):
        tune(learnable.data, stacked, effort=quick)


def test_the_cost_in_the_record_is_that_of_this_tuning(priced, quick):
    data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(30)])
    encoder = priced()
    encoder.encode_query(["something else"])
    # Thirty queries, thirty documents, 32 canaries.
    assert tune(data, encoder, effort=quick).record["cost"] == {"texts": 92, "tokens": 920, "usd": 92.0}
    assert tune(data, encoder, effort=quick).record["cost"] == {"texts": 0, "tokens": 0, "usd": 0.0}


def test_record_card_and_page_say_what_was_measured_on_synthetic_queries(tmp_path):
    made = Dataset.from_pairs([(f"thing{n} made", f"about thing{n}") for n in range(120)])
    made = replace(made, synthetic=dict.fromkeys(made.queries, Origin("extractive", "crop")))
    result = tune(made, "hashing", effort="fast")
    assert result.record["data"]["synthetic"] == {"queries": {"extractive": 120}, "test": {"extractive": 24}}
    assert result.verdict.reason.startswith("Measured on synthetic queries (24 by extractive)")
    folder = result.save(tmp_path / "adapter")
    for file in ("README.md", "report.html"):
        assert "120 by extractive; measured on synthetic queries" in (folder / file).read_text(encoding="utf-8")


def test_synthetic_queries_beside_those_of_people_are_trained_on_and_never_judged_on():
    rows = Dataset.from_pairs([(f"thing{n % 60} {n}", f"about thing{n % 60}") for n in range(180)])
    data = replace(rows, synthetic=dict.fromkeys(list(rows.queries)[60:], Origin("extractive", "crop")))
    result = tune(data, "hashing", effort="fast")
    assert result.record["data"]["synthetic"] == {"queries": {"extractive": 120}, "test": {}}
    assert {row["id"] for row in result.record["queries"]} == set(list(rows.queries)[:60])
    assert "synthetic" not in result.verdict.reason


@pytest.mark.parametrize(("asked", "by_people", "fitted"), [("auto", 0, "no"), ("yes", 0, "yes"), ("auto", 60, "auto")])
def test_no_gate_is_fitted_on_synthetic_queries_alone_unless_asked_for(monkeypatch, asked, by_people, fitted):
    rows = Dataset.from_pairs([(f"thing{n % 60} {n}", f"about thing{n % 60}") for n in range(240)])
    ids = list(rows.queries)
    parts = {query: "test" for query in ids[:60]} | {query: "train" for query in ids[60:]}
    data = replace(rows, synthetic=dict.fromkeys(ids[60 + by_people :], Origin("extractive")), parts=parts)
    gates = set()

    def choose(pool, folds, config, **_):
        gates.add(config.gate)
        return Choice(IdentityAdapter(), (), ())

    monkeypatch.setattr("embertune.recipes.choosing.choose", choose)
    tune(data, "hashing", effort=TuneConfig.of_effort("fast", gate=asked))
    assert gates == {fitted}
