from __future__ import annotations

import re
from dataclasses import replace

import pytest

from embertune.errors import ConfigError
from embertune.recipes.evaluate_encoders import compare, evaluate
from embertune.recipes.tune import tune


@pytest.fixture(scope="module")
def tuned(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=quick, seed=3)


def test_an_adapter_is_judged_on_the_queries_that_did_not_train_it(learnable, tuned):
    judged = evaluate(learnable.data, learnable.encoder, [tuned.candidate])
    assert judged.notes == ("adapter 1 was tuned on this data: only the 40 test queries of its record are judged.",)
    assert judged.evaluations["adapter 1"].means == pytest.approx(tuned.record["tuned"])
    assert judged.evaluations["base"].means == pytest.approx(tuned.record["base"])
    assert judged.evaluations["bm25"].means == pytest.approx(tuned.record["baselines"]["bm25"])


def test_data_that_changed_since_tuning_gets_a_warning(learnable, tuned):
    query, answer = next(iter(learnable.answer.items()))
    changed = replace(learnable.data, qrels={**learnable.data.qrels, query: {answer: 2.0}})
    judged = evaluate(changed, learnable.encoder, [tuned.candidate])
    assert len(judged.evaluations["base"]) == 200
    assert judged.notes == (
        "adapter 1 was tuned on another data set, or on another state of this one (toy): if its training queries are "
        "among these, its figures here flatter it.",
    )


def test_comparing_nothing_is_refused(learnable):
    with pytest.raises(ConfigError, match=re.escape("There is no adapter to compare. Expected one or more: compare(")):
        compare(learnable.data, learnable.encoder, [])


def test_compare_judges_as_evaluate_does(learnable, tuned):
    arguments = (learnable.data, learnable.encoder, [tuned.candidate])
    assert compare(*arguments).to_dict() == evaluate(*arguments).to_dict()
