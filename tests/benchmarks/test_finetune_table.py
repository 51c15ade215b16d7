"""The tables of fine-tuning keep rows in which it is behind, and say what was set."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("finetune_table")
    sys.modules.pop("finetune_table")


def system(name, score, seconds, change=None):
    delta = None if change is None else {"mean": change, "low": change - 0.01, "high": change + 0.01}
    return {"system": name, "ndcg@10": score, "change": delta, "seconds": seconds, "dollars": seconds / 36000}


ROW = {
    "data": "cosqa", "split": "given", "changes": ["precision=bf16"], "model": "tiny", "primary": "ndcg@10",
    "counts": {"train": 400, "dev": 100, "test": 500, "documents": 6267}, "step": [13, 52], "rows": 400,
    "clock": "processor", "machine": "x86_64, Linux, 1 thread(s)", "seconds": {"total": 900.4},
    "verdict": {"code": "no-gain"},
    "contest": {
        "sentence": "The adapter beats fine-tuning.",
        "rows": [
            system("base", 0.5, 0.0), system("bm25", 0.4, 0.0), system("adapter", 0.6, 3.4, 0.1),
            system("tuned", 0.55, 360.0, 0.05), system("tuned + adapter", 0.56, 365.0, 0.06),
        ],
    },
}  # fmt: skip


def test_a_row_that_loses_stays_with_its_settings_and_its_costs(table):
    found = table.lines([ROW], None)
    assert "| adapter | 0.600 | +0.100 [+0.090, +0.110] | 3 | 0.0001 |" in found
    assert "| fine-tuned | 0.550 | +0.050 [+0.040, +0.060] | 360 | 0.0100 |" in found
    assert "| BM25 | 0.400 | – | 0 | 0.0000 |" in found
    (said,) = [line for line in found if line.startswith("**cosqa, by query**")]
    assert "settings other than the defaults: precision=bf16; kept step 13 of 52" in said
    assert "seconds of processor time, x86_64, Linux, 1 thread(s), 900 in all. Verdict: no-gain." in said


def test_the_guide_has_one_line_for_each_set(table):
    found = table.short([ROW], None)
    assert (
        "| cosqa | by query | precision=bf16 | 0.500 | 0.400 | 0.600 +0.100 [+0.090, +0.110] | "
        "0.550 +0.050 [+0.040, +0.060] | 0.560 +0.060 [+0.050, +0.070] | 3, 360 |"
    ) in found
    assert "* cosqa, by query, precision=bf16: The adapter beats fine-tuning." in found


def test_parity_says_how_far_apart(table):
    side = {"loss": [1.0, 0.5], "metrics": {"ndcg@10": 0.5}}
    parity = {"settings": {"steps": 2, "batch_size": 16, "max_seq_length": 64}, "ours": side, "plain": side}
    assert (
        "the losses of all steps are equal, nDCG@10 and MRR@10 of its own evaluator equal."
        in table.lines([], parity)[-2]
    )
    other = {"loss": [1.0, 0.6], "metrics": {"ndcg@10": 0.5}}
    assert "the losses of all steps are within 1e-01" in table.lines([], {**parity, "plain": other})[-2]
