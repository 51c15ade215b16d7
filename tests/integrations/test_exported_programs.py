"""The same adapter in ONNX, in SQL, in plain safetensors and in generated LangChain code."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from embertune import IdentityAdapter, LinearAdapter
from embertune.adapters.program import apply_steps
from embertune.errors import ConfigError
from embertune.integrations.langchain_retriever import write_retriever
from embertune.integrations.pgvector_sql import write_sql
from embertune.integrations.safetensors_file import write_safetensors

pytestmark = pytest.mark.frameworks


def sides_that_change(every_kind):
    for kind, adapter in every_kind.items():
        for side in ("query", "document"):
            if adapter.changes(side):
                yield kind, adapter, side


def need(module):
    return pytest.importorskip(module, reason=f"{module.split('.')[0]} is not installed: group frameworks")


def test_onnx(every_kind, some_vectors, tmp_path):
    need("onnx")
    runtime = need("onnxruntime")
    from embertune.integrations.onnx import write_onnx

    for kind, adapter, side in sides_that_change(every_kind):
        path = write_onnx(adapter, tmp_path / f"{kind}.onnx", side)
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for rows in (some_vectors, some_vectors[:1]):
            (found,) = session.run(None, {"embeddings": rows})
            assert found == pytest.approx(adapter.transform(rows, side), abs=1e-5), (kind, side)
    with pytest.raises(
        ConfigError, match=r"^This LinearAdapter leaves the document side as it is: there is nothing to"
    ):
        write_onnx(every_kind["linear"], tmp_path / "none.onnx", "document")


def test_safetensors(every_kind, some_vectors, tmp_path):
    from safetensors import safe_open

    for kind, adapter, side in sides_that_change(every_kind):
        with safe_open(write_safetensors(adapter, tmp_path / f"{kind}.safetensors", side), "np") as file:
            about, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found = apply_steps(some_vectors, json.loads(about["steps"]), arrays)
        assert found == pytest.approx(adapter.transform(some_vectors, side), abs=2e-6), (kind, side)
        assert about["side"] == side
    with pytest.raises(ConfigError, match=r"^This IdentityAdapter leaves the query side as it is"):
        write_safetensors(IdentityAdapter(), tmp_path / "none.safetensors")


@pytest.fixture
def database(postgres):
    """A connection to an empty PostgreSQL with pgvector."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION vector")
        yield connection


def literal(row):
    return json.dumps(row.tolist())


def rows_of(connection, function, vectors):
    asked = (connection.execute(f"SELECT {function}(%s)", [literal(row)]).fetchone()[0] for row in vectors)
    return np.array([json.loads(found) for found in asked])


def test_sql(every_kind, some_vectors, tmp_path, database):
    for kind, adapter, side in sides_that_change(every_kind):
        path = write_sql(adapter, tmp_path / f"{kind}.sql", side)
        database.execute(path.read_text())
        found = rows_of(database, f"embertune_{side}", some_vectors[20:])
        assert found == pytest.approx(adapter.transform(some_vectors[20:], side), abs=1e-5), (kind, side)


def test_sql_is_used_in_an_ordinary_search_with_its_index(every_kind, some_vectors, tmp_path, database):
    adapter = every_kind["gated half"]
    documents = np.random.default_rng(3).normal(size=(500, 12)).astype(np.float32)
    database.execute("CREATE TABLE items (id int, embedding vector(12))")
    with database.cursor().copy("COPY items FROM STDIN") as copy:
        for at, row in enumerate(documents):
            copy.write_row([at, literal(row)])
    database.execute("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")
    database.execute(write_sql(adapter, tmp_path / "tuned.sql", name="shop").read_text())
    query = some_vectors[35]
    search = "SELECT id FROM items ORDER BY embedding <=> shop_query(%s) LIMIT 5"
    database.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in database.execute(f"EXPLAIN {search}", [literal(query)]))
    assert "Index Scan using items_embedding_idx" in plan
    lengths = np.linalg.norm(documents, axis=1)
    cosines = documents @ adapter.transform(query[None])[0] / lengths
    found = [row[0] for row in database.execute(search, [literal(query)])]
    assert found == np.argsort(-cosines)[:5].tolist()
    assert rows_of(database, "shop_query", [query]) == pytest.approx(adapter.transform(query[None]), abs=1e-5)
    psycopg = need("psycopg")
    with pytest.raises(psycopg.errors.DataException, match="different vector dimensions 3 and 12"):
        database.execute("SELECT shop_query('[1,2,3]')")


def test_sql_refuses_names_and_sides(every_kind, tmp_path):
    with pytest.raises(
        ConfigError, match=re.escape("name must be lower-case letters, digits and _, at most 40, got 'x; DROP'")
    ):
        write_sql(every_kind["linear"], tmp_path / "x.sql", name="x; DROP")
    with pytest.raises(ConfigError, match=r"^This LinearAdapter leaves the document side as it is"):
        write_sql(every_kind["linear"], tmp_path / "x.sql", "document")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["gated", "gated half", "gated apart", "gated chain", "documents", "identity"])
def test_the_langchain_retriever(kind, every_kind, some_vectors, tmp_path):
    need("langchain_core")
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    class Base(Embeddings):
        def embed_query(self, text):
            return some_vectors[int(text.removeprefix("query: "))].tolist()

        def embed_documents(self, texts):
            return [some_vectors[int(text)].tolist() for text in texts]

    adapter = every_kind[kind]._with(encoder={"provider": "openai", "model": "a-model", "query_prompt": "query: "})
    files = write_retriever(adapter, tmp_path / "tuned.py")
    spec = importlib.util.spec_from_file_location("tuned", files[0])
    tuned = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tuned)
    embeddings = tuned.TunedEmbeddings(Base())
    texts = [str(row) for row in range(len(some_vectors) - 1)]
    expected = {side: adapter.transform(some_vectors[:-1], side) for side in ("query", "document")}
    assert np.array(embeddings.embed_documents(texts)) == pytest.approx(expected["document"], abs=1e-5)
    assert np.array([embeddings.embed_query(text) for text in texts]) == pytest.approx(expected["query"], abs=1e-5)
    retriever = tuned.TunedRetriever(
        store=InMemoryVectorStore.from_texts(texts, embeddings), embeddings=embeddings, k=3
    )
    unit = expected["document"] / np.linalg.norm(expected["document"], axis=1, keepdims=True)
    assert [int(each.page_content) for each in retriever.invoke("4")] == np.argsort(-(unit @ expected["query"][4]))[
        :3
    ].tolist()
    words = "It changes documents too" if adapter.changes("document") else "It changes queries alone"
    assert words in files[0].read_text()


def test_the_langchain_retriever_needs_neither_embertune_nor_other_dimensions(every_kind, tmp_path):
    need("langchain_core")
    write_retriever(every_kind["gated"], tmp_path / "tuned.py")
    code = (
        "import sys; sys.modules['embertune'] = None; from tuned import TunedEmbeddings\n"
        "from langchain_core.embeddings import FakeEmbeddings\n"
        "print(len(TunedEmbeddings(FakeEmbeddings(size=12)).embed_query('a')))\n"
        "TunedEmbeddings(FakeEmbeddings(size=13)).embed_query('a')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "12\n"
    assert done.stderr.endswith("ValueError: The adapter takes 12 dimensions; these embeddings have 13.\n")


def test_a_retriever_of_an_adapter_of_any_dimension_is_written(tmp_path):
    files = write_retriever(LinearAdapter().fit(np.eye(3), np.eye(3)[::-1]), tmp_path / "t.py")
    compile(files[0].read_text(), "t.py", "exec")
    assert [file.name for file in files] == ["t.py", "t.npz"]
