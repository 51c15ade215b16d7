"""Are planted label errors among the first that an audit names?

    python benchmarks/audit.py [--data ../shared/data] [--seeds 3]

In every set 5 % of the labelled answers are swapped for random documents, which makes a wrong label and a missing one
each; of queries with several answers, every fifth of the others loses one, which makes a missing label. Precision and
recall of what was planted, at several lengths of the list. What the audit names beside is not always right as labelled:
these sets have errors of their own, so precision is a lower bound. Writes benchmarks/results/audit.json.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from embertune.core.random import generator
from embertune.data.io import load_dataset
from embertune.encoders.registry import load_encoder
from embertune.recipes.audit import audit

HERE = Path(__file__).parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ROWS = [(name, encoder) for name in ("finance10k-lyft", "scifact", "cosqa") for encoder in ("minilm", "static")]
SHARE = 0.05
# Lengths of the list, as multiples of what was planted.
LENGTHS = (0.5, 1, 2, 4)


def plant(data, seed):
    """Give the data with wrong and missing labels, and the pairs that are."""
    random = generator(seed, "plant")
    qrels, documents = {query: dict(grades) for query, grades in data.qrels.items()}, list(data.corpus)
    wrong, missing, ids = set(), set(), list(data.judged)
    swapped = {ids[row] for row in random.choice(len(ids), round(SHARE * len(ids)), replace=False)}
    for query in sorted(swapped):
        answers = data.positives(query)
        right, other = answers[random.integers(len(answers))], documents[random.integers(len(documents))]
        if other in qrels[query]:
            continue
        qrels[query][other] = qrels[query].pop(right)
        wrong.add((query, other))
        missing.add((query, right))
    several = [query for query in ids if len(data.positives(query)) > 1 and query not in swapped]
    for query in several[::5]:
        right = data.positives(query)[0]
        del qrels[query][right]
        missing.add((query, right))
    return replace(data, qrels=qrels), {"wrong": wrong, "missing": missing}


def measure(data, encoder, seed):
    """Plant, audit, and count."""
    changed, planted = plant(data, seed)
    found = audit(changed, encoder, limit=10**9).suspects
    row = {"seed": seed, "labels": found.labels, "estimate": found.estimate}
    for kind, pairs in planted.items():
        named = [(one.query_id, one.document_id) in pairs for one in found.found if one.kind == kind]
        hits = np.cumsum(named)
        at = {str(length): int(hits[min(int(length * len(pairs)), len(hits)) - 1]) for length in LENGTHS}
        row[kind] = {"planted": len(pairs), "hits": at, "named": len(named), "all hits": int(hits[-1])}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    found = []
    for name, encoder in ROWS:
        folder = args.data / name
        source = "static" if encoder == "static" else f"precomputed:{folder / 'all-MiniLM-L6-v2.npz'}"
        loaded = load_encoder(source, **({} if encoder == "static" else {"name": MINILM}))
        data = load_dataset(folder)
        clean = audit(data, loaded, limit=1).suspects.estimate
        runs = [measure(data, loaded, seed) for seed in range(args.seeds)]
        found.append({"set": name, "encoder": encoder, "clean estimate": clean, "runs": runs})
        print(name, encoder, clean, [(run["estimate"], run["wrong"], run["missing"]) for run in runs], flush=True)
    (HERE / "results" / "audit.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
