"""Runs keep their order through files, agree with other readers, and refuse what does not fit."""

import os
import re

import numpy as np
import pytest

from embertune.errors import DataError, StorageError
from embertune.evaluation.run import Run


def random_scores(seed):
    random = np.random.default_rng(seed)
    return {
        f"q{query}": {
            f"d{at}": float(random.integers(0, 5)) / 3 for at in random.permutation(20)[: random.integers(1, 20)]
        }
        for query in range(12)
    }


def test_a_file_brings_back_the_same_order_and_the_same_bits(tmp_path):
    run = Run.from_scores(random_scores(0), name="mine")
    found = Run.read(run.write(tmp_path / "run.txt"))
    assert found.name == "mine"
    assert found.query_ids == run.query_ids
    for query in run.query_ids:
        assert found.ranking(query) == run.ranking(query)


def test_single_precision_scores_survive_a_file(tmp_path):
    scores = np.array([[1 / 3, 0.1]], np.float32)
    run = Run("r", ("q",), ("a", "b"), np.array([[1, 0]]), scores)
    found = Run.read(run.write(tmp_path / "run.txt"))
    np.testing.assert_array_equal(found.scores.astype(np.float32), scores)


def test_ir_measures_reads_what_is_written(tmp_path):
    import ir_measures

    run = Run.from_scores(random_scores(1))
    path = run.write(tmp_path / "run.txt")
    found = {}
    for row in ir_measures.read_trec_run(str(path)):
        found.setdefault(row.query_id, {})[row.doc_id] = row.score
    assert found == run.to_dict()


def test_what_ranx_writes_is_read(tmp_path, ranx):
    scores = random_scores(2)
    ranx.Run(scores, name="theirs").save(str(tmp_path / "run.trec"))
    found = Run.read(tmp_path / "run.trec")
    assert found.name == "theirs"
    assert found.to_dict() == scores


def test_lines_are_ordered_by_score_then_rank_then_line(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("q Q0 a 9 0.5 x\n\nq Q0 b 2 0.9 x\nq\tQ0\tc 1 0.5 x\nq Q0 d 9 0.5 x\np Q0 a 1 1e3 x\n")
    run = Run.read(path)
    assert [document for document, _ in run.ranking("q")] == ["b", "c", "a", "d"]
    assert run.query_ids == ("q", "p")


def test_unanswered_and_unknown_queries_have_empty_rankings():
    run = Run("r", ("q", "p"), ("a",), np.array([[0], [-1]]), np.array([[1.0], [0.0]]))
    assert run.ranking("p") == run.ranking("nobody") == []
    assert run.to_dict() == {"q": {"a": 1.0}, "p": {}}
    assert repr(run) == "Run('r': 2 queries, up to 1 document each)"


def test_a_run_cannot_be_changed_and_changes_nothing():
    positions, scores = np.array([[0, 1]]), np.array([[2.0, 1.0]])
    run = Run("r", ["q"], ["a", "b"], positions, scores)
    with pytest.raises(ValueError, match="read-only"):
        run.scores[0, 0] = 5
    with pytest.raises(AttributeError):
        run.name = "other"
    assert positions.flags.writeable
    assert scores.flags.writeable
    assert run.query_ids == ("q",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path} holds no ranking. Expected lines such as: q1 Q0 d7 1 0.93 my-system"),
        ("\n \n", "{path} holds no ranking."),
        (
            "q Q0 a 1 0.5 x\nq Q0 b 2\n",
            "{path}:2: found 4 columns. Expected the 6 of a TREC run: query, ",
        ),
        ("q Q0 a 1 high x\n", "{path}:1: the score (column 5) is 'high'. Expected a number."),
        ("q Q0 a 1 nan x\n", "{path}:1: the score (column 5) is 'nan'. Expected a number."),
        ("q Q0 a first 1 x\n", "{path}:1: the rank (column 4) is 'first'. Expected a number."),
        (
            "q Q0 a 1 2 x\np Q0 a 1 2 x\nq Q0 a 2 1 x\n",
            "{path}:3: document 'a' was already ranked for query 'q' on line 1. Expected each document once per query",
        ),
    ],
)
def test_broken_files_are_told_with_their_line(tmp_path, text, message):
    path = tmp_path / "run.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(message.format(path=path))):
        Run.read(path)


def test_files_that_are_no_text_are_told(tmp_path):
    (tmp_path / "run.txt").write_bytes("q Q0 caf\xe9 1 1 x\n".encode("latin-1"))
    with pytest.raises(DataError, match=re.escape("run.txt:1: byte 0xe9 is not UTF-8.")):
        Run.read(tmp_path / "run.txt")
    with pytest.raises(DataError, match="There is no file"):
        Run.read(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a folder"):
        Run.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "query", "document", "kind"),
    [
        ("a b", "q", "a", "name"),
        ("x", "q 1", "a", "query id"),
        ("x", "q", "", "document id"),
        ("", "q", "a", "name"),
        ("x", "q", "\ud83d", "document id"),
    ],
)
def test_ids_that_a_file_cannot_carry_are_told(tmp_path, name, query, document, kind):
    with pytest.raises(
        DataError, match=re.escape(f"1 of 1 {kind}s are empty or hold white space or broken characters (")
    ):
        Run.from_scores({query: {document: 1}}, name=name).write(tmp_path / "run.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_refuses_leaves_the_old_file(tmp_path):
    run, missing, taken = Run.from_scores({"q": {"a": 1}}), tmp_path / "missing", tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(StorageError, match=re.escape(f"There is no folder {missing} to write run.txt to.")):
        run.write(missing / "run.txt")
    with pytest.raises(StorageError, match=re.escape(f"{taken} could not be written: ")):
        run.write(taken)
    assert os.listdir(tmp_path) == ["taken"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = Run.from_scores({"q": {"a": 1}}, name="old").write(tmp_path / "run.txt")

    def refuse(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=re.escape("No space left on device. What stood there before is unchanged.")):
        Run.from_scores({"q": {"a": 1}}, name="new").write(path)
    assert path.read_text() == "q Q0 a 1 1.0 old\n"
    assert os.listdir(tmp_path) == ["run.txt"]


@pytest.mark.parametrize(
    ("queries", "documents", "positions", "scores", "message"),
    [
        (["q"], ["a"], [[0], [0]], [[1.0], [1.0]], "1 query id, positions of shape (2, 1) and scores of shape (2, 1)"),
        (["q"], ["a"], [[0]], [[1.0, 2.0]], "positions of shape (1, 1) and scores of shape (1, 2)"),
        (["q", "q"], ["a"], [[0], [0]], [[1.0], [1.0]], "1 of 2 query ids occur twice"),
        (["q"], ["a", "a"], [[0]], [[1.0]], "1 of 2 document ids occur twice"),
        (["q"], ["a"], [[1]], [[1.0]], "positions from 1 to 1 for 1 document"),
        (
            ["q", "p"],
            ["a"],
            [[0, -1], [0, 0]],
            [[1.0, 0], [1, 1]],
            "1 query answers with a document twice",
        ),
        (["q"], ["a", "b"], [[-1, 0]], [[0.0, 0.0]], "a ranking has a gap: -1 may only stand at its end"),
        (["q"], ["a", "b"], [[0, 1]], [[1.0, 2.0]], "scores are NaN, or rise along a ranking; expected the best first"),
        (["q"], ["a", "b"], [[0, 1]], [[1.0, np.nan]], "scores are NaN, or rise along a ranking"),
    ],
)
def test_parts_that_do_not_fit_are_told(queries, documents, positions, scores, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Run("r", queries, documents, np.array(positions), np.array(scores))


def test_negative_scores_before_padding_are_no_rise():
    run = Run("r", ("q",), ("a", "b"), np.array([[0, -1]]), np.array([[-2.0, 0.0]]))
    assert run.ranking("q") == [("a", -2.0)]


def test_scores_that_are_no_numbers_are_told():
    with pytest.raises(DataError, match=re.escape("The score of document 'a' for query 'q' is not a number.")):
        Run.from_scores({"q": {"a": float("nan")}})
