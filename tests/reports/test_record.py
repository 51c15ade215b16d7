"""The record is checked whole, read-only, plain JSON on disk, and never half written."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest

from embertune.errors import ArtifactError, StorageError
from embertune.reports.record import Record


def test_what_was_written_is_read_back_equal(record, tmp_path):
    path = Record(record).write(tmp_path / "record.json")
    assert Record.read(path).to_dict() == record
    assert Record.read(tmp_path).to_dict() == record  # the folder stands for its record.json
    assert json.loads(path.read_text(encoding="utf-8")) == record  # and anyone can read it


def test_every_missing_and_wrong_entry_is_named_at_once(record):
    del record["seed"], record["tuned"]["mrr@10"], record["groups"]["unseen"]["delta"]
    record["base"]["ndcg@10"] = "high"
    record["test_opened"] = 1.5
    record["verdict"]["code"] = "maybe"
    record["queries"][3]["tuned"] = None
    record["cosines"]["tuned"]["relevant"] = [1, 2]
    with pytest.raises(ArtifactError) as caught:
        Record(record)
    assert str(caught.value) == (
        "This is not a complete record, 8 entries are missing or wrong:\n"
        "- seed is missing\n"
        "- test_opened must be a whole number, found 1.5\n"
        "- queries[3].tuned must be a number, found null\n"
        "- verdict.code must be one of ship, no-gain, too-little-data, found 'maybe'\n"
        "- base.ndcg@10 must be a number, found 'high'\n"
        "- tuned.mrr@10 is missing\n"
        "- groups.unseen.delta is missing\n"
        "- cosines.tuned.relevant must be a list of 40 counts, one less than edges\n"
        "Write a new one with: embertune tune DATA --encoder E --out DIR"
    )


def test_what_is_wrong_with_foreign_queries_is_named(record):
    record["foreign"] = {"name": 3, "base": {"ndcg@10": "high"}, "tuned": {}, "delta": {"ndcg@10": {"low": 0.1}}}
    with pytest.raises(ArtifactError) as caught:
        Record(record)
    assert str(caught.value).splitlines()[1:-1] == [
        "- foreign.name must be text, found 3",
        "- foreign.n is missing",
        "- foreign.base.ndcg@10 must be a number, found 'high'",
        "- foreign.tuned.ndcg@10 is missing",
        "- foreign.delta.ndcg@10.mean is missing",
    ]
    record["foreign"] = None
    assert Record(record)["foreign"] is None


def test_an_empty_record_names_twenty_entries_and_counts_the_rest():
    with pytest.raises(ArtifactError) as caught:
        Record({"groups": {"seen": {}, "unseen": {}}, "verdict": {}, "counts": {}, "encoder": {}})
    assert "- format is missing\n- name is missing\n" in str(caught.value)
    assert re.search(r"\n- and \d+ more\n", str(caught.value))


def test_optional_parts_may_be_absent(degenerate):
    assert Record(degenerate).to_dict() == degenerate


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_numbers_that_json_does_not_know_are_refused_by_name(record, value):
    record["verdict"]["numbers"]["headroom"] = value
    with pytest.raises(ArtifactError, match=r"verdict\.numbers\.headroom is (nan|inf); JSON keeps only finite numbers"):
        Record(record)


def test_objects_that_json_does_not_know_are_refused_by_name(record):
    record["adapter"]["callback"] = print
    with pytest.raises(ArtifactError, match=re.escape("adapter.callback is a builtin_function_or_method")):
        Record(record)


def test_numpy_values_become_plain_ones(record):
    record["seed"] = np.int64(3)
    record["base"] = {metric: np.float32(value) for metric, value in record["base"].items()}
    record["cosines"]["edges"] = np.array(record["cosines"]["edges"])
    kept = json.loads(Record(record).to_json())
    assert kept["seed"] == 3
    assert kept["cosines"]["edges"] == record["cosines"]["edges"].tolist()


def test_a_newer_format_is_refused_with_the_fix(record):
    record["format"] = 2
    message = "This record has format 2; this version reads up to 1. Upgrade with: pip install -U embertune"
    with pytest.raises(ArtifactError, match=re.escape(message)):
        Record(record)


def test_it_cannot_be_changed_and_does_not_follow_its_source(record):
    kept = Record(record)
    with pytest.raises(TypeError):
        kept["base"]["ndcg@10"] = 1.0
    with pytest.raises(TypeError):
        kept["seed"] = 1
    with pytest.raises(TypeError):
        kept["queries"][0]["tuned"] = 1.0
    record["base"]["ndcg@10"] = 2.0
    assert kept["base"]["ndcg@10"] != 2.0
    kept.to_dict()["base"]["ndcg@10"] = 3.0
    assert kept["base"]["ndcg@10"] != 3.0


def test_unknown_keys_are_kept(record):
    record["candidate"] = {"type": "linear"}
    assert Record(record)["candidate"] == {"type": "linear"}


def test_reading_says_what_is_wrong(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(ArtifactError, match=re.escape(f"There is no record at {path}. Write one with: embertune tune")):
        Record.read(tmp_path)
    path.write_text('{"format": 1, "na', encoding="utf-8")
    with pytest.raises(ArtifactError, match=re.escape(f"{path} is not valid JSON (Unterminated string")):
        Record.read(path)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        Record.read(path)
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ArtifactError, match="holds a JSON list; expected an object"):
        Record.read(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=re.escape(f"{path}: This is not a complete record")):
        Record.read(path)


def test_a_refused_write_leaves_what_stood_there_and_no_litter(record, tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    path.write_text("before", encoding="utf-8")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=re.escape(f"{path} could not be written: No space left on device.")):
        Record(record).write(path)
    assert path.read_text(encoding="utf-8") == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_half_a_surrogate_pair_survives(record, tmp_path):
    record["queries"][0]["id"] = "q\udc80"
    assert Record.read(Record(record).write(tmp_path / "record.json")).to_dict() == record


def test_a_missing_folder_is_a_storage_error(record, tmp_path):
    with pytest.raises(StorageError, match=r"^There is no folder .*absent to write record\.json to"):
        Record(record).write(tmp_path / "absent" / "record.json")
