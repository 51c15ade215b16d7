from __future__ import annotations

import json
from dataclasses import replace

import pytest

from embertune.evaluation.verdict import Evidence, decide

BETTER = Evidence("ndcg@10", 0.5, 0.6, 0.05, 0.15, 0.001, 200, 60, 20)
MEASURED = "ndcg@10 0.500 → 0.600 (+0.100, 95 % interval +0.050 to +0.150, p = 0.001, 200 test queries)"


def _group(n, mean, low, high):
    return {"n": n, "mean": mean, "low": low, "high": high}


def test_ship():
    verdict = decide(BETTER)
    assert (verdict.code, verdict.sentence) == ("ship", f"Ship it: {MEASURED}.")
    assert verdict.reason == "The change lies between +0.050 and +0.150 (95 % interval); 60 queries gain, 20 lose."


def test_what_was_measured_on_synthetic_queries_says_so():
    verdict = decide(replace(BETTER, synthetic={"extractive": 150, "openai/gpt-4o-mini": 50}))
    assert (verdict.code, verdict.sentence) == (
        "ship",
        f"Ship it: {MEASURED}.".replace("200 test", "200 synthetic test"),
    )
    assert verdict.reason.startswith(
        "Measured on synthetic queries (150 by extractive, 50 by openai/gpt-4o-mini), so what people ask may gain less "
        "or lose; the change lies between"
    )


def test_too_few_queries_come_before_everything():
    few = "Do not ship this yet: 19 test queries are too few to tell; at least 20 are needed. Measured: "
    for evidence in (BETTER, replace(BETTER, identity=True), replace(BETTER, tuned=0.4, low=-0.2, high=-0.05)):
        verdict = decide(replace(evidence, queries=19))
        assert verdict.code == "too-little-data"
        assert verdict.sentence.startswith(few + "ndcg@10 0.500 → ")
    assert decide(replace(BETTER, queries=20)).code == "ship"


def test_dev_chose_no_adapter():
    verdict = decide(replace(BETTER, tuned=0.5, low=0.0, high=0.0, p=1.0, identity=True))
    assert (verdict.code, verdict.sentence) == (
        "no-gain",
        "Do not ship anything: on dev no adapter beat the frozen encoder (ndcg@10 0.500), "
        "so the adapter is the identity.",
    )


@pytest.mark.parametrize(
    ("low", "p", "code"),
    [
        (1e-9, 0.0499, "ship"),
        (0.0, 0.001, "too-little-data"),
        (0.05, 0.05, "too-little-data"),
        (-0.01, 0.2, "too-little-data"),
    ],
)
def test_interval_and_test_must_both_agree(low, p, code):
    verdict = decide(replace(BETTER, low=low, p=p))
    assert verdict.code == code
    if code == "too-little-data":
        assert verdict.sentence.startswith("Do not ship this yet: the gain is within the noise. ndcg@10 0.500 → 0.600")


@pytest.mark.parametrize(
    ("tuned", "low", "high", "code"),
    [
        (0.5, -0.1, 0.1, "no-gain"),
        (0.45, -0.12, 0.02, "no-gain"),
        (0.504, -0.001, 0.00999, "no-gain"),
        (0.504, -0.001, 0.01, "too-little-data"),
    ],
)
def test_a_gain_that_is_not_there_and_one_that_cannot_be_told(tuned, low, high, code):
    verdict = decide(replace(BETTER, tuned=tuned, low=low, high=high, p=0.4))
    assert verdict.code == code
    assert ("there is no gain. " in verdict.sentence) == (code == "no-gain")


@pytest.mark.parametrize(
    ("group", "harmed"),
    [
        (_group(30, -0.0051, -0.05, 0.04), True),
        (_group(29, -0.0051, -0.05, 0.04), False),
        (_group(30, -0.005, -0.05, 0.04), False),
        (_group(5, -0.2, -0.3, -0.1), True),
        (_group(5, -0.2, -0.4, 0.0), False),
        ({"n": 0}, False),
    ],
)
def test_a_group_that_is_harmed_has_a_veto(group, harmed):
    verdict = decide(replace(BETTER, groups={"seen": _group(170, 0.12, 0.06, 0.18), "unseen": group}))
    assert verdict.code == ("no-gain" if harmed else "ship")
    if harmed:
        assert verdict.sentence == f"Do not ship this: it helps overall, but harms unseen documents. {MEASURED}."
        assert f"the {group['n']} queries on unseen documents lose -0." in verdict.reason


def test_both_groups_are_named():
    worse = _group(100, -0.1, -0.2, -0.05)
    verdict = decide(replace(BETTER, groups={"seen": worse, "unseen": worse}))
    assert "but harms seen and unseen documents. " in verdict.sentence


def _foreign(n, mean, low, high, *, gate="no"):
    return {"name": "tales", "n": n, "mean": mean, "low": low, "high": high, "gate": gate}


@pytest.mark.parametrize(
    ("foreign", "harmed"),
    [
        (_foreign(30, -0.0101, -0.05, 0.03), True),
        (_foreign(29, -0.0101, -0.05, 0.03), False),
        (_foreign(29, -0.0101, -0.02, -0.0001), True),
        (_foreign(29, -0.0101, -0.02, 0.0), False),
        (_foreign(500, -0.01, -0.012, -0.008), False),
        (_foreign(500, 0.02, 0.01, 0.03), False),
    ],
)
def test_queries_that_it_is_not_for_have_a_veto(foreign, harmed):
    verdict = decide(replace(BETTER, foreign=foreign))
    assert verdict.code == ("no-gain" if harmed else "ship")
    verb = "lose" if harmed else "change by"
    assert (
        f"; the {foreign['n']} queries of tales, which it is not for, {verb} {foreign['mean']:+.3f} [" in verdict.reason
    )
    if harmed:
        assert verdict.sentence == (
            "Do not ship this: it helps the queries that it is for, but harms others. Those of tales lose 0.010. "
            'A gate, as with gate="yes", gives queries unlike the training queries the frozen encoder back. '
            f"Less strength, such as candidate.scaled(0.5), takes less from them. {MEASURED}."
        )


@pytest.mark.parametrize(
    ("gate", "advice"),
    [
        ("yes", "Less strength, "),
        ("never", 'With offsets="no" documents stay where they are, and others find what they found. Less strength, '),
    ],
)
def test_a_gate_is_not_advised_where_there_is_one_or_can_be_none(gate, advice):
    sentence = decide(replace(BETTER, foreign=_foreign(100, -0.05, -0.06, -0.04, gate=gate))).sentence
    assert f"Those of tales lose 0.050. {advice}" in sentence
    assert 'gate="yes"' not in sentence


def test_a_gain_that_is_not_there_is_not_called_harm():
    verdict = decide(replace(BETTER, tuned=0.45, low=-0.1, high=0.0, foreign=_foreign(100, -0.05, -0.06, -0.04)))
    assert verdict.sentence.startswith("Do not ship this: there is no gain. ")
    assert "the 100 queries of tales, which it is not for, lose -0.050 [-0.060, -0.040]" in verdict.reason


def test_the_whole_reason():
    verdict = decide(
        replace(
            BETTER,
            groups={"seen": _group(150, 0.12, 0.06, 0.18), "unseen": _group(50, 0.04, -0.01, 0.09), "none": {"n": 0}},
            headroom={"recall@100": 0.987, "mrr": 0.4444, "reordering": 0.4321},
            seeds=(0.1, 0.08, 0.12),
            to_settle=12345,
        )
    )
    assert verdict.reason == (
        "The change lies between +0.050 and +0.150 (95 % interval); 60 queries gain, 20 lose; "
        "the 150 queries on seen documents change by +0.120 [+0.060, +0.180]; "
        "the 50 queries on unseen documents change by +0.040 [-0.010, +0.090]; "
        "the base finds 99% of the answers in its top 100 at an MRR@100 of 0.444, "
        "so reordering alone could win up to +0.432; "
        "3 seeds differ from +0.080 to +0.120; "
        "about 12 345 test queries would settle a difference of this size."
    )
    assert str(verdict) == f"{verdict.sentence}\n{verdict.reason}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": (0.1, 0.1, 0.1)}, "; 3 seeds all give +0.100."),
        ({"seeds": (0.1,)}, "20 lose."),
        ({"to_settle": 200}, "20 lose."),
        ({"to_settle": 201}, "; about 201 test queries would settle a difference of this size."),
        ({"to_settle": None}, "20 lose."),
    ],
)
def test_what_is_left_unsaid(changes, said):
    assert decide(replace(BETTER, **changes)).reason.endswith(said)


def test_the_numbers_survive_json():
    verdict = decide(replace(BETTER, seeds=(0.1, 0.2), headroom={"recall@100": 1.0, "mrr": 0.5, "reordering": 0.1}))
    told = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert told == verdict.to_dict()
    assert told["numbers"]["delta"] == pytest.approx(0.1)
    assert told["numbers"]["low"] == 0.05
