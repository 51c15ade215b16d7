import os
import re
from pathlib import Path

import pytest

from embertune.core.files import replacing, write_whole
from embertune.errors import StorageError


@pytest.mark.parametrize("text", ["one\ntwo → \r\n", ["one\n", "two → ", "\r\n"]])
def test_bytes_are_utf8_and_line_ends_stay(tmp_path, text):
    path = write_whole(tmp_path / "a.txt", text)
    assert path.read_bytes() == "one\ntwo → \r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_half_a_surrogate_pair_is_escaped(tmp_path):
    assert write_whole(tmp_path / "a.txt", "x\ud83d").read_bytes() == b"x\\ud83d"


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_whole("~/a.txt", "x") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_text() == "x"


def _disk_is_full(_):
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_what_stood_there_and_no_litter(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", _disk_is_full)
    text = (
        f"{path} could not be written: No space left on device. What stood there before is unchanged. "
        "Free some space or name another place."
    )
    with pytest.raises(StorageError, match=re.escape(text)):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_of_the_writer_is_passed_on_and_leaves_no_litter(tmp_path):
    path = write_whole(tmp_path / "a.txt", "old")

    def write_half():
        with replacing(path) as file:
            file.write(b"half")
            raise ValueError("no more rows")

    with pytest.raises(ValueError, match="no more rows"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_only_the_whole_file_is_seen(tmp_path):
    path = Path(write_whole(tmp_path / "a.bin", "old"))
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_missing_folder_is_named_and_not_a_full_disk(tmp_path):
    folder = tmp_path / "not yet"
    text = f"There is no folder {folder} to write a.txt to. Type: mkdir -p '{folder}'"
    with pytest.raises(StorageError, match=f"^{re.escape(text)}$"):
        write_whole(folder / "a.txt", "x")


def test_what_the_writer_did_not_find_is_not_blamed_on_the_folder(tmp_path):
    says = r"a\.txt could not be written: No such file or directory"
    with pytest.raises(StorageError, match=says), replacing(tmp_path / "a.txt"):
        (tmp_path / "gone.txt").read_text()
