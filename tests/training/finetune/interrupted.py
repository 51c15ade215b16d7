"""A training in a process of its own, for a test that kills it: python interrupted.py MODEL FOLDER."""

import sys
from pathlib import Path

from embertune.data.dataset import Dataset
from embertune.training.finetune.config import EvaluationConfig, FinetuneConfig, LossConfig
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.rows import make_rows
from embertune.training.finetune.trainer import train

DATA = Dataset.from_pairs([(f"where is the cat {n}", f"river {n}") for n in range(60)])


def run(model, folder, progress=lambda *step: None):
    """Train 45 steps: three epochs, a checkpoint at every step, dev judged every seven."""
    import numpy as np

    config = FinetuneConfig(
        model_name=str(model), num_epochs=3, batch_size=4, learning_rate=1e-3, tracking=(), save_steps=1,
        loss=LossConfig(matryoshka_dims=(8,)), evaluation=EvaluationConfig(metrics=("mrr",), eval_steps=7),
    )  # fmt: skip
    vectors = np.eye(60, dtype=np.float32)
    judge = DevJudge.of(DATA, (vectors, vectors), {}, config.dev_metrics, max_documents=60)
    return train(make_rows(DATA, {}, config), judge, config, Path(folder), progress=progress)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
