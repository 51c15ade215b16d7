"""Tune every shared set through the command line and keep what each record says.

    python benchmarks/reach.py [--data ../shared/data] [--only finance10k-lyft] [--seeds 3]

Writes benchmarks/results/reach.json; ``python benchmarks/tables.py`` makes the tables of README and docs from it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from embertune.data.io import load_dataset

HERE = Path(__file__).parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"

# set, encoder, split, base and best figure of the first study (nDCG@10 on test, one split each)
ROWS = [
    ("finance10k-lyft", "minilm", "given", 0.656, 0.688),
    ("finance10k-lyft", "minilm", "study", 0.595, 0.651),
    ("finance10k-lyft", "static", "given", 0.455, 0.672),
    ("finance10k-lyft", "static", "study", 0.551, 0.669),
    ("xquad-en", "minilm", "given", 0.957, 0.966),
    ("xquad-en", "minilm", "study", 0.923, 0.926),
    ("cosqa", "minilm", "given", 0.593, 0.605),
    ("cosqa", "minilm", "study", 0.615, 0.623),
    ("scifact", "minilm", "given", 0.645, 0.745),
    ("scifact", "minilm", "study", 0.665, 0.670),
    ("scifact", "static", "given", 0.513, 0.696),
    ("cranfield", "minilm", "given", 0.420, 0.420),
    ("cranfield", "static", "given", 0.372, 0.393),
]


def study_split(folder, target):
    """Write the set with the split by document that the first study used; it gives the study's base figures.

    Documents with a relevant query, in corpus order, are permuted by numpy's generator 0 and cut 60 / 20 / 20; a query
    belongs to a part if all its relevant documents do, and is left out otherwise.
    """
    data = load_dataset(folder)
    asked = {document for query in data.qrels for document in data.positives(query)}
    documents = [document for document in data.corpus if document in asked]
    order = [documents[at] for at in np.random.default_rng(0).permutation(len(documents))]
    borders = int(0.6 * len(order)), int(0.8 * len(order))
    part_of = {d: "train" if at < borders[0] else "dev" if at < borders[1] else "test" for at, d in enumerate(order)}
    parts = {}
    for query in data.qrels:
        found = {part_of[document] for document in data.positives(query)}
        if len(found) == 1:
            parts[query] = found.pop()
    replace(data.select(parts), parts=parts).save(target)


def tune(folder, encoder, split, seed, side):
    """Run the command line in a process of its own and give its record."""
    with tempfile.TemporaryDirectory() as out:
        vectors = folder / "all-MiniLM-L6-v2.npz"
        if split == "study":
            study_split(folder, Path(out) / "data")
            folder, split = Path(out) / "data", "given"
        name = ["--encoder", "static"]
        if encoder == "minilm":
            name = ["--encoder", f"precomputed:{vectors}", "--encoder-name", MINILM]
        command = [
            sys.executable, "-m", "embertune", "tune", str(folder), *name, "--split", split, "--seed", str(seed),
            "--side", side, "--out", f"{out}/adapter", "--json",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        return json.loads(done.stdout)


def summary(record):
    """Keep what the tables need."""
    delta = record["delta"]["ndcg@10"]
    return {
        "base": record["base"]["ndcg@10"],
        "tuned": record["tuned"]["ndcg@10"],
        "bm25": record["baselines"]["bm25"]["ndcg@10"],
        "low": delta["low"],
        "high": delta["high"],
        "p": delta["p"],
        "groups": {
            name: {"n": group["n"], "mean": group["delta"]["ndcg@10"]["mean"] if group["n"] else None}
            for name, group in record["groups"].items()
        },
        "verdict": record["verdict"]["code"],
        "shares": [{**tried["params"], "share": tried["weight"]} for tried in record["selection"]["candidates"]],
        "seeds": [run["delta"] for run in record["selection"]["seeds"]],
        "seconds": record["seconds"],
        "fingerprint": record["data"]["fingerprint"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--only", help="one set")
    parser.add_argument("--seeds", type=int, default=3, help="splits by document per row")
    parser.add_argument("--side", default="auto", choices=["auto", "query", "both"], help="auto is what tune does")
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    results = []
    for name, encoder, split, base, study in ROWS:
        if args.only in (None, name):
            kinds = [("study", 0), *(("by-document", seed) for seed in range(args.seeds))]
            for kind, seed in kinds if split == "study" else [(split, 0)]:
                row = summary(tune(args.data / name, encoder, kind, seed, args.side))
                known = {"base": base, "tuned": study} if kind == split else None
                results.append({"set": name, "encoder": encoder, "split": kind, "seed": seed, "side": args.side,
                                "study": known, **row})  # fmt: skip
                print(f"{name:16} {encoder:7} {kind:12} {seed} {row['base']:.3f} → {row['tuned']:.3f} "
                      f"[{row['low']:+.3f}, {row['high']:+.3f}] {row['verdict']:16} study {known} "
                      f"{row['seconds']['total']:.1f} s", flush=True)  # fmt: skip
    if args.only is None:
        target = HERE / "results" / ("reach.json" if args.side == "auto" else f"reach-{args.side}.json")
        target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
