"""Chroma: an EmbeddingFunction, by which a collection embeds documents and queries each on its side.

Needs: chromadb
"""

import chromadb
from toy import DOCUMENTS, QUERY, save_adapter

from embertune.integrations.chroma_function import EmbertuneEmbeddingFunction

function = EmbertuneEmbeddingFunction(save_adapter("my-adapter"))
client = chromadb.PersistentClient("chroma", settings=chromadb.Settings(anonymized_telemetry=False))
docs = client.get_or_create_collection("docs", embedding_function=function)
docs.upsert(ids=list(DOCUMENTS), documents=list(DOCUMENTS.values()))

# Another process that has imported the class finds it again by what the collection keeps.
docs = client.get_collection("docs")
found = docs.query(query_texts=[QUERY], n_results=3)
for key, distance in zip(found["ids"][0], found["distances"][0], strict=True):
    print(f"{1 - distance:.3f}", key)
