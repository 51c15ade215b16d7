"""NUDGE (Zeighami et al., ICLR 2025) with its own code from PyPI, `nudge-ft`: document vectors move, queries stay.

Gamma is chosen by its own code on dev: NUDGE-M exactly, NUDGE-N from a grid of 25 by accuracy@1.
"""

import contextlib
import sys

import nudge
from job import Adapted, positives


def _sets(job):
    parts = {}
    for name in ("train", "dev"):
        queries, pairs = getattr(job, f"{name}_queries"), getattr(job, f"{name}_pairs")
        parts[name] = {"q_embs": queries, "q_ans_indx": positives(pairs, len(queries))}
    return parts["train"], parts["dev"]


def fit(job, *, variant):
    """Move the documents.

    Args:
        job: The job.
        variant: "N", whose documents keep length 1, or "M", whose documents do not: its README ranks by dot product.
    """
    tuner = {"N": nudge.NUDGEN, "M": nudge.NUDGEM}[variant]()
    train, dev = _sets(job)
    with contextlib.redirect_stdout(sys.stderr):
        documents = tuner.finetune_embeddings(job.corpus, train, dev)
    moved = int((abs(documents - job.corpus).max(axis=1) > 1e-6).sum())
    return Adapted(job.test_queries, documents, {"documents moved": moved})
