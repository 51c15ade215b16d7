"""Known other queries: the first way of finishing an adapter by which they lose little is taken."""

import numpy as np
import pytest

from embertune.adapters import Chain, DocumentAdapter, IdentityAdapter, LinearAdapter
from embertune.core.progress import silent
from embertune.core.vectors import normalize
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.given import choose_given
from embertune.training.pool import Pool
from embertune.training.selection import choose
from embertune.training.sparing import Others, Way, spare

NOBODY = np.eye(4, dtype=np.float32)


def ways(*changes):
    """Adapters, each with what others gain by it, and the names of those that were made."""
    made, known = [], {}

    def make(name, change):
        made.append(name)
        adapter = IdentityAdapter()
        known[id(adapter)] = adapter, change + np.zeros(4)
        return adapter

    found = [Way(f"is way {at}", lambda at=at, change=change: make(at, change)) for at, change in enumerate(changes)]
    return Others("tales", NOBODY, NOBODY, lambda adapter: known[id(adapter)][1]), found, made


NOISE = np.array([-0.4, 0.4, -0.39, 0.4])  # .0025, with an error of .23


@pytest.mark.parametrize(
    ("changes", "taken", "made"),
    [
        ((0.02, 0.5), 0, [0]),
        ((-0.005, 0.5), 0, [0]),
        ((-0.006, -0.004, 0.5), 1, [0, 1]),
        ((-0.02, -0.01, 0.0), 2, [0, 1, 2]),
        ((-0.02, -0.008, -0.01), 1, [0, 1, 2]),
        ((-0.02, -0.02), 0, [0, 1]),
        ((-0.02, NOISE), 0, [0, 1]),
        ((-0.02, NOISE, -0.01), 2, [0, 1, 2]),
    ],
)
def test_each_is_taken_that_helps_by_more_than_an_error_until_they_lose_little(changes, taken, made):
    others, found, called = ways(*changes)
    at, adapter, reason = spare(others, found)
    assert (at, called) == (taken, made)
    assert others.change(adapter).tolist() == (changes[taken] + np.zeros(4)).tolist()
    if taken:
        assert reason == (
            f"There is way {taken}: 4 queries of tales that are not judged change by {changes[taken]:+.3f} so, and by "
            f"{changes[0]:+.3f} otherwise."
        )
    else:
        assert not reason


def test_where_none_are_known_the_first_is_taken_unasked():
    _, found, called = ways(-1.0, 0.0)
    assert spare(None, found)[0] == 0
    assert called == [0]


def apart(rows, centre, dimension=24):
    """Unit vectors around an axis of their own."""
    rng = np.random.default_rng(rows + centre)
    return normalize((12 * np.eye(dimension)[centre] + rng.normal(size=(rows, dimension))).astype(np.float32))


def moved_pool(n=160):
    """Maps of queries pay, those of both sides and offsets, too: queries are turned, half of the dimensions say
    nothing, and documents are asked for in words of their own."""
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(120, 24)).astype(np.float32)
    asked = np.repeat(np.arange(n // 4), 4)
    habit = 0.8 * rng.normal(size=(n // 4, 24))
    queries = (documents + np.pad(habit, ((0, 120 - n // 4), (0, 0))))[asked] + 0.3 * rng.normal(size=(n, 24))
    queries[:, :12] @= np.linalg.qr(np.eye(12) + 0.5 * rng.normal(size=(12, 12)))[0]
    queries[:, 12:] = 2 * rng.normal(size=(n, 12))
    documents[:, 12:] *= 2
    qrels = {f"q{at}": {f"d{answer}": 1} for at, answer in enumerate(asked)}
    judgments = Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(120)])
    return Pool(normalize(queries.astype(np.float32)), normalize(documents), judgments)


def habits():
    """Forty documents are asked for six times each, in words of their own that no map can know."""
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(200, 32)).astype(np.float32))
    asked = np.repeat(np.arange(40), 7)
    words = rng.normal(size=(40, 32)) / np.sqrt(32)
    queries = 0.6 * documents[asked] + words[asked] + 0.3 * rng.normal(size=(280, 32)) / np.sqrt(32)
    qrels = {f"q{at}": {f"d{answer}": 1} for at, answer in enumerate(asked)}
    judgments = Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(200)])
    return Pool(normalize(queries.astype(np.float32)), documents, judgments)


def quarters(n):
    parts = np.array_split(np.random.default_rng(1).permutation(n), 4)
    return [(np.sort(np.concatenate(parts[:at] + parts[at + 1 :])), np.sort(parts[at])) for at in range(4)]


def links(adapter):
    return adapter._links() if isinstance(adapter, Chain) else [adapter]


def chosen(harmed, **changes):
    """Choose where other queries lose by whatever `harmed` says yes to."""
    others = Others("tales", apart(40, 3), apart(30, 4), lambda adapter: np.full(40, -0.1 * harmed(adapter)))
    config = TuneConfig(**{"folds": 4, "pulls": (0.1, 0.01), "side": "auto"} | changes)
    return choose(moved_pool(), quarters(160), config, seed=0, seen_share=1.0, others=others)


def has_unlike(adapter):
    return links(adapter)[0].gate is not None and links(adapter)[0].gate.unlike is not None


def test_gates_then_no_offsets_then_maps_of_queries_alone():
    free = chosen(lambda adapter: False)
    kinds = [type(link) for link in links(free.adapter)]
    assert kinds == [LinearAdapter, DocumentAdapter]
    assert not has_unlike(free.adapter)
    assert links(free.adapter)[0].changes("document")

    gated = chosen(lambda adapter: not has_unlike(adapter))
    assert [type(link) for link in links(gated.adapter)] == kinds
    linear = links(gated.adapter)[0]
    np.testing.assert_allclose(linear.coef_, links(free.adapter)[0].coef_)
    assert linear.gate.weights(apart(40, 3)).max() == 0
    assert linear.document_gate.weights(apart(30, 4)).max() == 0
    assert gated.reasons[-1].startswith("There are gates that close for queries and documents more like theirs")
    assert not any("get the frozen encoder back" in reason for reason in gated.reasons)

    still = chosen(lambda adapter: len(links(adapter)) == 2)
    assert has_unlike(still.adapter)
    assert [type(link) for link in links(still.adapter)] == kinds[:1]
    assert still.adapter.changes("document")
    assert not any("move toward them" in reason for reason in still.reasons)

    alone = chosen(lambda adapter: adapter.changes("document"))
    assert has_unlike(alone.adapter)
    assert not alone.adapter.changes("document")
    assert not any("Documents are mapped" in reason for reason in alone.reasons)
    weighed = [one.params["side"] for one in alone.candidates if one.weight and one.params]
    assert set(weighed) == {"query"}
    assert sum(one.weight for one in alone.candidates) == pytest.approx(1)
    query = choose(moved_pool(), quarters(160), TuneConfig(folds=4, pulls=(0.1, 0.01), side="query"), seed=0)
    assert alone.candidates[0].dev == query.candidates[0].dev


def test_documents_stay_mapped_where_that_was_asked_for():
    both = chosen(lambda adapter: adapter.changes("document"), side="both", offsets="no")
    assert both.adapter.changes("document")


def test_where_no_gate_was_taken_own_queries_and_documents_stay_wide_open():
    pool = moved_pool()
    gated = links(chosen(lambda adapter: not has_unlike(adapter), gate="no").adapter)[0]
    assert gated.gate.weights(pool.queries).min() == 1
    assert gated.document_gate.weights(pool.documents).min() == 1
    assert gated.gate.weights(apart(40, 3)).max() == 0
    others = Others("tales", apart(40, 3), apart(30, 4), lambda adapter: np.full(40, -0.1 * (not has_unlike(adapter))))
    given = choose_given(pool, quarters(160), LinearAdapter(pull=0.03), TuneConfig(gate="no"), seed=0, others=others,
                         progress=silent)  # fmt: skip
    assert given.adapter.gate.weights(pool.queries).min() == 1


def test_an_adapter_of_the_user_gets_such_gates_too():
    pool = moved_pool()
    others = Others("tales", apart(40, 3), apart(30, 4), lambda adapter: np.full(40, -0.1 * (not has_unlike(adapter))))
    arguments = (pool, quarters(160), LinearAdapter(pull=0.03), TuneConfig())
    choice = choose_given(*arguments, seed=0, others=others, progress=silent)
    assert choice.adapter.gate.weights(apart(40, 3)).max() == 0
    assert choice.reasons[-1].startswith("There is a gate that closes for queries more like theirs than like the own: ")
    without = choose_given(*arguments, seed=0, progress=silent)
    np.testing.assert_array_equal(choice.adapter.coef_, without.adapter.coef_)
    assert not has_unlike(without.adapter)


def test_offsets_that_a_user_names_take_no_gate_and_are_taken_as_they_are():
    pool = habits()
    others = Others("tales", apart(40, 3, 32), apart(30, 4, 32), lambda adapter: np.full(40, -0.1))
    choice = choose_given(pool, quarters(280), DocumentAdapter("mean"), TuneConfig(), seed=0, others=others,
                          progress=silent)  # fmt: skip
    assert isinstance(choice.adapter, DocumentAdapter)


def test_nothing_is_put_in_place_of_a_map_that_there_is_not():
    """Documents that were never asked for gain nothing by a map, where those that were gain by offsets."""
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(60, 24)).astype(np.float32))
    asked = np.repeat(np.arange(40), 6)
    habit = 0.4 * rng.normal(size=(40, 24))
    queries = documents[asked] + 0.6 * habit[asked] + 0.05 * rng.normal(size=(240, 24))
    qrels = {f"q{at}": {f"d{answer}": 1} for at, answer in enumerate(asked)}
    judgments = Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(60)])
    pool = Pool(normalize(queries.astype(np.float32)), documents, judgments)
    folds = []
    for held in np.array_split(np.random.default_rng(1).permutation(40), 4):
        dev = np.flatnonzero(np.isin(asked, held))
        folds.append((np.setdiff1d(np.arange(240), dev), dev))
    config = TuneConfig(folds=4, pulls=(0.0003,), side="auto", max_steps=40, search_steps=40)
    others = Others(
        "tales", apart(40, 3), apart(30, 4), lambda adapter: np.full(40, -0.1 * adapter.changes("document"))
    )
    free, told = (choose(pool, folds, config, seed=0, seen_share=1.0, others=each) for each in (None, others))
    assert free.candidates[0].weight == 1
    assert isinstance(free.adapter, DocumentAdapter)
    assert isinstance(told.adapter, DocumentAdapter)
    assert told.reasons == free.reasons
