"""LlamaIndex: a BaseEmbedding for an index.

Needs: llama_index.core
"""

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from toy import DOCUMENTS, QUERY, save_adapter

from embertune.integrations.llama_index import EmbertuneEmbedding

embedding = EmbertuneEmbedding(save_adapter("my-adapter"))
nodes = [TextNode(text=text, id_=key) for key, text in DOCUMENTS.items()]
index = VectorStoreIndex(nodes, embed_model=embedding)
for found in index.as_retriever(similarity_top_k=3).retrieve(QUERY):
    print(f"{found.score:.3f}", found.node.node_id)
