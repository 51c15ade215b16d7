"""Data sets whose vectors are known, so that what tuning must find can be told beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from embertune.core.vectors import Vectors, normalize
from embertune.data.dataset import Dataset, Document
from embertune.encoders.spec import EncoderSpec
from embertune.training.config import TuneConfig


class Known:
    """An encoder that knows the vector of every text."""

    def __init__(self, vectors: dict[str, Vectors]) -> None:
        self.vectors = vectors
        self.spec = EncoderSpec("known", "table", dimension=len(next(iter(vectors.values()))))

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)

    encode_document = encode_query


class Toy:
    """Queries over documents; a query's vector is `mix` of its document's, the rest is the document turned."""

    def __init__(self, queries: int, documents: int, *, mix: float = 0.4, parts: dict[str, str] | None = None) -> None:
        rng = np.random.default_rng(5)
        vectors = normalize(rng.normal(size=(documents, 12)).astype(np.float32))
        self.turn = turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
        self.answer = {f"q{n}": f"d{n % documents}" for n in range(queries)}
        rows = np.arange(queries) % documents
        asked = mix * vectors[rows] + (1 - mix) * vectors[rows] @ turn + 0.05 * rng.normal(size=(queries, 12))
        self.queries = normalize(asked.astype(np.float32) if mix < 1 else vectors[rows])
        self.documents = vectors
        self.data = Dataset(
            corpus={f"d{n}": Document(f"text {n}") for n in range(documents)},
            queries={f"q{n}": f"query number {n}" for n in range(queries)},
            qrels={query: {document: 1.0} for query, document in self.answer.items()},
            name="toy",
            parts=parts or {},
        )

    @property
    def encoder(self) -> Known:
        texts = {self.data.queries[f"q{n}"]: vector for n, vector in enumerate(self.queries)}
        texts |= {self.data.corpus[f"d{n}"].content: vector for n, vector in enumerate(self.documents)}
        return Known(texts)

    def ranks(self, query_ids: Sequence[str], matrix: Vectors | None = None) -> np.ndarray:
        """The rank of the one answer of each query, by sorting all cosines; ties go to the earlier document."""
        asked = self.queries[[int(name[1:]) for name in query_ids]].astype(np.float64)
        if matrix is not None:
            asked = asked + asked @ matrix
            asked /= np.linalg.norm(asked, axis=1, keepdims=True)
        order = np.argsort(-(asked @ self.documents.T.astype(np.float64)), axis=1, kind="stable")
        answers = np.array([int(self.answer[name][1:]) for name in query_ids])
        return 1 + (order == answers[:, None]).argmax(axis=1)


@pytest.fixture(scope="session")
def toy():
    return Toy


@pytest.fixture(scope="session")
def quick() -> TuneConfig:
    return TuneConfig(side="query", pulls=(1.0, 0.1, 0.01), folds=3, max_steps=15, search_steps=15)


@pytest.fixture(scope="session")
def learnable() -> Toy:
    """200 queries over 120 documents: most test documents were asked for in training, some never."""
    return Toy(200, 120)
