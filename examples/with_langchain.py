"""LangChain: an Embeddings class, and a retriever as a file of its own.

Needs: langchain_core
"""

import importlib.util

from langchain_core.vectorstores import InMemoryVectorStore
from toy import DOCUMENTS, QUERY, save_adapter

import embertune
from embertune.integrations.langchain import EmbertuneEmbeddings

adapter = save_adapter("my-adapter")

# 1. Where Embertune is installed.
store = InMemoryVectorStore.from_texts(list(DOCUMENTS.values()), EmbertuneEmbeddings(adapter))
found = store.as_retriever(search_kwargs={"k": 3}).invoke(QUERY)
print("Embeddings:", [document.page_content[:30] for document in found])

# 2. Where it is not: tuned.py and tuned.npz need langchain-core and numpy alone.
print(embertune.export(adapter, "langchain", "tuned.py"))
spec = importlib.util.spec_from_file_location("tuned", "tuned.py")  # as `import tuned` does
tuned = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tuned)

base = EmbertuneEmbeddings(embertune.IdentityAdapter(), "static")  # the embeddings that you have
store = InMemoryVectorStore.from_texts(list(DOCUMENTS.values()), base)  # and the store that you have
retriever = tuned.TunedRetriever(store=store, embeddings=tuned.TunedEmbeddings(base), k=3)
again = retriever.invoke(QUERY)
print("Retriever: ", [document.page_content[:30] for document in again])
assert [document.page_content for document in again] == [document.page_content for document in found]
