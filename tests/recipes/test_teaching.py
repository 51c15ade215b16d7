import re

import numpy as np
import pytest

import embertune
from embertune.adapters import LinearAdapter, MLPAdapter, load_adapter
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError
from embertune.recipes.teaching import Teaching
from embertune.recipes.tune import tune

WORDS = [f"{kind}{number}" for kind in ("cat", "dog", "owl") for number in range(20)]
DATA = embertune.Dataset.from_pairs([(f"where is {word}?", f"the home of {word} is here") for word in WORDS])
QUICK = embertune.TuneConfig(seeds=1, folds=2)


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(" ".join(f"word{number}" for number in range(450)), encoding="utf-8")
    return path


def test_passages_are_cut_embedded_and_drawn(book):
    encoder = HashingEncoder()
    teaching = Teaching.read(MLPAdapter(negatives="passages"), DATA, encoder, passages=book)
    assert [len(text.split()) for text in teaching.passages] == [100] * 4
    lessons = teaching.lessons(DATA, encode_dataset(encoder, DATA), encoder)
    assert lessons.passages.shape == (4, 64)
    np.testing.assert_allclose(np.linalg.norm(lessons.passages, axis=1), 1, atol=1e-6)
    adapter = LinearAdapter(loss="triplet", negatives="passages", max_epochs=2)
    result = tune(DATA, encoder, adapter=adapter, effort=QUICK, passages=book)
    assert result.candidate.get_params()["negatives"] == "passages"


def test_of_a_long_text_two_thousand_passages_are_drawn(book):
    book.write_text(" ".join(map(str, range(250_000))), encoding="utf-8")
    adapter = MLPAdapter(negatives="passages")
    one, same, other = (
        Teaching.read(adapter, DATA, HashingEncoder(), passages=book, seed=seed).passages for seed in (0, 0, 1)
    )
    assert len(one) == len(set(one)) == 2000
    assert one == same != other


def test_a_teachers_scores_take_the_place_of_the_grades():
    answer = {query: DATA.positives(query)[0] for query in DATA.queries}
    scores = {query: {answer[query]: 9.0, answer["q1"]: 1.0} for query in DATA.queries if query != "q1"}
    adapter = LinearAdapter(loss="margin_mse", max_epochs=2)
    result = tune(DATA, "hashing", adapter=adapter, effort=QUICK, scores=scores)
    assert result.candidate.type == "linear"
    with pytest.raises(DataError, match=re.escape("has a document of a lower score. loss='margin_mse' learns")):
        tune(DATA, "hashing", adapter=adapter, effort=QUICK)


def test_what_dev_does_not_take_is_the_candidate_and_is_saved(tmp_path):
    adapter = LinearAdapter(loss="mse", negatives="random", pull=1e-6, learning_rate=0.3, max_epochs=1, patience=1)
    adapter.seed = 3
    result = tune(DATA, "hashing", adapter=adapter, effort=QUICK)
    assert result.adapter.type == "identity"
    assert result.candidate.type == "linear"
    assert result.candidate.encoder == result.adapter.encoder
    folder = result.save(tmp_path / "out")
    loaded = load_adapter(folder / "candidate")
    np.testing.assert_array_equal(loaded.coef_, result.candidate.coef_)
    assert load_adapter(folder).type == "identity"


@pytest.mark.parametrize(
    ("adapter", "given", "says"),
    [
        (None, {"scores": {}}, "The search of linear maps makes no use of scores. Give an adapter whose loss does"),
        (MLPAdapter(), {"scores": {}}, "This MLPAdapter makes no use of scores."),
        (LinearAdapter(), {"passages": "book.txt"}, "This LinearAdapter makes no use of passages. Give an adapter tha"),
        (
            MLPAdapter(negatives="passages"),
            {},
            "negatives='passages' learns from the passages of a text, which was not",
        ),
    ],
)
def test_what_is_not_used_or_is_missing_is_said_before_any_work(adapter, given, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        tune(DATA, "hashing", adapter=adapter, **given)


def test_vectors_that_are_looked_up_cannot_embed_passages(tmp_path, book):
    path = tmp_path / "vectors.npz"
    vectors = np.eye(len(WORDS), dtype=np.float32)
    np.savez(path, queries=vectors, query_ids=list(DATA.queries), corpus=vectors, corpus_ids=list(DATA.corpus))
    encoder = load_encoder(f"precomputed:{path}", name="some/model")
    with pytest.raises(ConfigError, match=re.escape("have to be embedded, and")):
        tune(DATA, encoder, adapter=MLPAdapter(negatives="passages"), passages=book)
