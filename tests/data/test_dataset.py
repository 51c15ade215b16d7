import json
import re
from dataclasses import replace

import numpy
import pandas
import polars
import pytest

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.data.origin import Origin
from embertune.errors import DataError


@pytest.fixture
def toy():
    return Dataset(
        corpus={"x": Document("X text"), "y": Document("Y text", "Y"), "z": Document("Z text")},
        queries={"a": "first?", "b": "second?", "c": "third?"},
        qrels={"a": {"x": 1.0, "y": 0.0}, "b": {"y": 2.0}},
        name="toy",
        parts={"a": "train", "b": "test"},
        notes=("a note",),
    )


def test_content_joins_title_and_text():
    assert Document("text", "title").content == "title text"
    assert Document(" text ").content == "text"


def test_ids_that_match_nothing_are_counted_and_named():
    with pytest.raises(DataError) as caught:
        Dataset(
            {"x": Document("X")},
            {"a": "?"},
            {"a": {"x": 1, "n1": 1, "n2": 1, "n3": 1, "n4": 0}, "b": {"x": 1}},
            name="toy",
        )
    assert str(caught.value) == (
        "The data set 'toy' does not fit together:\n"
        "- 1 of 2 query ids in the qrels are not among the queries (such as 'b')\n"
        "- 4 of 5 document ids in the qrels are not in the corpus (such as 'n1', 'n2', 'n3', …)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qrels": {"a": {"x": float("nan")}}}, "1 query has a grade that is not a finite number (such as 'a')"),
        ({"parts": {"c": "train"}}, "1 query id in the parts has no judgement in the qrels (such as 'c')"),
        ({"parts": {"a": "val"}}, "the parts are called 'val'; expected 'train', 'dev' or 'test'"),
        (
            {"corpus": {"x": "X"}},
            "1 of 1 documents are no Document (such as 'x'); expected corpus={id: Document(text)}",
        ),
        ({"queries": {"a": None, "c": "?"}}, "1 of 2 queries are no text (such as 'a')"),
        (
            {"queries": {1: "?", "a": "?"}},
            "1 of 2 query ids are no text (such as 1); expected str(id), also in the qrels",
        ),
        ({"corpus": {"x": Document("X"), 7: Document("Y")}}, "1 of 2 document ids are no text (such as 7)"),
        (
            {"corpus": {"x": Document("X"), "y\ud83d": Document("Y")}},
            "1 of 2 document ids are empty or hold half an emoji, which no file takes (such as 'y\\ud83d')",
        ),
        ({"queries": {"a": "?", "": "?"}}, "1 of 2 query ids are empty or hold half an emoji, which no file takes"),
    ],
)
def test_a_data_set_that_does_not_fit_together_is_refused(change, message):
    fields = {"corpus": {"x": Document("X")}, "queries": {"a": "?", "c": "?"}, "qrels": {"a": {"x": 1.0}}}
    with pytest.raises(DataError, match=re.escape(message)):
        Dataset(**fields | change)


def test_equality_and_fingerprint_ignore_order_name_and_notes(toy):
    turned = Dataset(
        corpus=dict(reversed(toy.corpus.items())),
        queries=dict(reversed(toy.queries.items())),
        qrels={"b": {"y": 2}, "a": {"y": -0.0, "x": 1}},
        name="other",
        parts=dict(reversed(toy.parts.items())),
    )
    assert turned == toy
    assert turned.fingerprint == toy.fingerprint
    assert len({turned, toy}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": {"x": Document("X text"), "y": Document("Y text", "Y"), "z": Document("Z")}},
        {"corpus": {"x": Document("X text"), "y": Document("text", "Y Y"), "z": Document("Z text")}},
        {"queries": {"a": "first?", "b": "second?", "c": "third"}},
        {"queries": {"a": "second?", "b": "first?", "c": "third?"}},
        {"qrels": {"a": {"x": 1.0}, "b": {"y": 2.0}}},
        {"qrels": {"a": {"x": 1.0, "y": 0.0}, "b": {"y": 1.0}}},
        {"parts": {}},
    ],
)
def test_fingerprint_moves_with_every_piece_of_content(toy, change):
    fields = {"corpus": toy.corpus, "queries": toy.queries, "qrels": toy.qrels, "parts": toy.parts}
    other = Dataset(**fields | change)
    assert other.fingerprint != toy.fingerprint
    assert other != toy


def test_select_keeps_the_corpus_and_the_order(toy):
    part = toy.select(["c", "a"])
    assert part.corpus is toy.corpus
    assert list(part.queries) == ["a", "c"]
    assert part.qrels == {"a": {"x": 1.0, "y": 0.0}}
    assert part.parts == {"a": "train"}
    assert (part.name, part.notes) == ("toy", ("a note",))


def test_select_refuses_unknown_ids(toy):
    with pytest.raises(DataError, match=re.escape("2 of 3 ids are not queries of toy (such as 'd', 'e')")):
        toy.select(["a", "d", "e"])


def test_positives_are_the_grades_above_zero(toy):
    assert toy.positives("a") == ["x"]
    assert toy.positives("c") == []
    data = Dataset.from_pairs([("q", "d")])
    with pytest.raises(DataError, match=re.escape("dataset has no query 'q11' among its 1. Did you mean 'q1'?")):
        data.positives("q11")


def test_str_is_a_table(toy):
    assert str(toy) == (
        "toy\n  documents   3\n  queries     3\n  judgements  3 (2 relevant)\n"
        "  parts       train 1, test 1\n  note: a note"
    )


def test_pairs_merge_equal_texts_and_count_what_they_leave_out():
    data = Dataset.from_pairs(
        [("a", "x"), (" a ", "y"), ("b", "x "), ("a", "x"), ("", "y"), ("c", None), ("c", float("nan")), ("b", "  ")],
        name="toy",
    )
    assert data.queries == {"q1": "a", "q2": "b"}
    assert data.corpus == {"d1": Document("x"), "d2": Document("y")}
    assert data.qrels == {"q1": {"d1": 1.0, "d2": 1.0}, "q2": {"d1": 1.0}}
    assert data.notes == (
        "8 rows gave 2 distinct queries and 2 distinct documents (equal texts are one).",
        "1 row repeats earlier judgements and was merged (row 4).",
        "4 rows have no query or no document and were skipped (rows 5, 6, 7, …).",
    )


def test_pairs_take_documents_with_titles():
    data = Dataset.from_pairs([("a", Document("x", "T")), ("b", Document("x", "U"))])
    assert list(data.corpus.values()) == [Document("x", "T"), Document("x", "U")]


def test_half_a_surrogate_pair_is_replaced():
    assert Dataset.from_pairs([("a\ud83d", "ü\U0001f600")]).queries == {"q1": "a\ufffd"}
    assert Dataset.from_pairs([("a", "ü\U0001f600")]).corpus["d1"].text == "ü\U0001f600"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "The pairs: found 0 rows, none with both a query and a document. Expected at least one query"),
        ([("", "x")], "The pairs: found 1 row, none with both a query and a document."),
        ([("a", "x"), ("b",)], "Row 2 is ('b',). Expected 2 values: (query, document)."),
        (["ab"], "Row 1 is 'ab'. Expected 2 values: (query, document)."),
        ([{"query": "a", "document": "x"}], "Row 1 is {'query': 'a', 'document': 'x'}. Expected 2 values"),
        ([("a", ["x"])], "Row 1: the document holds a list (['x']). Expected a text."),
    ],
)
def test_broken_pairs(pairs, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Dataset.from_pairs(pairs)


def test_triplets_keep_negatives_as_grade_zero_and_positives_win():
    data = Dataset.from_triplets(
        [("a", "x", "y"), ("a", "y", ["z", ""]), ("b", "x", None), ("", "x", "y"), ("c", "", "y")]
    )
    assert data.qrels == {"q1": {"d1": 1.0, "d2": 1.0, "d3": 0.0}, "q2": {"d1": 1.0}}
    assert data.notes[1:] == (
        "2 rows have no query or no document and were skipped (rows 4, 5).",
        "1 row judged a pair twice with different grades; the higher was kept (row 2).",
    )


def test_negatives_come_as_cells_of_a_frame_come():
    data = Dataset.from_triplets([("a", "x", float("nan")), ("b", "y", numpy.array(["z", "x"])), ("c", "z", {"y"})])
    assert data.qrels == {"q1": {"d1": 1.0}, "q2": {"d2": 1.0, "d3": 0.0, "d1": 0.0}, "q3": {"d3": 1.0, "d2": 0.0}}


def test_pairs_are_no_table_and_no_mapping():
    with pytest.raises(DataError, match=re.escape("Found a DataFrame, a table. Type: Dataset.from_frame(table)")):
        Dataset.from_pairs(pandas.DataFrame({"query": ["a"], "document": ["x"]}))
    with pytest.raises(DataError, match=re.escape("Found a dict. Expected 2 values in each row: (query, document).")):
        Dataset.from_pairs({"a": "x"})


def test_similarities_become_grades():
    data = Dataset.from_scored_pairs(
        [("a", "x", 0.8), ("a", "y", 0), ("b", "x", -1), ("b", "y", "4.5"), ("a", "x", 0.2)]
    )
    assert data.qrels == {"q1": {"d1": 0.8, "d2": 0.0}, "q2": {"d1": -1.0, "d2": 4.5}}
    assert data.positives("q2") == ["d2"]
    with pytest.raises(DataError, match=re.escape("Row 1: the similarity holds 'high'. Expected a number")):
        Dataset.from_scored_pairs([("a", "x", "high")])
    with pytest.raises(DataError, match=re.escape("none of the 1 judgements is above 0")):
        Dataset.from_scored_pairs([("a", "x", 0)])


@pytest.mark.parametrize("library", [pandas, polars])
def test_frames_of_both_libraries_give_one_data_set(library):
    frame = library.DataFrame(
        {"Question": ["a", "b", None], "Chunk": ["x", "y", "x"], "Hard-Negative": ["y", None, "y"], "id": [1, 2, 3]}
    )
    data = Dataset.from_frame(frame, name="faq")
    assert data.name == "faq"
    assert data.qrels == {"q1": {"d1": 1.0, "d2": 0.0}, "q2": {"d2": 1.0}}
    assert data.notes[0] == (
        "Columns: query = 'Question', document = 'Chunk', negatives = 'Hard-Negative'; not used: 'id'."
    )
    assert data.notes[2] == "1 row has no query or no document and was skipped (row 3)."
    assert list(frame.columns) == ["Question", "Chunk", "Hard-Negative", "id"]


def test_frame_with_missing_values_of_every_kind():
    frame = pandas.DataFrame(
        {"query": pandas.array(["a", pandas.NA, "c"], dtype="string"), "text": ["x", "y", float("nan")]}
    )
    assert Dataset.from_frame(frame).queries == {"q1": "a"}


def test_frame_takes_a_mapping_and_refuses_what_is_no_frame():
    frame = pandas.DataFrame({0: ["a"], 1: ["x"]})
    assert Dataset.from_frame(frame, {"query": "0", "document": "1"}).queries == {"q1": "a"}
    with pytest.raises(DataError, match=re.escape("Found a list. Expected a DataFrame")):
        Dataset.from_frame([("a", "x")])


def test_a_column_that_stands_twice_in_a_frame_is_refused():
    frame = pandas.DataFrame([["a", "x", "y"]], columns=["query", "document", "document"])
    with pytest.raises(DataError, match=re.escape("The DataFrame has the column 'document' more than once.")):
        Dataset.from_frame(frame)


def test_judged_are_the_queries_with_a_relevant_document_in_their_order(toy):
    data = Dataset(toy.corpus, toy.queries, {"c": {"x": 0.5}, "b": {"x": 0.0, "y": -1.0}, "a": {"z": 1.0}})
    assert data.judged == ("a", "c")
    assert [query for query in data.queries if data.positives(query)] == ["a", "c"]


def mixed():
    rows = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(4)])
    return replace(rows, synthetic={"q2": Origin("extractive", "crop"), "q4": Origin("openai/gpt-4o-mini")})


def test_who_wrote_a_query_is_kept_by_select_save_and_load(tmp_path):
    data = mixed()
    assert data.select(["q1", "q4"]).synthetic == {"q4": Origin("openai/gpt-4o-mini")}
    data.save(tmp_path)
    assert load_dataset(tmp_path) == data
    line = (tmp_path / "queries.jsonl").read_text(encoding="utf-8").splitlines()[1]
    assert json.loads(line)["metadata"] == {"synthetic": True, "generator": "extractive", "style": "crop"}
    assert "\n  synthetic   1 by extractive, 1 by openai/gpt-4o-mini" in str(data)


def test_synthetic_queries_count_in_the_fingerprint_and_data_sets_without_keep_theirs():
    data = mixed()
    assert (
        replace(data, synthetic={}).fingerprint
        == Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(4)]).fingerprint
    )
    assert data.fingerprint != replace(data, synthetic={}).fingerprint
    assert data != replace(data, synthetic={})


def test_synthetic_names_queries_that_are_there():
    expected = "1 query id in synthetic is not among the queries (such as 'q9')"
    with pytest.raises(DataError, match=re.escape(expected)):
        replace(mixed(), synthetic={"q9": Origin("extractive")})


def test_metadata_that_says_nothing_of_synthesis_is_passed_over(tmp_path):
    data = mixed()
    data.save(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[0]["metadata"], rows[1]["metadata"] = {"url": "a"}, {"synthetic": True}
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert load_dataset(tmp_path).synthetic == {"q2": Origin("unknown"), "q4": Origin("openai/gpt-4o-mini")}
