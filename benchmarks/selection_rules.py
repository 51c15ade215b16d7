"""How should dev choose among settings? Every rule, on the same dev tables and the maps behind them.

    python benchmarks/selection_rules.py [--data ../shared/data] [--seeds 3]

For each set and split: folds of train and dev give a table of dev scores (no adapter, then every temperature and pull);
each setting is then fitted on all of train and dev. A rule turns the table into weights, and the mean of the maps so
weighted is scored on test. Writes benchmarks/results/selection_rules.json.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import SplitError
from embertune.evaluation.judgments import Judgments
from embertune.recipes.plan import inner_folds, make_plan
from embertune.training.config import TuneConfig
from embertune.training.pool import Pool

HERE = Path(__file__).parent
SETS = [("finance10k-lyft", "minilm"), ("finance10k-lyft", "static"), ("xquad-en", "minilm"), ("cosqa", "minilm"),
        ("scifact", "minilm"), ("scifact", "static"), ("cranfield", "minilm"), ("cranfield", "static")]  # fmt: skip
METRIC = "ndcg@10"
CONFIG = TuneConfig(temperatures=(0.05, 0.03))
ONE = 1 + len(CONFIG.pulls)


def pool_of(part, encoded):
    ids = list(part.queries)
    judgments = Judgments.from_qrels(part.qrels, ids, encoded.document_ids)
    return Pool(encoded.queries[encoded.query_rows(ids)], encoded.documents, judgments)


def score(pool, adapter, rows):
    return pool.score([adapter], rows, METRIC)[0, 0]


def path(pool, rows, rank, steps):
    training = pool.training(rows)
    makers = [LinearAdapter(rank=rank, temperature=each, max_steps=steps) for each in CONFIG.temperatures]
    return [fitted for maker in makers for fitted in maker.fit_path(training, CONFIG.pulls)]


def tables(data, encoded, split, seed):
    """Give dev scores (settings, queries), the maps fitted on all of train and dev, and the test pool."""
    (trial,) = make_plan(data, split, seed=seed).trials
    pool, test = pool_of(trial.pool, encoded), pool_of(trial.test, encoded)
    dev = np.full((1 + len(CONFIG.temperatures) * len(CONFIG.pulls), len(pool.queries)), np.nan)
    for fit, judged in inner_folds(trial, "given" if split == "given" else split, CONFIG, seed=seed):
        for level, adapter in enumerate([IdentityAdapter(), *path(pool, fit, CONFIG.search_rank, CONFIG.search_steps)]):
            dev[level, judged] = score(pool, adapter, judged)
    return dev[:, ~np.isnan(dev[0])], path(pool, np.arange(len(pool.queries)), CONFIG.rank, CONFIG.max_steps), test


def error(differences):
    return differences.std(axis=-1, ddof=1) / np.sqrt(differences.shape[-1])


def one(dev, within, lead):
    """Take the strongest pull within some errors of the best, or no adapter if it leads by some."""
    dev = dev[:ONE]
    behind = dev[1:][dev[1:].mean(axis=1).argmax()] - dev[1:]
    level = 1 + np.flatnonzero(behind.mean(axis=1) <= within * error(behind))[0]
    ahead = dev[0] - dev[level]
    return np.eye(ONE)[0 if ahead.mean() > lead * error(ahead) else level]


def mean(dev, width):
    """Weigh all by how far they trail: the rule of training/selection.py with its width free."""
    behind = dev[dev.mean(axis=1).argmax()] - dev
    errors = error(behind)
    trailing = np.divide(behind.mean(axis=1), errors, out=np.zeros(len(dev)), where=errors > 0)
    weights = np.exp(-0.5 * (trailing / width) ** 2)
    return weights / weights.sum()


RULES = {
    "the best pull": lambda dev: one(dev, 0, 0),
    "the strongest pull within 1 error": lambda dev: one(dev, 1, 0.5),
    **{f"mean of all pulls, width {width}": lambda dev, width=width: mean(dev[:ONE], width) for width in (1, 2, 3)},
    **{
        f"mean of all pulls and temperatures, width {width}": lambda dev, width=width: mean(dev, width)
        for width in (1, 2, 3)
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    gains = {rule: {} for rule in RULES}
    for name, encoder in SETS:
        data = load_dataset(args.data / name)
        vectors = f"precomputed:{args.data / name / 'all-MiniLM-L6-v2.npz'}" if encoder == "minilm" else "static"
        encoded = encode_dataset(load_encoder(vectors), data)
        for split, seeds in (("given", 1), ("by-document", args.seeds)):
            for seed in range(seeds):
                try:
                    dev, maps, test = tables(data, encoded, split, seed)
                except (SplitError, ValueError):
                    continue  # too few documents that can be kept apart
                rows = np.arange(len(test.queries))
                base = score(test, IdentityAdapter(), rows).mean()
                for rule, weigh in RULES.items():
                    weights = weigh(dev)[1:]
                    adapter = LinearAdapter.mean_of(maps[: len(weights)], weights)
                    gains[rule][f"{name} {encoder} {split} {seed}"] = float(score(test, adapter, rows).mean() - base)
                print(name, encoder, split, seed, dev.mean(axis=1).round(4), file=sys.stderr, flush=True)
    rules = []
    for rule, found in gains.items():
        worst = min(found, key=found.get)
        rules.append({"rule": rule, "mean gain": float(np.mean(list(found.values()))), "worst": found[worst],
                      "worst at": worst, "gains": found})  # fmt: skip
        print(f"{rule:50} mean gain {rules[-1]['mean gain']:+.4f}  worst {found[worst]:+.4f} {worst}")
    report = {"splits": len(found), "rules": rules}
    (HERE / "results" / "selection_rules.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
