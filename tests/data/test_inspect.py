import json

from embertune.data.dataset import Dataset, Document
from embertune.data.inspect import Spread, inspect_dataset
from embertune.data.splits import split_dataset


def test_facts_of_a_small_data_set():
    data = Dataset(
        corpus={
            "x": Document("same"),
            "y": Document("same"),
            "z": Document("", "only a title"),
            "e": Document(" "),
            "l": Document("w" * 2001),
        },
        queries={"a": "why?", "b": "Why", "c": "same", "d": " ", "n": "not answered"},
        qrels={"a": {"x": 1, "z": 2}, "b": {"x": 1}, "c": {"y": 0.5, "z": 0}, "d": {"x": 1}, "n": {"x": 0}},
        notes=("a note",),
    )
    facts = inspect_dataset(data)
    assert (facts.documents, facts.queries, facts.judged_queries, facts.positives, facts.negatives) == (5, 5, 4, 5, 2)
    assert facts.grades == {"1": 3, "0": 2, "2": 1, "0.5": 1}
    assert facts.positives_per_query == Spread(1.25, 1.0, 1, 2)
    assert facts.queries_per_document == Spread(5 / 3, 1.0, 1, 3)
    assert facts.documents_with_queries == 3
    assert (facts.queries_without_text, facts.documents_without_text) == (1, 1)
    assert (facts.duplicate_queries, facts.duplicate_documents, facts.queries_equal_to_document) == (1, 1, 1)
    assert (facts.long_documents, facts.document_length.high) == (1, 2001)
    assert (facts.query_groups, facts.document_groups) == (3, 1)
    assert facts.notes == ("a note",)
    by_document = facts.splits[1]
    assert not by_document.is_possible
    assert "dev and test would stay empty" in by_document.reason
    assert facts.warnings == (
        "1 query has no text and cannot be answered: remove it.",
        "1 document has no text and cannot be found: remove it.",
        "1 document repeats the text of another: a search cannot tell which is right. Merge them.",
        "1 query has exactly the text of a document: any encoder finds it, and nothing is learned from that.",
        "1 of 5 documents are longer than 2000 characters (about 500 tokens): many models read only the beginning. "
        "Cut them into passages.",
        "Only 4 queries have a relevant document. Below about 100 only large gains can be told from chance: "
        "label more, or use folds.",
        "The 4 queries form only 1 group that shares no document: a split by query tests on documents "
        "that were trained on.",
        "Some grades are fractions (such as 0.5). Every pair above 0 counts as relevant: if low similarities mean not "
        "relevant, set them to 0.",
    )


def test_a_clean_data_set_has_no_warnings():
    data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(200)])
    facts = inspect_dataset(data)
    assert facts.warnings == ()
    assert [(outlook.method, outlook.sizes) for outlook in facts.splits] == [
        ("by-query", {"train": 120, "dev": 40, "test": 40}),
        ("by-document", {"train": 120, "dev": 40, "test": 40}),
    ]


def test_all_documents_equal():
    data = Dataset({"x": Document("a"), "y": Document("a")}, {"q": "?"}, {"q": {"x": 1}})
    assert "All documents have the same text: there is nothing to tell apart." in inspect_dataset(data).warnings


def test_with_a_split_only_that_split_is_judged():
    data = Dataset.from_pairs([(f"question {n}", f"answer {n // 2}") for n in range(200)])
    split = split_dataset(data, "by-document", seed=4)
    facts = inspect_dataset(data, split)
    assert [outlook.method for outlook in facts.splits] == ["by-document"]
    assert facts.documents_with_queries == 60
    assert inspect_dataset(data).documents_with_queries == 100


def test_copies_in_the_given_split_are_a_warning():
    data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(120)] + [("Question 1?", "answer 1")])
    parts = {query_id: ("train", "dev", "test")[n % 3] for n, query_id in enumerate(data.queries)} | {
        "q121": "test",
        "q2": "train",
    }
    facts = inspect_dataset(Dataset(data.corpus, data.queries, data.qrels, parts=parts))
    assert [outlook.copies for outlook in facts.splits] == [1, 0, 0]
    assert facts.warnings == (
        "Split given, 1 of 41 test queries have an equal text in training: the gain on them is memory.",
    )


def test_facts_are_json_and_the_table_names_every_number():
    facts = inspect_dataset(Dataset.from_pairs([("why?", "because"), ("how?", "thus"), ("who?", "Anna")], name="toy"))
    value = json.loads(json.dumps(facts.to_dict()))
    assert value["queries_per_document"] == {"mean": 1.0, "median": 1.0, "low": 1, "high": 1}
    assert str(facts) == (
        "toy\n"
        "  documents             3 (3 of them, 100%, have a query)\n"
        "  queries               3 (3 with a relevant document)\n"
        "  judgements            3 relevant, 0 not relevant\n"
        "  positives per query   mean 1, median 1, 1 to 1\n"
        "  queries per document  mean 1, median 1, 1 to 1\n"
        "  query characters      mean 4, median 4, 4 to 4\n"
        "  document characters   mean 5, median 4, 4 to 7\n"
        "  equal texts           0 queries, 0 documents\n"
        "  without text          0 queries, 0 documents\n"
        "  independent groups    3 by query, 3 by document\n"
        f"  split by-query        {str(facts.splits[0]).partition(': ')[2]}\n"
        f"  split by-document     {str(facts.splits[1]).partition(': ')[2]}\n"
        "  note: 3 rows gave 3 distinct queries and 3 distinct documents (equal texts are one).\n"
        "  warning: Only 3 queries have a relevant document. Below about 100 only large gains can be told from chance: "
        "label more, or use folds."
    )
