"""Floor 2: data sets, how they are read, split and checked."""

from __future__ import annotations

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.data.qrels import read_trec_qrels

__all__ = ["Dataset", "Document", "load_dataset", "read_trec_qrels"]
