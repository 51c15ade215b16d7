"""Classes of other projects: each gives what encoder and adapter give, in the project's own hands."""

from __future__ import annotations

import asyncio
import pickle
import re

import numpy as np
import pytest

from embertune import Gate, LinearAdapter, load_adapter, load_encoder
from embertune.encoders.load_adapted import load_adapted
from embertune.errors import ArtifactError, ConfigError

pytestmark = pytest.mark.frameworks

QUERIES = ["how do I get my money back", "opening hours on sunday", "where is my parcel"]
DOCUMENTS = [
    "Refunds are paid within 14 days to the original means of payment.",
    "We are open from Monday to Saturday, nine to six.",
    "Follow your shipment with the number from the mail of confirmation.",
    "Gift cards are valid for three years.",
]


@pytest.fixture
def folder(tmp_path):
    """A saved adapter of both sides, with a gate, trained on the hashing encoder."""
    encoder = load_encoder("hashing")
    queries, documents = encoder.encode_query(QUERIES), encoder.encode_document(DOCUMENTS)
    fitted = LinearAdapter("both", pull=0.01).fit(queries, documents[:3])
    adapter = fitted.gated(Gate.fit(queries), documents=Gate.fit(documents))
    adapter.encoder = encoder.spec.to_dict()
    return str(adapter.save(tmp_path / "my-adapter"))


@pytest.fixture
def expected(folder):
    """What is to come out, by side."""
    encoder, adapter = load_encoder("hashing"), load_adapter(folder)
    found = {
        "query": adapter.transform(encoder.encode_query(QUERIES)),
        "document": adapter.transform(encoder.encode_document(DOCUMENTS), "document"),
    }
    assert not np.allclose(found["document"], encoder.encode_document(DOCUMENTS), atol=1e-2)
    return found


def need(module):
    return pytest.importorskip(module, reason=f"{module.split('.')[0]} is not installed: group frameworks")


def test_langchain(folder, expected):
    need("langchain_core")
    from langchain_core.vectorstores import InMemoryVectorStore

    from embertune.integrations.langchain import EmbertuneEmbeddings

    embeddings = EmbertuneEmbeddings(folder)
    assert np.array(embeddings.embed_query(QUERIES[0])) == pytest.approx(expected["query"][0], abs=1e-6)
    assert np.array(asyncio.run(embeddings.aembed_documents(DOCUMENTS))) == pytest.approx(
        expected["document"], abs=1e-6
    )
    store = InMemoryVectorStore.from_texts(DOCUMENTS, pickle.loads(pickle.dumps(embeddings)))
    best = (expected["query"] @ expected["document"].T).argmax(axis=1)
    found = [store.similarity_search(query, k=1)[0].page_content for query in QUERIES]
    assert found == [DOCUMENTS[row] for row in best]


def test_llama_index(folder, expected):
    need("llama_index.core")
    from llama_index.core.schema import TextNode

    from embertune.integrations.llama_index import EmbertuneEmbedding

    embedding = EmbertuneEmbedding(folder, embed_batch_size=2)
    assert (embedding.model_name, embedding.class_name()) == (
        "hashing/trigrams-64 (64 dimensions)",
        "EmbertuneEmbedding",
    )
    assert np.array(embedding.get_query_embedding(QUERIES[0])) == pytest.approx(expected["query"][0], abs=1e-6)
    assert np.array(asyncio.run(embedding.aget_query_embedding(QUERIES[1]))) == pytest.approx(
        expected["query"][1], abs=1e-6
    )
    assert np.array(embedding.get_text_embedding_batch(DOCUMENTS)) == pytest.approx(expected["document"], abs=1e-6)
    later = asyncio.run(embedding.aget_text_embedding_batch(DOCUMENTS))
    assert np.array(later) == pytest.approx(expected["document"], abs=1e-6)
    nodes = embedding([TextNode(text=text) for text in DOCUMENTS])
    assert np.array([node.embedding for node in nodes]) == pytest.approx(expected["document"], abs=1e-6)


def test_haystack(folder, expected):
    haystack = need("haystack")
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from embertune.integrations.haystack import EmbertuneDocumentEmbedder, EmbertuneTextEmbedder

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    embedded = EmbertuneDocumentEmbedder(folder).run([haystack.Document(content=text) for text in DOCUMENTS])
    assert np.array([each.embedding for each in embedded["documents"]]) == pytest.approx(expected["document"], abs=1e-6)
    store.write_documents(embedded["documents"])
    pipeline = haystack.Pipeline()
    pipeline.add_component("embedder", EmbertuneTextEmbedder(folder))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(document_store=InMemoryDocumentStore(), top_k=1))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    again = haystack.Pipeline.loads(pipeline.dumps(), allowed_modules=["embertune.*"])
    assert again.get_component("embedder").to_dict()["init_parameters"] == {"adapter": folder, "encoder": None}
    again.get_component("retriever").document_store = store
    best = (expected["query"] @ expected["document"].T).argmax(axis=1)
    found = [again.run({"embedder": {"text": query}})["retriever"]["documents"][0].content for query in QUERIES]
    assert found == [DOCUMENTS[row] for row in best]
    with pytest.raises(ConfigError, match=re.escape('EmbertuneTextEmbedder(adapter="my-adapter", encoder=')):
        EmbertuneTextEmbedder(load_adapter(folder))


def test_chroma(folder, expected, tmp_path):
    chromadb = need("chromadb")

    from embertune.integrations.chroma_function import EmbertuneEmbeddingFunction

    quiet = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(tmp_path / "chroma"), settings=quiet)
    made = client.create_collection("docs", embedding_function=EmbertuneEmbeddingFunction(folder))
    made.add(ids=["0", "1", "2", "3"], documents=DOCUMENTS)
    stored = client.get_collection("docs")  # finds its function again by name
    kept = stored.get(include=["embeddings"])["embeddings"]
    assert np.array(kept) == pytest.approx(expected["document"], abs=1e-6)
    asked = stored.query(query_texts=QUERIES, n_results=1)
    cosines = expected["query"] @ expected["document"].T
    assert asked["ids"] == [[str(row)] for row in cosines.argmax(axis=1)]
    assert np.ravel(asked["distances"]) == pytest.approx(1 - cosines.max(axis=1), abs=1e-5)
    with pytest.raises(ConfigError, match=re.escape("so it takes names. Save the adapter")):
        EmbertuneEmbeddingFunction(load_adapter(folder))


def test_an_adapter_brings_its_encoder_and_refuses_another(folder, expected):
    assert load_adapted(folder).encode_query(QUERIES) == pytest.approx(expected["query"], abs=1e-6)
    assert load_adapted(load_adapter(folder), load_encoder("hashing")).spec.model == "trigrams-64"
    with pytest.raises(ArtifactError, match=re.escape(f"{folder} was trained on hashing/trigrams-64 (64 dimensions)")):
        load_adapted(folder, "static")
    with pytest.raises(
        ConfigError, match=re.escape("does not say whose embeddings it was trained on. Name the encoder")
    ):
        load_adapted(LinearAdapter().fit(np.eye(3), np.eye(3)))


def test_prompts_are_those_of_training():
    adapter = LinearAdapter().fit(np.eye(64), np.eye(64)[::-1])
    trained_on = load_encoder("hashing", query_prompt="query: ", normalize=False)
    adapter.encoder = trained_on.spec.to_dict()
    for named in (None, "hashing"):
        assert np.array_equal(
            load_adapted(adapter, named).encode_query(["a"]), (trained_on | adapter).encode_query(["a"])
        )


@pytest.mark.parametrize("module", ["langchain", "llama_index", "haystack", "chroma_function"])
def test_there_are_no_other_names(module):
    import importlib

    loaded = importlib.import_module(f"embertune.integrations.{module}")
    with pytest.raises(AttributeError, match=f"module 'embertune.integrations.{module}' has no attribute 'Nothing'"):
        loaded.Nothing  # noqa: B018
