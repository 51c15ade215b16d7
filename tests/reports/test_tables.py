"""The tables hold the record's numbers, the base first, the losers too."""

from __future__ import annotations

import re

import pytest

from embertune.reports.tables import blocks, latex_table, markdown_table, remarks, text_table


@pytest.fixture
def small(record):
    """Two metrics, one that gains and one that loses, with round numbers."""
    delta = {"mean": 0.1, "low": 0.05, "high": 0.15, "p": 0.0002, "wins": 7, "ties": 2, "losses": 1}
    loss = {"mean": -0.0123, "low": -0.02, "high": -0.001, "p": 0.03, "wins": 1, "ties": 5, "losses": 4}
    part = {
        "base": {"mrr@10": 0.5, "ndcg@10": 0.4},
        "tuned": {"mrr@10": 0.4877, "ndcg@10": 0.5},
        "delta": {"mrr@10": loss, "ndcg@10": delta},
    }
    record |= {"metrics": ["mrr@10", "ndcg@10"], **part, "baselines": {"bm25": {"mrr@10": 0.45, "ndcg@10": 0.55}}}
    record["counts"]["test"] = 10
    record["groups"] = {"seen": {"n": 10, **part}, "unseen": {"n": 0, "base": {}, "tuned": {}, "delta": {}}}
    return record


def test_text(small):
    assert text_table(small) == (
        "finance10k-lyft · static/wordllama-l2_supercat_256 (256 dimensions)\n\n"
        "all 10 test queries\n"
        "metric    base   BM25  tuned  change     95 % interval       p  w/t/l\n"
        "ndcg@10  0.400  0.550  0.500  +0.100  +0.050 to +0.150  <0.001  7/2/1\n"
        "mrr@10   0.500  0.450  0.488  -0.012  -0.020 to -0.001   0.030  1/5/4\n\n"
        "documents with training queries (seen): 10 test queries\n"
        "metric    base  tuned  change     95 % interval       p  w/t/l\n"
        "ndcg@10  0.400  0.500  +0.100  +0.050 to +0.150  <0.001  7/2/1\n"
        "mrr@10   0.500  0.488  -0.012  -0.020 to -0.001   0.030  1/5/4\n\n"
        "documents without training queries (unseen): no test queries\n\n"
        "other queries, 238 of xquad-en over the corpora of both\n"
        "ndcg@10 0.948 → 0.944, -0.004 [-0.009, +0.001]\n\n"
        "BM25 alone has the higher ndcg@10 here: 0.550, tuned 0.500."
    )


def test_markdown(small):
    lines = markdown_table(small).splitlines()
    assert "| metric | base | BM25 | tuned | change | 95 % interval | p | w/t/l |" in lines
    assert "| ndcg@10 | 0.400 | 0.550 | 0.500 | **+0.100** | +0.050 to +0.150 | <0.001 | 7/2/1 |" in lines
    assert "| mrr@10 | 0.500 | 0.450 | 0.488 | **-0.012** | -0.020 to -0.001 | 0.030 | 1/5/4 |" in lines
    assert "**Documents without training queries (unseen): no test queries**" in lines
    assert (
        "Other queries, 238 of xquad-en over the corpora of both: ndcg@10 0.948 → 0.944, -0.004 [-0.009, +0.001]."
    ) in lines


def test_latex(small):
    text = latex_table(small)
    assert r"ndcg@10 & 0.400 & 0.550 & 0.500 & $\mathbf{+0.100}$ & $+0.050$ to $+0.150$ & $<$0.001 & 7/2/1 \\" in text
    assert r"95 \% interval" in text
    # every line of cells has as many columns as the tabular
    assert {line.count("&") for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line} == {7}


def test_names_cannot_break_out_of_markdown_or_latex(small):
    name = "my_set|50%&${x}"
    small["baselines"] = {name: {"mrr@10": 0.1, "ndcg@10": 0.1}}
    assert r"| my_set\|50%&${x} |" in markdown_table(small)
    assert r"my\_set|50\%\&\$\{x\}" in latex_table(small)


def test_an_interval_that_holds_zero_is_not_bold(make_record):
    record = make_record("no-gain")
    assert all(row.direction == 0 for block in blocks(record) for row in block.rows)
    assert not re.search(r"\*\*[+-]?0\.", markdown_table(record))


def test_unknown_numbers_are_dashes(degenerate):
    row = blocks(degenerate)[0].rows[0]
    assert row.cells == {
        "base": "0.000", "tuned": "0.000", "change": "0.000", "95 % interval": "–", "p": "–", "w/t/l": "–",
    }  # fmt: skip


@pytest.mark.parametrize("baselines", [0, 1, 4, 5, 9])
def test_text_fits_a_terminal_whatever_the_number_of_baselines(record, baselines):
    record["baselines"] = {f"baseline{at}": dict(record["base"]) for at in range(baselines)}
    record["data"]["name"] = record["foreign"]["name"] = "a very long name of a data set " * 5
    lines = text_table(record).splitlines()
    assert max(map(len, lines)) <= 100
    assert "95 % interval" in lines[3]
    assert all(f"baseline{at}" in text_table(record) for at in range(baselines))


def test_a_baseline_that_is_better_is_named(record):
    assert remarks(record) == []
    record["baselines"]["bm25"]["ndcg@10"] = 0.8
    note = f"BM25 alone has the higher ndcg@10 here: 0.800, tuned {record['tuned']['ndcg@10']:.3f}."
    assert remarks(record) == [note]
    assert text_table(record).endswith(note)
    record["baselines"]["bm25"] = {}
    assert remarks(record) == []


def test_a_candidate_that_was_not_kept_is_called_so(record):
    record["candidate"] = record["adapter"]
    note = '"tuned" is the candidate that was measured and not kept: the saved adapter is the identity.'
    assert note not in text_table(record)
    record["adapter"] = {"type": "identity", "side": "none"}
    assert note in text_table(record)
    assert note in markdown_table(record)


def test_without_other_queries_nothing_is_said_of_them(degenerate):
    assert "other queries" not in text_table(degenerate) + markdown_table(degenerate).lower()
