"""Haystack: embedder components in a pipeline, which is saved and loaded.

Needs: haystack
"""

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from toy import DOCUMENTS, QUERY, save_adapter

from embertune.integrations.haystack import EmbertuneDocumentEmbedder, EmbertuneTextEmbedder

adapter = save_adapter("my-adapter")
store = InMemoryDocumentStore(embedding_similarity_function="cosine")
documents = [Document(content=text, meta={"key": key}) for key, text in DOCUMENTS.items()]
store.write_documents(EmbertuneDocumentEmbedder(adapter).run(documents)["documents"])

pipeline = Pipeline()
pipeline.add_component("embedder", EmbertuneTextEmbedder(adapter))
pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=3))
pipeline.connect("embedder.embedding", "retriever.query_embedding")
for found in pipeline.run({"embedder": {"text": QUERY}})["retriever"]["documents"]:
    print(f"{found.score:.3f}", found.meta["key"])
