"""Embertune's fine-tuning beside plain sentence-transformers with the same settings: loss curve and final metrics.

    python benchmarks/finetune_parity.py MODEL [DATA] [--steps 12]

MODEL is a sentence-transformers folder or name, DATA a BEIR folder (default: ../shared/data/finance10k-lyft). The plain
code is what sentence-transformers' documentation shows, with its own InformationRetrievalEvaluator. Exits with 1 where
the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from embertune.core.vectors import normalize
from embertune.data.io import load_dataset
from embertune.recipes.finetune_data import split_data
from embertune.training.finetune.config import EvaluationConfig, FinetuneConfig, MiningSettings
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.rows import make_rows
from embertune.training.finetune.trainer import train

ROOT = Path(__file__).parents[1]
BATCH, LENGTH = 16, 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", nargs="?", default=str(ROOT.parent / "shared" / "data" / "finance10k-lyft"))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, help="Write what was found as JSON.")
    arguments = parser.parse_args()
    parts = split_data(load_dataset(arguments.data), FinetuneConfig())
    train_part = parts.train.select(list(parts.train.queries)[: BATCH * arguments.steps])
    config = FinetuneConfig(
        model_name=arguments.model,
        num_epochs=1,
        batch_size=BATCH,
        max_seq_length=LENGTH,
        mining=MiningSettings(num_negatives=0),
        evaluation=EvaluationConfig(metrics=("ndcg@10", "mrr@10"), save_best_model=False),
        tracking=(),
    )
    rows = make_rows(train_part, {}, config)
    found = {"ours": ours(rows, parts, config), "plain": plain(rows, parts, config)}
    same = found["ours"]["loss"] == found["plain"]["loss"]
    gaps = {
        name: abs(found["ours"]["metrics"][name] - found["plain"]["metrics"][name]) for name in ("ndcg@10", "mrr@10")
    }
    for step, pair in enumerate(zip(found["ours"]["loss"], found["plain"]["loss"], strict=True), start=1):
        print(f"step {step:3}  loss  ours {pair[0]:.6f}  plain {pair[1]:.6f}")
    for name in gaps:
        print(f"{name:8}  ours {found['ours']['metrics'][name]:.6f}  plain {found['plain']['metrics'][name]:.6f}")
    print("the same" if same and max(gaps.values()) < 1e-6 else "they differ")
    if arguments.out:
        told = {"settings": {"steps": arguments.steps, "batch_size": BATCH, "max_seq_length": LENGTH}, **found}
        arguments.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if same and max(gaps.values()) < 1e-6 else 1)


def ours(rows, parts, config):
    nothing = np.zeros((len(parts.dev.queries), 1), np.float32), np.zeros((len(parts.dev.corpus), 1), np.float32)
    judge = DevJudge.of(parts.dev, nothing, {}, config.dev_metrics, max_documents=10**9)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(rows, judge, config, Path(folder))
    queries = normalize(trained.model.encode_query(list(judge.queries), show_progress_bar=False))
    documents = normalize(trained.model.encode_document(list(judge.documents), show_progress_bar=False))
    return {
        "loss": [entry["loss"] for entry in trained.curve if "loss" in entry],
        "metrics": judge.score(queries, documents),
    }


def plain(rows, parts, config):
    """What the documentation of sentence-transformers shows."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    model = SentenceTransformer(config.model_name)
    model.max_seq_length = LENGTH
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH,
                learning_rate=config.learning_rate,
                weight_decay=config.weight_decay,
                warmup_steps=config.warmup_ratio,
                batch_sampler="no_duplicates",
                seed=config.seed,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(rows.columns),
            loss=MultipleNegativesRankingLoss(model),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    evaluator = InformationRetrievalEvaluator(
        queries=dict(parts.dev.queries),
        corpus={document_id: document.content for document_id, document in parts.dev.corpus.items()},
        relevant_docs={query: set(parts.dev.positives(query)) for query in parts.dev.queries},
        ndcg_at_k=[10],
        mrr_at_k=[10],
    )
    scores = evaluator(model)
    return {
        "loss": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "metrics": {"ndcg@10": float(scores["cosine_ndcg@10"]), "mrr@10": float(scores["cosine_mrr@10"])},
    }


if __name__ == "__main__":
    main()
