import numpy as np
import pytest

from embertune.adapters import Chain, DocumentAdapter, IdentityAdapter
from embertune.core.vectors import normalize
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.decisions import Trials
from embertune.training.offsets import REACHES, Offsets, fit_offsets, weigh_offsets
from embertune.training.pool import Pool
from embertune.training.selection import choose

CONFIG = TuneConfig(folds=4, pulls=(1.0, 0.1), side="auto")


def habits(seed=0):
    """Forty documents are asked for six times each, in words of their own that no map can know; forty once each.

    Queries 0 to 239 are of the former, 240 to 279 of the latter, whose words are those of the document.
    """
    rng = np.random.default_rng(seed)
    documents = normalize(rng.normal(size=(200, 32)).astype(np.float32))
    words = rng.normal(size=(40, 32)) / np.sqrt(32)
    asked = np.repeat(np.arange(40), 6)
    own = 0.6 * documents[asked] + words[asked] + 0.3 * rng.normal(size=(240, 32)) / np.sqrt(32)
    plain = documents[40:80] + 0.6 * rng.normal(size=(40, 32)) / np.sqrt(32)
    queries = normalize(np.concatenate([own, plain]).astype(np.float32))
    answers = [*asked, *range(40, 80)]
    qrels = {f"q{at}": {f"d{answer}": 1} for at, answer in enumerate(answers)}
    return Pool(queries, documents, Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(200)]))


def quarters(n):
    parts = np.array_split(np.random.default_rng(1).permutation(n), 4)
    return [(np.sort(np.concatenate(parts[:at] + parts[at + 1 :])), np.sort(parts[at])) for at in range(4)]


def score(pool, adapter, rows):
    return pool.score([adapter], rows, "ndcg@10").mean()


def test_documents_move_toward_what_they_are_asked_for_and_harm_no_other():
    pool = habits()
    choice = choose(pool, quarters(280), CONFIG, seed=0)
    assert choice.reasons[-1].startswith("Documents that have training queries move toward them: on dev that")
    links = choice.adapter._links() if isinstance(choice.adapter, Chain) else [choice.adapter]
    assert isinstance(links[-1], DocumentAdapter)
    without = Chain(links[:-1]) if links[:-1] else IdentityAdapter()
    seen, unseen = np.arange(240), np.arange(240, 280)
    assert score(pool, choice.adapter, seen) > score(pool, without, seen) + 0.01
    assert score(pool, choice.adapter, seen) > score(pool, IdentityAdapter(), seen) + 0.1
    moved = links[-1].changed(without.transform(pool.documents, "document"))
    assert moved.tolist() == list(range(80))  # those with training queries, and no other
    assert score(pool, choice.adapter, unseen) >= score(pool, IdentityAdapter(), unseen) - 0.005


def by_document():
    """Folds that hold whole documents out."""
    groups = [np.r_[at * 60 : at * 60 + 60, 240 + at * 10 : 250 + at * 10] for at in range(4)]
    return [(np.sort(np.concatenate(groups[:at] + groups[at + 1 :])), groups[at]) for at in range(4)]


def told(choice):
    return [reason for reason in choice.reasons if "training queries move" in reason or "No document moves" in reason]


def test_documents_with_several_queries_tell_where_whole_documents_are_held_out():
    pool = habits()
    choice = choose(pool, by_document(), CONFIG, seed=0, seen_share=0.8)
    (reason,) = told(choice)
    assert reason.startswith("Documents that have training queries move toward them: on dev that")
    assert "where 80% of the queries ask for seen ones as in the split" in reason


@pytest.mark.parametrize(("folds", "share"), [(quarters(280), 0.0), (by_document(), 0.0)])
def test_nothing_is_tried_where_no_later_query_asks_for_what_would_move(folds, share):
    assert not told(choose(habits(), folds, CONFIG, seed=0, seen_share=share))


def test_nothing_is_tried_where_every_document_has_one_query():
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(80, 16)).astype(np.float32))
    queries = normalize(documents + 0.3 * rng.normal(size=(80, 16)).astype(np.float32))
    qrels = {f"q{at}": {f"d{at}": 1} for at in range(80)}
    pool = Pool(queries, documents, Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(80)]))
    assert not told(choose(pool, quarters(80), CONFIG, seed=0, seen_share=0.5))


def test_what_documents_gain_counts_by_the_share_of_queries_that_ask_for_them():
    pool, trials_maps = habits(), [IdentityAdapter()] * 4
    trials = Trials(pool, quarters(280), [], CONFIG)
    few, many = (weigh_offsets(trials, trials_maps, seen_share=share) for share in (0.001, 0.999))
    assert many.pays
    mean = [np.dot(found.weights, [0, *REACHES]) for found in (few, many)]
    assert mean[0] <= mean[1]
    assert "where 100% of the queries" in many.reason


@pytest.mark.parametrize(("side", "offsets"), [("query", "auto"), ("auto", "no"), ("both", "no")])
def test_documents_stay_where_they_are_not_to_be_moved(side, offsets):
    config = TuneConfig(folds=4, pulls=(1.0, 0.1), side=side, offsets=offsets)
    adapter = choose(habits(), quarters(280), config, seed=0).adapter
    assert not isinstance(adapter, Chain | DocumentAdapter)


def test_the_mean_of_reaches_is_the_mean_of_their_offsets():
    pool = habits()
    weights = np.zeros(1 + len(REACHES))
    weights[[0, 2, 4]] = 0.5, 0.2, 0.3
    found = fit_offsets(pool, IdentityAdapter(), Offsets(tuple(weights)))
    pairs = pool.judgments.pairs
    makers = [DocumentAdapter(reach=REACHES[at], outside=0.1) for at in (1, 3)]
    path = [maker.fit(pool.queries, pool.documents, pairs=pairs) for maker in makers]
    np.testing.assert_allclose(found.offsets_, 0.2 * path[0].offsets_ + 0.3 * path[1].offsets_, atol=1e-6)
    assert found.reach == REACHES[3]
