"""What browsers send: one file, several, archives, and archives that mean harm."""

from __future__ import annotations

import re
import zipfile

import pytest

from embertune.data.io import load_dataset
from embertune.errors import DataError
from embertune.ui import uploads
from embertune.ui.uploads import gather


@pytest.fixture
def box(tmp_path):
    (tmp_path / "box").mkdir()
    return tmp_path / "box"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


CORPUS, QUERIES = '{"_id": "d1", "text": "Built in 1900."}\n', '{"_id": "q1", "text": "how old?"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\n"


def test_one_file_is_itself(box, tmp_path):
    sent = write(tmp_path / "sent" / "pairs.csv", "query,document\na,b\n")
    assert gather([sent], box) == box / "pairs.csv"
    assert load_dataset(box / "pairs.csv").queries == {"q1": "a"}


@pytest.mark.parametrize("names", [["train.tsv", "test.tsv"], ["qrels.tsv"]])
def test_the_files_of_a_beir_folder_are_put_together(box, tmp_path, names):
    sent = [write(tmp_path / "corpus.jsonl", CORPUS), write(tmp_path / "queries.jsonl", QUERIES)]
    sent += [write(tmp_path / name, QRELS) for name in names]
    assert load_dataset(gather(sent, box)).qrels == {"q1": {"d1": 1.0}}


def test_an_archive_of_a_folder_is_the_folder(box, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("scifact/corpus.jsonl", CORPUS)
        archive.writestr("scifact/queries.jsonl", QUERIES)
        archive.writestr("scifact/qrels/test.tsv", QRELS)
        archive.writestr("__MACOSX/._corpus.jsonl", "junk")
    found = gather([tmp_path / "set.zip"], box)
    assert found.name == "scifact"
    assert load_dataset(found).qrels == {"q1": {"d1": 1.0}}


def test_two_files_of_one_name_are_both_kept(box, tmp_path):
    sent = [write(tmp_path / folder / "notes.txt", folder) for folder in ("a", "b")]
    assert sorted(path.read_text() for path in gather(sent, box).iterdir()) == ["a", "b"]


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "..\\outside.txt"])
def test_an_archive_writes_nothing_outside(box, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(DataError, match="outside of itself"):
        gather([tmp_path / "bad.zip"], box)
    assert not (tmp_path / "outside.txt").exists()
    assert list(box.iterdir()) == []


def test_a_zip_bomb_is_stopped_by_what_comes_out(box, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "_MOST_BYTES", 5 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.csv", bytes(20 << 20))
    with pytest.raises(DataError, match=re.escape("bomb.zip unpacks to more than it should: it looks like a zip bomb")):
        gather([tmp_path / "bomb.zip"], box)


def test_what_is_packed_beyond_honesty_is_a_bomb(box, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "_BLOCK", 1 << 12)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.csv", bytes(30 << 20))
    with pytest.raises(DataError, match="looks like a zip bomb"):
        gather([tmp_path / "bomb.zip"], box)


def test_too_many_files_are_refused(box, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "_MOST_FILES", 3)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.txt", "x")
    with pytest.raises(DataError, match=re.escape("many.zip holds 4 files. Expected at most 3.")):
        gather([tmp_path / "many.zip"], box)


def test_an_archive_that_is_none_is_explained(box, tmp_path):
    sent = write(tmp_path / "no.zip", "not a zip")
    with pytest.raises(
        DataError, match=re.escape("no.zip is no zip archive that can be read: File is not a zip file.")
    ):
        gather([sent], box)


def test_nothing_sent_is_said(box):
    with pytest.raises(DataError, match=re.escape("No file was chosen.")):
        gather([], box)
