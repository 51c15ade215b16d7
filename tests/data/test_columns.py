import re

import pytest

from embertune import Dataset
from embertune.data.columns import Columns, recognise_columns
from embertune.errors import DataError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["query", "document"], Columns("query", "document")),
        (["Question", "CHUNK"], Columns("Question", "CHUNK")),
        (["anchor", "positive", "negative"], Columns("anchor", "positive", ("negative",))),
        (["query", "pos", "neg", "pos_scores", "neg_scores", "prompt", "type"], Columns("query", "pos", ("neg",))),
        (
            ["anchor", "positive", "negative_1", "negative_2"],
            Columns("anchor", "positive", ("negative_1", "negative_2")),
        ),
        (
            ["query", "passage", "Hard Negatives", "negatives"],
            Columns("query", "passage", ("Hard Negatives", "negatives")),
        ),
        (["doc1", "doc2", "similarity"], Columns("doc1", "doc2", score="similarity")),
        (["text_1", "text_2", "label"], Columns("text_1", "text_2", score="label")),
        (["sentence1", "sentence2", "score"], Columns("sentence1", "sentence2", score="score")),
        (["id", "title", "context", "question", "answers"], Columns("question", "context", title="title")),
        (["question", "answer"], Columns("question", "answer")),
        (["query", "text", "label"], Columns("query", "text", score="label")),
        (
            ["Query-ID", "query", "corpus id", "text"],
            Columns("query", "text", query_id="Query-ID", document_id="corpus id"),
        ),
        (["qid", "pid", "query", "passage"], Columns("query", "passage", query_id="qid", document_id="pid")),
        (["docid", "id", "query", "doc"], Columns("query", "doc", document_id="docid")),
        (
            ["query", "positive_passages", "negative_passages"],
            Columns("query", "positive_passages", ("negative_passages",)),
        ),
    ],
)
def test_columns_as_users_have_them(names, expected):
    assert recognise_columns(names, None, "a.csv") == expected


def test_given_columns_come_before_recognised_ones():
    found = recognise_columns(
        ["query", "answer", "mine", "n1", "n2"], {"document": "mine", "negative": ["n1", "n2"]}, "a.csv"
    )
    assert found == Columns("query", "mine", ("n1", "n2"))
    assert recognise_columns(["query", "text"], {"query": "text", "document": "query"}, "a.csv") == Columns(
        "text", "query"
    )


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (
            ["qestion", "chunk"],
            None,
            "a.csv: found the columns 'qestion', 'chunk'; none is recognised as the query. Did you mean 'question' by "
            "'qestion'? Expected a column for the query (query, question, anchor, …) and one for the document",
        ),
        (["a", "b"], None, "none is recognised as the query or the document. Expected"),
        (["a", "b"], None, ', in Python columns={"query": "<your column>", "document": "<your column>"}'),
        (
            ["my col", "text"],
            {"query": "my cols"},
            "a.csv has no column 'my cols', which columns= gives for 'query'. "
            "It has: 'my col', 'text'. Did you mean 'my col'?",
        ),
        (
            ["query", "text"],
            {"qurey": "query"},
            "columns= has the role 'qurey'. Expected query, document, negative, score, title, query_id, document_id. "
            "Did you mean 'query'?",
        ),
        (["query", "text"], {"query": ["query", "text"]}, "columns= gives 2 columns for 'query'. Expected one."),
        ([], None, "a.csv: found no columns; none is recognised"),
    ],
)
def test_what_is_not_recognised_is_explained(names, given, message):
    with pytest.raises(DataError, match=re.escape(message)):
        recognise_columns(names, given, "a.csv")


@pytest.mark.parametrize("name", ["vote", "Votes", "thumbs", "is_helpful", "helpful", "feedback"])
def test_thumbs_are_no_pairs(name):
    with pytest.raises(DataError, match=f"column '{name}', a name of thumbs .* embertune feedback votes.jsonl, or"):
        recognise_columns(["query", "passages", name], None, "votes.jsonl")
    rows = [{"query": "how old?", "passages": "1900", name: 1}, {"query": "how old?", "passages": "80 m", name: 0}]
    assert Dataset.from_feedback(rows).qrels == {"q1": {"d1": 1.0, "d2": 0.0}}
    told = recognise_columns(["query", "passages", name], {"score": name}, "votes.jsonl")
    assert told == Columns("query", "passages", score=name)


def test_beside_a_score_votes_say_nothing_of_relevance():
    assert recognise_columns(["query", "answer", "score", "votes"], None, "a.csv").score == "score"
    assert recognise_columns(["query", "answer", "r", "votes"], {"score": "r"}, "a.csv").score == "r"
