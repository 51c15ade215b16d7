"""NUDGE (Zeighami et al., ICLR 2025) with its own code from PyPI, `nudge-ft`: document vectors move, queries stay.

Gamma is chosen by its own code on dev: NUDGE-M exactly, NUDGE-N from a grid of 25 by accuracy@1.
"""

import contextlib
import sys

import nudge
import numpy as np
from job import Adapted, positives


def _sets(job):
    parts = {}
    for name in ("train", "dev"):
        queries, pairs = getattr(job, f"{name}_queries"), getattr(job, f"{name}_pairs")
        parts[name] = {"q_embs": queries, "q_ans_indx": positives(pairs, len(queries))}
    return parts["train"], parts["dev"]


def chosen_gamma(variant, moves):
    """Read gamma, which its code keeps to itself, off what it did.

    NUDGE-M moves every document by gamma. NUDGE-N moves none by more than the root of gamma, a multiple of .02, and all
    by that much that do not meet the mean of their queries first.

    Args:
        variant: "N" or "M".
        moves: (m,), how far each document went.
    """
    farthest = float(moves.max())
    return round(farthest**2 / 0.02) * 0.02 if variant == "N" else farthest


def fit(job, *, variant, refit=False):
    """Move the documents.

    Args:
        job: The job.
        variant: "N", whose documents keep length 1, or "M", whose documents do not: its README ranks by dot product.
        refit: Move them once more, with the gamma chosen, by train and dev together.
    """
    tuner = {"N": nudge.NUDGEN, "M": nudge.NUDGEM}[variant]()
    with contextlib.redirect_stdout(sys.stderr):
        documents = tuner.finetune_embeddings(job.corpus, *_sets(job))
        gamma = chosen_gamma(variant, np.linalg.norm(documents - job.corpus, axis=1))
        if refit:
            documents = tuner.finetune_embeddings(job.corpus, *_sets(job.pooled()), gamma=gamma)
    moved = int((abs(documents - job.corpus).max(axis=1) > 1e-6).sum())
    return Adapted(job.test_queries, documents, {"gamma": gamma, "documents moved": moved})
