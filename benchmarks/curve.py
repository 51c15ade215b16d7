"""Is the forecast of a learning curve right? Fit it to half of the labels and less, and look at all of them.

    python benchmarks/curve.py [--data ../shared/data] [--journal FOLDER] [--only finance10k-lyft]

Every set gets its curve on its given split (effort "fast", 3 draws; 2 of squad-dev). The law is then fitted to the
sizes up to half of the labels, and what it says of all of them stands beside what was measured there. Beside it stands
"as now": that more labels bring nothing. Writes benchmarks/results/curve.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from embertune.data.io import load_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.power_law import forecast
from embertune.recipes.learning_curve import learning_curve

HERE = Path(__file__).parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ROWS = [
    ("finance10k-lyft", "minilm"), ("finance10k-lyft", "static"), ("xquad-en", "minilm"), ("xquad-en", "static"),
    ("cosqa", "minilm"), ("cosqa", "static"), ("scifact", "minilm"), ("scifact", "static"), ("cranfield", "minilm"),
    ("cranfield", "static"), ("cmrc2018-zh", "static"), ("squad-dev", "static"),
]  # fmt: skip
LARGE = ("squad-dev",)


def measured(journal):
    """Give the scores of a journal: size -> (draws, queries)."""
    found = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        if line:
            row = json.loads(line)
            found.setdefault(row["size"], []).append(row["scores"])
    return {size: np.array(rows) for size, rows in sorted(found.items())}


def check(scores):
    """Forecast the largest size from the others."""
    [base], sizes = scores[0], [size for size in scores if size]
    most, fewer = sizes[-1], sizes[:-1]
    law, [said] = forecast(fewer, [scores[size] for size in fewer], base, [most], seed=0)
    truth, now = float(scores[most].mean()), float(scores[fewer[-1]].mean())
    return {"half": fewer[-1], "whole": most, "base": float(base.mean()), "at half": now, "forecast": said.score,
            "low": said.low, "high": said.high, "gain": said.gain, "gain low": said.gain_low,
            "gain high": said.gain_high, "measured": truth, "error": said.score - truth,
            "error as now": now - truth, "law": vars(law)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--journal", type=Path, default=HERE / "results" / "curve-journal")
    parser.add_argument("--only")
    args = parser.parse_args()
    args.journal.mkdir(parents=True, exist_ok=True)
    found = []
    for name, encoder in ROWS:
        if args.only not in (None, name):
            continue
        folder, journal = args.data / name, args.journal / f"{name}-{encoder}.jsonl"
        source = "static" if encoder == "static" else f"precomputed:{folder / 'all-MiniLM-L6-v2.npz'}"
        loaded = load_encoder(source, **({} if encoder == "static" else {"name": MINILM}))
        started = time.perf_counter()
        curve = learning_curve(load_dataset(folder), loaded, draws=2 if name in LARGE else 3, journal=journal)
        scores = measured(journal)
        seconds = time.perf_counter() - started
        found.append({"set": name, "encoder": encoder, "queries": curve.queries, "seconds": seconds,
                      "points": [[point.size, point.score] for point in curve.points], **check(scores)})  # fmt: skip
        row = found[-1]
        print(f"{name:16} {encoder:7} {row['half']:5} -> {row['whole']:5}: {row['at half']:.3f} -> "
              f"{row['forecast']:.3f} [{row['low']:.3f}, {row['high']:.3f}], measured {row['measured']:.3f}",
              flush=True)  # fmt: skip
    if args.only is None:
        (HERE / "results" / "curve.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
