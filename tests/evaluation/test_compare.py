"""Comparisons pair queries by id, count wins and losses, and give the record's shapes."""

import json
import re

import numpy as np
import pytest

from embertune.errors import ConfigError, DataError
from embertune.evaluation.compare import compare, compare_two
from embertune.evaluation.evaluate import Evaluation
from embertune.evaluation.statistics import bootstrap_interval, holm, randomization_test


def evaluation(scores, ids=None, **more):
    columns = {"ndcg@10": np.array(scores, float), **{name: np.array(values, float) for name, values in more.items()}}
    ids = ids or [f"q{at:03}" for at in range(len(scores))]
    return Evaluation("run", tuple(ids), columns, 0, 0, 0)


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    base = random.random(60).round(1)
    tuned = (base + random.choice([0, 0, 0.1, 0.2, -0.1], size=60)).clip(0, 1)
    mrr = random.random(60), random.random(60)
    return evaluation(base, **{"mrr@10": mrr[0]}), evaluation(tuned, **{"mrr@10": mrr[1]})


def test_numbers_are_those_of_the_statistics(pair):
    base, tuned = pair
    duel = compare_two(base, tuned, seed=3)
    for metric in ("ndcg@10", "mrr@10"):
        difference = tuned.scores[metric] - base.scores[metric]
        difference[np.abs(difference) < 1e-9] = 0
        delta = duel.overall.delta[metric]
        assert delta.mean == pytest.approx(difference.mean())
        assert (delta.low, delta.high) == bootstrap_interval(difference, seed=3)
        assert delta.p == randomization_test(difference, seed=3)
        assert (delta.wins, delta.ties, delta.losses) == (
            (difference > 0).sum(),
            (difference == 0).sum(),
            (difference < 0).sum(),
        )
        assert duel.overall.base[metric] == pytest.approx(base.scores[metric].mean())
        assert duel.overall.tuned[metric] == pytest.approx(tuned.scores[metric].mean())


def test_rounding_is_a_tie():
    delta = compare_two(evaluation([0.3, 0.5]), evaluation([0.1 + 0.2, 0.5])).overall.delta["ndcg@10"]
    assert (delta.wins, delta.ties, delta.losses, delta.mean, delta.p) == (0, 2, 0, 0, 1)


def test_queries_are_paired_by_id_not_by_place(pair):
    base, tuned = pair
    order = np.random.default_rng(1).permutation(60)
    mixed = Evaluation(
        "run",
        tuple(tuned.query_ids[row] for row in order),
        {metric: scores[order] for metric, scores in tuned.scores.items()},
        0,
        0,
        0,
    )
    assert compare_two(base, mixed).to_dict() == compare_two(base, tuned).to_dict()


def test_groups_are_reported_apart(pair):
    base, tuned = pair
    seen = list(base.query_ids[:20])
    duel = compare_two(base, tuned, groups={"seen": [*seen, "not judged"], "unseen": base.query_ids[20:], "no": []})
    assert {name: group.n for name, group in duel.groups.items()} == {"seen": 20, "unseen": 40, "no": 0}
    assert duel.groups["no"].to_dict() == {"n": 0, "base": {}, "tuned": {}, "delta": {}}
    part = [
        Evaluation("run", tuple(seen), {metric: scores[:20] for metric, scores in one.scores.items()}, 0, 0, 0)
        for one in pair
    ]
    assert duel.groups["seen"] == compare_two(*part).overall
    means = [duel.groups[name].n * duel.groups[name].delta["mrr@10"].mean for name in ("seen", "unseen")]
    assert sum(means) / 60 == pytest.approx(duel.overall.delta["mrr@10"].mean)


def test_most_gained_and_most_lost_come_in_order():
    base = evaluation([0.5] * 30, **{"mrr": [0] * 30})
    change = np.zeros(30)
    change[[4, 7, 9]], change[[1, 2]] = [0.1, 0.3, 0.1], [-0.2, -0.4]
    tuned = evaluation(0.5 + change, **{"mrr": np.arange(30) / 30})
    duel = compare_two(base, tuned)
    assert duel.gained == ("q007", "q004", "q009")
    assert duel.lost == ("q002", "q001")
    by_mrr = compare_two(base, tuned, primary="mrr")
    assert by_mrr.gained == tuple(f"q{at:03}" for at in range(29, 19, -1))
    assert by_mrr.lost == ()


def test_the_record_gets_its_shapes_as_plain_json(pair):
    found = compare_two(*pair, groups={"seen": pair[0].query_ids[:5], "unseen": []}).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    shape = {"mean", "low", "high", "p", "wins", "ties", "losses"}
    assert set(found["delta"]) == set(found["base"]) == set(found["tuned"]) == {"ndcg@10", "mrr@10"}
    assert all(set(delta) == shape for delta in found["delta"].values())
    assert set(found["groups"]["seen"]) == {"n", "base", "tuned", "delta"}
    assert all(set(delta) == shape for delta in found["groups"]["seen"]["delta"].values())
    assert found["groups"]["unseen"] == {"n": 0, "base": {}, "tuned": {}, "delta": {}}


def test_p_is_adjusted_for_the_number_of_contestants(pair):
    base, tuned = pair
    others = {
        "a": tuned,
        "b": base,
        "c": evaluation(tuned.scores["ndcg@10"] * 0.9, **{"mrr@10": base.scores["mrr@10"]}),
    }
    groups = {"seen": base.query_ids[:30], "none": []}
    comparison = compare({"base": base, **others}, groups=groups)
    alone = {name: compare_two(base, one, groups=groups) for name, one in others.items()}
    for metric in base.metrics:
        for read in (lambda duel: duel.overall, lambda duel: duel.groups["seen"]):
            expected = holm([read(duel).delta[metric].p for duel in alone.values()])
            found = [read(duel).delta[metric].p for duel in comparison.duels.values()]
            assert found == expected.tolist()
            assert read(comparison.duels["a"]).delta[metric].low == read(alone["a"]).delta[metric].low
    raised = [
        comparison.duels[name].overall.delta["ndcg@10"].p > alone[name].overall.delta["ndcg@10"].p for name in "ac"
    ]
    assert any(raised)
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False)) == comparison.to_dict()


def test_the_table_has_the_base_first():
    base, tuned = evaluation([0.0, 0.5] * 4), evaluation([0.5, 0.5] * 4)
    comparison = compare({"frozen": base, "adapter": tuned}, groups={"seen": ["q000", "q001"], "unseen": []})
    low, high = (f"{end:+.3f}" for end in bootstrap_interval([0.5, 0.0] * 4, seed=0))
    assert str(comparison) == (
        "8 queries; difference to frozen, its 95 % interval, p, queries that gained, stayed, lost\n"
        "ndcg@10  frozen   0.250\n"
        f"         adapter  0.500  +0.250 [{low}, {high}]  0.1250  4 / 4 / 0\n"
        "\n"
        "seen: 2 queries\n"
        "ndcg@10  frozen   0.250\n"
        f"         adapter  0.500  +0.250 {str_of_interval([0.5, 0.0])}  1.0000  1 / 1 / 0\n"
        "\n"
        "unseen: 0 queries"
    )
    assert str(comparison.duels["adapter"]) == str(comparison)


def str_of_interval(values):
    low, high = bootstrap_interval(values, seed=0)
    return f"[{low:+.3f}, {high:+.3f}]"


def test_what_cannot_be_compared_is_told(pair):
    base, tuned = pair
    with pytest.raises(ConfigError, match=re.escape("Found 1 evaluations. Expected at least two, the baseline first")):
        compare({"base": base})
    with pytest.raises(ConfigError, match=re.escape("'map' was not measured. Measured: ndcg@10, mrr@10.")):
        compare_two(base, tuned, primary="map")
    with pytest.raises(DataError, match=re.escape("'tuned' was not measured in mrr@10.")):
        compare_two(base, evaluation(np.zeros(60)))
    short = evaluation(np.zeros(59), **{"mrr@10": np.zeros(59)})
    message = "'base' was judged on 60 queries and 'tuned' on 59; 1 are in one of them only (such as 'q059')."
    with pytest.raises(DataError, match=re.escape(message)):
        compare_two(base, short)
    with pytest.raises(DataError, match=re.escape("Group 'seen' names 1 query twice.")):
        compare_two(base, tuned, groups={"seen": ["q001", "q001"]})


def test_inputs_are_not_modified(pair):
    copies = [{metric: scores.copy() for metric, scores in one.scores.items()} for one in pair]
    groups = {"seen": ["q001"]}
    compare({"base": pair[0], "tuned": pair[1]}, groups=groups)
    assert groups == {"seen": ["q001"]}
    for one, copy in zip(pair, copies, strict=True):
        for metric in copy:
            np.testing.assert_array_equal(one.scores[metric], copy[metric])
