"""What foreign queries lose comes out by hand; nothing is chosen by those that are judged, and others spare them."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from embertune.adapters.chain import Chain
from embertune.adapters.document import DocumentAdapter
from embertune.adapters.gate import Gate
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.state import to_state
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset, Document
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError, EncoderError
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.foreign import choose_foreign, judge_foreign, load_foreign
from embertune.recipes.tune import tune


def _foreign(queries=40, documents=30, *, name="tales"):
    """Ids as in the toy, other texts."""
    return Dataset(
        corpus={f"d{n}": Document(f"tale {n}") for n in range(documents)},
        queries={f"q{n}": f"who is in tale {n}?" for n in range(queries)},
        qrels={f"q{n}": {f"d{n % documents}": 1.0} for n in range(queries)},
        name=name,
    )


def _with_foreign(toy, dataset, *, seed=0):
    """The toy's encoder that knows the foreign texts too: each query near its document."""
    rng = np.random.default_rng(seed)
    documents = normalize(rng.normal(size=(len(dataset.corpus), 12)).astype(np.float32))
    encoder = toy.encoder
    place = {name: row for row, name in enumerate(dataset.corpus)}
    for name, document in dataset.corpus.items():
        encoder.vectors.setdefault(document.content, documents[place[name]])
    for query, text in dataset.queries.items():
        answer = documents[place[next(iter(dataset.qrels[query]))]]
        encoder.vectors[text] = normalize((answer + 0.6 * rng.normal(size=12))[None].astype(np.float32))[0]
    return encoder


def _ndcg(encoder, dataset, others, matrix=None):
    """nDCG@10 of queries with one answer each, by sorting all cosines; `others` are texts of the own corpus."""
    texts = [document.content for document in dataset.corpus.values()]
    documents = np.array([encoder.vectors[text] for text in [*texts, *others]], dtype=np.float64)
    asked = np.array([encoder.vectors[text] for text in dataset.queries.values()], dtype=np.float64)
    if matrix is not None:
        asked = asked + asked @ matrix
    order = np.argsort(-(asked @ documents.T), axis=1, kind="stable")
    answers = [list(dataset.corpus).index(next(iter(grades))) for grades in dataset.qrels.values()]
    ranks = 1 + (order == np.array(answers)[:, None]).argmax(axis=1)
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)


@pytest.fixture(scope="module")
def ungated(quick):
    return replace(quick, gate="no")


@pytest.fixture(scope="module")
def judged(learnable, ungated):
    foreign = _foreign()
    encoder = _with_foreign(learnable, foreign)
    return tune(learnable.data, encoder, effort=ungated, seed=3, foreign=foreign), encoder, foreign


def test_what_foreign_queries_lose_comes_out_by_hand(judged, learnable):
    result, encoder, foreign = judged
    own = [document.content for document in learnable.data.corpus.values()]
    before = _ndcg(encoder, foreign, own)
    after = _ndcg(encoder, foreign, own, result.candidate.coef_.astype(np.float64))
    told = result.record["foreign"]
    assert (told["name"], told["n"], told["notes"]) == ("tales", 40, [])
    assert told["base"]["ndcg@10"] == pytest.approx(before.mean(), abs=1e-9)
    assert told["tuned"]["ndcg@10"] == pytest.approx(after.mean(), abs=1e-9)
    assert list(told["base"]) == list(told["tuned"]) == result.record["metrics"]
    low, high = bootstrap_interval(after - before, seed=3)
    assert told["delta"] == {
        "ndcg@10": {
            "mean": pytest.approx((after - before).mean(), abs=1e-9),
            "low": pytest.approx(low, abs=1e-9),
            "high": pytest.approx(high, abs=1e-9),
        }
    }


def test_much_lost_is_no_gain_and_the_table_says_so(judged):
    result, _, _ = judged
    change = result.record["foreign"]["delta"]["ndcg@10"]["mean"]
    assert change < -0.1
    assert result.verdict.code == "no-gain"
    assert "but harms others. Those of tales lose 0." in result.verdict.sentence
    assert "other queries, 40 of tales over the corpora of both\nndcg@10 0." in str(result)
    numbers = result.record["verdict"]["numbers"]["foreign"]
    assert (numbers["n"], numbers["gate"]) == (40, "no")


def test_nothing_is_chosen_by_it(judged, learnable, ungated):
    result, encoder, _ = judged
    alone = tune(learnable.data, encoder, effort=ungated, seed=3)
    assert alone.record["foreign"] is None
    assert alone.verdict.code == "ship"
    for key in ("base", "tuned", "delta", "groups", "selection", "queries", "test_opened"):
        assert alone.record[key] == result.record[key]
    assert np.array_equal(alone.candidate.coef_, result.candidate.coef_)


def test_mapped_documents_are_mapped_on_both_sides(learnable):
    foreign = _foreign()
    encoder = _with_foreign(learnable, foreign)
    rng = np.random.default_rng(1)
    adapter = LinearAdapter("both", pull=0.3, max_steps=5).fit(*rng.normal(size=(2, 40, 12)))
    loaded = load_foreign(foreign, None, learnable.data, encoder, seed=0)
    mixed = loaded.mix(encode_dataset(encoder, learnable.data))
    texts = [d.content for data in (foreign, learnable.data) for d in data.corpus.values()]
    documents = adapter.transform(np.array([encoder.vectors[text] for text in texts]), "document")
    queries = adapter.transform(np.array([encoder.vectors[text] for text in foreign.queries.values()]), "query")
    first = (queries @ documents.T).argmax(axis=1)
    hits = first == np.arange(40) % 30
    assert mixed.score(adapter, ["accuracy@1"], "accuracy@1")["accuracy@1"].tolist() == hits.astype(float).tolist()
    assert 0 < hits.mean() < 1

    def gate(one):
        return judge_foreign(mixed, one, ["mrr"], primary="mrr", seed=0).evidence()["gate"]

    assert gate(adapter) == "no"
    assert gate(DocumentAdapter().fit(*rng.normal(size=(2, 9, 12)))) == "never"
    queries_alone = LinearAdapter(pull=0.3, max_steps=5).fit(*rng.normal(size=(2, 40, 12)))
    gated = queries_alone.gated(Gate.fit(rng.normal(size=(9, 12))))
    # A gate is found where it stands, be it a link of a chain that moves documents.
    assert [gate(one) for one in (queries_alone, gated, Chain([queries_alone, adapter]), Chain([gated, adapter]))] == [
        "no", "yes", "no", "yes",
    ]  # fmt: skip
    assert gate(Chain([Chain([gated]), adapter])) == "yes"


def test_a_corpus_that_both_share_counts_once(learnable):
    """The same documents, asked other questions: searched twice they would push each other down."""
    shared = Dataset(
        corpus=learnable.data.corpus,
        queries={"x": "something else about text 3"},
        qrels={"x": {"d3": 1.0}},
    )
    encoder = learnable.encoder
    encoder.vectors["something else about text 3"] = learnable.documents[3]
    mixed = load_foreign(shared, None, learnable.data, encoder, seed=0).mix(encode_dataset(encoder, learnable.data))
    assert len(mixed.documents) == 120
    scores = judge_foreign(mixed, LinearAdapter().fit(np.eye(12), np.eye(12)), ["mrr@10"], primary="mrr@10", seed=0)
    assert scores.base["mrr@10"].tolist() == [1.0]


def test_queries_that_are_its_own_are_left_out(learnable):
    foreign = _foreign(3)
    queries = {**foreign.queries, "q1": "Query number 7!"}
    mine = Dataset(foreign.corpus, queries, foreign.qrels, name="tales")
    chosen = choose_foreign(mine, learnable.data, seed=0)
    assert list(chosen.queries) == ["q0", "q2"]
    assert chosen.notes == ("1 of its 3 queries is asked in toy, too, and left out.",)
    assert choose_foreign(chosen, learnable.data, seed=0) is chosen
    with pytest.raises(DataError, match=re.escape("toy, has 200 queries with a relevant document, and toy asks all")):
        choose_foreign(learnable.data, learnable.data, seed=0)


def test_very_many_queries_are_drawn_by_seed(learnable, monkeypatch):
    monkeypatch.setattr("embertune.recipes.foreign._MOST_QUERIES", 10)
    one, again, other = (choose_foreign(_foreign(), learnable.data, seed=seed) for seed in (0, 0, 1))
    assert len(one.queries) == 10
    assert list(one.queries) == list(again.queries) != list(other.queries)
    assert one.notes == ("10 of 40 queries are drawn at random.",)


def _archive(path, dataset, encoder):
    corpus = [document.content for document in dataset.corpus.values()]
    np.savez(
        path,
        corpus=[encoder.vectors[text] for text in corpus],
        queries=[encoder.vectors[text] for text in dataset.queries.values()],
        corpus_ids=list(dataset.corpus),
        query_ids=list(dataset.queries),
    )
    return str(path)


def test_vectors_from_files_give_what_their_encoder_gives(judged, learnable, ungated, tmp_path):
    result, encoder, foreign = judged
    own = PrecomputedEncoder(_archive(tmp_path / "own.npz", learnable.data, encoder), name="table")
    theirs = PrecomputedEncoder(_archive(tmp_path / "theirs.npz", foreign, encoder), name="table")
    again = tune(learnable.data, own, effort=ungated, seed=3, foreign=foreign, foreign_encoder=theirs)
    assert again.record["foreign"] == result.record["foreign"]


def test_what_cannot_be_judged_is_refused_before_anything_is_embedded(judged, learnable, tmp_path):
    _, encoder, foreign = judged
    own = PrecomputedEncoder(_archive(tmp_path / "own.npz", learnable.data, encoder))
    theirs = PrecomputedEncoder(_archive(tmp_path / "theirs.npz", foreign, encoder))
    np.savez(
        tmp_path / "short.npz", corpus=np.eye(2), queries=np.eye(2), corpus_ids=["d0", "d1"], query_ids=["q0", "q1"]
    )
    short = PrecomputedEncoder(str(tmp_path / "short.npz"), name="own.npz")
    unlabelled = Dataset(foreign.corpus, foreign.queries, {}, name="tales")
    for data, source, error, message in [
        (None, theirs, ConfigError, "foreign_encoder was given without foreign data."),
        (foreign, None, ConfigError, "own.npz (12 dimensions) holds vectors of known ids and cannot embed the foreign"),
        (
            foreign,
            theirs,
            ConfigError,
            "model 'own.npz' here, 'theirs.npz' there (here: the latter, there: the foreign)",
        ),
        (foreign, theirs, ConfigError, 'load_encoder("precomputed:FILE.npz", name="own.npz")'),
        (foreign, short, ConfigError, "dimension 12 here, 2 there"),
        (foreign, "hashing", ConfigError, "model 'own.npz' here, 'trigrams-64' there"),
        (unlabelled, own, DataError, "The foreign data, tales, has 0 queries with a relevant document. Expected"),
        (str(tmp_path / "absent"), own, DataError, "absent"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            load_foreign(data, source, learnable.data, own, seed=0)
    with pytest.raises(ConfigError, match="has an adapter behind it; both data sets need the frozen encoder"):
        load_foreign(foreign, load_encoder("hashing") | IdentityAdapter(), learnable.data, own, seed=0)
    known = PrecomputedEncoder(str(tmp_path / "theirs.npz"), name="own.npz")
    wrong = load_foreign(_foreign(50), known, learnable.data, own, seed=0)
    with pytest.raises(EncoderError, match="10 of 50 queries have no vector"):
        wrong.mix(encode_dataset(own, learnable.data))


def test_few_queries_are_judged_in_folds_and_foreign_ones_under_what_is_saved(toy, ungated):
    few, foreign = toy(60, 30), _foreign(12, 12)
    encoder = _with_foreign(few, foreign)
    result = tune(few.data, encoder, effort=ungated, foreign=foreign)
    own = [document.content for document in few.data.corpus.values()]
    after = _ndcg(encoder, foreign, own, result.candidate.coef_.astype(np.float64))
    assert result.record["foreign"]["tuned"]["ndcg@10"] == pytest.approx(after.mean(), abs=1e-9)


def test_foreign_texts_are_paid_and_counted(learnable, ungated, priced):
    foreign = _foreign(12, 12)
    one = tune(learnable.data, priced(), effort=ungated)
    both = tune(learnable.data, priced(), effort=ungated, foreign=foreign)
    # 320 texts of the data and the 32 canaries.
    assert one.record["cost"] == asdict(Cost(352, 3520, 352.0))
    # What is tuned on is in the cache by now.
    assert both.record["cost"] == asdict(Cost(24, 240, 24.0))


def _near_kind(toy, count=120):
    """Others that ask with one leaning in common, beside what own queries ask: a map takes them away from answers."""
    foreign, encoder = _foreign(count, 40), toy.encoder
    rng = np.random.default_rng(7)
    leaning = toy.turn[0]
    documents = normalize((0.5 * rng.normal(size=(40, 12)) + 3 * leaning).astype(np.float32))
    for row, document in enumerate(foreign.corpus.values()):
        encoder.vectors[document.content] = documents[row]
    for at, text in enumerate(foreign.queries.values()):
        asked = documents[at % 40] + 0.05 * rng.normal(size=12)
        encoder.vectors[text] = normalize(asked[None].astype(np.float32))[0]
    return foreign, encoder


def _judged_half(toy, foreign, encoder, seed):
    loaded = load_foreign(foreign, None, toy.data, encoder, seed=seed)
    return loaded.mix(encode_dataset(encoder, toy.data)).parted("ndcg@10", seed=seed)


def test_half_of_many_is_looked_at_so_that_the_other_half_loses_little(learnable, quick):
    foreign, encoder = _near_kind(learnable)
    config = replace(quick, gate="auto")
    looked, judged = _judged_half(learnable, foreign, encoder, seed=3)
    assert (len(looked.queries), len(judged.queries)) == (60, 60)
    assert len(np.unique(np.concatenate([looked.queries, judged.queries]), axis=0)) == 120
    free = tune(learnable.data, encoder, effort=config, seed=3)
    before = judge_foreign(judged, free.candidate, ["ndcg@10"], primary="ndcg@10", seed=3).change
    result = tune(learnable.data, encoder, effort=config, seed=3, foreign=foreign)
    told = result.record["foreign"]
    assert told["n"] == 60
    assert told["notes"] == ["60 of 120 queries were kept apart to spare such; 60 others are judged."]
    assert before < -0.02
    assert told["delta"]["ndcg@10"]["mean"] > -0.01
    assert result.candidate.gate.unlike is not None
    assert any(
        reason.startswith("There is a gate that closes for queries more like theirs")
        for reason in result.record["selection"]["reasons"]
    )
    np.testing.assert_array_equal(result.candidate.coef_, free.candidate.coef_)


def test_nothing_is_chosen_by_the_half_that_is_judged(learnable, quick):
    """Those that are judged would lose nothing if they asked for what nobody finds."""
    foreign, encoder = _near_kind(learnable)
    foreign = replace(foreign, corpus={**foreign.corpus, "far": Document("far from all")})
    encoder.vectors["far from all"] = -normalize(learnable.turn[:1].astype(np.float32))[0]
    _, judged = _judged_half(learnable, foreign, encoder, seed=3)
    lost = {query: {"far": 1.0} for query in judged.dataset.queries}
    found = [tune(learnable.data, encoder, effort=quick, seed=3, foreign=replace(foreign, qrels=qrels))
             for qrels in (foreign.qrels, {**foreign.qrels, **lost})]  # fmt: skip
    assert [each.record["foreign"]["base"]["ndcg@10"] > 0.1 for each in found] == [True, False]
    assert all(each.candidate.gate.unlike is not None for each in found)
    states = [to_state(each.candidate) for each in found]
    assert states[0][0] == states[1][0]
    assert {name: array.tobytes() for name, array in states[0][1].items()} == {
        name: array.tobytes() for name, array in states[1][1].items()
    }


def test_from_sixty_on_half_are_looked_at_with_the_documents_of_theirs_alone(learnable):
    foreign, encoder = _near_kind(learnable, 60)
    looked, judged = _judged_half(learnable, foreign, encoder, seed=0)
    assert (len(looked.queries), len(judged.queries)) == (30, 30)
    theirs = [encoder.vectors[document.content] for document in foreign.corpus.values()]
    np.testing.assert_allclose(looked.documents, theirs, atol=1e-6)
    rows = [list(foreign.queries.values()).index(text) for text in judged.dataset.queries.values()]
    asked = np.array([encoder.vectors[text] for text in foreign.queries.values()])
    np.testing.assert_allclose(judged.queries, asked[rows], atol=1e-6)
    assert judged.judgments.pairs[:, 1].tolist() == [row % 40 for row in rows]


def test_what_is_saved_of_folds_spares_them_too(toy, quick):
    few = toy(60, 30)
    foreign, encoder = _near_kind(few)
    result = tune(few.data, encoder, effort=quick, seed=1, foreign=foreign)
    assert len(result.record["queries"]) == 60
    assert result.candidate.gate.unlike is not None
    assert result.record["foreign"]["delta"]["ndcg@10"]["mean"] > -0.01


def test_all_are_judged_where_they_are_few_or_there_is_to_be_no_gate(learnable, quick, ungated):
    for count, config in ((59, quick), (120, ungated)):
        foreign, encoder = _near_kind(learnable, count)
        result = tune(learnable.data, encoder, effort=config, seed=3, foreign=foreign)
        assert (result.record["foreign"]["n"], result.record["foreign"]["notes"]) == (count, [])
        assert result.candidate.gate is None or result.candidate.gate.unlike is None


def test_equal_questions_are_on_one_side_and_count_once(learnable):
    foreign, encoder = _near_kind(learnable, 100)
    twice = {f"r{query[1:]}": text.upper() + " ?" for query, text in foreign.queries.items()}
    for query, text in twice.items():
        encoder.vectors[text] = encoder.vectors[foreign.queries[f"q{query[1:]}"]]
    again = {query: foreign.qrels[f"q{query[1:]}"] for query in twice}
    doubled = replace(foreign, queries={**foreign.queries, **twice}, qrels={**foreign.qrels, **again})
    looked, judged = _judged_half(learnable, doubled, encoder, seed=1)
    assert (len(looked.queries), len(judged.queries)) == (100, 100)
    numbers = [int(query[1:]) for query in judged.dataset.queries]
    assert sorted(numbers) == sorted([*set(numbers), *set(numbers)])
    few = replace(
        doubled, queries=dict(list(doubled.queries.items())[:59]), qrels=dict(list(doubled.qrels.items())[:59])
    )
    assert _judged_half(learnable, few, encoder, seed=1)[0] is None


def test_documents_of_both_are_not_among_those_that_gates_close_for(learnable):
    foreign, encoder = _near_kind(learnable)
    shared = {f"own {at}": document for at, document in enumerate(learnable.data.corpus.values())}
    looked, _ = _judged_half(learnable, replace(foreign, corpus={**shared, **foreign.corpus}), encoder, seed=1)
    theirs = [encoder.vectors[document.content] for document in foreign.corpus.values()]
    np.testing.assert_allclose(looked.documents, theirs, atol=1e-6)
