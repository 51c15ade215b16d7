"""The museum: one test by name for each defect that was found in a project like this one.

Most stand beside what they test; `MUSEUM` lists all, and those without a better place are here.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import embertune
from embertune.adapters.base import check_pairs
from embertune.adapters.solvers.contrastive import InfoNCE
from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.encoders.encoded import encode_dataset
from embertune.errors import ArtifactError
from embertune.evaluation.evaluate import evaluate
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.retrieve import retrieve
from embertune.training.pool import Pool

MUSEUM = {
    "vicinity": ["test_every_search_engine_agrees_with_exact_search_on_scores"],
    "beir": ["test_an_unanswered_query_scores_zero", "test_inputs_are_not_modified"],
    "ranx": ["test_return_type_is_constant"],
    "embetter": [
        "test_every_provider_is_constructed_and_called",
        "test_cache_key_holds_model_side_and_prompt",
    ],
    "model2vec": ["test_seed_moves_the_split", "test_readme_runs", "test_default_tables_equal_code"],
    "bm25s": ["test_environment_switches_both_ways"],
    "colpali": ["test_import_is_silent", "test_no_call_in_a_default"],
    "sentence-transformers": ["test_dropped_queries_are_counted", "test_nothing_is_chosen_on_test"],
    "LlamaIndex": [
        "test_no_batch_repeats_a_positive",
        "test_each_text_is_encoded_once",
        "test_unknown_keyword_is_an_error",
        "test_wrong_encoder_is_refused_on_load",
    ],
    "weightgain": [
        "test_split_fractions_mean_what_they_say",
        "test_best_checkpoint_is_a_copy",
        "test_dropout_is_off_when_judging",
        "test_negatives_are_query_document_pairs_and_never_positives",
        "test_documents_do_not_cross_the_split",
        "test_start_is_the_identity",
    ],
    "ALucek": ["test_near_copies_do_not_cross_the_split"],
}
ONE_PER_FILE = {"test_inputs_are_not_modified"}


@pytest.mark.parametrize("name", [name for names in MUSEUM.values() for name in names])
def test_every_piece_of_the_museum_is_shown(name):
    found = [
        path.name
        for path in Path(__file__).parent.rglob("test_*.py")
        if re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found if name in ONE_PER_FILE else len(found) == 1, found


def draw(seed, n, d):
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


@pytest.mark.parametrize("m", [4095, 4096, 4097, 8192, 8193])
def test_every_search_engine_agrees_with_exact_search_on_scores(m):
    """A cosine that was an inner product of vectors never normalised gave equal ids and wrong numbers."""
    queries, documents = draw(0, 20, 8), draw(1, m, 8)
    cosines = queries.astype(np.float64) @ documents.T.astype(np.float64)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :50]
    positions, scores = top_k(queries, documents, 50)
    np.testing.assert_array_equal(positions, order)
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, order, axis=1), atol=1e-6)


def learnable(n=120):
    """Questions and passages that share a word of many trigrams only; a map learns to look at it."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("bdfgklmnprstvz"), 6)) for _ in range(n)]
    pairs = [(f"where can one find {word}", f"{word} was written down in the yearly book") for word in words]
    data = embertune.Dataset.from_pairs(pairs)
    parts = dict(zip(data.queries, ["train"] * (n // 2) + ["dev"] * (n // 4) + ["test"] * n, strict=False))
    return replace(data, parts=parts)


def test_nothing_is_chosen_on_test():
    """Thresholds, epochs and similarities were chosen on the very labels that were then reported."""
    data = learnable()
    test = [query for query, part in data.parts.items() if part == "test"]
    wrong = {query: data.qrels[other] for query, other in zip(test, test[1:] + test[:1], strict=True)}
    corrupted = replace(data, qrels={**data.qrels, **wrong})
    honest, spoilt = (embertune.tune(one, "hashing", effort="fast", split="given") for one in (data, corrupted))
    assert honest.record["base"] != spoilt.record["base"]
    assert honest.candidate.type == "linear"
    assert honest.record["candidate"] == spoilt.record["candidate"]
    assert honest.record["selection"]["candidates"] == spoilt.record["selection"]["candidates"]
    assert honest.record["selection"]["curve"] == spoilt.record["selection"]["curve"]
    for name, tensor in honest.candidate.tensors().items():
        assert tensor.tobytes() == spoilt.candidate.tensors()[name].tobytes()
    assert honest.record["test_opened"] == spoilt.record["test_opened"] == 1


def by_hand(queries, documents, pairs, candidates, temperature):
    losses = []
    for query, positive in pairs:
        own = {document for other, document in pairs if other == query}
        scores = queries[query].astype(np.float64) @ documents.T.astype(np.float64) / temperature
        negatives = [candidate for candidate in candidates if candidate not in own]
        losses.append(np.log(np.exp(scores[[positive, *negatives]]).sum()) - scores[positive])
    return np.mean(losses)


@pytest.mark.parametrize("candidates", [np.arange(12), np.array([0, 2, 3, 7, 8, 11])], ids=["all", "sampled"])
def test_no_batch_repeats_a_positive(candidates):
    """Questions of one chunk sat in one batch, so their common answer was also their negative.

    Here a positive of a query is never among its negatives, and a document that answers several queries is one
    candidate.
    """
    queries, documents = draw(0, 9, 5), draw(1, 12, 5)
    pairs = np.array([[q, d] for q in range(9) for d in sorted({q % 4, (q + 2) % 4, q})])
    objective = InfoNCE(queries=queries, documents=documents, pairs=pairs, candidates=candidates, temperature=0.05)
    value, _ = objective.value_and_gradient(np.zeros(25, dtype=np.float32), pull=0.1)
    assert value == pytest.approx(by_hand(queries, documents, pairs.tolist(), candidates.tolist(), 0.05), rel=1e-5)
    rows = documents[[0, 1, 0, 0, 1]]
    assert len(check_pairs(queries[:5], rows).documents) == 2


def test_negatives_are_query_document_pairs_and_never_positives():
    """Negatives were drawn among all pairs of all texts: two queries, two documents, a positive the other way round."""
    queries, documents = draw(0, 6, 5), draw(1, 10, 5)
    qrels = {f"q{q}": {f"d{q}": 2, f"d{q + 1}": 1, f"d{q + 2}": 0} for q in range(6)}
    judgments = Judgments.from_qrels(qrels, list(qrels), [f"d{d}" for d in range(10)])
    training = Pool(queries, documents, judgments).training(np.arange(6))
    np.testing.assert_array_equal(training.documents, documents[:7])
    assert {tuple(pair) for pair in training.pairs.tolist()} == {(q, d) for q in range(6) for d in (q, q + 1)}
    # Were a positive or another query among the negatives of a pair, the loss would be another one.
    everything = np.arange(len(training.documents))
    objective = InfoNCE(
        queries=training.queries, documents=training.documents, pairs=training.pairs, candidates=everything,
        temperature=0.05,
    )  # fmt: skip
    value, _ = objective.value_and_gradient(np.zeros(25, dtype=np.float32), pull=0.1)
    expected = by_hand(queries, training.documents, training.pairs.tolist(), everything.tolist(), 0.05)
    assert value == pytest.approx(expected, rel=1e-5)


def test_wrong_encoder_is_refused_on_load(tmp_path):
    """A saved config said neither which class it was nor which model it belonged to."""
    trained = embertune.load_encoder("hashing", query_prompt="query: ")
    vectors = trained.encode_document(["one text", "another text", "a third"])
    adapter = embertune.LinearAdapter().fit(vectors, vectors)
    adapter.encoder = trained.spec.to_dict()
    adapter.save(tmp_path / "mine")
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["encoder"]["model"] == trained.spec.model
    loaded = embertune.load_adapter(tmp_path / "mine")
    with pytest.raises(ArtifactError, match="was trained on hashing/trigrams-64"):
        embertune.load_encoder("static") | loaded
    with pytest.raises(ArtifactError, match=re.escape("load_encoder('hashing', query_prompt='query: ') | adapter")):
        embertune.load_encoder("hashing") | loaded
    assert (trained | loaded).encode_query(["one text"]).shape == (1, 64)


def test_dropout_is_off_when_judging():
    """Dropout stayed on while judging. There is none in a numpy adapter: judged twice, equal bits."""
    data = learnable(40)
    encoder = embertune.load_encoder("hashing")
    queries = encoder.encode_query(list(data.queries.values()))
    documents = encoder.encode_document([document.content for document in data.corpus.values()])
    adapter = embertune.LinearAdapter(side="both", pull=0.01).fit(queries, documents)
    scores = []
    for _ in range(2):
        encoded = encode_dataset(encoder | adapter, data)
        scores.append(evaluate(data.qrels, retrieve(encoded), ["ndcg@10"]).scores["ndcg@10"].tobytes())
        assert adapter.transform(queries).tobytes() == adapter.transform(queries.copy()).tobytes()
    assert scores[0] == scores[1]
