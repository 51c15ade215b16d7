"""How time and memory of fitting and choosing grow with pairs, documents and dimensions.

    python benchmarks/growth.py [--only 10000,100000,1536 ...]

Vectors are made up, with structure: documents in clusters, queries as documents seen through a rotation and noise; they
lie in memory-mapped files. Every size runs in a process of its own, at all cores or as OPENBLAS_NUM_THREADS says, with
effort="normal". Beside it stands
the float32 matrix product of the same process, timed before and after, and the share of the time that is spent in the
solver, in search and in finding the subspace. Memory is what the process takes beyond the mapped files.
Writes benchmarks/results/growth.json, where rows that were not run anew stay.
"""

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# pairs, documents, dimensions
SIZES = [
    (1_000, 1_000, 384), (3_000, 3_000, 384), (10_000, 10_000, 384), (30_000, 30_000, 384), (100_000, 100_000, 384),
    (3_000, 20_000, 384), (10_000, 100_000, 1536), (300_000, 300_000, 384),
]  # fmt: skip
KEY = ("dimension", "documents", "pairs", "threads")
PARTS = {"solver": "value_and_gradient", "search": "count_before", "subspace": "principal_directions"}


def make(folder, pairs, documents, dimension):
    """Write documents.npy, queries.npy and answers.npy, block by block."""
    random = np.random.default_rng(0)
    noise = dimension**-0.5
    centres = noise * random.normal(size=(max(20, documents // 50), dimension)).astype(np.float32)
    turn, upper = np.linalg.qr(np.eye(dimension) + 0.4 * noise * random.normal(size=(dimension, dimension)))
    turn = (turn * np.sign(np.diag(upper))).astype(np.float32)
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (count, dimension))
        for name, count in (("documents", documents), ("queries", pairs))
    }
    answers = random.choice(documents, pairs, replace=pairs > documents)
    for start in range(0, documents, 10_000):
        rows = files["documents"][start : start + 10_000]
        chosen = centres[random.integers(len(centres), size=len(rows))]
        rows[:] = chosen + 0.5 * noise * random.normal(size=rows.shape).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for start in range(0, pairs, 10_000):
        rows = files["queries"][start : start + 10_000]
        asked = files["documents"][answers[start : start + 10_000]]
        rows[:] = asked @ turn + 1.6 * noise * random.normal(size=rows.shape).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(folder / "answers.npy", answers)


def anonymous():
    """Give the MiB of this process that belong to no file (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def product_rate(dimension):
    """Give GFLOP/s of a float32 matrix product, the best of five."""
    left, right = np.ones((2048, dimension), np.float32), np.ones((dimension, 4096), np.float32)
    into, best = np.empty((2048, 4096), np.float32), np.inf
    for _ in range(5):
        started = time.perf_counter()
        np.matmul(left, right, out=into)
        best = min(best, time.perf_counter() - started)
    return 2 * left.size * 4096 / best / 1e9


def folds_of(queries, config):
    """Cut queries as `embertune.recipes.plan.inner_folds` does."""
    parts = np.array_split(np.random.default_rng(1).permutation(queries), config.folds)
    enough = -(-config.large_dev * config.folds // queries)
    return [
        (np.sort(np.concatenate(parts[:at] + parts[at + 1 :])), np.sort(part)[: config.large_dev])
        for at, part in enumerate(parts)
    ][:enough]


def measure(folder):
    """Fit and choose on what lies in a folder."""
    from embertune.core.threads import threads_for
    from embertune.evaluation.judgments import Judgments
    from embertune.training.config import TuneConfig
    from embertune.training.pool import Pool
    from embertune.training.selection import choose

    queries, documents = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("queries", "documents"))
    names = [str(row) for row in range(max(len(queries), len(documents)))]
    qrels = {names[row]: {names[answer]: 1} for row, answer in enumerate(np.load(folder / "answers.npy"))}
    judgments = Judgments.from_qrels(qrels, names[: len(queries)], names[: len(documents)])
    pool, config = Pool(queries, documents, judgments), TuneConfig()
    folds = folds_of(len(queries), config)
    before, peak, done = anonymous(), [0.0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous() - before)

    rates = [product_rate(queries.shape[1])]
    watcher, profile = threading.Thread(target=watch), cProfile.Profile()
    watcher.start()
    started, at_cpu = time.perf_counter(), time.process_time()
    with threads_for(len(queries) * len(documents) * queries.shape[1]):  # as embertune.recipes.choosing does
        choice = profile.runcall(choose, pool, folds, config, seed=0)
    seconds, cpu = time.perf_counter() - started, time.process_time() - at_cpu
    done.set()
    watcher.join()
    rates.append(product_rate(queries.shape[1]))
    parts = dict.fromkeys(PARTS, 0.0)
    for (_, _, function), (_, _, _, total, _) in pstats.Stats(profile).stats.items():
        for part, name in PARTS.items():
            parts[part] += total if function == name else 0.0
    best = max(choice.candidates, key=lambda one: one.weight)
    return {"side": config.side, "seconds": seconds, "cpu": cpu, "mib": peak[0], "gflops": rates, "folds": len(folds),
            "parts": parts, "base": choice.candidates[0].dev, "tuned": best.dev, "best": best.params}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="pairs,documents,dimensions")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    sizes = SIZES if args.only is None else [tuple(map(int, one.split(","))) for one in args.only]
    target = HERE / "results" / "growth.json"
    known = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else []
    found = {tuple(row[name] for name in KEY): row for row in known}
    env = {**os.environ, "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", str(os.cpu_count() or 1))}
    for pairs, documents, dimension in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), pairs, documents, dimension)
            command = [sys.executable, __file__, "--measure", folder]
            result = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        row = {"pairs": pairs, "documents": documents, "dimension": dimension,
               "threads": int(env["OPENBLAS_NUM_THREADS"]), **json.loads(result.stdout)}  # fmt: skip
        found[tuple(row[name] for name in KEY)] = row
        shares = ", ".join(f"{name} {spent:.1f}" for name, spent in row["parts"].items())
        rates = " and ".join(f"{rate:.0f}" for rate in row["gflops"])
        print(f"{pairs:7} x {documents:7} x {dimension:4}: {row['seconds']:6.1f} s (cpu {row['cpu']:.1f}; {shares}), "
              f"{row['mib']:.0f} MiB, {row['base']:.3f} -> {row['tuned']:.3f}, {rates} GFLOP/s",
              flush=True)  # fmt: skip
        target.write_text(json.dumps([found[key] for key in sorted(found)], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
