"""Progress in a file: one JSON object on each line, for programs that watch a command."""

from __future__ import annotations

import json

import pytest

from embertune.cli.console import ProgressFile
from embertune.core.progress import Note
from embertune.errors import StorageError


def _read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_many_steps_within_a_moment_are_one_line_and_the_last_is_told(tmp_path):
    file = ProgressFile(str(tmp_path / "p.jsonl"))
    for done in range(1001):
        file.progress("embed", done, 1000)
    file.close()
    assert [step["done"] for step in _read(tmp_path / "p.jsonl")][-1] == 1000
    assert len(_read(tmp_path / "p.jsonl")) < 10


def test_every_step_with_numbers_is_written(tmp_path):
    file = ProgressFile(str(tmp_path / "p.jsonl"))
    for done in range(50):
        file.progress("choose on dev", done, 51, Note(f"ndcg@10 {done}", {"best": done / 50}))
    file.close()
    found = _read(tmp_path / "p.jsonl")
    assert [step["numbers"]["best"] for step in found] == [done / 50 for done in range(50)]
    assert found[3] == {"time": found[3]["time"], "stage": "choose on dev", "done": 3, "total": 51,
                        "note": "ndcg@10 3", "numbers": {"best": 0.06}}  # fmt: skip


def test_a_line_is_there_at_once_and_half_an_emoji_breaks_nothing(tmp_path):
    file = ProgressFile(str(tmp_path / "p.jsonl"))
    file.progress("read \ud83d", 0)
    assert _read(tmp_path / "p.jsonl")[0]["stage"] == "read \ud83d"
    file.close()


def test_a_file_that_cannot_be_written_is_said_before_any_work(tmp_path):
    with pytest.raises(StorageError, match=r"cannot be written: Is a directory\. Name another file\."):
        ProgressFile(str(tmp_path))


def test_tune_tells_the_metric_on_dev_and_which_part_of_the_work_it_is(small, run):
    path = small.folder / "p.jsonl"
    outcome = run(*small.tune("--progress-file", str(path), "--set", "seeds=2"))
    assert outcome.code == 0, outcome.err
    steps = _read(path)
    assert steps[0]["stage"].startswith("read ")
    assert steps[-1]["stage"] == "judge on test"
    assert steps[-1]["done"] == steps[-1]["total"] == 1
    parts = [step["numbers"]["part"] for step in steps if "part" in step["numbers"]]
    assert parts == sorted(parts)
    assert max(parts) > 1
    assert {step["numbers"]["parts"] for step in steps if "part" in step["numbers"]} == {max(parts)}
    dev = [step["numbers"] for step in steps if "best" in step["numbers"]]
    assert dev
    assert all(0 <= each["frozen"] <= each["best"] <= 1 for each in dev)
