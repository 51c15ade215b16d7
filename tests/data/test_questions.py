import re

import pytest

from embertune.data.questions import Question, read_questions
from embertune.errors import DataError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "how old?\n\n  how tall?  \n"),
        ("a.jsonl", '{"text": "how old?"}\n{"text": ""}\n{"text": "how tall?"}\n'),
        ("a.csv", "Question,other\nhow old?,1\nhow tall?,2\n"),
    ],
)
def test_questions_are_read_from_every_kind_of_file(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_questions(tmp_path / name) == [Question("q1", "how old?"), Question("q2", "how tall?")]


def test_ids_and_answers_are_kept(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id": 7, "question": "how old?", "answer": "Ten."}\n{"id": null, "question": "how tall?", "answer": null}\n'
    )
    assert read_questions(tmp_path / "a.jsonl") == [Question("7", "how old?", "Ten."), Question("q2", "how tall?")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "document\nx\n", "has the columns 'document'. Expected one of question, query, text, prompt."),
        ("a.txt", "\n \n", "holds no question. Expected one on each line, or a column question."),
        ("a.pdf", "x", "a.pdf ends in '.pdf'. Expected .txt, .jsonl, .ndjson, .json, .csv, .tsv, .parquet."),
        ("a.jsonl", '{"question": ["x"]}\n', "a.jsonl line 1: 'question' holds a list"),
    ],
)
def test_what_holds_no_questions_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(said)):
        read_questions(tmp_path / name)
