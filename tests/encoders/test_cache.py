from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from embertune.encoders.cache import VectorCache, cache_key

WRITER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from embertune.encoders.cache import VectorCache, cache_key
    folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with VectorCache(folder).session() as session:
        for start in range(first, first + count, 10):
            keys = [cache_key([str(i)]) for i in range(start, start + 10)]
            session.put(keys, np.array([[i] * 8 for i in range(start, start + 10)], dtype=np.float32))
            print(start, flush=True)
    """
)


def put(folder, numbers):
    with VectorCache(folder).session() as session:
        session.put([cache_key([str(i)]) for i in numbers], np.array([[i] * 8 for i in numbers], dtype=np.float32))


def get(folder, numbers):
    with VectorCache(folder).session() as session:
        found = session.get([cache_key([str(i)]) for i in numbers])
    kept = [i for i in numbers if cache_key([str(i)]) in found]
    for i in kept:
        np.testing.assert_array_equal(found[cache_key([str(i)])], np.full(8, i, dtype=np.float32))
    return kept


def writer(folder, first, count, **options):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(first), str(count)], text=True, **options)


def test_borders_of_key_parts_count():
    keys = {cache_key(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"])}
    assert len(keys) == 5


def test_many_come_back_bit_by_bit(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((1234, 5)).astype(np.float32)
    keys = [cache_key([str(i)]) for i in range(len(vectors))]
    with VectorCache(tmp_path).session() as session:
        session.put(keys, vectors)
        found = session.get([*keys, cache_key(["absent"])])
    assert len(found) == len(keys)
    np.testing.assert_array_equal(np.array([found[key] for key in keys]), vectors)


def test_the_last_entry_of_a_key_wins(tmp_path):
    with VectorCache(tmp_path).session() as session:
        session.put([b"k"], np.zeros((1, 2), dtype=np.float32))
        session.put([b"k"], np.ones((1, 2), dtype=np.float32))
        assert session.get([b"k"])[b"k"].tolist() == [1, 1]


def test_two_processes_write_at_once(tmp_path):
    # Both also create the file at the same moment.
    running = [writer(tmp_path, first, 500, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for first in (0, 500)]
    assert [process.communicate()[1] for process in running] == ["", ""]
    assert get(tmp_path, range(1000)) == list(range(1000))


def test_kill_9_leaves_whole_batches_only(tmp_path):
    process = writer(tmp_path, 0, 1_000_000, stdout=subprocess.PIPE)
    for _ in range(20):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = get(tmp_path, range(last + 5000))
    assert set(range(last + 10)) <= set(kept)
    assert len(kept) % 10 == 0
    put(tmp_path, [9_999_999])
    assert get(tmp_path, [9_999_999]) == [9_999_999]


def test_a_changed_entry_is_a_miss(tmp_path):
    put(tmp_path, range(3))
    with sqlite3.connect(tmp_path / "embeddings.sqlite3") as connection:
        data = connection.execute("SELECT data FROM vectors WHERE key = ?", [cache_key(["0"])]).fetchone()[0]
        flipped = bytes([data[0] ^ 1]) + data[1:]
        connection.execute("UPDATE vectors SET data = ? WHERE key = ?", [flipped, cache_key(["0"])])
        connection.execute("UPDATE vectors SET data = ? WHERE key = ?", [data[:-4], cache_key(["1"])])
    connection.close()
    assert get(tmp_path, range(3)) == [2]


def test_an_entry_under_another_key_is_a_miss(tmp_path):
    put(tmp_path, range(1))
    connection = sqlite3.connect(tmp_path / "embeddings.sqlite3")
    with connection:
        connection.execute("UPDATE vectors SET key = ?", [cache_key(["1"])])
    connection.close()
    with VectorCache(tmp_path).session() as session:
        assert session.get([cache_key(["1"])]) == {}


@pytest.mark.parametrize("damage", ["no database", "damaged page"])
def test_a_damaged_file_is_moved_aside_and_said(tmp_path, caplog, damage):
    put(tmp_path, range(2000))
    path = tmp_path / "embeddings.sqlite3"
    if damage == "no database":
        path.write_bytes(b"this is not a database, but it is long enough to be looked at" * 50)
    else:
        data = bytearray(path.read_bytes())
        data[4096:] = os.urandom(len(data) - 4096)
        path.write_bytes(bytes(data))
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert get(tmp_path, range(2000)) == []
    [moved] = tmp_path.glob("embeddings.sqlite3.damaged-*")
    assert moved.read_bytes() == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"It was moved to {moved.name} and a new one begun." in caplog.text
    put(tmp_path, range(5))
    assert get(tmp_path, range(5)) == list(range(5))


def test_a_full_disk_costs_the_cache_and_not_the_run(tmp_path, caplog):
    put(tmp_path, range(10))
    cache = VectorCache(tmp_path)
    with caplog.at_level(logging.WARNING), cache.session() as session:
        # SQLite's own limit raises the very error of a full disk.
        pages = session._connection.execute("PRAGMA page_count").fetchone()[0]
        session._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        for start in range(100, 1100, 100):
            keys = [cache_key([str(i)]) for i in range(start, start + 100)]
            session.put(keys, np.array([[i] * 8 for i in range(start, start + 100)], dtype=np.float32))
        assert list(session.get([cache_key(["3"])])) == [cache_key(["3"])]
    assert len(caplog.records) == 1
    assert "database or disk is full" in caplog.text
    assert "EMBERTUNE_CACHE=FOLDER" in caplog.text
    kept = get(tmp_path, range(2000))
    assert kept[:10] == list(range(10))
    assert len(kept) % 100 == 10


FULL = textwrap.dedent(
    """
    import logging, resource, sys
    import numpy as np
    from embertune.encoders import load_encoder
    logging.basicConfig(format="%(message)s")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    encoder = load_encoder("hashing", dimension=512, cache=sys.argv[1], batch_size=50)
    texts = [f"text {i}" for i in range(1000)]
    vectors = encoder.encode_document(texts)
    assert np.array_equal(vectors, load_encoder("hashing", dimension=512).encode_document(texts))
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_embedding_goes_on_when_the_system_refuses_to_write(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Could not write to the cache") == 1
    with VectorCache(tmp_path).session() as session:
        count = session._connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
    assert count % 50 == 0
    assert count < 1000


def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("a file, not a folder")
    with caplog.at_level(logging.WARNING):
        put(tmp_path / "file" / "cache", range(3))
        assert get(tmp_path / "file", range(3)) == []
    assert "Could not write to the cache" in caplog.text
    assert (tmp_path / "file").read_text() == "a file, not a folder"


def test_a_file_that_can_only_be_read_is_read(tmp_path, caplog, monkeypatch):
    put(tmp_path, range(3))
    connect = sqlite3.connect

    def refuse(target, *args, **kwargs):
        if not kwargs.get("uri"):
            raise sqlite3.OperationalError("attempt to write a readonly database")
        return connect(target, *args, **kwargs)

    monkeypatch.setattr("embertune.encoders.cache.sqlite3.connect", refuse)
    with caplog.at_level(logging.WARNING):
        assert get(tmp_path, range(5)) == [0, 1, 2]
        put(tmp_path, [4])
        assert get(tmp_path, [4]) == []
    assert "readonly" in caplog.text


def test_one_warning_per_cache(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = VectorCache(tmp_path / "file")
    for _ in range(3):
        with cache.session() as session:
            session.put([b"k"], np.ones((1, 2), dtype=np.float32))
    assert len(caplog.records) == 1


def test_a_lock_held_too_long_is_no_error(tmp_path, caplog, monkeypatch):
    put(tmp_path, range(3))
    monkeypatch.setattr("embertune.encoders.cache._BUSY_SECONDS", 0.05)
    blocker = sqlite3.connect(tmp_path / "embeddings.sqlite3", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    put(tmp_path, [5])
    blocker.execute("ROLLBACK")
    blocker.close()
    assert "locked" in caplog.text
    assert get(tmp_path, range(3)) == [0, 1, 2]


def test_no_text_is_stored(tmp_path):
    from embertune.encoders import load_encoder

    load_encoder("hashing", cache=tmp_path).encode_query(["a very private question"])
    assert all(b"private" not in path.read_bytes() for path in tmp_path.iterdir())
