"""Tune on the job that the peers get, in a process of its own, so that time and peak memory are its own.

    python benchmarks/peers/ours.py --job JOB.npz --peer embertune --out FOLDER --data BEIR --vectors NPZ --split given

Runs in Embertune's environment. It is `embertune.tune` as a user calls it, but for one seed. What is judged is what was
trained on the split, whatever the verdict says of serving it; the verdict stands in the row. Writes what
``benchmarks/peers/run.py`` writes. Seconds are those of choosing and fitting, from vectors until the test is opened; in
CPU seconds is the search for near-copies across the split, too. Peak memory is read at that moment, data and vectors in
it. ``benchmarks/peers.py`` calls it.
"""

import argparse
import json
import os
import time
import traceback
from pathlib import Path

import numpy as np
from run import memory

from embertune.data.io import load_dataset
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.recipes.result import describe
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig

# name -> effort, settings beside one seed
OURS = {
    "embertune-fast": ("fast", {}),
    "embertune-query": ("normal", {"side": "query"}),
    "embertune": ("normal", {}),
}


class Vectors(PrecomputedEncoder):
    """Notes when the last vectors were handed over: what the process computes from then on is tuning."""

    handed_over = 0.0

    def lookup(self, ids, side):
        found = super().lookup(ids, side)
        self.handed_over = time.process_time()
        return found


class Used:
    """A progress callback that notes what this process used: memory before the fit and by its end (MiB), CPU time."""

    def __init__(self):
        self.before, self.peak, self.clock = None, None, None

    def __call__(self, stage, done, total=None, note=""):
        if stage == "choose on dev" and self.before is None:
            self.before = memory()[1]
        if stage == "judge on test" and self.peak is None:
            self.peak, self.clock = memory()[0], time.process_time()


def summary(result):
    """Say what was chosen: the kind of adapter, and the setting that weighs most."""
    told = describe(result.candidate)
    heaviest = max(result.record["selection"]["candidates"], key=lambda tried: tried["weight"])
    chosen = {"adapter": told["type"], "side": told["side"], "gated": "gate" in told}
    return chosen | {"most weight": heaviest["params"], "share": round(heaviest["weight"], 3)}


def measure(args, settings):
    """Tune, and give vectors and what is reported."""
    effort, known = OURS[args.peer]
    used = Used()
    with np.load(args.job) as file:
        queries, documents, seed = file["test_queries"], file["corpus"], int(file["seed"])
    config = TuneConfig.of_effort(effort, **{"seeds": 1} | known | settings)
    data, encoder = load_dataset(args.data), Vectors(args.vectors)
    result = tune(data, encoder, split=args.split, effort=config, seed=seed, progress=used)
    vectors = {
        "queries": result.candidate.transform(queries, "query"),
        "documents": result.candidate.transform(documents, "document"),
    }
    return vectors, {
        "seconds": result.record["seconds"]["fit"],
        "cpu_seconds": used.clock - encoder.handed_over,
        "peak_mib": used.peak,
        "before_mib": used.before,
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()),
        "chosen": summary(result),
        "verdict": result.verdict.code,
        "version": result.record["versions"]["embertune"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--peer", choices=OURS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the data set, as Dataset.save writes it")
    parser.add_argument("--vectors", type=Path, required=True, help="its vectors, for `precomputed`")
    parser.add_argument("--split", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="another setting of TuneConfig")
    args = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (item.split("=", 1) for item in args.set)}
    try:
        vectors, told = measure(args, settings)
        np.savez(args.out / f"{args.peer}.npz", **vectors)
    except Exception as error:  # ours has a row, too, where it fails
        traceback.print_exc()
        told = {"error": f"{type(error).__name__}: {error}"}
    (args.out / f"{args.peer}.json").write_text(json.dumps(told) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
