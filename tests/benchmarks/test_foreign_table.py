"""The section on foreign queries names every row that loses more than the verdict allows."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("foreign_table")
    for name in ("foreign_table", "peers_table"):
        sys.modules.pop(name, None)


def row(foreign, change, *, side="auto", gates=("document_gate", "gate"), named=0.0, own=0.1, how=""):
    found = {"own": "medquad", "encoder": "static", "side": side, "foreign": foreign, "n": 500, "base": 0.5}
    interval = {"change": change, "low": change - 0.01, "high": change + 0.01}
    told = {"n": 250, "change": named, "low": named - 0.01, "high": named + 0.01, "own_change": own, "how": how}
    return found | interval | {"own_change": 0.1, "maps": "both", "gates": list(gates), "named": told}


def test_rows_below_the_bound_are_counted_and_bold(table):
    rows = [
        row("scifact", -0.0101, named=-0.02, own=0.08, how="such gates"),
        row("cosqa", -0.01, own=0.09, how="such gates"),
        row("squad-dev", 0.02),
        row("cosqa", -0.002, side="query"),
    ]
    found = table.lines(rows)
    assert (
        "| static (default) | auto | 3 | -0.0000 | -0.0101 (medquad → scifact) | 1 | -0.0067 | "
        "-0.0200 (medquad → scifact) | 1 | 2 | -0.0150, -0.020 at most |"
    ) in found
    assert (
        "| static (default) | query | 1 | -0.0020 | -0.0020 (medquad → cosqa) | 0 | +0.0000 | "
        "+0.0000 (medquad → cosqa) | 0 | 0 | nothing |"
    ) in found
    bold = [line for line in found if line.startswith("| medquad") and "**" in line]
    assert len(bold) == 1
    assert (
        "| queries, documents | scifact | 500 | 0.500 | **-0.0101 [-0.020, -0.000]** | 250 | "
        "**-0.0200 [-0.030, -0.010]** | +0.080 | such gates |"
    ) in bold[0]


def test_no_gate_is_said(table):
    assert "| both | none | cosqa |" in table.lines([row("cosqa", 0.0, gates=())])[-1]
