"""Training data for an LLM, through the real LiteLLM client, from a server that fails in every way."""

import json
import os
import re
import signal
from importlib.util import find_spec

import numpy as np
import pytest

import embertune
from embertune.cli import root
from embertune.data.document import Document
from embertune.data.questions import Question
from embertune.errors import ConfigError, DataError, LLMError, StorageError
from embertune.recipes.rag_dataset import INSTRUCTION

KEY = "sk-proj-this-is-the-secret-key-0123456789"
needs_litellm = pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")
SUBJECTS = ["bridge", "tower", "castle", "harbour", "garden", "library", "station", "market"]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "docs"
    place.mkdir()
    for number, subject in enumerate(SUBJECTS):
        (place / f"{subject}.md").write_text(
            f"# The {subject}\n\nThe {subject} was built in {1900 + number}. It is {80 + number} metres long.\n"
        )
    return place


@pytest.fixture
def questions():
    return [f"when was the {subject} built" for subject in SUBJECTS]


@pytest.fixture
def options(chat_server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return {
        "llm": "openai/gpt-4o-mini", "api_base": chat_server.base, "timeout": 10, "journal": tmp_path / "j.sqlite3",
    }  # fmt: skip


def test_contexts_are_what_exact_search_finds(folder, questions):
    made = embertune.rag_dataset("static", folder, questions, k=3)
    encoder = embertune.load_encoder("static")
    texts = {row["id"]: Document(row["text"], row["title"]).content for each in made.rows for row in each["contexts"]}
    for question, row in zip(questions, made.rows, strict=True):
        assert row["question"] == question
        scores = [context["score"] for context in row["contexts"]]
        assert scores == sorted(scores, reverse=True)
        ids = [context["id"] for context in row["contexts"]]
        assert len(set(ids)) == 3
        query = encoder.encode_query([question])[0]
        found = encoder.encode_document([texts[key] for key in ids])
        assert np.allclose(scores, found @ query / np.linalg.norm(found, axis=1) / np.linalg.norm(query), atol=1e-5)
    assert made.rows[2]["contexts"][0]["id"] == "castle.md#0"
    assert made.rows[2]["contexts"][0]["title"] == "The castle"


def test_without_an_answer_rows_are_prompts_alone(folder, questions):
    made = embertune.rag_dataset("static", folder, questions, k=2, system="Be brief.")
    row = made.rows[0]
    assert set(row) == {"id", "question", "contexts", "prompt"}
    assert row["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert row["prompt"][1]["content"].startswith("Passages:\n\n[1] The bridge")
    assert row["prompt"][1]["content"].endswith(f"\n\nQuestion: {questions[0]}")
    assert made.to_dict()["answered"] == 0


def test_answers_of_the_file_are_taken_as_they_are(folder):
    asked = [Question("a", "when was the tower built", "In 1901."), Question("b", "who built it")]
    made = embertune.rag_dataset("static", folder, asked)
    assert [row["id"] for row in made.rows] == ["a"]
    assert made.rows[0]["messages"][2] == {"role": "assistant", "content": "In 1901."}
    assert (made.rows[0]["answered_by"], made.rows[0]["cited"]) == ("reference", [])
    assert made.notes[-1] == "1 of 2 questions have no answer in the file: left out."


def test_no_key_is_needed_where_the_file_answers_every_question(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "asked.csv").write_text("question,answers\nwhen was the tower built,In 1901.\n")
    arguments = ["rag-dataset", "--documents", str(folder), "--questions", str(tmp_path / "asked.csv"), "--llm",
                 "openai/gpt-4o-mini", "--output", str(tmp_path / "rows.jsonl"), "--json"]  # fmt: skip
    assert root.main(arguments, standalone_mode=False) in (None, 0)
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["answered"]) == (1, 1)
    assert told["notes"][-1] == "Every answer was in the file: openai/gpt-4o-mini was not asked."
    row = json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))
    assert (row["answer"], row["answered_by"]) == ("In 1901.", "reference")


@needs_litellm
def test_a_key_is_needed_where_one_question_has_no_answer(folder, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked = [Question("a", "when was the tower built", "In 1901."), Question("b", "who built it")]
    with pytest.raises(LLMError, match="OPENAI_API_KEY"):
        embertune.rag_dataset("static", folder, asked, llm="openai/gpt-4o-mini")


def test_two_questions_do_not_share_an_id(folder):
    asked = [Question("a", "how old is it"), Question("a", "how tall is it")]
    with pytest.raises(DataError, match=r"^The list of 2 questions has 1 id more than once: 'a'\."):
        embertune.rag_dataset("static", folder, asked)


def test_a_folder_that_is_missing_is_named(folder, questions, tmp_path):
    made = embertune.rag_dataset("static", folder, questions, k=1)
    with pytest.raises(StorageError, match=re.escape(f"There is no folder {tmp_path / 'no'} to write rows.jsonl to.")):
        made.save(tmp_path / "no" / "rows.jsonl")


@needs_litellm
def test_a_language_model_answers_what_it_is_shown(chat_server, folder, questions, options):
    made = embertune.rag_dataset("static", folder, questions, k=2, concurrency=1, **options)
    for number, (question, row) in enumerate(zip(questions, made.rows, strict=True), start=1):
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][0]["content"] == INSTRUCTION
        assert row["messages"][2]["content"] == row["answer"] == f"answer {number} to {question}"
        assert row["cited"] == [row["contexts"][0]["id"]]
        assert row["answered_by"] == "openai/gpt-4o-mini"
        assert chat_server.requests[number - 1]["messages"][-1] == row["messages"][1]
    assert "openai/gpt-4o-mini answered 8 questions (8 requests, 800 + 400 tokens, $0.0004)." in str(made)


@needs_litellm
def test_nothing_is_paid_twice(chat_server, folder, questions, options):
    first = embertune.rag_dataset("static", folder, questions, **options)
    again = embertune.rag_dataset("static", folder, [*questions, "how long is it"], **options)
    assert len(chat_server.requests) == 9
    assert again.rows[:8] == first.rows
    assert "; 8 from the journal)." in str(again)
    embertune.rag_dataset("static", folder, questions[:1], k=1, **options)
    assert len(chat_server.requests) == 10  # other passages are another question


@needs_litellm
def test_a_question_that_stands_there_twice_is_asked_once(chat_server, folder, questions, options):
    chat_server.delay = 0.2
    made = embertune.rag_dataset("static", folder, [questions[0], *questions, questions[0]], **options)
    assert len(made.rows) == 10
    assert len(chat_server.requests) == 8
    assert made.rows[0]["messages"] == made.rows[1]["messages"] == made.rows[-1]["messages"]


@needs_litellm
def test_a_budget_ends_it_and_the_same_call_goes_on(chat_server, folder, questions, options):
    part = embertune.rag_dataset("static", folder, questions, budget_tokens=1500, concurrency=1, **options)
    assert 0 < len(part.rows) < 8
    assert len(chat_server.requests) == len(part.rows)
    assert part.notes[-1] == (
        f"The budget of 1,500 tokens was reached: {8 - len(part.rows)} of 8 questions were not asked. Run again to go "
        "on."
    )
    whole = embertune.rag_dataset("static", folder, questions, **options)
    assert len(whole.rows) == 8
    assert len(chat_server.requests) == 8
    assert whole.rows[: len(part.rows)] == part.rows


@needs_litellm
def test_a_question_without_a_usable_answer_is_left_out_and_many_end_it(chat_server, folder, questions, options):
    chat_server.script = ["empty", "empty"]
    made = embertune.rag_dataset("static", folder, questions, concurrency=1, **options)
    assert [row["question"] for row in made.rows] == questions[1:]
    assert made.notes[-1] == "1 question was left out: no usable answer came."
    chat_server.script = ["empty"] * 20
    with pytest.raises(LLMError, match=r"That was so for 5 questions in a row\. Try one with another model\."):
        embertune.rag_dataset("static", folder, questions, k=1, concurrency=1, **options)


@needs_litellm
def test_the_command_writes_rows_without_the_key(chat_server, folder, questions, options, tmp_path, capsys):
    (tmp_path / "asked.txt").write_text("\n".join(questions))
    arguments = ["rag-dataset", "--documents", str(folder), "--questions", str(tmp_path / "asked.txt"), "--top-k", "2",
                 "--output", str(tmp_path / "rows.jsonl"), "--llm", options["llm"], "--api-base", chat_server.base,
                 "--journal", str(options["journal"]), "--json"]  # fmt: skip
    assert root.main(arguments, standalone_mode=False) in (None, 0)
    assert json.loads(capsys.readouterr().out)["answered"] == 8
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["question"] for row in rows] == questions
    assert chat_server.headers[0]["authorization"] == f"Bearer {KEY}"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"answer 1 to" in written
    assert KEY.encode() not in written


def test_what_does_not_go_together(folder, questions, tmp_path):
    with pytest.raises(ConfigError, match=re.escape("k must be at least 1, got 0")):
        embertune.rag_dataset("static", folder, questions, k=0)
    with pytest.raises(ConfigError, match=re.escape("budget_usd: of a language model, which was not named.")):
        embertune.rag_dataset("static", folder, questions, budget_usd=1)
    with pytest.raises(ConfigError, match=re.escape("--timeout and --budget are of --llm, which was not given.")):
        root.main(
            [
                "rag-dataset",
                "--documents",
                str(folder),
                "--questions",
                "x",
                "-o",
                "y",
                "--budget",
                "1",
                "--timeout",
                "9",
            ],
            standalone_mode=False,
        )


@pytest.mark.parametrize(("asked", "counts"), [([], "0 of 0"), (["how old is it", " "], "1 of 2")])
def test_nobody_is_paid_for_a_question_that_is_empty(folder, asked, counts):
    with pytest.raises(DataError, match=rf"^{counts} questions are empty\. Expected one text or more"):
        embertune.rag_dataset("static", folder, asked)


@pytest.mark.torch
def test_datasets_loads_it_as_conversations(folder, questions, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: extra finetune")
    asked = [Question(f"q{at}", text, f"answer {at}") for at, text in enumerate(questions)]
    path = embertune.rag_dataset("static", folder, asked, k=2).save(tmp_path / "rows.jsonl")
    table = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(table) == 8
    # What TRL calls a conversational language modeling data set: messages, each with a role and a content.
    for row in table:
        assert [set(message) for message in row["messages"]] == [{"role", "content"}] * 3
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert table[3]["contexts"][0]["id"] == "harbour.md#0"
    prompts = embertune.rag_dataset("static", folder, questions, k=2).save(tmp_path / "prompts.jsonl")
    table = datasets.load_dataset("json", data_files=str(prompts), split="train", cache_dir=str(tmp_path / "cache"))
    assert "messages" not in table.column_names
    assert [message["role"] for message in table[0]["prompt"]] == ["system", "user"]


PROGRAM = """
from embertune.recipes.rag_dataset import rag_dataset
base, out, journal = sys.argv[1:]
texts = [f"The answer to riddle {i} has mark{i}x in it, as told here." for i in range(300)]
questions = [f"what is riddle {i}" for i in range(300)]

def run():
    rag_dataset("hashing", texts, questions, k=1, llm="openai/gpt-4o-mini", api_base=base, timeout=5, max_retries=20,
                journal=journal).save(out)
"""


@needs_litellm
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_twice_it_goes_on_and_asks_for_nothing_twice(tmp_path, chat_module):
    log, out = tmp_path / "given", tmp_path / "rows.jsonl"
    with chat_module.killable_runs(PROGRAM, log, out, tmp_path / "journal.sqlite3") as run:
        statuses = [run(given) for given in (60, 160)]
        assert not out.exists()
        statuses.append(run(None))
    assert statuses == [signal.SIGKILL, signal.SIGKILL, 0]
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["question"] for row in rows] == [f"what is riddle {i}" for i in range(300)]
    assert all(row["answer"].endswith(f"to {row['question']}") for row in rows)
    given = log.read_text(encoding="utf-8").splitlines()
    # What is lost was on its way to a process that was killed: eight requests at once.
    assert 300 <= len(given) <= 300 + 2 * 8
    assert {row["answer"] for row in rows} <= set(given)
