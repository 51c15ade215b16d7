"""Let Optuna choose what tuning chooses, on the same folds and in the same CPU time, and compare on test.

    python -m venv build/venv-optuna
    build/venv-optuna/bin/pip install --editable . --group optuna
    build/venv-optuna/bin/python benchmarks/optuna_search.py [--only cosqa] [--seeds 2]

Optuna's TPE with a median pruner suggests side and maps, strength, temperature, rank, the most steps, and how far
documents with training queries move; a trial is fitted on each fold and scored on the rest of it, and "no adapter" is
one of the candidates. Whatever is best on dev is fitted once more on train and dev, as tuning does. Its first budget is
the CPU time that tuning took to choose and to fit, its second three times that; its last fit is not counted. Tuning is
that of effort="normal", without the seeds that only tell the spread. Gates stay off for Optuna: they are for queries of
others, which cost a little here.

Writes benchmarks/results/optuna.json.
"""

import os

# A CPU second is only the same for both if neither waits for threads.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import optuna

from embertune.adapters.base import TrainingPairs
from embertune.adapters.chain import Chain
from embertune.adapters.document import DocumentAdapter
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.files import write_whole
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.choosing import Known, choose_for, pool_of
from embertune.recipes.plan import inner_folds, make_plan
from embertune.training.config import TuneConfig
from embertune.training.lessons import Lessons
from peers import MINILM, judge

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "optuna.json"
METRIC = "ndcg@10"
BUDGETS = (1, 3)
ROWS = [
    ("finance10k-lyft", "static", "given"),
    ("finance10k-lyft", "static", "by-document"),
    ("finance10k-lyft", "minilm", "given"),
    ("finance10k-lyft", "minilm", "by-document"),
    ("cosqa", "minilm", "given"),
    ("scifact", "minilm", "given"),
    ("cranfield", "static", "given"),
]
KINDS = {
    "query": {"side": "query"},
    "shared": {"side": "both", "maps": "shared"},
    "separate": {"side": "both", "maps": "separate"},
}
FIRST = {"kind": "query", "pull": 0.1, "temperature": 0.05, "rank": 64, "max_steps": 10, "offsets": False}


def suggest(trial, *, may_move):
    """Draw one setting.

    Args:
        trial: Optuna's.
        may_move: Whether offsets are for anyone: some test documents have training queries.
    """
    setting = {
        "kind": trial.suggest_categorical("kind", list(KINDS)),
        "pull": trial.suggest_float("pull", 0.003, 3, log=True),
        "temperature": trial.suggest_float("temperature", 0.02, 0.1, log=True),
        "rank": trial.suggest_categorical("rank", [32, 64, 128, None]),
        "max_steps": trial.suggest_int("max_steps", 5, 40, log=True),
        "reach": None,
    }
    if may_move and trial.suggest_categorical("offsets", [False, True]):
        setting["reach"] = trial.suggest_float("reach", 0.1, 12.8, log=True)
    return setting


def fit(setting, pool, rows):
    """Fit a setting on some queries of the pool."""
    parameters = {name: setting[name] for name in ("pull", "temperature", "rank", "max_steps")}
    linear = LinearAdapter(**KINDS[setting["kind"]], **parameters).fit_training(pool.training(rows))
    if setting["reach"] is None:
        return linear
    everyone = pool.training(rows, whole_corpus=True)
    mapped = linear.transform(everyone.queries, "query"), linear.transform(everyone.documents, "document")
    # outside=.1 is what tuning has found best for offsets, so Optuna need not find it again
    (moved,) = DocumentAdapter(outside=0.1).fit_path(TrainingPairs(*mapped, everyone.pairs), [setting["reach"]])
    return Chain([linear, moved])


def objective(trial, *, pool, folds, may_move):
    """Score a setting on dev: the mean over all queries of the folds; told fold by fold, so that it can be pruned."""
    setting = suggest(trial, may_move=may_move)
    scores = []
    for at, (rows, dev) in enumerate(folds):
        scores.append(pool.score([fit(setting, pool, rows)], dev, METRIC)[0, 0])
        trial.report(float(np.concatenate(scores).mean()), at)
        if at + 1 < len(folds) and trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("setting", setting)
    return float(np.concatenate(scores).mean())


def search(pool, folds, budgets, *, seed, may_move):
    """Run one study and give what is best on dev when each budget is spent.

    Args:
        pool: Train and dev.
        folds: Of it.
        budgets: CPU seconds, rising.
        seed: Of the sampler.
        may_move: See `suggest`.

    Yields:
        The adapter, and what the study took.
    """
    started = time.process_time()
    frozen = np.concatenate([pool.score([IdentityAdapter()], dev, METRIC)[0, 0] for _, dev in folds]).mean()
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
    )
    study.enqueue_trial(FIRST)
    run = partial(objective, pool=pool, folds=folds, may_move=may_move)
    spent = time.process_time() - started
    for budget in budgets:
        while spent < budget:
            at = time.process_time()
            study.optimize(run, n_trials=1)
            spent += time.process_time() - at
        states = [trial.state.name for trial in study.trials]
        best, setting, adapter = float(frozen), None, IdentityAdapter()
        if "COMPLETE" in states and study.best_value > frozen:
            best, setting = study.best_value, study.best_trial.user_attrs["setting"]
            adapter = fit(setting, pool, np.arange(len(pool.queries)))
        counts = {"trials": len(states), "pruned": states.count("PRUNED")}
        yield adapter, {**counts, "cpu": round(spent, 2), "dev": round(best, 5), "setting": setting}


def scores_of(adapter, trial, encoded):
    """Give nDCG@10 of every test query under exact search."""
    queries = encoded.queries[encoded.query_rows(trial.test.queries)]
    mapped = adapter.transform(queries, "query"), adapter.transform(encoded.documents, "document")
    found = judge(trial, encoded.document_ids, "tuned", *mapped)
    return dict(zip(found.query_ids, found.scores[METRIC].tolist(), strict=True))


def measure(dataset, encoded, lessons, split, seed):
    """Tune, then search for as long and for three times as long; give scores by query and what each took."""
    plan, config = make_plan(dataset, split, seed=seed), TuneConfig()
    (trial,), known = plan.trials, Known(encoded, lessons)
    started = time.process_time()
    choice = choose_for(trial, known, plan, config, seed=seed)
    seconds = time.process_time() - started
    scores = {
        "base": scores_of(IdentityAdapter(), trial, encoded),
        "embertune": scores_of(choice.adapter, trial, encoded),
    }
    told = {"cpu": round(seconds, 2)}
    pool, folds = pool_of(trial, known), inner_folds(trial, plan.method, config, seed=seed)
    budgets = [times * seconds for times in BUDGETS]
    found = search(pool, folds, budgets, seed=seed, may_move=plan.seen_share > 0)
    for times, (adapter, took) in zip(BUDGETS, found, strict=True):
        scores[f"optuna {times}x"], told[f"optuna {times}x"] = scores_of(adapter, trial, encoded), took
    return scores, told


def row_of(name, encoder, split, measured):
    """One row of the table: means over seeds, and what tuning leads by, a query that several seeds test once."""
    row = {"set": name, "encoder": encoder, "split": split, "seeds": [told for _, told in measured], "scores": {}}
    for method in measured[0][0]:
        means = [float(np.mean(list(scores[method].values()))) for scores, _ in measured]
        row["scores"][method] = {"mean": round(float(np.mean(means)), 5), "seeds": [round(mean, 5) for mean in means]}
    row["lead"] = {}
    for times in BUDGETS:
        found = {}
        for scores, _ in measured:
            for query, value in scores[f"optuna {times}x"].items():
                found.setdefault(query, []).append(scores["embertune"][query] - value)
        leads = np.array([np.mean(each) for each in found.values()])
        low, high = bootstrap_interval(leads, seed=0)
        ends = {"mean": float(leads.mean()), "low": low, "high": high}
        row["lead"][f"{times}x"] = {end: round(value, 5) for end, value in ends.items()}
    return row


def keep(row):
    """Write a row into the file, in the place of an older one."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    found = {(each["set"], each["encoder"], each["split"]): each for each in [*rows, row]}
    lines = (json.dumps(found[key]) for key in ROWS if key in found)
    write_whole(RESULTS, "[\n" + ",\n".join(lines) + "\n]\n")
    print(json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--only", nargs="+", help="some sets; the rows of others stay")
    parser.add_argument("--encoder", nargs="+", default=["static", "minilm"], choices=["static", "minilm"])
    parser.add_argument("--split", nargs="+", default=["given", "by-document"], choices=["given", "by-document"])
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name, encoder, split in ROWS:
        if name in (args.only or [name]) and encoder in args.encoder and split in args.split:
            dataset = load_dataset(args.data / name)
            source = "static" if encoder == "static" else f"precomputed:{args.data / name / MINILM}"
            encoded = encode_dataset(load_encoder(source), dataset)
            lessons = Lessons.of(dataset, encoded)
            measured = [measure(dataset, encoded, lessons, split, seed) for seed in range(args.seeds)]
            keep(row_of(name, encoder, split, measured) | {"optuna": optuna.__version__})


if __name__ == "__main__":
    main()
