"""The section on Optuna keeps rows in which tuning is behind, and marks them."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("optuna_table")
    for name in ("optuna_table", "peers_table", "peers"):
        sys.modules.pop(name, None)


def row(name, once, thrice):
    scores = {"base": 0.5, "embertune": 0.6, "optuna 1x": 0.6 - once, "optuna 3x": 0.6 - thrice}
    seeds = [{"cpu": cpu, "optuna 1x": {"trials": 9 * cpu}, "optuna 3x": {"trials": 30 * cpu}} for cpu in (2, 4)]
    return {
        "set": name, "encoder": "static", "split": "given", "optuna": "5.0.0", "seeds": seeds,
        "scores": {method: {"mean": mean} for method, mean in scores.items()},
        "lead": {
            budget: {"mean": lead, "low": lead - 0.01, "high": lead + 0.01}
            for budget, lead in (("1x", once), ("3x", thrice))
        },
    }  # fmt: skip


def test_rows_in_which_optuna_is_ahead_are_there_and_bold(table):
    found = table.lines([row("cosqa", 0.02, -0.004), row("scifact", 0.04, 0.01)])
    assert (
        "| cosqa | static (default) | given | 2 | 0.500 | 0.600 | 0.580 | +0.020 [+0.010, +0.030] | 0.604 | "
        "**-0.004 [-0.014, +0.006]** | 3.0 | 18–36 | 60–120 |"
    ) in found
    assert sum("**-" in line for line in found) == 1
    assert found[-1] == ("Mean gain over base: tune +0.100, Optuna +0.070, with three times the time +0.097.")
