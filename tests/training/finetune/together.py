"""Trainings in one process or several, for the tests: python together.py MODEL FOLDER ROWS_A_PROCESS CASE ....

FOLDER/RANK.json gets, by case, the losses of all steps, the metrics of dev, and sums of the weights that came out.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from embertune.data.dataset import Dataset
from embertune.training.finetune import processes
from embertune.training.finetune.config import EvaluationConfig, FinetuneConfig, LossConfig, MiningSettings
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.rows import make_rows
from embertune.training.finetune.trainer import train

PAIRS = [(f"where is the cat {n}", f"river {n}") for n in range(48)]
SCORED = [(*pair, 1.0 - at % 3 / 4) for at, pair in enumerate(PAIRS)]
CASES = {
    "mnrl": {},
    "matryoshka": {"dims": (8,)},
    "cached_mnrl": {},
    "triplet": {},
    "cosent": {},
    "margin_mse": {},
    "mean_margin": {},
    "accumulated": {"gradient_accumulation_steps": 2},
    "query_only": {"query_only": True, "gradient_accumulation_steps": 2},
    "lora": {"lora": 4},
}


class Interrupted(Exception):
    """Stands for what ends a training from outside."""


def run(model, case, folder, batch_size, progress=lambda *step: None):
    """Train two epochs; dev is judged after each."""
    changes = dict(CASES[case])
    name = case if case in ("cached_mnrl", "triplet", "cosent", "margin_mse", "mean_margin") else "mnrl"
    loss = LossConfig(name=name, matryoshka_dims=changes.pop("dims", ()), mini_batch_size=3)
    # With negatives beside them no eight rows would be without a text that occurs twice.
    mining = MiningSettings(num_negatives=0 if "mnrl" in name else 2)
    config = FinetuneConfig(
        model_name=str(model), num_epochs=2, batch_size=batch_size, learning_rate=1e-3, tracking=(), save_steps=3,
        loss=loss, mining=mining, evaluation=EvaluationConfig(metrics=("mrr",)), **changes,
    )  # fmt: skip
    data = Dataset.from_scored_pairs(SCORED) if name == "cosent" else Dataset.from_pairs(PAIRS)
    rows = make_rows(data, {}, config, teacher=lambda pairs: [float(len(text)) for _, text in pairs])
    nothing = np.zeros((len(data.queries), 1), np.float32), np.zeros((len(data.corpus), 1), np.float32)
    judge = DevJudge.of(data, nothing, {}, config.dev_metrics, max_documents=100)
    return train(rows, judge, config, Path(folder), progress=progress)


def told(trained):
    """What two trainings are compared by."""
    weights = {name: each.double().abs().sum().item() for name, each in trained.model.state_dict().items()}
    return {"curve": trained.curve, "step": trained.step, "steps": trained.steps, "weights": weights}


def interrupted(model, folder, batch_size):
    """Train until the fourth step, and then once more in the same folder."""

    def stop(stage, done, total=None, note=""):
        if stage == "train" and done == 4:
            raise Interrupted

    try:
        run(model, "mnrl", folder, batch_size, stop)
    except Interrupted:
        return run(model, "mnrl", folder, batch_size)
    raise AssertionError("It was not interrupted.")


if __name__ == "__main__":
    model, place, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    found = {case: told(run(model, case, place / case, batch)) for case in sys.argv[4:]}
    found["resumed"] = told(interrupted(model, place / "resumed", batch))
    found["asked"] = processes.from_main(os.getpid)
    try:
        processes.from_main(lambda: 1 / 0)
    except (ZeroDivisionError, SystemExit) as error:
        found["failed"] = type(error).__name__
    (place / f"{os.environ.get('RANK', '0')}.json").write_text(json.dumps(found), encoding="utf-8")
