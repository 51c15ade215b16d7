"""Search-Adaptor's objective (Yoon et al., ACL 2024, arXiv 2310.08750), implemented anew: no code was published.

One residual adapter f for both sides, x' = x + f(x), scores s are cosines. The loss is the sum of three parts,
section 4:

* ranking, over documents j, k of a query i with grades y_ij > y_ik: (y_ij - y_ik) log(1 + exp(s_ik - s_ij));
* recovery, weight alpha: the L1 distance of adapted queries and documents from what they were;
* prediction, weight beta: the L1 distance of an adapted query from p(adapted relevant document), p a second network
  that is thrown away after training.

What is not known to us from the paper, and is ours: one hidden layer of the embedding's size with ReLU in f and p,
the last layer of f started at zero; batches of 128 queries, against their positives and 512 documents drawn from the
corpus; every sum as a mean; Adam at 1e-3, at most 1000 steps, stopped after 5 looks at dev, 50 steps apart, without
a gain.

Means instead of sums move the scale of alpha, and much hangs on it: on scifact's dev (MiniLM, base .649) nDCG@10 was
.423 at 0, .638 at .001, .796 at .01 and .654 at .1, and 1e-4 for Adam was worse (.697 at .01). So alpha is chosen on
dev among four, with beta a tenth of it, and the seconds are those of four trainings.
"""

import numpy as np
import torch
from job import Adapted, Best, dev_ndcg, normalize
from torch import nn
from torch.nn import functional

_ALPHAS = (0.001, 0.01, 0.03, 0.1)
_BATCH, _NEGATIVES, _RATE, _STEPS, _LOOK, _PATIENCE = 128, 512, 1e-3, 1000, 50, 5


def _network(dimension):
    return nn.Sequential(nn.Linear(dimension, dimension), nn.ReLU(), nn.Linear(dimension, dimension))


class Adaptor(nn.Module):
    """x + f(x)."""

    def __init__(self, dimension):
        super().__init__()
        self.f = _network(dimension)
        nn.init.zeros_(self.f[2].weight)
        nn.init.zeros_(self.f[2].bias)

    def forward(self, vectors):
        return vectors + self.f(vectors)

    def apply_to(self, vectors):
        with torch.no_grad():
            return normalize(self(torch.from_numpy(vectors)).numpy())


def ranking_loss(scores, grades):
    """Mean over all (i, j, k) with y_ij > y_ik of (y_ij - y_ik) log(1 + exp(s_ik - s_ij)).

    Args:
        scores: (b, c).
        grades: (b, c), 0 where not relevant.
    """
    rows, columns = grades.nonzero(as_tuple=True)
    above = (grades[rows, columns, None] - grades[rows]).clamp(min=0)
    losses = functional.softplus(scores[rows] - scores[rows, columns, None])
    return (above * losses).sum() / (above > 0).sum().clamp(min=1)


def _candidates(rows, grades, m, random):
    """Positives of the batch and documents drawn at random: their rows (c,) and grades (b, c)."""
    found = [document for row in rows for document in grades[row]]
    documents = np.union1d(found, random.integers(m, size=_NEGATIVES)).astype(np.intp)
    table = np.zeros((len(rows), len(documents)), dtype=np.float32)
    for at, row in enumerate(rows):
        table[at, np.searchsorted(documents, list(grades[row]))] = list(grades[row].values())
    return documents, torch.from_numpy(table)


def _recovery(adapted, vectors):
    return (adapted - vectors).abs().sum(dim=1).mean()


def _loss(adaptor, predictor, queries, documents, grades, weights):
    alpha, beta = weights
    new_queries, new_documents = adaptor(queries), adaptor(documents)
    scores = functional.normalize(new_queries) @ functional.normalize(new_documents).T
    loss = ranking_loss(scores, grades)
    loss = loss + alpha * (_recovery(new_queries, queries) + _recovery(new_documents, documents))
    rows, columns = grades.nonzero(as_tuple=True)
    told = (new_queries[rows] - predictor(new_documents[columns])).abs().sum(dim=1)
    return loss + beta * (grades[rows, columns] * told).sum() / grades.sum()


def _train(job, weights, best):
    """Train once; offers to `best` what is better on dev."""
    random = np.random.default_rng(job.seed)
    grades = [{} for _ in job.train_queries]
    for (query, document), grade in zip(job.train_pairs.tolist(), job.train_grades.tolist(), strict=True):
        grades[query][document] = grade
    queries, corpus = torch.from_numpy(job.train_queries), torch.from_numpy(job.corpus)
    adaptor, predictor = Adaptor(corpus.shape[1]), _network(corpus.shape[1])
    optimizer = torch.optim.Adam([*adaptor.parameters(), *predictor.parameters()], lr=_RATE)
    highest, since = -np.inf, 0
    for step in range(1, _STEPS + 1):
        rows = random.choice(len(queries), size=min(_BATCH, len(queries)), replace=False)
        documents, table = _candidates(rows, grades, len(corpus), random)
        optimizer.zero_grad()
        _loss(adaptor, predictor, queries[rows], corpus[documents], table, weights).backward()
        optimizer.step()
        if step % _LOOK:
            continue
        score = dev_ndcg(job, adaptor.apply_to(job.dev_queries), adaptor.apply_to(job.corpus))
        state = {name: tensor.clone() for name, tensor in adaptor.state_dict().items()}
        best.offer(score, state, {"alpha": weights[0], "beta": weights[1], "steps": step})
        highest, since = (score, 0) if score > highest else (highest, since + 1)
        if since == _PATIENCE:
            return


def fit(job):
    """Train the adapter under each alpha; both sides pass through the best."""
    best = Best()
    for alpha in _ALPHAS:
        _train(job, (alpha, alpha / 10), best)
    adaptor = Adaptor(job.corpus.shape[1])
    adaptor.load_state_dict(best.state)
    chosen = {**best.at, "dev ndcg@10": best.score}
    return Adapted(adaptor.apply_to(job.test_queries), adaptor.apply_to(job.corpus), chosen)
