"""What dev says of a model while it is trained: the project's own judge, and triplet accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.hashing import fingerprint_texts
from embertune.core.search import top_k
from embertune.core.vectors import Vectors, normalize
from embertune.data.dataset import Dataset
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import parse_metric
from embertune.training.finetune.rows import Negatives

__all__ = ["DevJudge", "vectors_for"]

_DEPTH = 100
_ENCODED = 64


@dataclass(frozen=True)
class DevJudge:
    """The queries of dev and the documents that they are judged among.

    Attributes:
        queries: Texts of the n queries.
        documents: Texts of the m documents.
        document_ids: Their ids.
        judgments: Which of them are relevant.
        triplets: (t, 3) positions of a query, one of its positives and a mined negative.
        metrics: What is measured, "accuracy" (of the triplets) among it; the first decides.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    document_ids: tuple[str, ...]
    judgments: Judgments
    triplets: tuple[tuple[int, int, int], ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(
        cls,
        dev: Dataset,
        base: tuple[Vectors, Vectors],
        negatives: Negatives,
        metrics: Sequence[str],
        *,
        max_documents: int,
    ) -> DevJudge:
        """Choose the documents, and put together what is measured.

        Args:
            dev: Queries with judgements.
            base: Vectors of its queries and of its corpus under the model as it was.
            negatives: Mined for dev; accuracy is measured on them.
            metrics: Names.
            max_documents: Of a larger corpus the relevant documents are kept, then what ranks highest for any query.
        """
        ids = list(dev.corpus)
        rows = _rows(dev, base, ids, max_documents)
        kept = [ids[row] for row in rows]
        judgments = Judgments.from_qrels(dev.qrels, list(dev.queries), kept)
        texts = tuple(dev.corpus[document].content for document in kept)
        place = {text: at for at, text in enumerate(texts)}
        triplets = tuple(
            (query, int(positive), place[text])
            for query, positive in judgments.pairs.tolist()
            for text in negatives.get(list(dev.queries.values())[query], ())
            if text in place
        )
        names = tuple(name for name in metrics if name != "accuracy" or triplets) or ("ndcg@10",)
        return cls(tuple(dev.queries.values()), texts, tuple(kept), judgments, triplets, names)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that is judged on."""
        pairs = self.judgments.pairs.tolist()
        return fingerprint_texts([*self.queries, *self.documents, repr((pairs, self.triplets, self.metrics))])

    def score(self, queries: Vectors, documents: Vectors) -> dict[str, float]:
        """Judge a model by its vectors of `queries` (n, d) and `documents` (m, d), rows of length 1: metric -> mean."""
        ranking = [name for name in self.metrics if name != "accuracy"]
        found = {name: float(values.mean()) for name, values in self._ranked(ranking, queries, documents).items()}
        return {
            name: float(self._ahead(queries, documents).mean()) if name == "accuracy" else found[name]
            for name in self.metrics
        }

    def values(self, queries: Vectors, documents: Vectors) -> npt.NDArray[np.float64]:
        """Give the deciding metric of every query (n,), or of every triplet where that is accuracy; see `score`."""
        name = self.metrics[0]
        if name == "accuracy":
            return self._ahead(queries, documents).astype(np.float64)
        return self._ranked([name], queries, documents)[name]

    def _ranked(self, names: Sequence[str], queries: Vectors, documents: Vectors) -> dict[str, npt.NDArray[np.float64]]:
        if not names:
            return {}
        depth = max(_DEPTH, *(parse_metric(name).k or len(documents) for name in names))
        return evaluate_positions(self.judgments, top_k(queries, documents, depth)[0], names)

    def _ahead(self, queries: Vectors, documents: Vectors) -> npt.NDArray[np.bool_]:
        query, positive, negative = np.array(self.triplets, dtype=np.intp).T
        return np.asarray(np.einsum("ij,ij->i", queries[query], documents[positive] - documents[negative]) > 0)


def vectors_for(model: Any, judge: DevJudge) -> tuple[Vectors, Vectors]:
    """Embed what is judged: queries (n, d) and documents (m, d), rows of length 1.

    Args:
        model: A ``SentenceTransformer``.
        judge: Dev.
    """
    keywords = {"batch_size": _ENCODED, "show_progress_bar": False}
    return (
        normalize(model.encode_query(list(judge.queries), **keywords)),
        normalize(model.encode_document(list(judge.documents), **keywords)),
    )


def _rows(dev: Dataset, base: tuple[Vectors, Vectors], ids: Sequence[str], most: int) -> list[int]:
    if len(ids) <= most:
        return list(range(len(ids)))
    relevant = {document for query in dev.queries for document in dev.positives(query)}
    chosen = {row: None for row, document in enumerate(ids) if document in relevant}
    positions, _ = top_k(base[0], base[1], min(_DEPTH, len(ids)))
    for row in positions.T.ravel().tolist():  # the first of every query, then the second of every query …
        if len(chosen) >= most:
            break
        chosen.setdefault(row, None)
    return sorted(chosen)
