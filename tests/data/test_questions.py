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


def test_every_name_of_an_answer_is_one_and_the_first_that_is_filled_counts(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"question": "how old?", "answers": "Ten."}\n'
        '{"question": "how tall?", "answer": null, "answers": "80 m"}\n'
        '{"question": "who?", "answer": "Ann", "answers": ["Ann", "Anna"]}\n'
        '{"question": "why?", "answers": null}\n'
    )
    assert [each.answer for each in read_questions(tmp_path / "a.jsonl")] == ["Ten.", "80 m", "Ann", ""]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "document\nx\n", "has the columns 'document'. Expected one of question, query, text, prompt."),
        ("a.txt", "\n \n", "holds no question. Expected one on each line, or a column question."),
        ("a.pdf", "x", "a.pdf ends in '.pdf'. Expected .txt, .jsonl, .ndjson, .json, .csv, .tsv, .parquet."),
        ("a.jsonl", '{"question": ["x"]}\n', "a.jsonl line 1: 'question' holds a list"),
        (
            "a.jsonl",
            '{"question": "x", "answers": "y"}\n{"question": "x", "answers": ["y", "z"]}\n',
            "a.jsonl line 2: 'answers' holds a list (['y', 'z']). Expected a text.",
        ),
        (
            "a.csv",
            "id,question\n1,a\n2,b\n1,c\n2,d\n3,e\n",
            "a.csv has 2 ids more than once: '1', '2'. Expected each once; without ids they are numbered.",
        ),
        ("a.csv", "id,question\nq2,a\n,b\n", "a.csv has 1 id more than once: 'q2'."),
    ],
)
def test_what_holds_no_questions_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(said)):
        read_questions(tmp_path / name)
