"""Is every vector of 200 000 in PostgreSQL mapped exactly once, with kill -9 three times, and how fast?

    python benchmarks/apply.py          (needs the dependency group "databases")

Measured on a PostgreSQL of its own: the database's own bulk copy (COPY out of the table and COPY into another one, in
binary, through one client), `embertune apply` beside it in turn, and what a column in the same table would cost, filled
by UPDATE from the table beside it, without and with an HNSW index on the old column.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pgserver
import psycopg

from embertune.adapters.linear import LinearAdapter
from embertune.core.vectors import normalize
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter, roll_back

RESULTS = Path(__file__).parent / "results" / "apply.json"
DIGEST = "SELECT count(*), md5(string_agg(md5(vector_send(embedding)), '' ORDER BY id)) FROM "


def main(rows: int, width: int, kills: int, rounds: int, in_place: int) -> dict:
    """Measure all of it.

    Args:
        rows: How many vectors.
        width: Their dimension.
        kills: How often the process is killed.
        rounds: How often the two copies are timed, in turn.
        in_place: Rows of the table in which the update of a column is timed; 0 leaves that out.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(Path(folder, "pg"), cleanup_mode="stop")
        try:
            return measure(server.get_uri(), Path(folder), rows, width, kills, rounds, in_place)
        finally:
            server.cleanup()


def measure(uri: str, folder: Path, rows: int, width: int, kills: int, rounds: int, in_place: int) -> dict:
    """Measure in the database at `uri`, which has no table items yet."""
    adapter = _adapter(width)
    adapter.save(folder / "adapter")
    url = f"{uri}&table=items"
    with psycopg.connect(uri, autocommit=True) as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        fill(db, "items", rows, width)
        before = db.execute(DIGEST + "items").fetchone()
        copies, applies = [], []
        for _ in range(rounds):
            copies.append(bulk_copy(db, width))
            db.execute("DROP TABLE IF EXISTS items_tuned")
            db.execute("CHECKPOINT")
            store, started = open_store(url), time.perf_counter()
            apply_adapter(adapter, store)
            applies.append(time.perf_counter() - started)
            store.close()
            print("copy", copies[-1], "apply", applies[-1], flush=True)
        db.execute("DROP TABLE items_tuned")
        told = killed(db, url, folder / "adapter", kills, rows)
        exact = check(db, adapter, rows)
        switched = [switch(db, url, "tuned"), switch(db, url, "base")]
        after = db.execute(DIGEST + "items").fetchone()
        apply = float(np.median(applies))
        return {
            "rows": rows, "dimension": width, "postgresql": db.info.server_version,
            "copy_seconds": copies, "apply_seconds": applies,
            "apply_over_copy": float(np.median(np.divide(applies, copies))),
            "vectors_per_second": rows / apply, "killed_at_rows": told, "every_vector_once": exact,
            "old_column_untouched": before == after, "rollback_exact": switched == [True, True],
            "in_place": update_in_place(db, in_place, width) if in_place else None,
        }  # fmt: skip


def _adapter(width: int) -> LinearAdapter:
    pairs = np.random.default_rng(1).standard_normal((2, 200, width)).astype(np.float32)
    return LinearAdapter("both", maps="separate").fit(*pairs)


def vectors_of(rows: int, width: int) -> np.ndarray:
    """Give the vectors of the test, rows of length 1."""
    return normalize(np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32))


def fill(db: psycopg.Connection, table: str, rows: int, width: int) -> None:
    """Make a table of texts with vectors, without an index of them."""
    db.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, content text, embedding vector({width}) NOT NULL)")
    head = np.array([width, 0], ">u2").tobytes()
    with db.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        for at, row in enumerate(vectors_of(rows, width).astype(">f4")):
            copy.write_row((at.to_bytes(8, "big"), f"the text of {at} ".encode() * 10, head + row.tobytes()))
    db.execute(f"VACUUM ANALYZE {table}")
    db.execute("CHECKPOINT")


def bulk_copy(db: psycopg.Connection, width: int) -> float:
    """Time COPY out of the table and into another one with a primary key, block by block through this process."""
    db.execute(f"CREATE TABLE copied (id bigint PRIMARY KEY, embedding vector({width}) NOT NULL)")
    db.execute("CHECKPOINT")
    started = time.perf_counter()
    with psycopg.connect(db.info.dsn, autocommit=True) as other:
        with (
            db.cursor().copy("COPY (SELECT id, embedding FROM items ORDER BY id) TO STDOUT (FORMAT BINARY)") as out,
            other.cursor().copy("COPY copied FROM STDIN (FORMAT BINARY)") as into,
        ):
            for block in out:
                into.write(block)
        other.execute("ANALYZE copied")
    seconds = time.perf_counter() - started
    db.execute("DROP TABLE copied")
    return seconds


def killed(db: psycopg.Connection, url: str, adapter: Path, kills: int, rows: int) -> list[int]:
    """Run the command, kill -9 it when each next part of the rows is there, and let it end at last."""
    command = [sys.executable, "-m", "embertune", "apply", "--adapter", str(adapter), "--store", url]
    told = []
    for at in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and _written(db) < rows * (at + 1) // (kills + 1):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        told.append(_written(db))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return told


def _written(db: psycopg.Connection) -> int:
    there = db.execute("SELECT to_regclass('items_tuned')").fetchone()[0]
    return db.execute("SELECT count(*) FROM items_tuned").fetchone()[0] if there else 0


def check(db: psycopg.Connection, adapter: LinearAdapter, rows: int) -> bool:
    """Compare every stored vector with what the adapter gives."""
    width = adapter.dimension
    with db.cursor().copy("COPY (SELECT id, embedding FROM items_tuned ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
        found = list(copy.rows())
    ids = [int.from_bytes(each, "big") for each, _ in found]
    stored = np.frombuffer(b"".join(bytes(raw)[4:] for _, raw in found), ">f4").reshape(-1, width)
    expected = adapter.transform(vectors_of(rows, width), "document")
    return ids == list(range(rows)) and bool(np.abs(stored - expected).max() < 1e-6)


def switch(db: psycopg.Connection, url: str, space: str) -> bool:
    """Switch or roll back, and say whether the view shows exactly the one or the other."""
    store = open_store(url)
    if space == "tuned":
        store.switch()
    else:
        roll_back(store)
    store.close()
    table = "items_tuned" if space == "tuned" else "items"
    return db.execute(DIGEST + "items_live").fetchone() == db.execute(DIGEST + table).fetchone()


def update_in_place(db: psycopg.Connection, rows: int, width: int) -> dict:
    """Time a new column of the same table, filled by UPDATE; with HNSW on the old column, too."""
    seconds = {"rows": rows}
    for name in ("beside_by_copy", "update", "update_with_hnsw"):
        db.execute("DROP TABLE IF EXISTS small, small_tuned")
        fill(db, "small", rows, width)
        db.execute(f"CREATE TABLE small_tuned (id bigint PRIMARY KEY, embedding vector({width}) NOT NULL)")
        if name == "update_with_hnsw":
            db.execute("CREATE INDEX ON small USING hnsw (embedding vector_cosine_ops)")
        db.execute("CHECKPOINT")
        started = time.perf_counter()
        with (
            psycopg.connect(db.info.dsn, autocommit=True) as other,
            db.cursor().copy("COPY (SELECT id, embedding FROM small ORDER BY id) TO STDOUT (FORMAT BINARY)") as out,
            other.cursor().copy("COPY small_tuned FROM STDIN (FORMAT BINARY)") as into,
        ):
            for block in out:
                into.write(block)
        if name != "beside_by_copy":
            db.execute(f"ALTER TABLE small ADD COLUMN tuned vector({width})")
            db.execute("UPDATE small SET tuned = t.embedding FROM small_tuned t WHERE t.id = small.id")
        seconds[name] = time.perf_counter() - started
        print(name, seconds[name], flush=True)
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--in-place", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    measured = main(given.rows, given.dimension, kills=3, rounds=5, in_place=given.in_place)
    given.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))
