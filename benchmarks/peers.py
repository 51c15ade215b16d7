"""Measure what a user would pick instead, on the same vectors and the same splits, under Embertune's judge.

    python benchmarks/peers.py [--only finance10k-lyft] [--encoder minilm] [--seeds 5] [--peers nudge-n weightgain]

Splits are those that ``embertune.tune`` makes for the same seed, so rows join with its records by set, encoder,
split and seed. Peers train on train and choose on dev; tune trains on both when it has chosen, and so do the peers
that are called "refit" (worth .04 to NUDGE-N on scifact, so that one without the other is half a comparison). Each
peer runs in a process of its own, in an environment of its own, and sees no test label:

    python -m venv build/venv-peers
    build/venv-peers/bin/pip install --no-deps -r benchmarks/peers/requirements.txt

Writes benchmarks/results/peers.json after every row. A row that is there is not run again; a peer that fails has a
row with its error, run again with --retry. The scores of every query lie under build/peers, for intervals between
any two.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from embertune.core.files import write_whole
from embertune.core.search import top_k
from embertune.data.demo import demo_dataset
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.compare import compare_two
from embertune.evaluation.evaluate import Evaluation, evaluate
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.run import Run
from embertune.recipes.plan import make_plan

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "run.py"
RESULTS = HERE / "results" / "peers.json"
BUILD = HERE.parent / "build"
MINILM = "all-MiniLM-L6-v2.npz"
METRICS = ("ndcg@10", "recall@10", "mrr@10")
KEY = ("set", "encoder", "split", "seed", "peer")
# Measured here, without a process: what every table has.
BASELINES = ("base", "bm25")
PEERS = (
    "nudge-n", "nudge-n-refit", "nudge-m", "nudge-m-refit", "llama-index-linear", "llama-index-linear-4",
    "llama-index-two-layer", "st-dense", "st-dense-identity", "st-dense-identity-refit", "weightgain",
    "triplet-notebook", "search-adaptor",
)  # fmt: skip
_DEPTH = 100


def make_job(trial, encoded, seed):
    """Give the arrays that a peer sees; test labels stay here.

    Args:
        trial: Of `make_plan`.
        encoded: The whole data set.
        seed: Of the split, and of everything random in the peer.
    """
    place = {query: row for row, query in enumerate(encoded.query_ids)}
    pool = list(trial.pool.queries)
    parts = {
        "train": [query for query in pool if query not in trial.dev],
        "dev": [query for query in pool if query in trial.dev],
        "test": list(trial.test.queries),
    }
    job = {"corpus": encoded.documents, "seed": seed}
    for part, ids in parts.items():
        job[f"{part}_queries"] = encoded.queries[[place[query] for query in ids]]
        if part != "test":
            judgments = Judgments.from_qrels(trial.pool.qrels, ids, encoded.document_ids)
            job[f"{part}_pairs"], job[f"{part}_grades"] = judgments.pairs, judgments.values
    return job


def judge(trial, document_ids, name, queries, documents):
    """Score vectors by exact search; the same for everyone, us included."""
    positions, scores = top_k(queries, documents, min(_DEPTH, len(documents)))
    return evaluate(trial.test.qrels, Run(name, tuple(trial.test.queries), document_ids, positions, scores), METRICS)


def judge_base(trial, encoded):
    job = make_job(trial, encoded, 0)
    return judge(trial, encoded.document_ids, "base", job["test_queries"], job["corpus"])


def row_of(key, trial, evaluation, base, told):
    """One line of the table: means on all, seen and unseen queries, and what they gained over base.

    Args:
        key: Values of `KEY`.
        trial: Whose test was judged.
        evaluation: Of the peer; None where it failed.
        base: Evaluation of the frozen vectors.
        told: Seconds, memory, what was chosen; or the error.
    """
    row = dict(zip(KEY, key, strict=True))
    if evaluation is None:
        return row | told
    ids = list(trial.test.queries)
    groups = {"seen": [q for q in ids if q in trial.seen], "unseen": [q for q in ids if q not in trial.seen]}
    duel = compare_two(base, evaluation, groups=groups, seed=key[3], primary=METRICS[0])
    found = {"all": duel.overall, **duel.groups}
    return row | {
        "n": {name: group.n for name, group in found.items()},
        "scores": {name: _rounded(group.tuned) for name, group in found.items()},
        "delta": {name: _delta(group) for name, group in found.items()},
        **told,
    }


def _rounded(values):
    return {name: round(value, 5) for name, value in values.items()}


def _delta(group):
    if not group.n:
        return {}
    delta = group.delta[METRICS[0]]
    return _rounded({"mean": delta.mean, "low": delta.low, "high": delta.high, "p": delta.p})


def run_peer(peer, job, folder, python, timeout, settings=()):
    """Call the runner in the peers' environment.

    Args:
        peer: Its name.
        job: Path of the job.
        folder: Where its vectors and what it tells go.
        python: Of that environment.
        timeout: In seconds.
        settings: "name=json", for other settings than the table's.

    Returns:
        What it tells; with "error" where it failed in whatever way.
    """
    command = [str(python), str(RUNNER), "--job", str(job), "--peer", peer, "--out", str(folder)]
    command += [part for setting in settings for part in ("--set", setting)]
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=offline)
    except subprocess.TimeoutExpired:
        return {"error": f"not finished after {timeout} s"}
    except OSError as error:
        return {"error": f"{python}: {error.strerror}"}
    told = folder / f"{peer}.json"
    if not told.is_file():
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": f"exit code {done.returncode}: {last}"}
    found = json.loads(told.read_text(encoding="utf-8"))
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}


def measure_peer(peer, job, base, trial, encoded, options):
    """Fit one peer and judge it, or judge a baseline: its evaluation, None if it failed, and what it tells."""
    if peer == "base":
        return base, {}
    started = time.perf_counter()
    if peer == "bm25":
        run = bm25_run(trial.test.corpus, trial.test.queries, top_k=_DEPTH)
        return evaluate(trial.test.qrels, run, METRICS), {"seconds": round(time.perf_counter() - started, 3)}
    folder = job.parent
    told = run_peer(peer, job, folder, options.python, options.timeout, options.set)
    if "error" in told:
        return None, told
    with np.load(folder / f"{peer}.npz") as file:
        documents = file.get("documents", encoded.documents)
        evaluation = judge(trial, encoded.document_ids, peer, file["queries"], documents)
    (folder / f"{peer}.npz").unlink()
    return evaluation, told


class Table:
    """The rows of a results file, and which of them are done."""

    def __init__(self, path, *, retry=False):
        self.path = path
        rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        self.rows = {tuple(row[name] for name in KEY): row for row in rows if not (retry and "error" in row)}

    def __contains__(self, key):
        return key in self.rows

    def add(self, row):
        """Add a row and write the file, one row per line, in the order of the keys."""
        self.rows[tuple(row[name] for name in KEY)] = row
        lines = (json.dumps(self.rows[key], ensure_ascii=False) for key in sorted(self.rows))
        write_whole(self.path, "[\n" + ",\n".join(lines) + "\n]\n")


def keep_scores(evaluation: Evaluation, key, results):
    """Write the scores of every query, which are too many for the results file, to a folder of its name."""
    target = BUILD / results.stem / ("--".join(map(str, key)) + ".npz")
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, query_ids=np.array(evaluation.query_ids), **evaluation.scores)


def measure_split(group, dataset, encoded, table, options):
    """Run what is missing of one set, encoder, split and seed."""
    missing = [peer for peer in options.peers if (*group, peer) not in table]
    if not missing:
        return
    _, _, split, seed = group
    (trial,) = make_plan(dataset, split, seed=seed).trials
    base = judge_base(trial, encoded)
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.npz"
        np.savez(job, **make_job(trial, encoded, seed))
        for peer in missing:
            key = (*group, peer)
            evaluation, told = measure_peer(peer, job, base, trial, encoded, options)
            row = row_of(key, trial, evaluation, base, told | {"fingerprint": dataset.fingerprint})
            table.add(row)
            if evaluation is not None:
                keep_scores(evaluation, key, options.results)
            show(row)


def show(row):
    line = f"{row['set']:16} {row['encoder']:7} {row['split']:11} {row['seed']} {row['peer']:24}"
    if "error" in row:
        print(line, row["error"], flush=True)
        return
    parts = [f"{name} {row['scores'][name].get(METRICS[0], float('nan')):.3f}" for name in ("all", "seen", "unseen")]
    print(line, *parts, f"{row.get('seconds', 0):.1f} s", f"{row.get('peak_mib', 0):.0f} MiB", flush=True)


def sources(options):
    """Every set with every encoder whose vectors there are: name, data set, name of the encoder, encoder."""
    folders = sorted(path.parent for path in options.data.glob("*/queries.jsonl"))
    loaders = {"demo": demo_dataset} | {folder.name: lambda folder=folder: load_dataset(folder) for folder in folders}
    for name, load in loaders.items():
        if options.only in (None, name):
            dataset = load()
            for encoder in options.encoder:
                if encoder == "static":
                    yield name, dataset, encoder, load_encoder("static")
                    continue
                places = (options.data / name / MINILM, BUILD / "vectors" / name / MINILM)
                if vectors := next(filter(Path.is_file, places), None):
                    yield name, dataset, encoder, load_encoder(f"precomputed:{vectors}")


def parsed(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--only", help="one set")
    parser.add_argument("--encoder", nargs="+", default=["static", "minilm"], choices=["static", "minilm"])
    parser.add_argument("--split", nargs="+", default=["by-query", "by-document"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=[*BASELINES, *PEERS], choices=[*BASELINES, *PEERS])
    parser.add_argument("--python", type=Path, default=BUILD / "venv-peers" / "bin" / "python")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one peer on one split")
    parser.add_argument("--retry", action="store_true", help="run rows with an error again")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="for trials, with --results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


def main():
    options = parsed()
    if options.set and options.results == RESULTS:
        sys.exit("--set makes other rows than the table's. Name another file for them, such as --results trial.json")
    if any(peer not in BASELINES for peer in options.peers) and not options.python.is_file():
        sys.exit(f"{options.python} is not there. Make it as the first lines of {Path(__file__).name} say.")
    table = Table(options.results, retry=options.retry)
    for name, dataset, encoder, loaded in sources(options):
        encoded = encode_dataset(loaded, dataset)
        for split in options.split:
            for seed in range(options.seeds):
                measure_split((name, encoder, split, seed), dataset, encoded, table, options)


if __name__ == "__main__":
    main()
