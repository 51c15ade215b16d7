from typing import ClassVar

import numpy as np
import pytest

from embertune.adapters import Chain, DocumentAdapter, IdentityAdapter, LinearAdapter, MLPAdapter, OrthogonalAdapter
from embertune.adapters.base import Adapter
from embertune.adapters.pairs import Labels
from embertune.core.progress import silent
from embertune.core.vectors import normalize
from embertune.data.guard import Copies
from embertune.data.negatives import MiningConfig, mine_hard_negatives
from embertune.errors import NotFittedError
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.given import choose_given, training_for
from embertune.training.lessons import Lessons
from embertune.training.pool import Pool


def pool_of(n=80, d=12, turned=True):
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(2 * n, d)).astype(np.float32))
    queries = documents[:n] @ rotation if turned else documents[:n]
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(n)}
    judgments = Judgments.from_qrels(qrels, list(qrels), [f"d{i}" for i in range(2 * n)])
    return Pool(normalize(queries.astype(np.float32)), documents, judgments)


def halves(n):
    order = np.random.default_rng(0).permutation(n)
    return [(np.sort(order[: n // 2]), np.sort(order[n // 2 :])), (np.sort(order[n // 2 :]), np.sort(order[: n // 2]))]


def choose(pool, adapter):
    folds = halves(len(pool.queries))
    return choose_given(pool, folds, adapter, TuneConfig(), seed=0, progress=silent)


def test_it_is_fitted_on_everything_where_dev_gains_and_the_one_that_was_given_stays_unfitted():
    pool, given = pool_of(), OrthogonalAdapter(1e-4)
    choice = choose(pool, given)
    everything = pool.training(np.arange(80))
    alone = OrthogonalAdapter(1e-4).fit(everything.queries, everything.documents, pairs=everything.pairs)
    np.testing.assert_array_equal(choice.adapter.matrix, alone.matrix)
    with pytest.raises(NotFittedError):
        given.tensors()
    assert [candidate.params for candidate in choice.candidates] == [{}, {"adapter": "orthogonal"}]
    assert choice.candidates[1].dev > choice.candidates[0].dev + 0.3
    assert choice.candidates[1].weight == 1


def test_no_adapter_is_taken_where_it_loses():
    choice = choose(pool_of(turned=False), LinearAdapter(pull=1e-6, max_steps=200, temperature=0.5))
    assert isinstance(choice.adapter, IdentityAdapter)
    assert [candidate.weight for candidate in choice.candidates] == [1, 0]


@pytest.mark.parametrize(
    ("adapter", "documents"),
    [(LinearAdapter(), 3), (DocumentAdapter(), 160), (Chain([LinearAdapter(), DocumentAdapter()]), 160)],
)
def test_the_corpus_is_given_to_those_that_learn_from_it(adapter, documents):
    pool, rows = pool_of(), np.array([3, 5, 7])
    training = pool.training(rows, whole_corpus=adapter.wants_corpus)
    assert training.documents.shape == (documents, 12)
    np.testing.assert_array_equal(training.documents[training.pairs[:, 1]], pool.documents[rows])


class Doubling(IdentityAdapter):
    """A stranger's class, which has a say in nothing."""

    type = "doubling-of-a-stranger"

    def changes(self, side):
        return side == "query"

    def _map(self, vectors, side):
        return normalize(2 * vectors)


def test_a_strangers_class_is_judged_as_ours():
    choice = choose(pool_of(), Doubling())
    assert isinstance(choice.adapter, IdentityAdapter)
    assert issubclass(Doubling, Adapter)
    assert choice.candidates[0].dev == pytest.approx(choice.candidates[1].dev)


def test_what_is_not_taken_is_kept_and_the_reason_said():
    choice = choose(pool_of(turned=False), LinearAdapter(pull=1e-6, max_steps=200, temperature=0.5))
    assert isinstance(choice.trained, LinearAdapter)
    assert choice.trained.coef_.any()
    assert choice.reasons[-1].startswith("The linear adapter is not taken: on dev it scores ")


class Watching(LinearAdapter):
    """Keeps what it is fitted and stopped by."""

    type = "watching"
    seen: ClassVar[list] = []

    def fit_training(self, training, *, validate=None):
        def watched(candidate):
            score = validate(candidate)
            Watching.seen[-1]["scores"].append(score)
            return score

        Watching.seen.append({"queries": training.queries, "training": training, "scores": []})
        return super().fit_training(training, validate=None if validate is None else watched)


@pytest.fixture
def watched():
    Watching.seen.clear()
    yield Watching.seen
    Watching.seen.clear()


def rows_of(pool, queries):
    place = {row.tobytes(): at for at, row in enumerate(pool.queries)}
    return {place[row.tobytes()] for row in queries}


def thirds(n):
    order = np.random.default_rng(0).permutation(n)
    parts = [np.sort(order[at::3]) for at in range(3)]
    return [(np.setdiff1d(order, part), part) for part in parts]


def test_who_stops_early_is_stopped_by_queries_neither_fitted_on_nor_judged(watched):
    pool, folds = pool_of(), thirds(80)
    given = Watching(negatives="in-batch", max_epochs=6, learning_rate=0.1, pull=1e-4)
    choice = choose_given(pool, folds, given, TuneConfig(), seed=0, progress=silent)
    *copies, final = watched
    for at, ((fit, dev), copy) in enumerate(zip(folds, copies, strict=True)):
        fitted_on, next_dev = rows_of(pool, copy["queries"]), set(folds[(at + 1) % 3][1].tolist())
        assert fitted_on == set(fit.tolist()) - next_dev
        assert not fitted_on & set(dev.tolist())
        assert copy["scores"]
    assert rows_of(pool, final["queries"]) == set(range(80))
    assert not final["scores"]
    best = [int(np.argmax(copy["scores"])) for copy in copies]
    assert min(best) > 0
    assert choice.trained.max_epochs == int(np.median(best)) == len(choice.trained.losses_)
    assert choice.reasons[0].startswith(f"Trained for {choice.trained.max_epochs} of at most 6 epochs: ")
    assert given.max_epochs == 6
    assert not hasattr(given, "learned_")


def test_where_one_fold_judges_a_fifth_of_the_others_stops(watched):
    pool, (fold, *_) = pool_of(), halves(80)
    choose_given(pool, [fold], Watching(loss="mse", max_epochs=2), TuneConfig(), seed=0, progress=silent)
    assert len(watched[0]["queries"]) == 32
    assert rows_of(pool, watched[0]["queries"]) < set(fold[0].tolist())


def test_a_gate_is_decided_on_as_for_our_own_maps():
    pool = pool_of(turned=True)
    folds = halves(80)
    for gate in ("yes", "no"):
        config = TuneConfig(gate=gate)
        choice = choose_given(pool, folds, OrthogonalAdapter(1e-4), config, seed=0, progress=silent)
        assert (choice.adapter.gate is not None) is (gate == "yes")
    choice = choose(pool, OrthogonalAdapter(1e-4))
    assert "gate" in " ".join(choice.reasons) or "unlike the training queries" in " ".join(choice.reasons)


def test_hard_negatives_are_mined_among_answers_and_labels_bring_their_documents(watched):
    pool = pool_of()
    positions = np.array([(i, d) for i in range(80) for d in (i, 80 + i)])
    lessons = Lessons(Copies(np.empty((0, 2), int), np.empty((0, 2), int)), Labels(positions, np.tile([1.0, 0.0], 80)))
    pool = Pool(pool.queries, pool.documents, pool.judgments, lessons)
    rows = np.array([5, 3, 60])
    hard = training_for(MLPAdapter(negatives="hard", num_negatives=2), pool, rows)
    assert hard.documents.shape == (3, 12)
    mined = mine_hard_negatives(hard.queries, hard.documents, hard.pairs, MiningConfig(num_negatives=2))
    assert sorted(map(tuple, hard.negatives.tolist())) == sorted(
        (query, document)
        for query, found in zip(mined.queries.tolist(), mined.documents.tolist(), strict=True)
        for document in found
        if document >= 0
    )
    taught = training_for(MLPAdapter(loss="margin_mse"), pool, rows)
    assert taught.documents.shape == (6, 12)
    for (query, document), value in zip(taught.labels.positions.tolist(), taught.labels.values.tolist(), strict=True):
        row = rows[query]
        np.testing.assert_array_equal(taught.documents[document], pool.documents[row if value else 80 + row])
    np.testing.assert_array_equal(taught.documents[taught.pairs[:, 1]], pool.documents[rows[taught.pairs[:, 0]]])
    assert training_for(LinearAdapter(), pool, rows).labels is None
