from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from embertune.data.synthesis.journal import Journal, answer_key, open_journal
from embertune.errors import StorageError


def test_what_is_put_is_found_by_another(tmp_path):
    path = tmp_path / "new" / "answers.sqlite3"
    with Journal(path) as journal:
        journal.put([(b"1", [{"text": "字典 🙂 \ud83d"}]), (b"2", [])])
        with Journal(path) as other:
            other.put([(b"1", ["too late"]), (b"3", ["c"])])
        assert journal.get([b"1", b"3", b"4"]) == {b"1": [{"text": "字典 🙂 \ud83d"}], b"3": ["c"]}
    assert path.stat().st_mode & 0o077 == 0


def test_many_keys_are_looked_up_at_once():
    with Journal(None) as journal:
        keys = [str(i).encode() for i in range(1200)]
        journal.put([(key, 1) for key in keys])
        assert len(journal.get(keys)) == 1200


def test_the_key_tells_apart_what_was_asked():
    keys = {answer_key({"a": "b", "n": n, "s": s}) for n in (1, 2, None) for s in ("é", "e", ["é"])}
    assert len(keys) == 9


def test_without_a_cache_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("EMBERTUNE_CACHE", "off")
    assert open_journal().path is None
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path))
    assert open_journal().path == tmp_path / "answers.sqlite3"


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 100)
    with pytest.raises(StorageError, match=re.escape(f"Move it away, then run again: mv {path} {path}.damaged")):
        Journal(path)
    assert path.read_text() == "my notes, " * 100


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"Nothing was asked yet\. Free space or name another file"):
        Journal(tmp_path / "file" / "answers")


def test_a_torn_end_is_passed_over(tmp_path):
    path = tmp_path / "answers"
    program = (
        "import os, sys; from pathlib import Path; from embertune.data.synthesis.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.put([(b'1', ['a'])]); journal.put([(b'2', ['b'])]); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == 9
    log = path.with_name("answers-wal")
    log.write_bytes(log.read_bytes()[:-100])
    with Journal(path) as journal:
        assert journal.get([b"1", b"2"]) == {b"1": ["a"]}
        journal.put([(b"2", ["b"])])
        assert journal.get([b"2"]) == {b"2": ["b"]}


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        with Journal(disk / "answers") as journal:
            fill(disk / "other")
            given = []
            with pytest.raises(StorageError, match=r"disk is full\. Every answer that arrived is in it"):  # noqa: PT012
                for number in range(1000):
                    given.append(str(number).encode())
                    journal.put([(given[-1], "x" * 8000)])
            # What is under way elsewhere is written, too.
            for number in range(1000, 1016):
                given.append(str(number).encode())
                journal.put([(given[-1], "x" * 8000)])
        with Journal(None):
            connection = sqlite3.connect(disk / "answers")
            assert connection.execute("SELECT count(*) FROM answers").fetchone()[0] == len(given)
            connection.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(path: Path):
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
