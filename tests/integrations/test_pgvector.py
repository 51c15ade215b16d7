import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.core.vectors import normalize
from embertune.errors import StoreError
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter, roll_back

ROWS, WIDTH = 400, 24


@pytest.fixture
def vectors():
    return normalize(np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32))


@pytest.fixture
def adapter():
    pairs = np.random.default_rng(1).standard_normal((2, 30, WIDTH)).astype(np.float32)
    return LinearAdapter("both", maps="separate").fit(*pairs)


@pytest.fixture
def db(postgres, pgvector_url):
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def benchmark():
    file = Path(__file__).parents[2] / "benchmarks" / "apply.py"
    spec = importlib.util.spec_from_file_location("apply", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A batch is under way, in a thread of its own, whenever progress is told.
KILLED = """
import os, signal, sys
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter
def told(stage, done, total=None, note=""):
    if stage == "apply" and done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
apply_adapter(sys.argv[1], open_store(sys.argv[2]), batch_size=512, progress=told)
"""


def test_three_kills_lose_and_double_nothing(benchmark, postgres, db, adapter, tmp_path):
    benchmark.fill(db, "items", 5000, WIDTH)
    before = db.execute(benchmark.DIGEST + "items").fetchone()
    adapter.save(tmp_path / "adapter")
    url, there = f"{postgres}&table=items", []
    for rows in (1000, 2500, 4000):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "adapter"), url, str(rows)]
        assert subprocess.run(command, check=False).returncode == -9
        there.append(db.execute("SELECT count(*) FROM items_tuned").fetchone()[0])
    assert 0 < there[0] < there[1] < there[2] < 5000
    store = open_store(url)
    assert apply_adapter(adapter, store).written == 5000 - there[2]
    store.close()
    assert benchmark.check(db, adapter, 5000)
    assert db.execute(benchmark.DIGEST + "items").fetchone() == before
    assert benchmark.switch(db, url, "tuned")
    assert benchmark.switch(db, url, "base")
    assert db.execute(benchmark.DIGEST + "items").fetchone() == before


def test_the_view_reads_by_the_new_index(db, pgvector_url, adapter, vectors):
    store = open_store(pgvector_url)
    apply_adapter(adapter, store, switch=True)
    store.close()
    definition = db.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'docs_tuned' ORDER BY 1").fetchall()
    assert "USING hnsw (embedding vector_cosine_ops) WITH (m='12')" in definition[0][0]
    query = str(adapter.transform(vectors[:1], "query")[0].tolist())
    db.execute("SET enable_sort = off")
    plan = "\n".join(
        row[0] for row in db.execute(
            "EXPLAIN SELECT key FROM docs_live ORDER BY embedding <=> %s::vector LIMIT 5", (query,)
        )
    )  # fmt: skip
    assert "Index Scan using docs_ann_" in plan
    shown = db.execute('SELECT count(*), max("the text") FROM docs_live').fetchone()
    assert shown == db.execute('SELECT count(*), max("the text") FROM docs').fetchone()


def test_documents_that_come_later_are_added_by_the_same_command(db, pgvector_url, adapter, vectors):
    store = open_store(pgvector_url)
    apply_adapter(adapter, store, switch=True)
    db.execute("INSERT INTO docs VALUES ('later', 'text', %s)", (str(vectors[0].tolist()),))
    assert db.execute("SELECT count(*) FROM docs_live").fetchone() == (ROWS,)
    assert apply_adapter(adapter, store).written == 1
    assert db.execute("SELECT count(*) FROM docs_live").fetchone() == (ROWS + 1,)
    db.execute("UPDATE docs SET embedding = %s WHERE key = 'd3'", (str(vectors[0].tolist()),))
    with pytest.raises(StoreError, match=r"1 of \d+ vectors looked at in docs_tuned are not what .*\(such as"):
        apply_adapter(adapter, store)
    db.execute("DELETE FROM docs WHERE key = 'd3'")
    with pytest.raises(StoreError, match=re.escape("docs_tuned holds 401 vectors and docs 400")):
        apply_adapter(adapter, store)
    store.close()


def test_a_second_adapter_goes_beside_the_first(db, postgres, pgvector_url, adapter, vectors):
    first, second = open_store(pgvector_url), open_store(pgvector_url, out="docs_v2")
    apply_adapter(adapter, first, switch=True)
    other = adapter.scaled(0.5)
    apply_adapter(other, second, switch=True)
    assert (first.live, second.live) == ("base", "tuned")
    row = db.execute("SELECT embedding::text FROM docs_live WHERE key = 'd0'").fetchone()
    assert np.abs(json.loads(row[0]) - other.transform(vectors[:1], "document")).max() < 1e-6
    first.switch()
    assert (first.live, second.live) == ("tuned", "base")
    roll_back(second)
    assert db.execute("SELECT embedding = (SELECT embedding FROM docs WHERE key = 'd0') FROM docs_live "
                      "WHERE key = 'd0'").fetchone() == (True,)  # fmt: skip
    first.close()
    second.close()


@pytest.mark.parametrize("kind", ["bigint", "uuid"])
def test_odd_names_and_other_ids(db, postgres, adapter, vectors, kind):
    db.execute("CREATE SEQUENCE numbers MINVALUE -5 START -5")
    db.execute('DROP SCHEMA IF EXISTS "My Docs" CASCADE')
    db.execute('CREATE SCHEMA "My Docs"')
    db.execute(f'CREATE TABLE "My Docs"."a ""b"" {{c}} %%" ("I d" {kind} PRIMARY KEY, "v;--" vector({WIDTH}))', ())
    rows = [(str(row.tolist()),) for row in vectors[:50]]
    value = "gen_random_uuid()" if kind == "uuid" else "nextval('numbers')"
    db.cursor().executemany(f'INSERT INTO "My Docs"."a ""b"" {{c}} %%" VALUES ({value}, %s)', rows)
    name = "My%20Docs.a%20%22b%22%20%7Bc%7D%20%25"
    store = open_store(f"{postgres}&table={name}&id=I%20d&column=v;--&view=My%20Docs.live")
    done = apply_adapter(adapter, store, batch_size=20, switch=True)
    assert (done.written, done.checked, done.live) == (50, 50, "tuned")
    assert db.execute('SELECT count(*) FROM "My Docs".live').fetchone() == (50,)
    store.close()


def test_what_is_not_there_is_said(db, postgres, pgvector_url, adapter):
    with pytest.raises(StoreError, match=r"There is no table nothing \(.*\)\. Name it with \?table=NAME"):
        open_store(f"{postgres}&table=nothing")
    with pytest.raises(StoreError, match=re.escape(
        "found key (text), the text (text), embedding (vector). Name them: ?table=docs&id=NAME&column=embedding"
    )):  # fmt: skip
        open_store(f"{postgres}&table=docs")
    with pytest.raises(StoreError, match="PostgreSQL refused") as caught:
        open_store("postgresql://me:s3cret-word@127.0.0.1:1/d?table=t&connect_timeout=2")
    assert "s3cret" not in str(caught.value)
    db.execute("CREATE VIEW docs_live AS SELECT 1 AS mine")
    store = open_store(pgvector_url)
    with pytest.raises(StoreError, match="docs_live exists and was not made by this command"):
        apply_adapter(adapter, store, switch=True)
    assert db.execute("SELECT mine FROM docs_live").fetchone() == (1,)
    store.close()


def test_the_command_there_and_back(db, pgvector_url, adapter, tmp_path):
    adapter.save(tmp_path / "adapter")

    def run(*arguments):
        command = [sys.executable, "-m", "embertune", "apply", "--store", pgvector_url, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    there = run("--adapter", str(tmp_path / "adapter"), "--switch", "--json")
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout)["live"] == "tuned"
    back = run("--rollback")
    assert "live: docs_live leads to the old vectors" in back.stdout
    wrong = run()
    assert wrong.returncode == 1
    assert "Expected one of: apply --adapter DIR --store URL [--switch], apply --store URL --rollback" in wrong.stderr
