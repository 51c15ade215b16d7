import numpy as np
import pytest

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.core.vectors import normalize
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.selection import Pool, choose

CONFIG = TuneConfig(folds=2, repeats=2, pulls=(1.0, 0.1, 0.01))


def pool_of(n=80, d=16, noise=0.3, seed=0):
    """Queries are their documents seen through a rotation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(2 * n, d)).astype(np.float32))
    queries = normalize((documents[:n] @ rotation + noise * rng.normal(size=(n, d)) / np.sqrt(d)).astype(np.float32))
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(n)}
    ids = [f"q{i}" for i in range(n)], [f"d{i}" for i in range(2 * n)]
    return Pool(queries, documents, Judgments.from_qrels(qrels, *ids))


def halves(n, repeats=2):
    found = []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(n)
        first, second = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
        found.append([(first, second), (second, first)])
    return found


def test_learns_where_there_is_something_to_learn_and_marks_the_choice():
    choice = choose(pool_of(), halves(80), CONFIG, seed=0)
    assert isinstance(choice.adapter, LinearAdapter)
    (chosen,) = [candidate for candidate in choice.candidates if candidate.chosen]
    assert chosen.params == {"pull": choice.adapter.pull}
    assert chosen.dev > choice.candidates[0].dev + 0.05
    assert choice.candidates[0].params == {}


def test_the_identity_is_chosen_where_nothing_can_be_better():
    perfect = pool_of()
    answers = Pool(perfect.documents[:80], perfect.documents, perfect.judgments)
    choice = choose(answers, halves(80), CONFIG, seed=0)
    assert isinstance(choice.adapter, IdentityAdapter)
    assert choice.candidates[0].chosen
    assert choice.candidates[0].dev == 1.0


def test_best_checkpoint_is_a_copy():
    pool = pool_of()
    choice = choose(pool, halves(80), CONFIG, seed=0)
    before = choice.adapter.tensors()["query"].copy()
    maker = LinearAdapter(pull=choice.adapter.pull, rank=None)
    list(maker.fit_path(pool.training(np.arange(80)), [0.5, 0.001]))
    assert choice.adapter.tensors()["query"].tobytes() == before.tobytes()


def test_one_seed_one_choice():
    first, second = (choose(pool_of(), halves(80), CONFIG, seed=3) for _ in range(2))
    assert first.candidates == second.candidates
    assert first.adapter.tensors()["query"].tobytes() == second.adapter.tensors()["query"].tobytes()


def test_a_dev_part_is_used_as_it_is():
    dev = np.arange(40, 80)
    choice = choose(pool_of(), [[(np.arange(40), dev)]], CONFIG, seed=0)
    assert isinstance(choice.adapter, LinearAdapter)


def test_training_takes_negatives_from_training_positives_alone():
    training = pool_of().training(np.array([3, 5, 7]))
    assert training.queries.shape == (3, 16)
    assert training.documents.shape == (3, 16)
    assert training.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_the_curve_runs_from_the_identity_to_the_choice():
    choice = choose(pool_of(), halves(80), CONFIG, seed=0)
    assert choice.curve[0] == {"step": 0, "loss": None, "dev": choice.candidates[0].dev}
    read = [point["dev"] for point in choice.curve if point["dev"] is not None]
    (chosen,) = [candidate.dev for candidate in choice.candidates if candidate.chosen]
    assert read[-1] == chosen
    assert [point["step"] for point in choice.curve] == list(range(len(choice.curve)))


def test_scores_are_those_of_exact_search():
    pool = pool_of(n=10)
    scores = pool.score(IdentityAdapter(), np.array([2, 4]), "hit_rate@1")
    best = (pool.queries[[2, 4]] @ pool.documents.T).argmax(axis=1)
    assert scores.tolist() == [float(best[0] == 2), float(best[1] == 4)]


@pytest.mark.parametrize("side", ["query", "both"])
def test_both_sides_are_fitted_when_asked(side):
    config = TuneConfig(folds=2, repeats=1, pulls=(0.1,), side=side)
    adapter = choose(pool_of(), halves(80, 1), config, seed=0).adapter
    assert adapter.changes("document") is (side == "both")
