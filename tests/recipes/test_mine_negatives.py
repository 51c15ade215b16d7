import json
import re
import sys
import types

import numpy as np
import pytest

from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.faiss_search import FaissSearch
from embertune.data.guard import Guard
from embertune.data.io import load_dataset
from embertune.data.negatives import MiningConfig
from embertune.data.text_pairs import TextPairs
from embertune.encoders.function import FunctionEncoder
from embertune.errors import ConfigError, DataError
from embertune.recipes.mine_negatives import mine_negatives

QUERIES, DOCUMENTS = 40, 60
PLAIN = {"num_negatives": 3, "relative_margin": None}
SETTINGS = [
    PLAIN,
    {"num_negatives": 5, "range_min": 2, "relative_margin": None},
    {"num_negatives": 2, "range_min": 1, "range_max": 9, "absolute_margin": 0.1, "relative_margin": None},
    {"num_negatives": 3, "relative_margin": 0.05},
    {"num_negatives": 4, "max_score": 0.5, "min_score": 0.1, "relative_margin": None},
    {"num_negatives": 4, "absolute_margin": 0.05, "relative_margin": 0.1, "max_score": 0.6, "min_score": 0.0},
    {"num_negatives": 100, "relative_margin": None},
]


def vectors_of(seed=3, dimension=8):
    rng = np.random.default_rng(seed)
    queries, documents = (rng.normal(size=(n, dimension)).astype(np.float32) for n in (QUERIES, DOCUMENTS))
    drawn = np.column_stack([rng.integers(QUERIES, size=60), rng.integers(DOCUMENTS, size=60)])
    pairs = list(dict.fromkeys((f"q{query:02}", f"d{document:02}") for query, document in drawn))
    for query, document in pairs:
        queries[int(query[1:])] += 2 * normalize(documents)[int(document[1:])]
    named = {f"q{at:02}": row for at, row in enumerate(normalize(queries))}
    return named | {f"d{at:02}": row for at, row in enumerate(normalize(documents))}, pairs


def problem(batch_size=None):
    vectors, pairs = vectors_of()
    qrels = {}
    for query, document in pairs:
        qrels.setdefault(query, {})[document] = 1.0
    order = list(dict.fromkeys(query for query, _ in pairs))
    dataset = Dataset(
        corpus={f"d{at:02}": Document(f"d{at:02}") for at in range(DOCUMENTS)},
        queries={query: query for query in order},
        qrels=qrels,
    )
    encoder = FunctionEncoder(
        lambda texts: np.stack([vectors[text] for text in texts]), name="table", cache=False, batch_size=batch_size
    )
    return dataset, encoder, vectors, pairs


class Rows:
    """As much of a `datasets.Dataset` as sentence-transformers asks for; the package itself is 100 MB."""

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

    @property
    def rows(self):
        return [dict(zip(self.column_names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


class Model:
    """A model that looks vectors up by text."""

    device = "cpu"

    def __init__(self, vectors):
        self.vectors = vectors

    def get_embedding_dimension(self):
        return 8

    def encode_query(self, texts, **settings):
        return np.stack([self.vectors[text] for text in texts])

    encode_document = encode_query

    def similarity(self, left, right):
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left, right):
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(dim=1)


def theirs(monkeypatch, vectors, pairs, settings, **more):
    from sentence_transformers.util import hard_negatives

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(Dataset=Rows))
    monkeypatch.setattr(hard_negatives, "is_datasets_available", lambda: True)
    # By query, in order of first appearance, as a data set holds them.
    first = list(dict.fromkeys(query for query, _ in pairs))
    ordered = sorted(pairs, key=lambda pair: first.index(pair[0]))
    table = Rows({"query": [query for query, _ in ordered], "positive": [document for _, document in ordered]})
    corpus = [f"d{at:02}" for at in range(DOCUMENTS)]
    return hard_negatives.mine_hard_negatives(
        table, Model(vectors), corpus=corpus, verbose=False, **settings, **more
    ).rows


def close(row):
    return {
        key: value if key not in ("scores", "cosine", "score") else pytest.approx(value, abs=1e-6)
        for key, value in row.items()
    }


@pytest.mark.torch
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("row_format", ["triplet", "n-tuple"])
@pytest.mark.parametrize("search", ["exact", "faiss"])
def test_rows_equal_those_of_sentence_transformers(settings, row_format, search, monkeypatch):
    dataset, encoder, vectors, pairs = problem()
    if search == "faiss":
        pytest.importorskip("faiss")
    expected = theirs(
        monkeypatch, vectors, pairs, settings, output_format=row_format, output_scores=True, use_faiss=search == "faiss"
    )
    mined = mine_negatives(dataset, encoder, MiningConfig(**settings), guard=False, search=search)
    assert [close(row) for row in expected] == list(mined.rows(row_format, scores=True))


@pytest.mark.torch
@pytest.mark.parametrize("settings", [PLAIN, {"num_negatives": 2, "relative_margin": 0.05}], ids=str)
def test_labelled_rows_equal_those_of_sentence_transformers(settings, monkeypatch):
    dataset, encoder, vectors, pairs = problem()
    mined = mine_negatives(dataset, encoder, MiningConfig(**settings), guard=False)
    one = theirs(monkeypatch, vectors, pairs, settings, output_format="labeled-pair")
    renamed = [{"query": row["query"], "document": row["positive"], "label": row["label"]} for row in one]
    assert renamed == list(mined.rows("labeled-pair"))
    scored = theirs(monkeypatch, vectors, pairs, settings, output_format="labeled-pair", output_scores=True)
    own = [row["cosine"] for row in mined.rows("labeled-pair", scores=True)]
    np.testing.assert_allclose(own, [row["score"] for row in scored], atol=1e-6)
    listed = theirs(monkeypatch, vectors, pairs, settings, output_format="labeled-list")
    renamed = [{"query": row["query"], "documents": row["positive"], "labels": row["labels"]} for row in listed]
    assert renamed == list(mined.rows("labeled-list"))


@pytest.mark.torch
@pytest.mark.parametrize("batch_size", [1, 7])
def test_where_the_window_leaves_no_choice_a_random_draw_equals_theirs(batch_size, monkeypatch):
    dataset, encoder, vectors, pairs = problem(batch_size)
    settings = {"num_negatives": 4, "range_min": 1, "range_max": 5, "relative_margin": None}
    expected = theirs(
        monkeypatch,
        vectors,
        pairs,
        settings,
        sampling_strategy="random",
        batch_size=batch_size,
        faiss_batch_size=batch_size,
    )
    mined = mine_negatives(dataset, encoder, MiningConfig(**settings, sampling="random"), guard=False)
    assert list(mined.rows()) == expected
    # Elsewhere both draw from the same candidates.
    wide = {"num_negatives": 4, "range_min": 1, "range_max": 12, "relative_margin": None}
    pool = {}
    for row in theirs(monkeypatch, vectors, pairs, {**wide, "num_negatives": 11}):
        pool.setdefault(row["query"], set()).add(row["negative"])
    for rows in (
        theirs(monkeypatch, vectors, pairs, wide, sampling_strategy="random"),
        mine_negatives(dataset, encoder, MiningConfig(**wide, sampling="random"), guard=False).rows(),
    ):
        assert all(row["negative"] in pool[row["query"]] for row in rows)


@pytest.mark.parametrize("row_format", ["triplet", "n-tuple", "labeled-pair", "labeled-list"])
@pytest.mark.parametrize("scores", [False, True])
def test_every_format_loads_again_with_the_same_judgements(row_format, scores, tmp_path):
    dataset, encoder, _, pairs = problem()
    mined = mine_negatives(dataset, encoder, MiningConfig(**PLAIN), guard=False)
    again = load_dataset(mined.save(tmp_path / "rows.jsonl", row_format, scores=scores))
    grades = {
        (again.queries[query], again.corpus[document].text): grade
        for query, judged in again.qrels.items()
        for document, grade in judged.items()
    }
    assert {pair for pair, grade in grades.items() if grade > 0} == set(pairs)
    negatives = {(row["query"], row["negative"]) for row in mined.rows()}
    assert {pair for pair, grade in grades.items() if grade == 0} == negatives
    assert len(negatives) == 3 * len(dataset.queries)


def test_faiss_finds_what_exact_search_finds():
    rng = np.random.default_rng(0)
    documents = normalize(rng.integers(-2, 3, size=(500, 6)).astype(np.float32) + 0.01)
    documents[7] = documents[3]
    queries = normalize(rng.normal(size=(30, 6)).astype(np.float32))
    expected, scores = top_k(queries, documents, 20)
    search = FaissSearch()
    found, theirs = search(queries, documents, 20)
    np.testing.assert_allclose(theirs, scores, atol=1e-6)
    assert np.mean(found == expected) > 0.9  # equal documents may stand at the edge of the twenty
    near, _ = FaissSearch("HNSW32")(queries, documents, 5)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(near, expected[:, :5], strict=True)]) > 3.5
    # What an approximate index does not find has no score.
    sparse, none = FaissSearch("IVF50,Flat")(queries, documents, 400)
    assert np.isneginf(none).any()
    assert (sparse >= 0).all()


def test_an_unknown_index_is_refused():
    rows = np.eye(4, dtype=np.float32)
    with pytest.raises(
        ConfigError, match=r"^FAISS makes no index 'Nonsense' of 4 documents with 4 dimensions: .*HNSW32"
    ):
        FaissSearch("Nonsense")(rows, rows, 1)


def test_the_guard_keeps_copies_and_overlaps_of_an_answer_out():
    words = [f"word{at}" for at in range(60)]
    dataset = Dataset(
        corpus={
            "answer": Document(" ".join(words[:40])),
            "next": Document(" ".join(words[20:])),
            "copy": Document(" ".join(words[:40]).upper()),
            "other": Document("word1 something else"),
        },
        queries={"q": "word1 word2 word25"},
        qrels={"q": {"answer": 1.0}},
    )
    config = MiningConfig(num_negatives=3, relative_margin=None)
    guarded = mine_negatives(dataset, "hashing", config)
    assert [row["negative"] for row in guarded.rows()] == ["word1 something else"]
    assert guarded.guarded == 2
    assert len(list(mine_negatives(dataset, "hashing", config, guard=False).rows())) == 3
    lax = mine_negatives(dataset, "hashing", config, guard=Guard(near=None, shared_words=25))
    assert lax.guarded == 1


def test_candidates_may_be_the_answers_of_other_queries_alone():
    dataset, encoder, _, pairs = problem()
    answers = {document for _, document in pairs}
    mined = mine_negatives(dataset, encoder, MiningConfig(**PLAIN), guard=False, candidates="positives")
    assert {row["negative"] for row in mined.rows()} <= answers
    every = mine_negatives(dataset, encoder, MiningConfig(**PLAIN), guard=False)
    assert not {row["negative"] for row in every.rows()} <= answers


def test_test_queries_are_not_mined_unless_asked_for():
    dataset, encoder, _, _ = problem()
    ids = list(dataset.queries)
    split = Dataset(
        corpus=dataset.corpus,
        queries=dataset.queries,
        qrels=dataset.qrels,
        parts={query: "test" if at < 5 else "train" for at, query in enumerate(ids)},
    )
    mined = mine_negatives(split, encoder, MiningConfig(**PLAIN), guard=False)
    assert {row["query"] for row in mined.rows()} == set(ids[5:])
    assert {row["query"] for row in mine_negatives(split, encoder, part="test").rows()} <= set(ids[:5])
    message = (
        "dataset has no query with a relevant document in the part 'dev' (it has test 5, train "
        f"{len(ids) - 5}). Name another part, or part='all' (--part all)."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mine_negatives(split, encoder, part="dev")


def test_texts_that_are_equal_are_one():
    dataset = Dataset(
        corpus={"a": Document("x"), "b": Document("y"), "c": Document("x")},
        queries={"1": "why", "2": "why", "3": "who", "4": "unjudged"},
        qrels={"1": {"a": 1}, "2": {"c": 1, "b": 1}, "3": {"b": 1}},
    )
    texts = TextPairs.of(dataset)
    assert (texts.queries, texts.documents) == (("why", "who"), ("x", "y"))
    assert texts.query_rows.tolist() == [0, 2]
    assert texts.document_rows.tolist() == [0, 1]
    assert texts.pairs.tolist() == [[0, 0], [0, 1], [1, 1]]


def test_what_is_said_and_recorded():
    dataset, encoder, _, _ = problem()
    mined = mine_negatives(dataset, encoder, MiningConfig(num_negatives=3, max_score=0.3, min_score=0.25), guard=False)
    facts = mined.to_dict()
    assert facts["negatives"] == len({(row["query"], row["negative"]) for row in mined.rows()})
    assert facts["wanted"] == 3 * facts["queries"]
    assert facts["queries_without"] > 0
    assert f"{facts['queries_without']} queries have no negative left: raise range_max, or lower the margin." in str(
        mined
    )
    assert json.loads(json.dumps(facts)) == facts
    assert 0.25 <= facts["mean_cosine"]["negatives"] <= 0.3


def test_impossible_settings_are_refused():
    dataset, encoder, _, _ = problem()
    with pytest.raises(
        ConfigError, match=r"^search must be 'exact', 'faiss' or 'faiss:FACTORY' \(such as .*got 'fast'$"
    ):
        mine_negatives(dataset, encoder, search="fast")
    with pytest.raises(ConfigError, match=r"^candidates must be 'corpus' or 'positives', got 'all'$"):
        mine_negatives(dataset, encoder, candidates="all")
    with pytest.raises(
        ConfigError, match=r"^The format must be one of triplet, n-tuple, labeled-pair, labeled-list; got"
    ):
        next(mine_negatives(dataset, encoder).rows("pairs"))
