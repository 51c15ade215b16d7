"""Exact search over a million documents: time and memory, from a file that is larger than what is held.

python benchmarks/search.py [--documents 1000000] [--dimension 384] [--queries 256]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from embertune.core.search import top_k


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=256)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    queries = random.normal(size=(args.queries, args.dimension)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        shape = (args.documents, args.dimension)
        file = np.lib.format.open_memmap(Path(folder) / "d.npy", mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, args.documents, 50_000):
            rows = file[start : start + 50_000].shape
            file[start : start + 50_000] = random.normal(size=rows)
        file.flush()
        documents = np.load(Path(folder) / "d.npy", mmap_mode="r")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        positions, _ = top_k(queries, documents, 100)
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flops = 2 * args.queries * args.documents * args.dimension
    whole = args.queries * args.documents * 4 / 2**20
    rate = flops / seconds / 1e9
    what = f"{args.queries} queries x {args.documents:,} documents x {args.dimension}"
    print(f"{what}: {seconds:.1f} s, {rate:.0f} GFLOP/s")
    print(f"peak memory {before / 1024:.0f} -> {after / 1024:.0f} MiB, pages of the mapped file included")
    print(f"the full score matrix would be {whole:.0f} MiB; first hit {positions[0, 0]}")


if __name__ == "__main__":
    main()
