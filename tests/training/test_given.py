import numpy as np
import pytest

from embertune.adapters import Chain, DocumentAdapter, IdentityAdapter, LinearAdapter, OrthogonalAdapter
from embertune.adapters.base import Adapter
from embertune.core.progress import silent
from embertune.core.vectors import normalize
from embertune.errors import NotFittedError
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.given import choose_given
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
