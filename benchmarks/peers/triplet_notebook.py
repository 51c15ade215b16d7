"""The triplet recipe that notebooks teach, implemented anew.

Source: github.com/ALucek/linear-adapter-embedding, `Linear_Adapter.ipynb`, September 2024.

A linear map of queries with bias, at torch's random start; triplet loss with margin 1 on Euclidean distances; one
random negative per pair and epoch; AdamW at 3e-3 with warm-up over 100 steps, then linear decay; batches of 32;
gradients clipped at 1; 30 epochs. Ranked by cosine, as the notebook's Chroma collection does.

The notebook draws negatives from another company's report; here they are drawn from the corpus, which is harder. It
trains for 1, 10, 20, 30 and 40 epochs and takes the best on the set that it reports; here the best epoch is taken on
dev.
"""

import numpy as np
import torch
from job import Adapted, Best, dev_ndcg, normalize
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

_BATCH, _RATE, _WARMUP, _MARGIN, _CLIP = 32, 3e-3, 100, 1.0, 1.0


def _schedule(steps):
    def factor(step):
        if step < _WARMUP:
            return step / _WARMUP
        return max(0.0, (steps - step) / max(1, steps - _WARMUP))

    return factor


def _apply(adapter, queries):
    with torch.no_grad():
        return normalize(adapter(torch.from_numpy(queries)).numpy())


def fit(job, *, epochs):
    """Train the map of the queries.

    Args:
        job: The job.
        epochs: How many.
    """
    random = np.random.default_rng(job.seed)
    queries, corpus = torch.from_numpy(job.train_queries), torch.from_numpy(job.corpus)
    anchors, documents = torch.from_numpy(job.train_pairs).T
    adapter = nn.Linear(corpus.shape[1], corpus.shape[1])
    criterion = nn.TripletMarginLoss(margin=_MARGIN, p=2)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=_RATE)
    scheduler = LambdaLR(optimizer, _schedule(epochs * -(-len(anchors) // _BATCH)))
    best = Best()
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(anchors)).split(_BATCH):
            negatives = corpus[random.integers(len(corpus), size=len(rows))]
            loss = criterion(adapter(queries[anchors[rows]]), corpus[documents[rows]], negatives)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(adapter.parameters(), _CLIP)
            optimizer.step()
            scheduler.step()
        state = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}
        best.offer(dev_ndcg(job, _apply(adapter, job.dev_queries), job.corpus), state, epoch)
    adapter.load_state_dict(best.state)
    return Adapted(_apply(adapter, job.test_queries), None, {"epoch": best.at, "dev ndcg@10": best.score})
