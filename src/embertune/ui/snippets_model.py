"""Code to copy for a model that was fine-tuned: sentence-transformers loads its folder, and so do the frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from embertune.adapters.identity import IdentityAdapter
from embertune.ui.snippets import MODEL, openai_code

__all__ = ["MODEL_KINDS", "served_adapter"]

_Kind = Callable[[Path, Path, int], str]


def served_adapter(place: Path) -> Path:
    """Write the adapter that changes nothing: a server is told adapters, and a fine-tuned model needs none.

    Raises:
        StorageError: The disk refused.
    """
    return IdentityAdapter().save(place / "identity")


def _sentence_transformers(model: Path, place: Path, port: int) -> str:
    return f"""
# pip install sentence-transformers
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({str(model)!r})
query_vectors = model.encode_query(["a question"])
document_vectors = model.encode_document(["a passage", "another passage"])
"""


def _langchain(model: Path, place: Path, port: int) -> str:
    return f"""
# pip install langchain-core sentence-transformers
from langchain_core.embeddings import Embeddings
from sentence_transformers import SentenceTransformer


class TunedEmbeddings(Embeddings):
    def __init__(self, model):
        self.model = SentenceTransformer(model)

    def embed_query(self, text):
        return self.model.encode_query([text], normalize_embeddings=True)[0].tolist()

    def embed_documents(self, texts):
        return self.model.encode_document(texts, normalize_embeddings=True).tolist()


embeddings = TunedEmbeddings({str(model)!r})
"""


def _llama_index(model: Path, place: Path, port: int) -> str:
    # LlamaIndex's HuggingFaceEmbedding 0.8 puts prompts of its own in place of the model's, and knows no routes.
    return f"""
# pip install llama-index-core sentence-transformers
from typing import Any

from llama_index.core import Settings
from llama_index.core.embeddings import BaseEmbedding
from sentence_transformers import SentenceTransformer


class TunedEmbedding(BaseEmbedding):
    _model: Any = None

    def __init__(self, model, **options):
        super().__init__(**options)
        self._model = SentenceTransformer(model)

    def _get_query_embedding(self, query):
        return self._model.encode_query([query], normalize_embeddings=True)[0].tolist()

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text):
        return self._model.encode_document([text], normalize_embeddings=True)[0].tolist()


Settings.embed_model = TunedEmbedding({str(model)!r})

query_vector = Settings.embed_model.get_query_embedding("a question")
document_vector = Settings.embed_model.get_text_embedding("a passage")
"""


def _openai(model: Path, place: Path, port: int) -> str:
    return openai_code(["--adapter", f"{MODEL}={place / 'identity'}", "--upstream", str(model)], port)


def _pgvector(model: Path, place: Path, port: int) -> str:
    return f"""
# pip install sentence-transformers psycopg
import psycopg
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({str(model)!r})

# Once: embed every document anew, into a column of its own, such as
#   ALTER TABLE documents ADD COLUMN tuned vector({{model.get_sentence_embedding_dimension()}});
with psycopg.connect("dbname=mine") as connection:
    for key, text in connection.execute("SELECT id, text FROM documents").fetchall():
        vector = model.encode_document([text])[0].tolist()
        connection.execute("UPDATE documents SET tuned = %s::vector WHERE id = %s", [str(vector), key])

    vector = model.encode_query(["a question"])[0].tolist()
    rows = connection.execute(
        "SELECT id FROM documents ORDER BY tuned <=> %s::vector LIMIT 10", [str(vector)]
    ).fetchall()
"""


def _numpy(model: Path, place: Path, port: int) -> str:
    return f"""
# A fine-tuned model is no map of vectors that exist: its texts are embedded anew, and then numpy is enough.
# pip install sentence-transformers
import numpy as np
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({str(model)!r})
documents = np.asarray(model.encode_document(["a passage", "another passage"], normalize_embeddings=True))
np.save("documents.npy", documents)

queries = np.asarray(model.encode_query(["a question"], normalize_embeddings=True))
order = np.argsort(-queries @ documents.T, axis=1)
"""


MODEL_KINDS: Mapping[str, _Kind] = {
    "LangChain": _langchain,
    "LangChain without Embertune": _langchain,
    "LlamaIndex": _llama_index,
    "OpenAI client": _openai,
    "sentence-transformers": _sentence_transformers,
    "pgvector": _pgvector,
    "numpy": _numpy,
}
"""The same names as `embertune.ui.snippets.KINDS`."""
