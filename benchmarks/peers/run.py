"""Fit one peer on one job, in a process of its own, so that its time and its peak memory are its own.

    python benchmarks/peers/run.py --job JOB.npz --peer nudge-n --out FOLDER

Runs in the environment of requirements.txt, without Embertune. Writes FOLDER/PEER.npz (`queries`, and `documents`
where they changed) and FOLDER/PEER.json (seconds, memory, what was chosen on dev; or the error).
``benchmarks/peers.py`` calls it.
"""

import argparse
import json
import random
import resource
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
from job import Job

# name -> module, settings. "refit": what dev chose is trained again on train and dev, as Embertune does.
PEERS = {
    "nudge-n": ("nudge_ft", {"variant": "N"}),
    "nudge-n-refit": ("nudge_ft", {"variant": "N", "refit": True}),
    "nudge-m": ("nudge_ft", {"variant": "M"}),
    "nudge-m-refit": ("nudge_ft", {"variant": "M", "refit": True}),
    "llama-index-linear": ("llama_index_adapter", {"layers": 1, "epochs": 1}),
    "llama-index-linear-4": ("llama_index_adapter", {"layers": 1, "epochs": 4}),
    "llama-index-two-layer": ("llama_index_adapter", {"layers": 2, "epochs": 25}),
    "st-dense": ("sentence_transformers_dense", {"start": "default"}),
    "st-dense-identity": ("sentence_transformers_dense", {"start": "identity"}),
    "st-dense-identity-refit": ("sentence_transformers_dense", {"start": "identity", "refit": True}),
    "weightgain": ("weightgain", {}),
    "triplet-notebook": ("triplet_notebook", {"epochs": 30}),
    "search-adaptor": ("search_adaptor", {}),
}


def memory():
    """Peak and present resident memory of this process in MiB.

    Where Linux tells it, from VmHWM: ru_maxrss starts at the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmHWM", "VmRSS"))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return peak, peak


def warm_up():
    """Take one step of training: torch imports 828 modules with its first optimizer, 1.5 to 2.5 s that no peer is."""
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def measure(peer, job, settings):
    """Fit, and give vectors and what is reported. Imports and reading are not timed, the peer's nor torch's own."""
    import torch

    name, known = PEERS[peer]
    module = import_module(name)
    warm_up()
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - the peers' own code draws from the global generators
    torch.manual_seed(job.seed)
    before = memory()[1]
    started, busy = time.perf_counter(), time.process_time()
    adapted = module.fit(job, **known | settings)
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    told = {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mib": memory()[0],
        "before_mib": before,
        "threads": torch.get_num_threads(),
    }
    return adapted, told | {"chosen": adapted.chosen}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="another setting of the peer")
    args = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (item.split("=", 1) for item in args.set)}
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        adapted, told = measure(args.peer, Job.read(args.job), settings)
        parts = {"queries": adapted.queries, "documents": adapted.documents}
        vectors = {name: np.asarray(part, np.float32) for name, part in parts.items() if part is not None}
        if not all(np.isfinite(part).all() for part in vectors.values()):
            raise ValueError("the adapted vectors hold NaN or infinite values")
        np.savez(args.out / f"{args.peer}.npz", **vectors)
    except Exception as error:  # a peer that fails is a row of the table
        traceback.print_exc()
        told = {"error": f"{type(error).__name__}: {error}"}
    (args.out / f"{args.peer}.json").write_text(json.dumps(told) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
