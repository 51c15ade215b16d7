"""Base, BM25, the adapter, the fine-tuned model, and that with an adapter: on sets of the shared folder.

    python benchmarks/finetune.py MODEL [KEY=VALUE ...] [--sets finance10k-lyft cosqa] [--splits given by-document]

MODEL is all-MiniLM-L6-v2 as a folder or by its name. One row per set and split is added to results/finetune.json as
soon as it is measured, so that an interrupted run goes on with the next; `--again` measures rows anew that are there.
The defaults of `embertune finetune` are what is measured, and KEY=VALUE are changes of them, kept with the row. Every
row starts with an empty cache, so its seconds are those of all stages; with `--cache FOLDER` an interrupted row goes on
where its training was, and only mining counts for nothing. Where other work shares the cores, `--cpu-time` counts
seconds of processor time in place of the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from embertune.recipes.finetune_model import finetune
from embertune.training.finetune.files import read_config

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results" / "finetune.json"
# Dollars an hour: about what a cloud machine of two cores costs on demand.
PRICE = 0.10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--sets", nargs="+", default=["finance10k-lyft", "cosqa"])
    parser.add_argument("--splits", nargs="+", default=["given", "by-document"])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--cpu-time", action="store_true")
    arguments = parser.parse_intermixed_args()
    if arguments.cpu_time:
        time.perf_counter = time.process_time
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.is_file() else []
    for name in arguments.sets:
        for split in arguments.splits:
            there = [
                row for row in rows if (row["data"], row["split"], row["changes"]) == (name, split, arguments.changes)
            ]
            if there and not arguments.again:
                continue
            rows = [row for row in rows if row not in there] + [measure(name, split, arguments)]
            text = json.dumps({"rows": rows}, indent=2, ensure_ascii=False) + "\n"
            RESULTS.write_text(text, encoding="utf-8")


def measure(name, split, arguments):
    with tempfile.TemporaryDirectory() as folder:
        fixed = [
            f"data={DATA / name}", f"model_name={arguments.model}", f"split={split}",
            f"cache_dir={arguments.cache or folder}", f"price_per_hour={PRICE}", "tracking=none",
        ]  # fmt: skip
        result = finetune(config=read_config(None, [*fixed, *arguments.changes]), progress=show, save=False)
    record = result.record
    print(f"\n{result}\n", flush=True)
    return {
        "data": name,
        "split": split,
        "changes": arguments.changes,
        "model": Path(arguments.model).name,
        "counts": record["counts"],
        "primary": record["primary"],
        "contest": record["contest"],
        "delta": record["delta"],
        "verdict": record["verdict"],
        "seconds": record["seconds"],
        "step": [record["training"]["step"], record["training"]["steps"]],
        "rows": record["training"]["rows"],
        "dev": record["selection"]["curve"],
        "cosines": record["cosines"],
        "versions": record["versions"],
        "clock": "processor" if arguments.cpu_time else "wall",
        "machine": f"{platform.machine()}, {platform.system()}, {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s)",
    }


def show(stage, done, total=None, note=""):
    if total is None or done == total or done % 10 == 0:
        print(f"{stage}: {done} of {total} {note}", flush=True)


if __name__ == "__main__":
    main()
