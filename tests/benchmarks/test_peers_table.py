"""The section on peers says what the rows say: who is first, who is level, what was not run."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("peers_table")
    for name in ("peers_table", "peers"):
        sys.modules.pop(name)


def row(peer, gain, *, seed=0, lag=0.0, error=0.01, seen=30, unseen=40, split="given", **told):
    """A row that gained the same on all queries, and trails the first by `lag` with an interval of ± `error`."""
    groups = {"all": seen + unseen, "seen": seen, "unseen": unseen}
    there = [name for name, n in groups.items() if n]
    scores = {name: dict.fromkeys(("ndcg@10", "recall@10", "mrr@10"), 0.5 + gain) if n else {}
              for name, n in groups.items()}  # fmt: skip
    delta = {name: {"mean": gain, "low": gain - 0.02, "high": gain + 0.02, "p": 0.5} for name in there}
    behind = {name: {"first": "x", "mean": lag, "low": lag - error, "high": lag + error} for name in there}
    found = {"set": "scifact", "encoder": "minilm", "split": split, "seed": seed, "peer": peer, "n": groups}
    return found | {"scores": scores, "delta": delta} | ({} if peer == "bm25" else {"behind": behind}) | told


ROWS = [
    row("base", 0.0, lag=0.1),
    row("bm25", 0.2, seconds=0.5),
    row("nudge-n", 0.05, lag=0.05, cpu_seconds=0.25, seconds=9.0, peak_mib=300.4),
    row("llama-index-linear", -0.01, lag=0.11, cpu_seconds=0.125, seconds=9.0, peak_mib=500.0),
    row("embertune-fast", 0.09, lag=0.005, cpu_seconds=0.1, seconds=9.0, peak_mib=60.0, verdict="ship"),
    row("embertune", 0.1, cpu_seconds=2.0, seconds=9.0, peak_mib=90.0, verdict="ship"),
]


def find(lines, start):
    (found,) = [line for line in lines if line.startswith(start)]
    return found


def test_a_block_marks_the_first_and_those_level_with_it(table):
    lines = table.lines(ROWS)
    block = lines[lines.index("### scifact · all-MiniLM-L6-v2 · given") :]
    assert block[2] == "70 test queries, 30 of them on seen documents."
    assert block[6:] == [
        "| base | 0.500 |  | 0.500 | 0.500 | 0.500 | 0.500 |  |  |",
        "| BM25 | 0.700 | +0.200 [+0.180, +0.220] | 0.700 (+0.200) | 0.700 (+0.200) | 0.700 | 0.700 | 0.50 |  |",
        "| nudge-n | 0.550 | +0.050 [+0.030, +0.070] | 0.550 (+0.050) | 0.550 (+0.050) | 0.550 | 0.550 | 0.25 | 300 |",
        "| llama-index-linear | 0.490 | -0.010 [-0.030, +0.010] | 0.490 (-0.010) | 0.490 (-0.010) | 0.490 | 0.490 "
        "| 0.12 | 500 |",
        "| embertune-fast (ship) | **0.590** | +0.090 [+0.070, +0.110] | **0.590** (+0.090) | **0.590** (+0.090) "
        "| 0.590 | 0.590 | 0.10 | 60 |",
        "| embertune (ship) | **0.600** | +0.100 [+0.080, +0.120] | **0.600** (+0.100) | **0.600** (+0.100) "
        "| 0.600 | 0.600 | 2.00 | 90 |",
    ]


def test_the_summary_counts_rows_and_names_the_best(table):
    lines = table.lines(ROWS)
    assert find(lines, "| nudge-n | 1 |") == (
        "| nudge-n | 1 | +0.0500 | +0.1000 | 0 of 1 | 0 of 1 | 0 of 1 | +0.050 | 0 | 0.25 | 0.25 | 300 |"
    )
    assert find(lines, "| llama-index-linear | 1 |").split(" | ")[4:9] == ["0 of 1"] * 3 + ["-0.010", "1"]
    assert find(lines, "| embertune-fast | 1 |").split(" | ")[4:7] == ["1 of 1"] * 3
    assert find(lines, "| BM25 | 1 |").split(" | ")[4:7] == ["–"] * 3
    assert find(lines, "Over the 1 rows") == (
        "Over the 1 rows that all have the mean gain of embertune is +0.1000, that of the best peer, nudge-n, "
        "+0.0500: 2.00 times. embertune-fast takes less CPU time than llama-index-linear in 1 of 1 rows. BM25 is ahead "
        "of every adapter, and of base, in at least one split of: scifact (all-MiniLM-L6-v2)."
    )


def test_peers_that_train_on_train_alone_are_compared_apart(table):
    refit = row("nudge-n-refit", 0.08, lag=0.02, cpu_seconds=0.3)
    told = find(table.lines([*ROWS, refit]), "Over the 1 rows")
    assert "that of the best peer, nudge-n-refit, +0.0800: 1.25 times. Of those that train on train alone" in told
    assert "as their code does, nudge-n gains most, +0.0500: 2.00 times." in told


def test_a_long_list_of_what_is_behind_is_folded(table):
    lags = {"base": 0.0, "embertune": 0.0, "embertune-fast": 0.05}
    rows = [row(peer, 0.0, seed=seed, lag=lag) for peer, lag in lags.items() for seed in range(7)]
    lines = table.lines(rows)
    told = "embertune-fast is behind the first on (set, encoder, split, seed, queries): 21 in all"
    head = f"<details><summary>{told}</summary>"
    start = lines.index(head)
    assert lines[start + 2] == "  * scifact minilm given 0, all: 0.050 behind x"
    assert lines[start + 24] == "</details>"


def test_whole_processes_are_compared_where_both_were_kept(table):
    rows = [one | {"process_cpu_seconds": {"embertune-fast": 2.0, "llama-index-linear": 8.0}[one["peer"]]}
            for one in ROWS[3:5]]  # fmt: skip
    later = [row(one["peer"], 0.0, seed=1, cpu_seconds=1.0) for one in ROWS[3:5]]
    (told,) = [line for line in table.lines([*ROWS[:3], *rows, *ROWS[5:], *later]) if "Of the whole process" in line]
    assert "it takes less in 1 of the 1 rows where that was kept." in told


def test_where_ours_is_behind_is_said(table):
    rows = [
        *ROWS,
        row("embertune-query", 0.07, lag=0.03, unseen=3),
        row("embertune-query", 0.0, lag=0.04, seen=0, split="by-document"),
    ]
    lines = table.lines(rows)
    at = lines.index("* embertune-query is behind the first on (set, encoder, split, seed, queries):")
    assert lines[at + 1 : at + 4] == [
        "  * scifact minilm by-document 0, all: 0.040 behind x",
        "  * scifact minilm given 0, all: 0.030 behind x",
        "  * scifact minilm given 0, seen: 0.030 behind x",
    ]
    assert not any("embertune is behind" in line for line in lines)


def test_what_was_not_run_is_said(table):
    lines = table.lines(ROWS)
    assert find(lines, "| scifact | 1 |") == "| scifact | 1 | not run | not run | not run |"
    assert find(lines, "| medquad |") == "| medquad | not run | not run | not run | not run |"
    absent = [name for name in table.METHODS if name not in {row["peer"] for row in ROWS}]
    assert f"* {', '.join(absent)}: not run." in lines
    lines = table.lines([*ROWS, row("base", 0.0, seed=1)])
    assert find(lines, "* bm25") == "* bm25, nudge-n, llama-index-linear, embertune-fast, embertune: in 1 of 2 rows."
    assert f"* {', '.join(absent)}: not run." in lines
    assert any(line.startswith("| nudge-n, 1 of 2 splits |") for line in lines)
    assert not any(line.startswith("Over the") for line in lines)


def test_seeds_are_averaged_and_a_method_is_level_only_if_it_is_in_each(table):
    seeds = [row("base", 0.0, seed=seed, lag=0.05 * seed, seen=0, split="by-document") for seed in (0, 1)]
    lines = table.lines([*seeds, *(row("embertune", 0.1 * (seed + 1), seed=seed, seen=0, split="by-document",
                                       verdict=("ship", "no-gain")[seed]) for seed in (0, 1))])  # fmt: skip
    assert "40 test queries, 0 of them on seen documents, mean of 2 splits." in lines
    assert "| base | 0.500 |  | – | 0.500 | 0.500 | 0.500 |  |  |" in lines
    assert find(lines, "| embertune (ship, no-gain) |") == (
        "| embertune (ship, no-gain) | **0.650** | +0.150 [+0.130, +0.170] | – | **0.650** (+0.150) | 0.650 | 0.650 "
        "|  |  |"
    )
    assert find(lines, "| base | 2 |").split(" | ")[4:7] == ["1 of 2", "0 of 0", "1 of 2"]


def test_a_failure_and_a_group_of_few_are_told(table):
    failed = {key: value for key, value in row("weightgain", 0.0).items() if key in ("set", "encoder", "split", "seed")}
    lines = table.lines([*ROWS, failed | {"peer": "weightgain", "error": "MemoryError: 9 TiB"}])
    assert "| weightgain | failed: MemoryError: 9 TiB |  |  |  |  |  |  |  |" in lines
    assert "1 row failed; its block says how." in lines
    few = [row("base", 0.0, unseen=1), row("nudge-n", -0.5, unseen=1)]
    assert find(table.lines(few), "| nudge-n | 1 |").split(" | ")[4:7] == ["1 of 1", "1 of 1", "0 of 0"]
