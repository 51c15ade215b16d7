import json
import re

import pytest

from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.io import load_dataset
from embertune.data.origin import Origin
from embertune.data.quality import FilterConfig
from embertune.encoders.hashing import HashingEncoder
from embertune.errors import ConfigError, DataError
from embertune.evaluation.run import Run
from embertune.recipes.filter_data import filter_queries

CORPUS = {
    "cats": Document("cats purr and sleep in the sun all day"),
    "dogs": Document("dogs bark and run after a ball"),
    "fish": Document("fish swim in cold water and eat small shrimp that live near the coast"),
    "tax": Document("the tax office answers letters within ten days"),
}
QUERIES = {
    "good": ("why do cats purr", "cats"),
    "again": ("Why do the cats purr?", "dogs"),
    "lost": ("letters of the tax office", "fish"),
    "hopeless": ("zebra", "dogs"),
    "foreign": ("warum schlafen die Katzen und was ist mit dem Hund", "cats"),
    "copied": ("swim in cold water and eat small shrimp that live", "fish"),
}


def data(**fields):
    return Dataset(
        corpus=CORPUS,
        queries={query_id: text for query_id, (text, _) in QUERIES.items()},
        qrels={query_id: {document: 1.0} for query_id, (_, document) in QUERIES.items()},
        **fields,
    )


def test_every_dropped_query_has_its_reason_and_every_mark_is_kept():
    found = filter_queries(data(), "bm25", FilterConfig(top_k=2, language="en"))
    assert dict(found.dropped) == {
        "again": "near-duplicate",
        "lost": "too-hard",
        "hopeless": "too-hard",
        "foreign": "language",
    }
    assert found.counts == {"language": 1, "near-duplicate": 1, "too-hard": 2}
    assert {query: remark.marks for query, remark in found.remarks.items()} == {
        "good": ("too-easy",),
        "again": ("near-duplicate", "too-hard", "round-trip"),
        "lost": ("too-hard", "round-trip"),
        "hopeless": ("too-hard", "round-trip"),
        "foreign": ("language", "too-hard", "round-trip"),
        "copied": ("too-easy",),
    }
    assert found.remarks["again"].repeats == "good"
    assert found.remarks["copied"].copied == 10
    assert list(found.dataset.queries) == ["good", "copied"]
    assert found.dataset.corpus == CORPUS
    # What answers a repetition also answers the query that stays.
    assert found.dataset.qrels["good"] == {"cats": 1.0, "dogs": 1.0}
    assert found.dataset.notes == (
        "4 of 6 queries were dropped by the filter (1 language, 1 near-duplicate, 2 too-hard).",
    )
    assert sum(found.counts.values()) == len(QUERIES) - len(found.dataset.queries)


def test_a_mark_drops_only_where_it_is_asked_to():
    found = filter_queries(data(), "bm25", FilterConfig(top_k=2, drop=("too-easy",)))
    assert dict(found.dropped) == {"good": "too-easy", "copied": "too-easy"}
    assert found.marked["round-trip"] == 4
    kept = filter_queries(data(), "bm25", FilterConfig(drop=()))
    assert kept.dropped == {}
    assert kept.dataset == data()


def test_rank_and_lead_are_those_of_the_retriever():
    run = Run.from_scores({
        "good": {"dogs": 0.9, "fish": 0.8, "cats": 0.6},
        "again": {"dogs": 0.8, "cats": 0.6},
        "copied": {"fish": 0.5},
    })  # fmt: skip
    config = FilterConfig(top_k=2, hard_rank=3, easy_lead=0.2, near_queries=False, language=None)
    found = filter_queries(data(), run, config)
    seen = {query: (remark.rank, remark.lead) for query, remark in found.remarks.items()}
    assert seen["good"] == (3, pytest.approx(-0.5))
    assert seen["again"] == (1, pytest.approx(0.25))
    assert seen["copied"] == (1, 1.0)
    assert seen["lost"] == (None, None)
    assert found.dropped["good"] == "round-trip"
    assert found.dropped["lost"] == "too-hard"
    assert "too-easy" in found.remarks["again"].marks


@pytest.mark.parametrize("top_k", [1, 3])
def test_the_round_trip_keeps_what_any_retriever_finds_among_the_top_k(top_k):
    encoder = HashingEncoder()
    found = filter_queries(data(), encoder, FilterConfig(top_k=top_k, drop=("round-trip",)))
    from embertune.encoders.encoded import encode_dataset
    from embertune.evaluation.retrieve import retrieve

    run = retrieve(encode_dataset(encoder, data()), top_k)
    answered = {q for q, (_, document) in QUERIES.items() if document in dict(run.ranking(q))}
    assert set(found.dataset.queries) == answered
    assert found.settings["retriever"] == "hashing/trigrams-64 (64 dimensions)"


def test_queries_of_dev_and_test_stay_and_train_repeats_none_of_them():
    parts = {"good": "test", "hopeless": "dev", **dict.fromkeys(["again", "lost", "copied"], "train")}
    found = filter_queries(data(parts=parts), "bm25", FilterConfig(top_k=2))
    assert dict(found.dropped) == {"again": "near-duplicate", "lost": "too-hard", "foreign": "language"}
    assert found.remarks["again"].repeats == "good"
    # A test query's judgements are not touched.
    assert found.dataset.qrels["good"] == {"cats": 1.0}
    assert set(found.remarks) == {"again", "lost", "copied", "foreign"}


def test_without_a_retriever_nothing_is_said_of_ranks():
    found = filter_queries(data(), None)
    assert set(found.counts) == {"near-duplicate", "language"}
    assert all(remark.rank is None for remark in found.remarks.values())
    assert found.settings["retriever"] is None


def test_data_whose_queries_are_of_another_language_than_its_documents_is_taken_for_what_it_is():
    german = {"a": "Wie lange dauert es und was ist das?", "b": "Wo ist der Hund und was macht er?", "c": "Katzen"}
    dataset = Dataset(
        corpus={"d": Document("This is what the dog does in the house and it takes the whole day.")},
        queries=german,
        qrels={query: {"d": 1.0} for query in german},
    )
    found = filter_queries(dataset, None)
    assert found.dropped == {}
    assert found.notes == (
        "2 queries are of 2 in another language than their documents: that is taken for how the data is, and none is "
        "marked. Name the language they must have: language='de', --language de.",
    )
    with pytest.raises(DataError, match=r"^All 2 queries would be dropped \(2 language\)\. Expected some to stay:"):
        filter_queries(dataset.select(["a", "b"]), None, FilterConfig(language="en"))


def test_documents_are_merged_and_judged_as_the_one_that_stays():
    long = "the office answers every letter of a citizen within ten days of its arrival"
    dataset = Dataset.from_pairs([("when", long), ("who", long + "."), ("what", "something else")])
    found = filter_queries(dataset, None, FilterConfig(near_documents=0.9))
    assert dict(found.merged) == {"d2": "d1"}
    assert found.dataset.qrels == {"q1": {"d1": 1.0}, "q2": {"d1": 1.0}, "q3": {"d3": 1.0}}
    assert list(found.dataset.corpus) == ["d1", "d3"]
    assert str(found).endswith("1 document nearly repeats an earlier one and was merged with it.")


def test_who_wrote_a_query_is_kept():
    origin = {"good": Origin("extractive", "title"), "lost": Origin("extractive")}
    found = filter_queries(data(synthetic=origin), "bm25", FilterConfig(top_k=2))
    assert found.dataset.synthetic == {"good": Origin("extractive", "title")}


def test_what_is_saved_loads_and_names_every_dropped_query(tmp_path):
    found = filter_queries(data(), "bm25", FilterConfig(top_k=2, language="en"))
    folder = found.save(tmp_path / "filtered")
    assert load_dataset(folder) == found.dataset
    rows = [json.loads(line) for line in (folder / "dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["_id"]: row["reason"] for row in rows} == dict(found.dropped)
    assert rows[0]["text"] == QUERIES[rows[0]["_id"]][0]
    seen = [json.loads(line) for line in (folder / "remarks.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["_id"] for row in seen] == list(QUERIES)
    record = json.loads((folder / "filter.json").read_text(encoding="utf-8"))
    assert record == found.to_dict()
    assert record["settings"]["top_k"] == 2


def test_the_table():
    found = filter_queries(data(), "bm25", FilterConfig(top_k=2, language="en"))
    assert str(found) == (
        "2 of 6 queries kept.\n"
        "                marked  dropped for it\n"
        "language             1               1  in another language\n"
        "near-duplicate       1               1  nearly repeats an earlier query\n"
        "too-hard             4               2  its document is beyond the hard rank\n"
        "round-trip           4               0  its document is not among the top k\n"
        "too-easy             2               0  copies its document, or finds it without a rival"
    )


def test_impossible_settings_are_all_named_at_once():
    message = (
        "Invalid configuration:\n- top_k must be at least 1, got 0\n"
        "- near_documents must be a Jaccard index above 0 and at most 1, got 2\n"
        "- drop takes language, near-duplicate, too-hard, round-trip, too-easy; got 'bad'"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        FilterConfig(top_k=0, near_documents=2, drop=("bad",))
    with pytest.raises(ConfigError, match=r"language must be 'documents' or one of am, ar, .*; got 'xx'"):
        FilterConfig(language="xx")


def test_data_without_training_queries_is_refused():
    only = data(parts=dict.fromkeys(QUERIES, "test"))
    message = (
        "dataset has no training query with a relevant document. Expected at least one; queries in dev and test are "
        "never filtered."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        filter_queries(only)


def test_planted_wrong_labels_are_dropped():
    """Of 40 queries ten have the document of another; BM25 finds the right one for all."""
    label = {f"q{at}": f"d{(at + 7) % 40 if at % 4 == 0 else at}" for at in range(40)}
    dataset = Dataset(
        corpus={f"d{at}": Document(f"thing number{at:02} is on shelf{at:02}") for at in range(40)},
        queries={f"q{at}": f"where is thing number{at:02}" for at in range(40)},
        qrels={query: {document: 1.0} for query, document in label.items()},
    )
    found = filter_queries(dataset, "bm25", FilterConfig(top_k=1))
    planted = {query for query, document in label.items() if query[1:] != document[1:]}
    assert set(found.dropped) == planted
    assert len(planted) == 10
