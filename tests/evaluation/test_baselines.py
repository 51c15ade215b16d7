"""BM25 equals its formula written out, and finds what it should on real sets."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from embertune.data.document import Document
from embertune.data.io import load_dataset
from embertune.errors import ConfigError, DataError
from embertune.evaluation import baselines
from embertune.evaluation.baselines import BM25, bm25_run, tokenize
from embertune.evaluation.evaluate import evaluate

SHARED = Path(__file__).parents[3] / "shared" / "data"


def written_out(texts, query, k1, b):
    documents = [Counter(tokenize(text)) for text in texts]
    average = sum(sum(document.values()) for document in documents) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for word in tokenize(query):
            holding = sum(word in other for other in documents)
            if holding and document[word]:
                idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                length = sum(document.values()) / average
                score += idf * document[word] / (document[word] + k1 * (1 - b + b * length))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (0, 0), (2, 1)])
@pytest.mark.parametrize("chunk", [1, 50, 10**6])
def test_scores_equal_the_formula(monkeypatch, k1, b, chunk):
    monkeypatch.setattr(baselines, "_CHUNK", chunk)
    random = np.random.default_rng(0)
    words = [f"w{at}" for at in range(30)]
    texts = [" ".join(random.choice(words, random.integers(1, 40))) for _ in range(40)] + [""]
    index = BM25.index(texts, k1=k1, b=b)
    for query in (" ".join(random.choice([*words, "unknown"], 5)) for _ in range(10)):
        np.testing.assert_allclose(index.score(query), written_out(texts, query, k1, b), atol=1e-6)


def test_a_figure_of_bm25s():
    # bm25s 0.3.16, method="lucene", k1=1.2, b=0.75, on these tokens: get_scores(["cat", "sat"]).
    index = BM25.index(["cat sat mat", "cat dog", "dog dog ran far away"], k1=1.2, b=0.75)
    np.testing.assert_allclose(index.score("cat sat"), [0.6875985264778137, 0.2554367482662201, 0.0], atol=1e-6)


def test_the_ranking_is_by_score_then_by_place_and_without_strangers():
    corpus = {"z": "dog", "x": "cat", "a": "dog", "b": Document("is here", title="dog"), "d": "bird"}
    run = bm25_run(corpus, {"q": "Dog?", "nothing": "fish", "empty": ""}, top_k=4)
    assert [document for document, _ in run.ranking("q")] == ["z", "a", "b"]
    assert run.ranking("nothing") == run.ranking("empty") == []
    for depth in (1, 2, 3, 99):
        assert bm25_run(corpus, {"q": "dog"}, top_k=depth).ranking("q") == run.ranking("q")[:depth]


def test_stop_words_count_only_where_there_is_nothing_else():
    index = BM25.index(["to be or not", "the cat", "a cat to be"])
    np.testing.assert_array_equal(index.score("the cat"), index.score("cat"))
    assert index.score("to be").tolist() != [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, WORLD!", ["hello", "world"]),
        ("Straße İstanbul", ["strasse", ["i", "stanbul"][0], "stanbul"]),
        ("os.path.join_all(x2)", ["os", "path", "join", "all", "x2"]),
        ("自然语言", ["自然", "然语", "语言"]),
        ("用Python写", ["用", "python", "写"]),
        ("カタカナ 한국어", ["カタ", "タカ", "カナ", "한국", "국어"]),
        ("𠀀𠀁", ["𠀀𠀁"]),
        ("naïve café", ["naïve", "café"]),
        ("", []),
        ("__ --", []),
    ],
)
def test_words(text, tokens):
    assert tokenize(text) == tokens


def test_wrong_settings_are_told():
    with pytest.raises(
        ConfigError, match=re.escape("Found k1=-1, b=0.75. Expected k1 of at least 0 and b between 0 and 1.")
    ):
        BM25.index(["a"], k1=-1)
    with pytest.raises(ConfigError, match=re.escape("Found k1=1.2, b=2.")):
        BM25.index(["a"], b=2)
    with pytest.raises(ConfigError, match=re.escape("top_k must be at least 1, got 0.")):
        bm25_run({"a": "x"}, {"q": "x"}, 0)
    with pytest.raises(DataError, match=re.escape("The corpus is empty. Expected at least one document.")):
        bm25_run({}, {"q": "x"})


def test_a_corpus_without_a_word_ranks_nothing():
    assert bm25_run({"a": "--", "b": ""}, {"q": "x"}).ranking("q") == []


@pytest.mark.parametrize(("name", "expected"), [("scifact", 0.665), ("cmrc2018-zh", 0.985), ("cosqa", 0.363)])
def test_ndcg_on_real_sets(name, expected):
    # scifact: BEIR publishes .665 for BM25 with Anserini's settings (Thakur et al. 2021, table 2).
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not here")
    data = load_dataset(SHARED / name)
    data = data.select(query for query, part in data.parts.items() if part == "test")
    found = evaluate(data.qrels, bm25_run(data.corpus, data.queries), "ndcg@10")
    assert found.means["ndcg@10"] == pytest.approx(expected, abs=0.005)
