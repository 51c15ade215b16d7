"""What every peer gets and gives: frozen vectors with labels in, adapted vectors out. Test labels are not in here."""

from dataclasses import dataclass, field, fields, replace

import numpy as np

# Rows of a score matrix held at a time; 512 x 20 000 float32 are 40 MB.
_BLOCK = 512


@dataclass(frozen=True)
class Job:
    """One split of one data set.

    Attributes:
        train_queries: (n, d), rows of length 1.
        train_pairs: (p, 2), row of a training query and row of a document that is relevant to it.
        train_grades: (p,), above 0.
        dev_queries: (k, d); dev_pairs and dev_grades likewise. For choosing only.
        test_queries: (t, d), to be adapted.
        corpus: (m, d), rows of length 1.
        seed: Of everything random.
    """

    train_queries: np.ndarray
    train_pairs: np.ndarray
    train_grades: np.ndarray
    dev_queries: np.ndarray
    dev_pairs: np.ndarray
    dev_grades: np.ndarray
    test_queries: np.ndarray
    corpus: np.ndarray
    seed: int

    @classmethod
    def read(cls, path):
        with np.load(path) as file:
            parts = {name.name: file[name.name] for name in fields(cls)}
        return cls(**parts | {"seed": int(parts["seed"])})

    def pooled(self):
        """Give the same job with dev among the training data: what `embertune.tune` fits on when it has chosen."""
        shift = np.array([len(self.train_queries), 0])
        return replace(
            self,
            train_queries=np.concatenate([self.train_queries, self.dev_queries]),
            train_pairs=np.concatenate([self.train_pairs, self.dev_pairs + shift]),
            train_grades=np.concatenate([self.train_grades, self.dev_grades]),
        )


@dataclass(frozen=True)
class Adapted:
    """What a peer made; the judge ranks by dot product.

    Attributes:
        queries: (t, d), the test queries.
        documents: (m, d); None where the peer leaves documents alone.
        chosen: What was chosen on dev, and what dev gave.
    """

    queries: np.ndarray
    documents: np.ndarray | None = None
    chosen: dict = field(default_factory=dict)


def normalize(vectors):
    """For peers whose users rank by cosine."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def positives(pairs, n):
    """Per query, the rows of its relevant documents."""
    found = [[] for _ in range(n)]
    for query, document in pairs.tolist():
        found[query].append(document)
    return found


def dev_ndcg(job, queries, documents, k=10):
    """Mean nDCG@10 on dev with linear gains (Järvelin and Kekäläinen 2002), for peers without a choice of their own.

    Args:
        job: Whose dev labels count.
        queries: (k, d), the dev queries as adapted.
        documents: (m, d), the corpus as adapted.
    """
    k = min(k, len(documents))
    discounts = 1 / np.log2(np.arange(2, k + 2))
    grades = [{} for _ in queries]
    for (query, document), grade in zip(job.dev_pairs.tolist(), job.dev_grades.tolist(), strict=True):
        grades[query][document] = grade
    total = 0.0
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ documents.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        ranked = np.take_along_axis(best, order, axis=1)
        for known, row in zip(grades[start : start + _BLOCK], ranked.tolist(), strict=True):
            gains = np.array([known.get(document, 0.0) for document in row])
            ideal = np.sort(list(known.values()))[::-1][:k]
            total += (gains @ discounts) / (ideal @ discounts[: len(ideal)])
    return total / len(queries)


class Best:
    """The best state on dev so far; the first of equals stays."""

    def __init__(self):
        self.score, self.state, self.at = -np.inf, None, None

    def offer(self, score, state, at):
        """Keep a state if it scored higher; `state` must be a copy."""
        if score > self.score:
            self.score, self.state, self.at = float(score), state, at
