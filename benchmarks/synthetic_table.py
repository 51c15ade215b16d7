"""The tables of queries that were cut out of documents, for tables.py."""

from itertools import groupby

from peers_table import ENCODERS

SOURCES = {
    "labelled": "labelled pairs",
    "default": "synthetic: the default, keywords and sentences in turn for each chunk",
    "default, judged on synthetic queries": "the same, trained and judged on synthetic queries alone",
    "keywords": "synthetic: keywords",
    "crop": "synthetic: crops",
    "cloze": "synthetic: whole sentences",
}


def lines(rows):
    """One line per set, encoder and what was trained on."""
    found = [
        "`python benchmarks/synthetic.py`, one seed, one thread. Every row but those of labelled pairs is tuned on "
        "queries that the offline generator cut out of the corpus, and judged on the given split's test queries, which "
        "people (or a language model: finance10k-lyft) asked. For medquad one query each of 3000 chunks, so by default "
        "keywords alone. Side query: run before side=auto was the default.",
        "",
        "| data | encoder | side | trained on | queries | base | tuned | change, 95 % interval | BM25 | verdict | s |",
        "|---|---|---|---|--:|--:|--:|---|--:|---|--:|",
    ]
    found += [
        f"| {row['set']} | {ENCODERS[row['encoder']]} | {_side(row)} | {SOURCES[row['source']]} | {row['train']} | "
        f"{row['base']:.3f} | {row['tuned']:.3f} | {row['tuned'] - row['base']:+.3f} "
        f"[{row['low']:+.3f}, {row['high']:+.3f}] | {row['bm25']:.3f} | {row['verdict']} | {row['seconds']:.0f} |"
        for row in rows
    ]
    return found


def _side(row):
    """Which sides were tried: only runs with several say so of each setting."""
    return "auto" if any("side" in tried for tried in row["shares"]) else "query"


def short(rows):
    """One line per set and encoder: base, synthetic, labelled."""
    found = [
        "| data | encoder | side | base | tuned on synthetic ones | tuned on labelled pairs | verdict on synthetic |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    for (name, encoder), group in groupby(rows, lambda row: (row["set"], row["encoder"])):
        by = {row["source"]: row for row in group}
        made, labelled = by["default"], by["labelled"]
        found.append(
            f"| {name} | {ENCODERS[encoder]} | {_side(made)} | {made['base']:.3f} | {made['tuned']:.3f} | "
            f"{labelled['tuned']:.3f} | {made['verdict']} |"
        )
    return found
