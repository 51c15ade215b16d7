"""Measure what a user would pick instead beside Embertune, on the same vectors and splits, under Embertune's judge.

    python benchmarks/peers.py [--only finance10k-lyft] [--encoder minilm] [--seeds 5] [--peers nudge-n weightgain]

Splits are those that ``embertune.tune`` makes for the same seed. Peers train on train and choose on dev; tune trains on
both when it has chosen, and so do the peers that are called "refit" (worth .04 to NUDGE-N on scifact, so that one
without the other is half a comparison). Each peer runs in a process of its own, in an environment of its own, and sees
no test label:

    python -m venv build/venv-peers
    build/venv-peers/bin/pip install --no-deps -r benchmarks/peers/requirements.txt

The rows that are ours, ``benchmarks/peers/ours.py``, run in a process of their own in Embertune's environment.

Writes benchmarks/results/peers.json after every row, and under results/peers/ the nDCG@10 of every query, for
intervals between any two. A row that is there is not run again; one that failed has a row with its error, run again
with --retry. --again runs rows that are there once more: ours, when tuning has changed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from embertune.core.files import replacing, write_whole
from embertune.core.search import top_k
from embertune.data.demo import demo_dataset
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.compare import compare_two
from embertune.evaluation.evaluate import evaluate
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.run import Run
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.plan import make_plan

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "run.py"
OUR_RUNNER = HERE / "peers" / "ours.py"
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
OURS = ("embertune-fast", "embertune-query", "embertune")
METHODS = (*BASELINES, *PEERS, *OURS)
_DEPTH = 100


def make_job(trial, encoded, seed):
    """Give the arrays that a peer sees; test labels stay here.

    Args:
        trial: Of `make_plan`.
        encoded: The whole data set.
        seed: Of the split, and of everything random in the peer.
    """
    pool = list(trial.pool.queries)
    parts = {
        "train": [query for query in pool if query not in trial.dev],
        "dev": [query for query in pool if query in trial.dev],
        "test": list(trial.test.queries),
    }
    job = {"corpus": encoded.documents, "seed": seed}
    for part, ids in parts.items():
        job[f"{part}_queries"] = encoded.queries[encoded.query_rows(ids)]
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


def command_of(peer, job, split, options):
    """What runs a method on a job: a peer in the peers' environment, ours in this one.

    Args:
        peer: Its name.
        job: Path of the job; where ours is to run, data and vectors lie beside it.
        split: For ours, which splits as the job was split.
        options: Of the command line.
    """
    if peer in OURS:
        folder = job.parent
        command = [sys.executable, OUR_RUNNER, "--data", folder / "data", "--vectors", folder / "vectors.npz"]
        command += ["--split", split]
    else:
        command = [options.python, RUNNER]
    command += ["--job", job, "--peer", peer, "--out", job.parent]
    return [str(part) for part in command] + [part for setting in options.set for part in ("--set", setting)]


def run_method(peer, command, folder, timeout):
    """Call a runner.

    Args:
        peer: Its name.
        command: From `command_of`.
        folder: Where its vectors and what it tells go.
        timeout: In seconds.

    Returns:
        What it tells, and CPU seconds of the whole process, imports and reading included; with "error" where it failed
        in whatever way.
    """
    before = _children_seconds()
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=offline)
    except subprocess.TimeoutExpired:
        return {"error": f"not finished after {timeout} s"}
    except OSError as error:
        return {"error": f"{command[0]}: {error.strerror}"}
    told = folder / f"{peer}.json"
    if not told.is_file():
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": f"exit code {done.returncode}: {last}"}
    found = json.loads(told.read_text(encoding="utf-8")) | {"process_cpu_seconds": _children_seconds() - before}
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}


def _children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_peer(key, job, base, trial, encoded, options):
    """Fit one method and judge it, or judge a baseline: its evaluation, None if it failed, and what it tells."""
    *_, split, _, peer = key
    if peer == "base":
        return base, {}
    started = time.perf_counter()
    if peer == "bm25":
        run = bm25_run(trial.test.corpus, trial.test.queries, top_k=_DEPTH)
        return evaluate(trial.test.qrels, run, METRICS), {"seconds": round(time.perf_counter() - started, 3)}
    folder = job.parent
    told = run_method(peer, command_of(peer, job, split, options), folder, options.timeout)
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
        """Add a row; the file has one row per line, in the order of the keys."""
        self.rows[tuple(row[name] for name in KEY)] = row
        self._write()

    def place(self, group, behind):
        """Note in the rows of a group how far they are behind the first."""
        for peer, found in behind.items():
            if "scores" in self.rows.get((*group, peer), ()):
                self.rows[(*group, peer)]["behind"] = found
        self._write()

    def _write(self):
        lines = (json.dumps(self.rows[key], ensure_ascii=False) for key in sorted(self.rows))
        write_whole(self.path, "[\n" + ",\n".join(lines) + "\n]\n")


class Scores:
    """The nDCG@10 of every test query of one group (set, encoder, split, seed), by method; a file of its own."""

    def __init__(self, results, group, trial):
        self.path = results.parent / results.stem / ("--".join(map(str, group)) + ".npz")
        self.query_ids = list(trial.test.queries)
        self.groups = {
            "all": np.ones(len(self.query_ids), dtype=bool),
            "seen": np.array([query in trial.seen for query in self.query_ids]),
        }
        self.groups["unseen"] = ~self.groups["seen"]
        self.methods = {}
        if self.path.is_file():
            with np.load(self.path) as file:
                self.methods = {name: file[name] for name in file.files if name != "query_ids"}

    def set(self, peer, evaluation):
        """Keep the scores of a method, or forget them where it failed, and write the file."""
        if evaluation is None:
            self.methods.pop(peer, None)
            return
        place = {query: row for row, query in enumerate(evaluation.query_ids)}
        scores = evaluation.scores[METRICS[0]][[place[query] for query in self.query_ids]]
        self.methods[peer] = scores.astype(np.float32)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as file:
            np.savez_compressed(file, query_ids=np.array(self.query_ids), **self.methods)

    def behind(self, seed):
        """How far every method is behind the first, in the mean with its interval, per group of queries.

        BM25 is not among them: it adapts no vectors, and a search may use both. Base is: to leave vectors as they are
        is what one may pick, too.
        """
        found = {peer: {} for peer in self.methods if peer != "bm25"}
        for name, rows in self.groups.items():
            if not found or not rows.any():
                continue
            scores = {peer: self.methods[peer][rows].astype(np.float64) for peer in found}
            first = max(scores, key=lambda peer: scores[peer].mean())
            for peer, values in scores.items():
                low, high = bootstrap_interval(scores[first] - values, seed=seed)
                mean = float((scores[first] - values).mean())
                found[peer][name] = {"first": first, **_rounded({"mean": mean, "low": low, "high": high})}
        return found


def write_job(folder, trial, dataset, encoded, seed):
    """Write what runners read: the job for all, data and vectors for ours."""
    job = folder / "job.npz"
    np.savez(job, **make_job(trial, encoded, seed))
    dataset.save(folder / "data")
    ids = {"corpus_ids": np.array(encoded.document_ids), "query_ids": np.array(encoded.query_ids)}
    np.savez(folder / "vectors.npz", corpus=encoded.documents, queries=encoded.queries, **ids)
    return job


def measure_split(group, dataset, encoded, table, options):
    """Run what is missing of one set, encoder, split and seed, and say how far each is behind the first."""
    missing = [peer for peer in options.peers if options.again or (*group, peer) not in table]
    if not missing:
        return
    _, _, split, seed = group
    (trial,) = make_plan(dataset, split, seed=seed).trials
    base, scores = judge_base(trial, encoded), Scores(options.results, group, trial)
    with tempfile.TemporaryDirectory() as folder:
        job = write_job(Path(folder), trial, dataset, encoded, seed)
        for peer in missing:
            key = (*group, peer)
            evaluation, told = measure_peer(key, job, base, trial, encoded, options)
            row = row_of(key, trial, evaluation, base, told | {"fingerprint": dataset.fingerprint})
            scores.set(peer, evaluation)
            table.add(row)
            show(row)
    table.place(group, scores.behind(seed))


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
    parser.add_argument("--split", nargs="+", default=["given", "by-document"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--python", type=Path, default=BUILD / "venv-peers" / "bin" / "python")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one peer on one split")
    parser.add_argument("--retry", action="store_true", help="run rows with an error again")
    parser.add_argument("--again", action="store_true", help="run rows that are there once more")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="for trials, with --results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


def main():
    options = parsed()
    if options.set and options.results == RESULTS:
        sys.exit("--set makes other rows than the table's. Name another file for them, such as --results trial.json")
    if any(peer in PEERS for peer in options.peers) and not options.python.is_file():
        sys.exit(f"{options.python} is not there. Make it as the first lines of {Path(__file__).name} say.")
    table = Table(options.results, retry=options.retry)
    for name, dataset, encoder, loaded in sources(options):
        encoded = encode_dataset(loaded, dataset)
        for split in options.split:
            for seed in range(options.seeds):
                measure_split((name, encoder, split, seed), dataset, encoded, table, options)


if __name__ == "__main__":
    main()
