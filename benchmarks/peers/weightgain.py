"""weightgain's recipe (github.com/shobrook/weightgain, `Adapter.py` and `Dataset.py`, April 2025), implemented anew.

It follows OpenAI's cookbook on customising embeddings. One square matrix for both sides, drawn from the normal
distribution; mean squared error of the cosine to +1 for pairs and -1 for as many negatives; plain gradient steps at
rate 100, batches of 100, 100 epochs. Negatives are drawn among all pairs of texts, so that two queries can be one.

Two defects are not copied, in its favour: it trains on a fifth of the data, here on all of train; and the matrix
that it gives out as the best is the last, here it is the one with the best accuracy on dev, which is its own
measure.
"""

import numpy as np
import torch
from job import Adapted, Best, normalize
from torch.nn.functional import cosine_similarity

_EPOCHS, _BATCH, _RATE = 100, 100, 100.0


def _pairs(queries, corpus, pairs, random):
    """Positives and as many negatives: (2p, d), (2p, d), (2p,) of +1 and -1."""
    asked = np.unique(pairs[:, 1])
    texts = np.concatenate([queries, corpus[asked]])
    places = len(queries) + np.searchsorted(asked, pairs[:, 1])
    known = set(zip(pairs[:, 0].tolist(), places.tolist(), strict=True))
    negatives = []
    while len(negatives) < len(pairs):
        one, other = np.sort(random.integers(len(texts), size=2)).tolist()
        if one != other and (one, other) not in known:
            negatives.append((one, other))
    rows = np.concatenate([np.array(sorted(known)), np.array(negatives)])
    labels = np.where(np.arange(len(rows)) < len(known), 1.0, -1.0).astype(np.float32)
    return torch.from_numpy(texts[rows[:, 0]]), torch.from_numpy(texts[rows[:, 1]]), torch.from_numpy(labels)


def accuracy(cosines, labels):
    """Share of pairs told right by "cosine above x", at the best x of 2000 from -1 to 1 (`accuracy_and_stderr`)."""
    thresholds = np.arange(-1000, 1000) / 1000
    right, wrong = np.sort(cosines[labels > 0]), np.sort(cosines[labels < 0])
    told = len(right) - np.searchsorted(right, thresholds, side="right")
    told = told + np.searchsorted(wrong, thresholds, side="right")
    return float(told.max() / len(labels))


def fit(job):
    """Train the matrix; both sides pass through it."""
    random = np.random.default_rng(job.seed)
    one, other, labels = _pairs(job.train_queries, job.corpus, job.train_pairs, random)
    dev_one, dev_other, dev_labels = _pairs(job.dev_queries, job.corpus, job.dev_pairs, random)
    dimension = job.corpus.shape[1]
    matrix = torch.randn(dimension, dimension, requires_grad=True)
    best = Best()
    for epoch in range(1, _EPOCHS + 1):
        for rows in torch.randperm(len(labels)).split(_BATCH):
            cosines = cosine_similarity(one[rows] @ matrix, other[rows] @ matrix)
            torch.mean((cosines - labels[rows]) ** 2).backward()
            with torch.no_grad():
                matrix -= matrix.grad * _RATE
                matrix.grad.zero_()
        with torch.no_grad():
            cosines = cosine_similarity(dev_one @ matrix, dev_other @ matrix)
        best.offer(accuracy(cosines.numpy(), dev_labels.numpy()), matrix.detach().clone().numpy(), epoch)
    queries, documents = (normalize(part @ best.state) for part in (job.test_queries, job.corpus))
    return Adapted(queries, documents, {"epoch": best.at, "dev pair accuracy": best.score})
