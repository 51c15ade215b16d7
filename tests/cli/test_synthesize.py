import json
import re

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


@pytest.mark.parametrize("option", [["--estimate"], ["--budget", "1"]])
def test_what_is_free_has_no_budget(docs, tmp_path, option):
    with pytest.raises(ConfigError, match=re.escape("--estimate and --budget are of --llm, which was not given")):
        run(docs, "--out", tmp_path / "set", *option)
