"""Which rule should choose the strength? Every rule, on the same dev tables and the test scores behind them.

    python benchmarks/selection_rules.py [--data ../shared/data] [--seeds 4] [--rank 192]

For each set and split: five folds of train and dev, drawn three times, give a table of dev scores (no adapter, then
pulls 1, .3, .1, .03, .01); each pull is then fitted on all of train and dev and scored on test. A rule sees the table
alone. Writes benchmarks/results/selection_rules.json.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import product
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
from embertune.training.selection import Pool

HERE = Path(__file__).parent
SETS = [("finance10k-lyft", "minilm"), ("finance10k-lyft", "static"), ("xquad-en", "minilm"), ("cosqa", "minilm"),
        ("scifact", "minilm"), ("scifact", "static"), ("cranfield", "minilm"), ("cranfield", "static")]  # fmt: skip
METRIC = "ndcg@10"


def pool_of(part, encoded):
    place = {query: row for row, query in enumerate(encoded.query_ids)}
    ids = list(part.queries)
    judgments = Judgments.from_qrels(part.qrels, ids, encoded.document_ids)
    return Pool(encoded.queries[[place[query] for query in ids]], encoded.documents, judgments)


def mean_of(path):
    weights = np.mean([adapter.coef_ for adapter in path], axis=0)
    return LinearAdapter.from_tensors({"query": weights}, path[0].get_params())


def tables(data, encoded, split, seed, config):
    """Give dev scores (repeats, 1 + pulls, queries), and test means by first and last row that is averaged."""
    plan = make_plan(data, split, seed=seed)
    (trial,) = plan.trials
    pool, test = pool_of(trial.pool, encoded), pool_of(trial.test, encoded)
    maker = LinearAdapter(rank=config.search_rank)
    repeats = inner_folds(trial, plan.method, config, seed=seed)
    dev = np.zeros((len(repeats), 1 + len(config.pulls), len(pool.queries)))
    for at, folds in enumerate(repeats):
        for fit, judged in folds:
            path = [IdentityAdapter(), *maker.fit_path(pool.training(fit), config.pulls)]
            for level, adapter in enumerate(path):
                dev[at, level, judged] = pool.score(adapter, judged, METRIC)
    rows = np.arange(len(test.queries))
    path = list(LinearAdapter().fit_path(pool.training(np.arange(len(pool.queries))), config.pulls))
    spans = [(low, high) for low in range(len(path)) for high in range(low, len(path))]
    means = {(low + 1, high + 1): test.score(mean_of(path[low : high + 1]), rows, METRIC).mean() for low, high in spans}
    return dev, {(0, 0): test.score(IdentityAdapter(), rows, METRIC).mean(), **means}


def choose(scores, within, lead, average):
    """Give the first and last row taken: the rule of training/selection.py with its constants free."""

    def error(differences):
        return differences.std(axis=-1, ddof=1) / np.sqrt(differences.shape[-1])

    best = 1 + scores[1:].mean(axis=1).argmax()
    behind = scores[best] - scores[1:]
    good = 1 + np.flatnonzero(behind.mean(axis=1) <= within * error(behind))
    low, high = int(good[0]), int(good[-1] if average else good[0])
    ahead = scores[0] - scores[low : high + 1].mean(axis=0)
    return (0, 0) if ahead.mean() > lead * error(ahead) else (low, high)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rank", type=int, default=192)
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    config, found = replace(TuneConfig(), search_rank=args.rank), []
    for name, encoder in SETS:
        data = load_dataset(args.data / name)
        vectors = f"precomputed:{args.data / name / 'all-MiniLM-L6-v2.npz'}" if encoder == "minilm" else "static"
        encoded = encode_dataset(load_encoder(vectors), data)
        for split, seeds in (("given", 1), ("by-document", args.seeds)):
            for seed in range(seeds):
                try:
                    dev, test = tables(data, encoded, split, seed, config)
                except SplitError:
                    continue  # cranfield's documents hang together in one piece
                found.append((f"{name} {encoder} {split} {seed}", dev, test))
                print(found[-1][0], dev.mean(axis=(0, 2)).round(4), file=sys.stderr, flush=True)
    rules = []
    for average, within, lead in product((False, True), (0, 0.5, 1, 1.5, 2), (0, 0.5, 1)):
        gains = {
            key: float(test[choose(dev.mean(axis=0), within, lead, average)] - test[0, 0]) for key, dev, test in found
        }
        worst = min(gains, key=gains.get)
        mean = float(np.mean(list(gains.values())))
        rules.append({"average": average, "within": within, "lead": lead, "mean gain": mean,
                      "worst": gains[worst], "worst at": worst, "gains": gains})  # fmt: skip
        kind = "average " if average else "strongest"
        print(f"{kind} within {within:3} lead {lead:3}  mean gain {mean:+.4f}  worst {gains[worst]:+.4f} {worst}")
    report = {"splits": len(found), "rules": rules}
    (HERE / "results" / "selection_rules.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
