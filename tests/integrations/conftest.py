import importlib.util
import tempfile
import uuid
from pathlib import Path

import pytest


@pytest.fixture
def chroma_url(vectors, tmp_path):
    chromadb = pytest.importorskip("chromadb", reason="chromadb is not installed: group databases")
    client = chromadb.PersistentClient(str(tmp_path / "c"), settings=chromadb.Settings(anonymized_telemetry=False))
    docs = client.create_collection("docs", configuration={"hnsw": {"space": "cosine"}}, metadata={"of": "test"})
    names = [f"d{at}" for at in range(len(vectors))]
    docs.add(ids=names, embeddings=vectors, documents=[f"text {name}" for name in names],
             metadatas=[{"at": at} for at in range(len(names))])  # fmt: skip
    client.close()
    return f"chroma:{tmp_path / 'c'}#docs"


@pytest.fixture
def qdrant_url(vectors, tmp_path):
    qdrant = pytest.importorskip("qdrant_client", reason="qdrant-client is not installed: group databases")
    client = qdrant.QdrantClient(path=str(tmp_path / "q"))
    size = qdrant.models.VectorParams(size=vectors.shape[1], distance=qdrant.models.Distance.COSINE)
    client.create_collection("docs", vectors_config=size)
    payloads = [{"key": f"d{at}", "text": f"text {at}"} for at in range(len(vectors))]
    ids = list(range(1000, 1000 + len(vectors)))
    client.upsert("docs", qdrant.models.Batch(ids=ids, vectors=vectors.tolist(), payloads=payloads))
    client.close()
    return f"qdrant:{tmp_path / 'q'}#docs?id=key"


@pytest.fixture
def lancedb_url(vectors, tmp_path):
    lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed: group databases")
    pytest.importorskip("lancedb.index")
    pa = pytest.importorskip("pyarrow")
    names = [f"d{at}" for at in range(len(vectors))]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = lancedb.connect(tmp_path / "l").create_table(
        "docs", pa.table({"key": names, "text": names, "vector": column})
    )
    table.create_index("vector", config=lancedb.index.IvfFlat(distance_type="cosine", num_partitions=2))
    return f"lancedb:{tmp_path / 'l'}#docs?id=key"


@pytest.fixture
def faiss_url(vectors, tmp_path):
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    index = faiss.index_factory(vectors.shape[1], "HNSW16", faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "docs.faiss"))
    (tmp_path / "ids.txt").write_text("".join(f"d{at}\n" for at in range(len(vectors))))
    return f"faiss:{tmp_path / 'docs.faiss'}?ids={tmp_path / 'ids.txt'}"


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL with pgvector of this session's own."""
    pgserver = pytest.importorskip("pgserver", reason="pgserver is not installed: group databases")
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: group databases")
    # Not below pytest's own folder: where root runs this, PostgreSQL is another user, whom pytest shuts out again.
    with tempfile.TemporaryDirectory(prefix="embertune-pg") as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute("CREATE EXTENSION vector")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def pgvector_url(postgres, vectors):
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE")
        db.execute("CREATE SCHEMA public")
        db.execute("CREATE EXTENSION vector")
        db.execute(f'CREATE TABLE docs (key text PRIMARY KEY, "the text" text, embedding vector({vectors.shape[1]}))')
        rows = [(f"d{at}", f"text {at}", str(row.tolist())) for at, row in enumerate(vectors)]
        db.cursor().executemany("INSERT INTO docs VALUES (%s, %s, %s)", rows)
        db.execute("CREATE INDEX docs_ann ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 12)")
    return f"{postgres}&table=docs&id=key"


@pytest.fixture
def weaviate_url(vectors):
    weaviate = pytest.importorskip("weaviate", reason="weaviate-client is not installed: group databases")
    spec = importlib.util.spec_from_file_location("weaviate_stub", Path(__file__).with_name("weaviate_stub.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.WeaviateStub()
    port = server.url.rpartition(":")[2]
    config = weaviate.classes.config
    with weaviate.connect_to_local("127.0.0.1", int(port), server.grpc_port, skip_init_checks=True) as client:
        docs = client.collections.create(
            "Docs",
            properties=[config.Property(name=name, data_type=config.DataType.TEXT) for name in ("key", "text")],
            vector_config=config.Configure.Vectors.self_provided(),
        )
        make = weaviate.classes.data.DataObject
        docs.data.insert_many(
            make(properties={"key": f"d{at}", "text": f"text {at}"}, uuid=uuid.uuid5(uuid.NAMESPACE_OID, f"d{at}"),
                 vector=row.tolist())
            for at, row in enumerate(vectors)
        )  # fmt: skip
    yield f"weaviate:{server.url}#Docs?id=key&grpc={server.grpc_port}"
    server.close()
