"""Floor 2: data sets, how they are read, split and checked."""

from __future__ import annotations

from embertune.data.chunking import ChunkBy, chunk_documents
from embertune.data.dataset import Dataset, Document
from embertune.data.guard import Guard, false_negatives
from embertune.data.inspect import Inspection, SplitOutlook, Spread, inspect_dataset
from embertune.data.io import load_dataset
from embertune.data.leakage import Leakage, LeakedPair, find_leakage
from embertune.data.log_config import LogConfig
from embertune.data.margins import Margins
from embertune.data.negatives import MiningConfig, Negatives, mine_hard_negatives, random_negatives
from embertune.data.origin import Origin
from embertune.data.passages import passages_from_text
from embertune.data.qrels import read_trec_qrels
from embertune.data.quality import FilterConfig
from embertune.data.sources.base import Heading, SourceText
from embertune.data.sources.reader import Sources, read_documents
from embertune.data.splits import Split, SplitMethod, folds, seen_queries, split_dataset
from embertune.data.synthesis.base import Chunk, QueryGenerator, SyntheticQuery
from embertune.data.synthesis.extractive import ExtractiveGenerator
from embertune.data.texts import normalize_text

__all__ = [
    "Chunk",
    "ChunkBy",
    "Dataset",
    "Document",
    "ExtractiveGenerator",
    "FilterConfig",
    "Guard",
    "Heading",
    "Inspection",
    "Leakage",
    "LeakedPair",
    "LogConfig",
    "Margins",
    "MiningConfig",
    "Negatives",
    "Origin",
    "QueryGenerator",
    "SourceText",
    "Sources",
    "Split",
    "SplitMethod",
    "SplitOutlook",
    "Spread",
    "SyntheticQuery",
    "chunk_documents",
    "false_negatives",
    "find_leakage",
    "folds",
    "inspect_dataset",
    "load_dataset",
    "mine_hard_negatives",
    "normalize_text",
    "passages_from_text",
    "random_negatives",
    "read_documents",
    "read_trec_qrels",
    "seen_queries",
    "split_dataset",
]
