"""Places that cannot be written to: each gives one clear paragraph, and what stood there stays as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter

_LEFT_ALONE = "so it was left alone: only a saved adapter is replaced. Name another folder."


def _to(small, out):
    return [*("tune", small.data, "--encoder", small.encoder, "--effort", "fast"), "--out", out]


def test_a_folder_that_holds_other_files(small, fails):
    (small.folder / "mine").mkdir()
    (small.folder / "mine" / "thesis.tex").write_text("years of work")
    fails(*_to(small, small.folder / "mine"), says=["mine exists and holds thesis.tex", _LEFT_ALONE])


@pytest.mark.parametrize("names", [["README.md"], ["config.json"], ["README.md", "config.json", "report.html"]])
def test_a_folder_whose_files_are_only_called_like_ours(names, small, fails):
    (small.folder / "project").mkdir()
    for name in names:
        (small.folder / "project" / name).write_text("mine")
    fails(*_to(small, small.folder / "project"), says=[f"holds {', '.join(sorted(names))}", _LEFT_ALONE])


def test_an_artefact_with_a_file_of_the_users_in_its_candidate(small, fails):
    (small.out / "candidate").mkdir()
    (small.out / "candidate" / "notes.txt").write_text("mine")
    fails(*_to(small, small.out), says=["holds candidate/notes.txt", _LEFT_ALONE])


def test_the_folder_of_the_data(small, fails):
    fails(*_to(small, small.data), says=["data exists and holds corpus.jsonl, qrels, queries.jsonl", _LEFT_ALONE])


def test_a_file_for_a_folder(small, fails):
    fails(*_to(small, small.vectors), says=["vectors.npz exists and is a file", "Name another folder"])


def test_a_folder_below_a_file(small, fails):
    fails(*_to(small, small.vectors / "new"), says=["vectors.npz is not a folder", "Name another"])


def test_a_name_longer_than_any_file_system_takes(small, fails):
    fails(*_to(small, small.folder / ("x" * 300)), says=["File name too long", "ame another folder"])


@pytest.mark.parametrize("name", [".", "", "..", "/"])
def test_a_folder_that_cannot_be_replaced(name, small, fails, monkeypatch):
    (small.folder / "work").mkdir()
    monkeypatch.chdir(small.folder / "work")
    fails(*_to(small, name), says=["Name another folder"])


def test_a_link_to_itself(small, fails):
    (small.folder / "link").symlink_to(small.folder / "link")
    fails(*_to(small, small.folder / "link"), says=["link", "ame another folder"])


def test_a_link_is_followed(small, run):
    (small.folder / "link").symlink_to(small.out)
    assert run(*_to(small, small.folder / "link"), "--seed", 1).code == 0
    assert (small.folder / "link").is_symlink()
    assert (small.out / "report.html").is_file()
    assert [path.name for path in small.folder.iterdir() if path.name.startswith(".")] == []


def test_a_read_only_disk(small, fails, disk):
    place = disk("size=256k,ro")
    fails(*_to(small, place / "new"), says=["disk is not a folder that can be written to", "Name another"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to every folder")
def test_a_read_only_folder(small, fails):
    (small.folder / "locked").mkdir(mode=0o500)
    fails(*_to(small, small.folder / "locked" / "new"), says=["locked is not a folder that can be written to"])


@pytest.mark.parametrize("size", ["8k", "64k", "256k", "2m"])
def test_a_full_disk_keeps_the_earlier_artefact_whole(size, small, fails, disk):
    place = disk("size=32m")
    shutil.copytree(small.out, place / "adapter")
    _fill(place, size)
    fails(
        *_to(small, place / "adapter"),
        says=[
            "could not be written to",
            "No space left on device",
            "What stood there before is unchanged",
            "Free some",
        ],
    )
    assert load_adapter(place / "adapter").dimension == 12


def _fill(place, size):
    """Leave a disk with so much room."""
    unit = {"k": 2**10, "m": 2**20}[size[-1]]
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    (place / "filler").write_bytes(bytes(free - int(size[:-1]) * unit))


def test_an_artefact_is_replaced_whole(small, run):
    (small.out / "report.html").write_text("of the earlier one")
    assert run(*small.tune("--seed", 1)).code == 0
    record = json.loads((small.out / "record.json").read_text())
    written = {"map.json", "rankings.jsonl", "record.json", "report.html"}
    expected = {"README.md", "adapter.safetensors", "config.json", *written}
    shipped = record["verdict"]["code"] == "ship"
    assert {path.name for path in small.out.iterdir()} == expected | (set() if shipped else {"candidate"})
    assert "of the earlier one" not in (small.out / "report.html").read_text()
    assert [path.name for path in small.folder.iterdir() if path.name.startswith(".")] == []


@pytest.fixture
def vectors(small):
    path = small.folder / "x.npy"
    np.save(path, small.arrays()["queries"])
    (small.folder / "y.npy").write_bytes(b"of an earlier day")
    return path


def _transform(small, source, target, *more):
    return ["transform", "--adapter", small.out, "--in", source, "--out", target, *more]


def test_transform_on_a_full_disk(small, vectors, fails, disk):
    place = disk("size=256k")
    (place / "y.npy").write_bytes(b"of an earlier day")
    np.save(small.folder / "large.npy", np.ones((9000, 12), dtype=np.float32))
    fails(
        *_transform(small, small.folder / "large.npy", place / "y.npy"),
        says=["y.npy could not be written: No space left on device", "What stood there before is unchanged"],
    )


def test_transform_into_a_folder(small, vectors, fails):
    fails(*_transform(small, vectors, small.data), says=["data could not be written: Is a directory"])


def test_transform_into_a_folder_that_is_not_there(small, vectors, fails):
    folder = small.folder / "no"
    fails(
        *_transform(small, vectors, folder / "y.npy"),
        says=[f"There is no folder {folder} to write y.npy to. Type: mkdir -p {folder}"],
    )


def test_transform_below_a_file(small, vectors, fails):
    fails(*_transform(small, vectors, vectors / "y.npy"), says=["could not be written: Not a directory"])


def test_transform_replaces_an_earlier_file_and_may_replace_its_own_input(small, vectors, run):
    expected = load_adapter(small.out).transform(np.load(vectors))
    assert run(*_transform(small, vectors, small.folder / "y.npy")).code == 0
    np.testing.assert_array_equal(np.load(small.folder / "y.npy"), expected)
    assert run(*_transform(small, vectors, vectors)).code == 0
    np.testing.assert_array_equal(np.load(vectors), expected)


@pytest.mark.parametrize("size", ["16k", "256k"])
def test_a_full_disk_under_the_cache_costs_only_the_cache(size, small, run, disk, monkeypatch, caplog):
    command = ["evaluate", small.data, "--encoder", "static", "--json"]
    whole = json.loads(run(*command).out)
    monkeypatch.setenv("EMBERTUNE_CACHE", str(disk(f"size={size}")))
    outcome = run(*command)
    assert outcome.code == 0
    assert json.loads(outcome.out) == whole
    assert "EMBERTUNE_CACHE=FOLDER" in caplog.text


def test_a_cache_that_is_a_file_costs_only_the_cache(small, spawn):
    outcome = spawn("evaluate", small.data, "--encoder", "static", "--json", EMBERTUNE_CACHE=str(small.vectors))
    assert outcome.code == 0
    assert json.loads(outcome.out)["queries"] == 120
    assert outcome.err.count("Could not write to the cache") == 1
    assert "EMBERTUNE_CACHE=FOLDER" in outcome.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_behind_stdout(options, small):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "embertune", "inspect", str(small.data), *options],
            stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False,
        )  # fmt: skip
    assert done.returncode == 1
    paragraph = done.stderr[done.stderr.index("Error: ") :]
    assert paragraph.strip() == "Error: The result could not be printed: No space left on device."
