import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from embertune.cli import root
from embertune.data.io import load_dataset
from embertune.errors import ConfigError, StorageError


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "docs").mkdir()
    for n in range(3):
        (tmp_path / "docs" / f"{n}.txt").write_text(f"Token {n} expires after an hour of silence. " * 4, "utf-8")
    return tmp_path / "docs"


def run(*arguments):
    return CliRunner().invoke(root, ["synthesize", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def test_the_command_writes_a_data_set_and_says_what_is_next(docs, tmp_path):
    done = run(
        docs, "--out", tmp_path / "set", "--chunk-by", "tokens", "--chunk-size", 12, "--overlap", 4, "-n", 2, "--json"
    )
    told = json.loads(done.stdout)
    data = load_dataset(tmp_path / "set")
    assert told["settings"] == {"per_chunk": 2, "chunk_by": "tokens", "chunk_size": 12, "overlap": 4}
    assert told["queries"] == len(data.queries) == len(data.synthetic)
    assert f"Next:     embertune tune {tmp_path / 'set'} --out adapter" in done.stderr


def test_people_see_some_of_the_queries(docs, tmp_path):
    done = run(docs, "--out", tmp_path / "set")
    assert "by extractive" in done.stdout
    assert "Some of its queries:" in done.stdout


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match=re.escape(f"{tmp_path / 'file'} cannot be made: File exists.")):
        run("no such documents", "--out", tmp_path / "file")


def test_an_estimate_asks_nobody_and_writes_nothing(docs, tmp_path, chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_API_BASE", chat_server.base)
    done = run(docs, "--out", tmp_path / "set", "--llm", "openai/gpt-4o-mini", "--estimate", "--json")
    told = json.loads(done.stdout)
    assert told["chunks"] == 3
    assert told["spent"]["requests"] >= 1
    assert told["spent"]["usd"] > 0
    assert chat_server.busiest == 0
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--estimate"], "--estimate is of --llm, which was not given"),
        (["--budget", "1"], "--budget is of --llm, which was not given"),
        (["--language", "de", "--concurrency", "2"], "--language and --concurrency are of --llm, which was not given"),
        (
            ["--llm", "seq2seq:t5", "--timeout", "3"],
            "--timeout means nothing to seq2seq:t5, which runs on",
        ),
    ],
)
def test_options_of_a_language_model_without_one_are_refused(docs, tmp_path, options, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        run(docs, "--out", tmp_path / "set", *options)


@pytest.fixture
def riddles(tmp_path, chat_server, monkeypatch):
    """Sixty chunks, each with a mark that the server of the tests puts into its queries."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_API_BASE", chat_server.base)
    (tmp_path / "riddles").mkdir()
    for n in range(60):
        text = f"The riddle mark{n}x was told in {1200 + n} by the people of place{n}. It is solved by counting stones."
        (tmp_path / "riddles" / f"{n:02}.txt").write_text(text, encoding="utf-8")
    return tmp_path / "riddles"


def ask(riddles, out, *options):
    return run(riddles, "--out", out, "--llm", "openai/gpt-4o-mini", "--per-chunk", 2, *options)


def test_the_options_of_a_language_model_reach_it(riddles, tmp_path, chat_server):
    options = ["--styles", "keywords, vague", "--language", "Welsh", "--chunks-per-request", 5, "--temperature", 0.25,
               "--journal", tmp_path / "mine.sqlite3", "--concurrency", 1, "--max-copied", 3]  # fmt: skip
    told = json.loads(ask(riddles, tmp_path / "set", *options, "--json").stdout)
    assert set(told["styles"]) == {"keywords", "vague"}
    assert len(chat_server.requests) == 12
    assert chat_server.busiest == 1
    assert {request["temperature"] for request in chat_server.requests} == {0.25}
    said = chat_server.requests[0]["messages"][0]["content"]
    assert "Write every query in Welsh." in said
    assert "Never repeat more than 3 words" in said
    assert (tmp_path / "mine.sqlite3").is_file()


def test_queries_of_a_model_are_filtered_and_what_was_dropped_is_counted(riddles, tmp_path, chat_server):
    def write(body, number):
        key, items = chat_server_write(body, number)
        return key, [{**item, "text": "what was told about it"} if "mark7x" in item["text"] else item for item in items]

    chat_server_write, chat_server.write = chat_server.write, write
    done = ask(riddles, tmp_path / "set", "--styles", "keywords,vague", "--json")
    told = json.loads((tmp_path / "set" / "synthesis.json").read_text(encoding="utf-8"))
    assert told == json.loads(done.stdout)
    assert told["filter"]["settings"]["drop"] == ["language", "near-duplicate", "too-hard"]
    assert told["filter"]["queries"] == told["queries"] + sum(told["filter"]["dropped"].values())
    assert (tmp_path / "set" / "dropped.jsonl").is_file()
    kept = load_dataset(tmp_path / "set")
    assert len(kept.queries) == told["queries"]
    asked = len(chat_server.requests)
    ask(riddles, tmp_path / "set", "--styles", "keywords,vague", "--no-filter")
    assert json.loads((tmp_path / "set" / "synthesis.json").read_text(encoding="utf-8"))["filter"] is None
    assert not (tmp_path / "set" / "dropped.jsonl").exists()
    assert len(chat_server.requests) == asked, "paid for twice"


def test_a_budget_leaves_a_data_set_and_the_next_run_goes_on(riddles, tmp_path, chat_server):
    done = ask(riddles, tmp_path / "set", "--budget-tokens", 1700, "--concurrency", 1, "--json")
    told = json.loads(done.stdout)
    assert 0 < told["queries"] < 120
    assert any("The budget of 1,700 tokens was reached" in note for note in told["notes"])
    assert len(load_dataset(tmp_path / "set").queries) == told["queries"]
    first = len(chat_server.requests)
    whole = json.loads(ask(riddles, tmp_path / "set", "--json").stdout)
    assert whole["queries"] == 120
    assert len(chat_server.requests) == 8, first


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_command_pays_for_nothing_twice(riddles, tmp_path, chat_server, kill):
    chat_server.delay = 0.4
    line = [sys.executable, "-m", "embertune", "synthesize", str(riddles), "--out", str(tmp_path / "set"), "--llm",
            "openai/gpt-4o-mini", "--per-chunk", "2", "--concurrency", "1", "--chunks-per-request", "4"]  # fmt: skip
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while len(chat_server.requests) < 4:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(kill)
        _, told = process.communicate(timeout=60)
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL), told
    assert "Traceback" not in told
    under_way = 0 if kill == signal.SIGINT else 1
    chat_server.delay = 0.0
    ask(riddles, tmp_path / "set", "--chunks-per-request", 4)
    assert len(load_dataset(tmp_path / "set").queries) == 120
    assert 15 <= len(chat_server.requests) <= 15 + under_way
