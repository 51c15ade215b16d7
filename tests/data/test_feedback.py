import re

import pytest

from embertune.data.feedback import dataset_of_feedback
from embertune.errors import ConfigError, DataError


def test_the_grade_is_the_share_of_ups_and_downs_alone_are_not_relevant():
    rows = [("how old?", "1900", "👍"), ("How old", "1900", "down"), ("how old", "1900", 1), ("how old", "80 m", "no")]
    data = dataset_of_feedback(rows)
    assert data.qrels == {"q1": {"d1": 0.6667, "d2": 0.0}}
    assert "4 thumbs: 2 up, 2 down." in data.notes


def test_a_thumb_is_shared_among_the_passages_of_the_answer():
    rows = [("q", ["a", "b", "c"], True), ("q", ["b"], False), ("p", ["a", "b"], True)]
    data = dataset_of_feedback(rows, {"a": "text a", "b": "text b", "c": "text c"})
    assert data.qrels == {"q1": {"a": 1.0, "b": 0.0, "c": 1.0}, "q2": {"a": 1.0, "b": 1.0}}


def test_a_down_for_several_passages_blames_none_until_it_adds_up():
    once = [("q", ["a", "b", "c"], "down"), ("q", ["d"], "up")]
    assert dataset_of_feedback(once).qrels == {"q1": {"d4": 1.0}}
    assert any(note.startswith("3 pairs dropped: no more ups than downs") for note in dataset_of_feedback(once).notes)
    assert dataset_of_feedback([once[0]] * 3 + once[1:]).qrels["q1"]["d1"] == 0.0


def test_who_changes_their_mind_counts_with_the_last_thumb():
    rows = [
        ("q", "a", "down", 20, "u1"),
        ("q", "a", "up", 10, "u1"),
        ("q", "b", "up", 10, "u2"),
        ("q", "b", "", 1, "u3"),
    ]
    data = dataset_of_feedback(rows)
    assert data.qrels == {"q1": {"d1": 0.0, "d2": 1.0}}
    assert "1 thumb was given again by the same user; the last counts." in data.notes
    assert "1 row without a query, a passage or a thumb left out." in data.notes


def test_pairs_with_few_votes_are_dropped_and_counted():
    rows = [("q", "a", 1)] * 3 + [("q", "b", 1)]
    data = dataset_of_feedback(rows, min_votes=2)
    assert data.qrels == {"q1": {"d1": 1.0}}
    assert "1 pair with fewer than 2 votes dropped." in data.notes


def test_a_table_is_read_by_the_names_of_its_columns(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_text('Question,Contexts,Feedback,Other\nhow old,"[""a | b"", ""c""]",thumbs_up,1\n')
    data = dataset_of_feedback(path)
    assert [document.text for document in data.corpus.values()] == ["a | b", "c"]
    with pytest.raises(DataError, match=re.escape('Or say which it is: --columns "vote=<your column>"')):
        dataset_of_feedback([{"question": "a", "context": "b"}])


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([("q", "a", 0)], "Found 1 thumb on 1 query, and no passage with more ups than downs."),
        ([("q", "a", "so so")], "holds 'so so'. Expected 1 or 0, up or down"),
        ([("q", {"a": 1}, 1)], "holds a dict"),
    ],
)
def test_feedback_that_teaches_nothing_says_why(rows, text):
    with pytest.raises(DataError, match=re.escape(text)):
        dataset_of_feedback(rows)


def test_a_negative_number_of_votes_is_refused():
    with pytest.raises(ConfigError, match="min_votes must be at least 0, got -1"):
        dataset_of_feedback([("q", "a", 1)], min_votes=-1)
