"""How fast a fitted adapter maps: large batches beside the machine's own matrix product, and single queries.

    python benchmarks/transform.py

Every figure is taken at one BLAS thread and at all, each in a process of its own. A batch is timed in turn with a
float32 matrix product by a full map into memory that is there already, and the ratio is the median over the turns, so
that what else runs on the machine meets both. Writes benchmarks/results/transform.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
DIMENSIONS = (384, 768, 1536)
RANKS = (None, 256, 128)
CELLS = 12_000_000
TURNS = 7
SINGLE = 200
GATE = 2048


def seconds(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def adapters(dimension, random):
    """Give a random map, full and of low rank."""
    import numpy as np

    from embertune.adapters.linear import LinearAdapter

    for rank in RANKS:
        size = rank or dimension
        tensors = {"query": (0.3 * random.normal(size=(size, size)) / size**0.5).astype(np.float32)}
        if rank:
            tensors["basis"] = np.linalg.qr(random.normal(size=(dimension, rank)))[0].astype(np.float32)
        yield rank, LinearAdapter.from_tensors(tensors, {"rank": rank})


def batch(adapter, vectors, matrix):
    """Give the rate of the product, and the product's time over the adapter's on the same rows."""
    import numpy as np

    into = np.empty_like(vectors)
    turns = [
        (seconds(lambda: np.matmul(vectors, matrix, out=into)), seconds(lambda: adapter.transform(vectors)))
        for _ in range(TURNS)
    ]
    flops = 2 * len(vectors) * matrix.size
    return flops / statistics.median(one for one, _ in turns) / 1e9, statistics.median(a / b for a, b in turns)


def single(call):
    """Give the median microseconds of a call, and the fastest one's."""
    found = sorted(seconds(call) for _ in range(SINGLE))
    return 1e6 * statistics.median(found), 1e6 * found[0]


def measure(threads):
    """Measure in this process, whose BLAS was told the number of threads before it was loaded."""
    import numpy as np

    from embertune.adapters.gate import Gate
    from embertune.core.vectors import normalize

    random, rows = np.random.default_rng(0), []
    for dimension in DIMENSIONS:
        vectors = normalize(random.normal(size=(CELLS // dimension, dimension)).astype(np.float32))
        matrix = random.normal(size=(dimension, dimension)).astype(np.float32)
        gate, query = Gate.fit(vectors[:GATE]), vectors[-1:].copy()
        product = single(lambda query=query, matrix=matrix: query @ matrix)
        for rank, adapter in adapters(dimension, random):
            rate, share = batch(adapter, vectors, matrix)
            alone = single(lambda adapter=adapter, query=query: adapter.transform(query))
            served = adapter.gated(gate)
            gated = single(lambda adapter=served, query=query: adapter.transform(query))
            rows.append({"threads": threads, "dimension": dimension, "rank": rank, "batch": len(vectors),
                         "product_gflops": rate, "of_product": share, "single_us": alone, "gated_us": gated,
                         "product_us": product})  # fmt: skip
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads:
        print(json.dumps(measure(args.threads)))
        return
    found = []
    for threads in sorted({1, os.cpu_count() or 1}):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        env = {**os.environ, **dict.fromkeys(names, str(threads))}
        command = [sys.executable, __file__, "--threads", str(threads)]
        found += json.loads(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    for row in found:
        print(f"{row['threads']} threads {row['dimension']:5} rank {row['rank'] or 'full':>4}: "
              f"{row['of_product']:.0%} of {row['product_gflops']:.0f} GFLOP/s, single {row['single_us'][0]:.0f} us, "
              f"gated {row['gated_us'][0]:.0f} us, product {row['product_us'][0]:.0f} us")  # fmt: skip
    (HERE / "results" / "transform.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
