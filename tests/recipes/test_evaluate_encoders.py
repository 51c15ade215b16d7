from __future__ import annotations

import re
from dataclasses import replace

import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.data.dataset import Dataset
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import estimate_dataset
from embertune.errors import ConfigError
from embertune.recipes.evaluate_encoders import compare, evaluate
from embertune.recipes.measure import METRICS
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


@pytest.mark.parametrize("at", range(5))
def test_the_strength_gives_what_tune_has_shown(at, learnable, tuned):
    row = tuned.record["strength"][at]
    judged = compare(learnable.data, learnable.encoder, [tuned.candidate], strength=row["strength"])
    assert judged.evaluations["adapter 1"].means["ndcg@10"] == pytest.approx(row["all"])
    assert judged.notes[-1] == f"Adapters are applied at strength {row['strength']:g}."
    assert tuned.candidate.strength == 1


def test_a_strength_of_nothing_is_refused(learnable):
    with pytest.raises(ConfigError, match=re.escape("strength is 0.5, and there is no adapter that it could be of.")):
        evaluate(learnable.data, learnable.encoder, strength=0.5)
    with pytest.raises(ConfigError, match=re.escape("strength must be from 0 (nothing of what was learned) to 1")):
        evaluate(learnable.data, learnable.encoder, [IdentityAdapter()], strength=-1)


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


@pytest.mark.parametrize("judge", [evaluate, compare])
def test_cost_is_told_before_and_after(judge, priced):
    data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(6)])
    parts = {f"q{n}": "train" if n < 4 else "test" for n in range(1, 7)}
    encoder, told = priced(), []

    def before(asked, part):
        told.append((asked, estimate_dataset(asked, part), list(encoder.asked)))

    arguments = (replace(data, parts=parts), encoder, [IdentityAdapter()])
    judged = judge(*arguments, before_embedding=before)
    # Three test queries and all documents; and nothing had been asked by then.
    assert told == [(encoder, Cost(9, 90, 9.0), [])]
    assert judged.cost == Cost(9, 90, 9.0)
    assert judged.to_dict()["cost"] == {"texts": 9, "tokens": 90, "usd": 9.0}
    assert judge(*arguments).cost == Cost(0, 0, 0.0)


def test_what_raises_before_embedding_keeps_it_from_being_paid(priced):
    def refuse(encoder, part):
        raise ConfigError(f"{estimate_dataset(encoder, part)} is too much")

    encoder = priced()
    with pytest.raises(ConfigError, match=re.escape("2 texts, 20 tokens, $2.0000 is too much")):
        evaluate(Dataset.from_pairs([("a question", "an answer")]), encoder, before_embedding=refuse)
    assert encoder.asked == []


def test_an_encoder_that_costs_nothing_has_no_cost(learnable):
    assert evaluate(learnable.data, learnable.encoder).to_dict()["cost"] is None


def test_an_unknown_part_is_refused_before_anything_is_read():
    with pytest.raises(ConfigError, match=re.escape("part must be 'train', 'dev', 'test' or 'all', got 'valid'")):
        evaluate("no-such-data", "no-such-encoder", ["no-such-adapter"], part="valid")


def test_folders_are_called_by_what_tells_them_apart(learnable, tmp_path):
    """The table stays as narrow as it can; what is computed with keeps the whole path."""
    folders = [tmp_path / name for name in ("runs/one/adapter", "runs/two/adapter", "runs/base", "mine")]
    for folder in folders:
        IdentityAdapter().save(folder)
    judged = compare(learnable.data, learnable.encoder, folders)
    head = str(judged).splitlines()[1]
    assert head.split() == ["base", "one/adapter", "two/adapter", "runs/base", "mine", "bm25"]
    assert str(tmp_path) not in str(judged)
    assert len([line for line in str(judged).splitlines() if line.strip().startswith("two/adapter  ")]) == len(METRICS)
    assert list(judged.comparison.duels) == [str(folder) for folder in folders]
    assert list(judged.to_dict()["means"]) == ["base", *map(str, folders), "bm25"]
