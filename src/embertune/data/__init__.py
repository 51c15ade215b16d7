"""Floor 2: data sets, how they are read, split and checked."""

from __future__ import annotations

from embertune.data.dataset import Dataset, Document
from embertune.data.inspect import Inspection, SplitOutlook, Spread, inspect_dataset
from embertune.data.io import load_dataset
from embertune.data.leakage import Leakage, LeakedPair, find_leakage
from embertune.data.qrels import read_trec_qrels
from embertune.data.splits import Split, SplitMethod, folds, seen_queries, split_dataset
from embertune.data.texts import normalize_text

__all__ = [
    "Dataset",
    "Document",
    "Inspection",
    "Leakage",
    "LeakedPair",
    "Split",
    "SplitMethod",
    "SplitOutlook",
    "Spread",
    "find_leakage",
    "folds",
    "inspect_dataset",
    "load_dataset",
    "normalize_text",
    "read_trec_qrels",
    "seen_queries",
    "split_dataset",
]
