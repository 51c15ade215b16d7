"""The folder of the workbench: versions, names that stay inside, damaged files, full disks."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from embertune.data.dataset import Dataset
from embertune.data.feedback import dataset_of_feedback
from embertune.errors import DataError, StorageError
from embertune.reports.record import example_record
from embertune.ui.workspace import Workspace, new_id


@pytest.fixture
def bench(tmp_path):
    return Workspace(tmp_path / "bench")


@pytest.fixture
def data():
    return Dataset.from_pairs([("how old?", "Built in 1900."), ("how long?", "80 m")], name="bridge")


def test_versions_are_kept_beside_each_other(bench, data):
    entry = bench.add(data, "My bridge")
    after = bench.add_version(entry.id, data.select(["q1"]), "1 pair struck out")
    assert [(each.number, each.queries, each.note) for each in after.versions] == [
        (1, 2, "loaded"), (2, 1, "1 pair struck out"),
    ]  # fmt: skip
    assert bench.load(entry.id, 1).queries == data.queries
    assert list(bench.load(entry.id).queries) == ["q1"]
    assert bench.data_folder(entry.id).name == "my-bridge-v2"
    with pytest.raises(DataError, match=re.escape("My bridge has no version 3; it has 1 to 2.")):
        bench.load(entry.id, 3)


def test_the_source_is_kept_beside_the_data(bench, data, tmp_path):
    (tmp_path / "pairs.csv").write_text("query,document\na,b\n", encoding="utf-8")
    entry = bench.add(data, "pairs", source=tmp_path / "pairs.csv")
    kept = bench.folder / "data" / entry.id / "source" / "pairs.csv"
    assert kept.read_text(encoding="utf-8") == "query,document\na,b\n"


def test_a_new_workspace_finds_all_of_it_again(bench, data):
    bench.add(data, "one")
    bench.keep_settings(encoder="static")
    bench.keep_settings(effort="fast")
    again = Workspace(bench.folder)
    assert [entry.name for entry in again.datasets()] == ["one"]
    assert again.settings() == {"encoder": "static", "effort": "fast"}


def test_what_is_damaged_is_passed_over(bench, data):
    entry = bench.add(data, "whole")
    (bench.folder / "data" / "broken").mkdir()
    (bench.folder / "data" / "broken" / "data.json").write_text('{"name": "x", "versions": [{"numb', encoding="utf-8")
    for name, text in (("half", '{"name": "x'), ("other", '{"name": "x"}')):
        (bench.folder / "runs" / name).mkdir()
        (bench.folder / "runs" / name / "record.json").write_text(text, encoding="utf-8")
    assert [each.id for each in bench.datasets()] == [entry.id]
    assert bench.runs() == []
    with pytest.raises(DataError, match="There is no finished run 'half'"):
        bench.run("half")


def test_a_run_of_the_command_line_is_a_run(bench, data):
    entry = bench.add(data, "bridge")
    record = example_record().to_dict()
    record["data"]["fingerprint"] = entry.latest.fingerprint
    (bench.folder / "runs" / "mine").mkdir()
    (bench.folder / "runs" / "mine" / "record.json").write_text(json.dumps(record), encoding="utf-8")
    (run,) = bench.runs()
    assert (run.id, bench.version_of(run), bench.dataset_of(run)) == ("mine", (entry.id, 1), bench.load(entry.id))
    bench.remove_run("mine")
    assert bench.runs() == []


@pytest.mark.parametrize("name", ["..", "../..", "a/b", "a\\b", "", "UPPER", "-x", "x\n"])
def test_no_path_leaves_the_folder(bench, name):
    for look in (bench.data, bench.run, bench.remove_run, bench.remove_data, bench.load):
        with pytest.raises(DataError, match="is not the name of anything in this workspace"):
            look(name)


def test_ids_differ_and_name_what_they_are_of():
    made = [new_id("Ünïcode / (2)") for _ in range(20)]
    assert len(set(made)) == 20
    assert made == sorted(made)
    assert all(key.endswith("-n-code-2") for key in made)


def test_a_full_disk_leaves_nothing_behind(bench, data, monkeypatch, tmp_path):
    (tmp_path / "x.csv").write_text("x", encoding="utf-8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(
        StorageError, match=re.escape("could not be kept: No space left on device. Nothing was changed")
    ):
        bench.add(data, "big", source=tmp_path / "x.csv")
    assert list((bench.folder / "data").iterdir()) == []


def test_votes_are_what_feedback_reads(bench):
    bench.add_vote({"query": "how old?", "passages": ["Built in 1900."], "vote": 1, "time": 1.0, "user": "a"})
    bench.add_vote({"query": "how old?", "passages": ["80 m"], "vote": 0, "time": 2.0, "user": "a"})
    assert dataset_of_feedback(str(bench.votes_file)).qrels == {"q1": {"d1": 1.0, "d2": 0.0}}
