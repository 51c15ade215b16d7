from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.data.origin import Origin
from embertune.data.splits import seen_queries
from embertune.errors import DataError, SplitError
from embertune.recipes.plan import inner_folds, make_plan
from embertune.training.config import TuneConfig


def _data(queries, documents=None, **fields):
    pairs = [(f"question {n}", f"answer {n % (documents or queries)}") for n in range(queries)]
    made = Dataset.from_pairs(pairs, name="toy")
    return Dataset(made.corpus, made.queries, made.qrels, name="toy", **fields)


def _parts(**sizes):
    names = [part for part, size in sizes.items() for _ in range(size)]
    return {f"q{n}": part for n, part in enumerate(names, start=1)}


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_than_ten_queries_are_refused(count):
    data = _data(20).select([f"q{n}" for n in range(1, count + 1)])
    noun = "query" if count == 1 else "queries"
    with pytest.raises(SplitError, match=re.escape(f"toy has {count} {noun} with a relevant document; at least 10")):
        make_plan(data, None, seed=0)


@pytest.mark.parametrize(("count", "trials"), [(10, 5), (99, 5), (100, 1)])
def test_below_a_hundred_queries_there_are_folds(count, trials):
    plan = make_plan(_data(count), None, seed=0)
    assert len(plan.trials) == trials
    assert plan.kind == ("three parts" if trials == 1 else "5 folds")


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_folds_test_every_query_once_and_never_train_on_it(method):
    data = _data(60, 40)
    plan = make_plan(data, method, seed=1)
    tested = [query for trial in plan.trials for query in trial.test.queries]
    assert sorted(tested) == sorted(data.queries)
    for trial in plan.trials:
        assert trial.pool.queries.keys() == data.queries.keys() - trial.test.queries.keys()
        assert trial.seen == seen_queries(trial.pool, trial.test)
        assert bool(trial.seen) == (method == "by-query")
    assert plan.counts(data) == {"train": 48, "dev": 0, "test": 60, "documents": 40, "pairs": 60}


def test_three_parts_cover_all_and_do_not_meet():
    data = _data(150, 90)
    plan = make_plan(data, "by-query", seed=2)
    (trial,) = plan.trials
    assert trial.pool.queries.keys() | trial.test.queries.keys() == data.queries.keys()
    assert not trial.pool.queries.keys() & trial.test.queries.keys()
    assert trial.dev < trial.pool.queries.keys()
    assert plan.counts(data) == {"train": 90, "dev": 30, "test": 30, "documents": 90, "pairs": 150}


def test_seen_counts_dev_too():
    """What is saved is fitted on train and dev, so a document of a dev query is no unseen one."""
    data = _data(300, 150, parts=_parts(train=100, dev=50, test=150))
    (trial,) = make_plan(data, "given", seed=0).trials
    assert trial.seen == trial.test.queries.keys()


def test_the_given_split_is_taken_where_there_is_one_however_small():
    data = _data(40, parts=_parts(train=20, dev=8, test=12))
    plan = make_plan(data, None, seed=0)
    assert (plan.method, plan.kind) == ("given", "three parts")
    assert plan.counts(data) == {"train": 20, "dev": 8, "test": 12, "documents": 40, "pairs": 40}
    assert make_plan(data, "by-query", seed=0).kind == "5 folds"


def test_queries_without_an_answer_are_left_out_and_counted():
    made = _data(110)
    qrels = {query: ({"d1": 0.0} if query in ("q3", "q4") else grades) for query, grades in made.qrels.items()}
    plan = make_plan(Dataset(made.corpus, made.queries, qrels), None, seed=0)
    assert "2 queries without a relevant document are left out of the split." in plan.notes
    assert not {"q3", "q4"} & {*plan.trials[0].pool.queries, *plan.trials[0].test.queries}


def test_a_split_of_other_data_is_refused():
    plan = make_plan(_data(300), None, seed=0).trials[0]
    from embertune.data.splits import Split

    split = Split(plan.pool, plan.pool, plan.test, "by-query", (0.6, 0.2, 0.2), 0)
    with pytest.raises(DataError, match="are not queries of toy"):
        make_plan(_data(120), split, seed=0)


def _trial(parts, documents=None, **options):
    data = _data(sum(parts.values()), documents, parts=_parts(**parts))
    plan = make_plan(data, "given", seed=0)
    return plan.trials[0], inner_folds(plan.trials[0], "given", TuneConfig(**options), seed=0)


def test_every_query_of_the_pool_is_dev_once():
    trial, folds = _trial({"train": 80, "dev": 20, "test": 50}, folds=4)
    assert len(folds) == 4
    assert sorted(np.concatenate([dev for _, dev in folds])) == list(range(len(trial.pool.queries)))
    assert all(not set(fit) & set(dev) and len(fit) + len(dev) == 100 for fit, dev in folds)


@pytest.mark.parametrize(("documents", "is_seen"), [(75, True), (None, False)])
def test_dev_looks_like_test(documents, is_seen):
    """Where test asks for known documents, dev does; where test asks for documents never seen, dev does."""
    # Query n and query n + 75 share a document, within the pool and across.
    trial, folds = _trial({"train": 150, "dev": 20, "test": 55}, documents)
    assert bool(trial.seen) == is_seen
    ids = list(trial.pool.queries)
    for fit, dev in folds:
        known = {document for row in fit for document in trial.pool.positives(ids[row])}
        shared = [row for row in dev if known & set(trial.pool.positives(ids[row]))]
        assert bool(shared) == is_seen


def test_a_large_dev_is_taken_as_it_is():
    trial, ((fit, dev),) = _trial({"train": 60, "dev": 40, "test": 30}, large_dev=40)
    assert {list(trial.pool.queries)[row] for row in dev} == set(trial.dev)
    assert sorted([*fit, *dev]) == list(range(100))


def test_of_a_large_pool_only_enough_queries_are_judged():
    _, folds = _trial({"train": 100, "dev": 20, "test": 30}, folds=6, large_dev=50)
    assert [len(dev) for _, dev in folds] == [20, 20, 20]
    assert all(not set(fit) & set(dev) and len(fit) == 100 for fit, dev in folds)
    _, (first, *others) = _trial({"train": 100, "dev": 20, "test": 30}, folds=2, large_dev=25)
    assert (len(first[0]), len(first[1]), others) == (60, 25, [])


def test_folds_by_query_where_documents_cannot_be_kept_apart():
    trial, _ = _trial({"train": 60, "dev": 20, "test": 30}, 2)
    assert len(inner_folds(trial, "by-document", TuneConfig(folds=5), seed=0)) == 5


def test_a_small_pool_has_fewer_folds_of_two_queries_or_more():
    _, folds = _trial({"train": 8, "dev": 1, "test": 12}, folds=10)
    assert [len(dev) for _, dev in folds] == [3, 2, 2, 2]


def _mixed(people, synthetic=100):
    data = _data(people + synthetic, 20)
    made = dict.fromkeys(list(data.queries)[people:], Origin("extractive"))
    return replace(data, synthetic=made)


@pytest.mark.parametrize(("people", "trials"), [(10, 5), (99, 5), (100, 1)])
def test_three_parts_need_a_hundred_queries_of_people_however_many_synthetic_ones_there_are(people, trials):
    plan = make_plan(_mixed(people), None, seed=0)
    assert len(plan.trials) == trials
    assert not any(trial.test.synthetic for trial in plan.trials)
    assert all(len(trial.pool.synthetic) == 100 for trial in plan.trials)


def test_too_few_queries_of_people_are_not_made_up_for_by_synthetic_ones():
    expected = (
        "toy has 9 queries with a relevant document that people asked, beside 100 synthetic ones, which are not judged "
        "on where there are others; at least 10 are needed to fit and to judge, and 100 or more to judge well. Add "
        "labelled queries, or judge on synthetic ones alone: dataset.select(dataset.synthetic)"
    )
    with pytest.raises(SplitError, match=re.escape(expected)):
        make_plan(_mixed(9), None, seed=0)


def test_settings_are_chosen_on_queries_of_people_where_the_pool_has_enough_of_them():
    (trial,) = make_plan(_mixed(120), None, seed=0).trials
    place = list(trial.pool.queries)
    judged = [place[row] for _, dev in inner_folds(trial, "by-query", TuneConfig(), seed=0) for row in dev]
    assert sorted(judged) == sorted(set(trial.pool.queries) - trial.pool.synthetic.keys())


def test_settings_are_chosen_on_synthetic_queries_where_the_test_took_those_of_people():
    data = _mixed(50)
    parts = {query: "test" for query in data.queries if query not in data.synthetic}
    (trial,) = make_plan(replace(data, parts=parts), None, seed=0).trials
    assert (len(trial.pool.queries), len(trial.test.queries)) == (100, 50)
    folds = inner_folds(trial, "given", TuneConfig(), seed=0)
    assert sorted(row for _, dev in folds for row in dev) == list(range(100))
