import re
import sys
import types

import numpy as np
import pytest

from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.data.negatives import (
    MiningConfig,
    Negatives,
    checked_pairs,
    mine_hard_negatives,
    random_negatives,
)
from embertune.errors import ConfigError, DataError


def problem(seed=0, queries=40, documents=60, dimension=8):
    rng = np.random.default_rng(seed)
    left, right = (normalize(rng.normal(size=(n, dimension)).astype(np.float32)) for n in (queries, documents))
    pairs = np.unique(np.column_stack([rng.integers(queries, size=60), rng.integers(documents, size=60)]), axis=0)
    # Queries lie near their answers, as they do in use.
    left[pairs[:, 0]] = normalize(left[pairs[:, 0]] + right[pairs[:, 1]])
    return left, right, pairs


def plain(queries, documents, pairs, config, ignored=()):
    """The definition, query by query."""
    ignored = {tuple(pair) for pair in ignored}
    found = {}
    most = np.bincount(pairs[:, 0]).max()
    first, last = config.window(most)
    for query in np.unique(pairs[:, 0]):
        own = pairs[pairs[:, 0] == query, 1]
        scores = documents.astype(float) @ queries[query].astype(float)
        ranked = [d for d in np.argsort(-scores, kind="stable") if (query, d) not in ignored][: last + most]
        lowest = scores[own].min()
        left = [
            int(document)
            for document in ranked
            if document not in own
            and (config.absolute_margin is None or scores[document] <= lowest - config.absolute_margin)
            and (config.relative_margin is None or scores[document] <= lowest - abs(lowest) * config.relative_margin)
            and (config.max_score is None or scores[document] <= config.max_score)
            and (config.min_score is None or scores[document] >= config.min_score)
        ]
        found[int(query)] = left[first:last]
    return found


CONFIGS = [
    MiningConfig(),
    MiningConfig(relative_margin=None),
    MiningConfig(num_negatives=5, range_min=2, relative_margin=None),
    MiningConfig(num_negatives=2, range_min=1, range_max=9, absolute_margin=0.1),
    MiningConfig(num_negatives=4, max_score=0.4, relative_margin=None),
    MiningConfig(num_negatives=4, max_score=0.5, min_score=0.1, relative_margin=0.3),
    MiningConfig(num_negatives=50, range_max=55, relative_margin=0.9),
    MiningConfig(num_negatives=100, relative_margin=None),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("masked", [False, True])
def test_hard_negatives_are_those_of_the_definition(config, masked, monkeypatch):
    monkeypatch.setattr("embertune.data.negatives._QUERY_BLOCK", 7)
    queries, documents, pairs = problem()
    ignored = np.random.default_rng(1).integers(40, size=(300, 2)) if masked else []
    ignored = [pair for pair in map(tuple, ignored) if pair not in set(map(tuple, pairs))]
    copies = queries.copy(), documents.copy()
    found = mine_hard_negatives(queries, documents, pairs, config, ignored=ignored or None)
    expected = plain(queries, documents, pairs, config, ignored)
    assert found.queries.tolist() == list(expected)
    for query, row, scores in zip(found.queries, found.documents, found.scores, strict=True):
        wanted = expected[query][: config.num_negatives]
        assert row.tolist() == wanted + [-1] * (config.num_negatives - len(wanted))
        np.testing.assert_allclose(scores[: len(wanted)], documents[wanted] @ queries[query], atol=1e-6)
        assert np.isneginf(scores[len(wanted) :]).all()
    np.testing.assert_array_equal(queries, copies[0])
    np.testing.assert_array_equal(documents, copies[1])


def test_mined_and_drawn_negatives_are_documents_and_never_positives():
    queries, documents, pairs = problem()
    known = set(map(tuple, pairs.tolist()))
    mined = mine_hard_negatives(queries, documents, pairs, MiningConfig(relative_margin=None, num_negatives=20))
    drawn = random_negatives(pairs, len(documents), 20, seed=1)
    for negatives in (mined, drawn):
        triplets = negatives.triplets(pairs)
        assert len(triplets) == 20 * len(pairs)
        assert not known & {(query, negative) for query, _, negative in triplets.tolist()}
        assert {(query, positive) for query, positive, _ in triplets.tolist()} == known


def test_a_random_choice_takes_from_the_window_and_follows_its_seed():
    queries, documents, pairs = problem()
    config = MiningConfig(num_negatives=4, range_min=1, range_max=15, sampling="random")
    expected = plain(queries, documents, pairs, config)
    found = mine_hard_negatives(queries, documents, pairs, config)
    again = mine_hard_negatives(queries, documents, pairs, config)
    other = mine_hard_negatives(queries, documents, pairs, MiningConfig(**{**vars(config), "seed": 1}))
    for query, row in zip(found.queries, found.documents, strict=True):
        kept = [document for document in row if document >= 0]
        assert len(kept) == min(4, len(expected[query]))
        places = [expected[query].index(document) for document in kept]
        assert places == sorted(set(places))
    np.testing.assert_array_equal(found.documents, again.documents)
    assert (found.documents != other.documents).any()
    # Over many seeds every place of the window is drawn.
    seen = set()
    for seed in range(60):
        row = mine_hard_negatives(queries, documents, pairs, MiningConfig(**{**vars(config), "seed": seed})).documents[
            0
        ]
        seen |= {document for document in row if document >= 0}
    assert seen == set(expected[int(found.queries[0])])


def test_what_was_left_out_is_counted_and_said():
    documents = np.eye(4, dtype=np.float32)
    queries = np.array([[1, 0.99, 0.5, 0.1]], dtype=np.float32)
    config = MiningConfig(num_negatives=2)
    found = mine_hard_negatives(queries, documents, [(0, 0)], config, ignored=[(0, 2), (0, 0)])
    assert found.documents.tolist() == [[3, -1]]
    assert str(found) == "1 of 2 negatives for 1 query; left out: 1 by ignored, 1 by relative_margin."


def test_random_negatives_are_uniform_over_the_pool_without_positives():
    pairs = [(0, 0), (0, 1), (5, 2)]
    counts = np.zeros((2, 8))
    for seed in range(600):
        drawn = random_negatives(pairs, 8, 2, ignored=[(5, 7)], seed=seed).documents
        assert all(len(set(row)) == 2 for row in drawn.tolist())
        np.add.at(counts, (np.repeat([0, 1], 2), drawn.ravel()), 1)
    assert (counts[0, :2] == 0).all()
    assert (counts[1, [2, 7]] == 0).all()
    # 200 of each expected; 5 standard deviations are 58.
    assert np.abs(counts[0, 2:] - 200).max() < 60
    assert np.abs(counts[1, [0, 1, 3, 4, 5, 6]] - 200).max() < 60
    only = random_negatives(pairs, 8, 3, pool=[0, 1, 2], seed=0)
    assert sorted(only.documents[0].tolist()) == [-1, -1, 2]
    assert sorted(only.documents[1].tolist()) == [-1, 0, 1]
    assert np.isneginf(only.scores[0]).sum() == 2


def test_mistakes_are_said():
    message = (
        "Invalid configuration:\n- num_negatives must be at least 1, got 0\n- sampling must be 'top' or 'random', "
        "got 'best'"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        MiningConfig(num_negatives=0, sampling="best")
    message = "range_max must be at least range_min + num_negatives = 13, got 12"
    with pytest.raises(ConfigError, match=re.escape(message)):
        MiningConfig(range_min=10, range_max=12)
    message = "Pairs point at query 0 and document 9, but there are 1 query and 2 documents. Positions count from 0."
    with pytest.raises(DataError, match=re.escape(message)):
        mine_hard_negatives(np.eye(2)[:1], np.eye(2), [(0, 9)])
    message = "There is no pair to find negatives for. Give at least one query with a document that answers it."
    with pytest.raises(DataError, match=re.escape(message)):
        random_negatives([], 3, 1)
    with pytest.raises(ConfigError, match=re.escape("num_negatives must be at least 1, got 0")):
        random_negatives([(0, 0)], 3, 0)


def test_triplets_are_of_queries_that_were_mined():
    queries, documents, _ = problem()
    mined = mine_hard_negatives(queries, documents, [(0, 0), (3, 1)], MiningConfig(relative_margin=None))
    assert mined.triplets([(3, 1)]).tolist() == [[3, 1, negative] for negative in mined.documents[1]]
    assert mined.triplets([]).shape == (0, 3)
    message = (
        "No negatives were sought for 3 queries of the pairs (first positions: 1, 2, 39). Give the pairs that they "
        "were sought with."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mined.triplets([(1, 1), (0, 0), (39, 1), (2, 0), (1, 4)])
    with pytest.raises(DataError, match=re.escape("sought for 1 query of the pairs (first positions: -1). Give")):
        mined.triplets([(-1, 0)])


@pytest.mark.parametrize(
    ("ignored", "says"),
    [([(0, 14)], "query 0 and document 14"), ([(0, 3), (1, -1)], "query 1 and document -1"),
     ([(-1, 0)], "query -1 and document 0"), ([(0, 1), (2, 0)], "query 2 and document 0")],
)  # fmt: skip
def test_ignored_pairs_that_point_nowhere_are_refused(ignored, says):
    queries, documents, _ = problem(queries=2, documents=10)
    message = f"Ignored pairs point at {says}, but there are 2 queries and 10 documents. Positions count from 0."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mine_hard_negatives(queries, documents, [(0, 0), (1, 1)], ignored=ignored)
    if ignored[-1] != (2, 0):  # how many queries there are is not known there
        with pytest.raises(DataError, match=re.escape(f"Ignored pairs point at {says}, but there are 10 documents.")):
            random_negatives([(0, 0), (1, 1)], 10, 2, ignored=ignored)


def test_a_pool_that_points_nowhere_is_refused():
    message = (
        "The pool points at 4 documents that do not exist (first positions: 99, 100, -1), as there are 3 documents. "
        "Positions count from 0."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        random_negatives([(0, 0)], 3, 2, pool=[99, 1, 100, -1, 3])
    for pool, found in (
        (["d1", "d2"], "shape (2,) and begins with 'd1', 'd2'"),
        ([0.5], "shape (1,) and begins with 0.5"),
        ([[0, 1]], "shape (1, 2) and begins with [0, 1]"),
    ):
        with pytest.raises(DataError, match=re.escape(f"The pool has {found}. Expected positions of documents, whole")):
            random_negatives([(0, 0)], 3, 2, pool=pool)
    assert random_negatives([(0, 0)], 3, 2, pool=[]).documents.tolist() == [[-1, -1]]


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("q1", "d1")], "shape (1, 2) and begin with ['q1', 'd1']"),
        ([("1", "2")], "shape (1, 2) and begin with ['1', '2']"),
        ([(0, 0, 1)], "shape (1, 3) and begin with [0, 0, 1]"),
        ([(0, 0, 1), (1, 1, 1)], "shape (2, 3) and begin with [0, 0, 1], [1, 1, 1]"),
        ([0, 1, 1, 0], "shape (4,) and begin with 0, 1, 1"),
        ([(0, 0.5)], "shape (1, 2) and begin with [0.0, 0.5]"),
        ([(0, 0), (1,)], "shape (2,) and begin with (0, 0), (1,)"),
        (7, "shape () and begin with 7"),
    ],
)
def test_pairs_that_are_not_positions_are_refused(pairs, found):
    message = (
        f"pairs have {found}. Expected positions, whole numbers of shape (p, 2): a query and a document. "
        "Type: [(0, 0), (1, 0)]"
    )
    eye = np.eye(3)
    for action in (
        lambda: checked_pairs(pairs, 3, 3),
        lambda: mine_hard_negatives(eye, eye, pairs),
        lambda: random_negatives(pairs, 3, 1),
        lambda: random_negatives([(0, 0)], 3, 1).triplets(pairs),
    ):
        with pytest.raises(DataError, match=f"^The {re.escape(message)}$"):
            action()
    for action in (
        lambda: mine_hard_negatives(eye, eye, [(0, 0)], ignored=pairs),
        lambda: random_negatives([(0, 0)], 3, 1, ignored=pairs),
    ):
        with pytest.raises(DataError, match=f"^The ignored {re.escape(message)}$"):
            action()


class Rows:
    """As much of a `datasets.Dataset` as their function asks for; the package itself is 100 MB."""

    def __init__(self, columns):
        self.columns, self.column_names = columns, list(columns)

    from_dict = classmethod(lambda cls, columns: cls(columns))

    def __len__(self):
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, name):
        return self.columns[name]

    def to_pandas(self):
        first, second = self.column_names[:2]
        counts = {text: self.columns[first].count(text) for text in sorted(set(self.columns[first]))}
        grouped = types.SimpleNamespace(count=lambda: types.SimpleNamespace(to_dict=lambda: {second: counts}))
        return types.SimpleNamespace(groupby=lambda name: grouped)


class Vectors:
    """A model that looks vectors up by text."""

    device = "cpu"

    def __init__(self, vectors):
        self.vectors = vectors

    def encode_query(self, texts, **settings):
        return np.stack([self.vectors[text] for text in texts])

    encode_document = encode_query

    def similarity(self, left, right):
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left, right):
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(dim=1)


@pytest.mark.torch
@pytest.mark.parametrize("config", CONFIGS)
def test_hard_negatives_equal_those_of_sentence_transformers(config, monkeypatch):
    from sentence_transformers.util import hard_negatives as theirs

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(Dataset=Rows))
    monkeypatch.setattr(theirs, "is_datasets_available", lambda: True)
    queries, documents, pairs = problem(seed=3)
    names = [f"q{i:02}" for i in range(len(queries))], [f"d{i:02}" for i in range(len(documents))]
    vectors = dict(zip(names[0] + names[1], np.concatenate([queries, documents]), strict=True))
    table = Rows({"query": [names[0][q] for q, _ in pairs], "answer": [names[1][d] for _, d in pairs]})
    settings = {name: value for name, value in vars(config).items() if name not in ("sampling", "seed")}
    expected = theirs.mine_hard_negatives(
        table, Vectors(vectors), corpus=names[1], output_scores=True, verbose=False, **settings
    )
    found = mine_hard_negatives(queries, documents, pairs, config)
    triplets = found.triplets(pairs)
    ours = [(names[0][query], names[1][positive], names[1][negative]) for query, positive, negative in triplets]
    assert ours == list(zip(expected["query"], expected["answer"], expected["negative"], strict=True))
    own = np.searchsorted(found.queries, triplets[:, 0])
    scores = [
        found.scores[row][found.documents[row] == negative][0]
        for row, negative in zip(own, triplets[:, 2], strict=True)
    ]
    np.testing.assert_allclose(scores, [negative for _, negative in expected["scores"]], atol=1e-6)


def test_no_triplet_of_a_query_without_negatives():
    none = Negatives(np.array([2]), np.array([[-1, -1]]), np.full((1, 2), -np.inf), {})
    assert none.triplets([(2, 0)]).shape == (0, 3)


def test_scores_are_held_for_a_block_of_queries_at_a_time():
    rng = np.random.default_rng(0)
    queries, documents = (normalize(rng.normal(size=(n, 4)).astype(np.float32)) for n in (3000, 200))
    asked, told = [], []

    def search(left, right, k):
        asked.append((len(left), k))
        return top_k(left, right, k)

    pairs = [(at, at % 200) for at in range(3000)]
    found = mine_hard_negatives(
        queries, documents, pairs, MiningConfig(), search=search, progress=lambda *step: told.append(step)
    )
    assert asked == [(1024, 32), (1024, 32), (952, 32)]
    assert told == [("mine", 1024, 3000), ("mine", 2048, 3000), ("mine", 3000, 3000)]
    np.testing.assert_array_equal(found.documents, mine_hard_negatives(queries, documents, pairs).documents)
