"""The benchmark of peers, as far as it goes without their environment: jobs, judging, joining, resuming, failing."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embertune.core.search import top_k
from embertune.data.dataset import Dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.evaluation.evaluate import evaluate, evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.retrieve import retrieve
from embertune.recipes.plan import make_plan
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig

FOLDER = Path(__file__).parents[2] / "benchmarks"
GROUP = ("tiny", "hashing", "by-query", 3)

# Stands in for benchmarks/peers/run.py: gives the vectors back as they are, or fails in the way its peer's name says.
RUNNER = """
import argparse, json, pathlib, sys, time
import numpy as np
parser = argparse.ArgumentParser()
for name in ("job", "peer", "out", "set"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()
out = pathlib.Path(args.out)
with open(pathlib.Path(__file__).with_suffix(".log"), "a") as log:
    log.write(args.peer + "\\n")
if args.peer == "weightgain":
    sys.exit("Traceback\\nMemoryError: 9 TiB")
if args.peer == "nudge-m":
    time.sleep(60)
told = {"seconds": 1.23456, "peak_mib": 10.0, "chosen": {}}
if args.peer == "st-dense":
    told = {"error": "ValueError: no"}
else:
    with np.load(args.job) as job:
        arrays = {"queries": job["test_queries"]}
        if args.peer == "nudge-n":
            arrays["documents"] = -job["corpus"]
        np.savez(out / f"{args.peer}.npz", **arrays)
(out / f"{args.peer}.json").write_text(json.dumps(told))
"""


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def peers(tmp_path, monkeypatch):
    module = load(FOLDER / "peers.py", "benchmark_of_peers")
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    monkeypatch.setattr(module, "RUNNER", runner)
    return module


@pytest.fixture
def job_module(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER / "peers")
    yield importlib.import_module("job")
    sys.modules.pop("job")


@pytest.fixture(scope="module")
def data():
    """120 queries; every document is asked for by two, so that by query most of test is seen."""
    pairs = [
        (f"{ask} number {at} of {at * 7 % 11}", f"text {at} about {at * 5 % 13}") for at in range(60) for ask in "ab"
    ]
    return Dataset.from_pairs(pairs, name="tiny")


@pytest.fixture(scope="module")
def encoded(data):
    return encode_dataset(HashingEncoder(), data)


def options(peers, tmp_path, names, *, timeout=60):
    arguments = ["--python", sys.executable, "--timeout", str(timeout), "--results", str(tmp_path / "peers.json")]
    return peers.parsed([*arguments, "--peers", *names])


def run(peers, tmp_path, data, encoded, names, **settings):
    chosen = options(peers, tmp_path, names, **settings)
    peers.measure_split(GROUP, data, encoded, peers.Table(chosen.results), chosen)
    return {row["peer"]: row for row in json.loads(chosen.results.read_text())}


def test_a_job_is_the_split_of_tune_and_holds_no_test_label(peers, data, encoded):
    (trial,) = make_plan(data, "by-query", seed=3).trials
    job = peers.make_job(trial, encoded, 3)
    assert {name for name in job if name.startswith("test")} == {"test_queries"}
    dev = [query for query in data.queries if query in trial.dev]
    train = [query for query in data.queries if query in trial.pool.queries and query not in trial.dev]
    assert len(train) + len(dev) + len(job["test_queries"]) == 120
    for part, ids in (("train", train), ("dev", dev)):
        rows = [encoded.query_ids.index(query) for query in ids]
        np.testing.assert_array_equal(job[f"{part}_queries"], encoded.queries[rows])
        found = {(ids[q], encoded.document_ids[d]) for q, d in job[f"{part}_pairs"]}
        assert found == {(query, document) for query in ids for document in data.positives(query)}
        assert set(job[f"{part}_grades"]) == {1.0}


def test_a_job_survives_its_file(peers, job_module, data, encoded, tmp_path):
    (trial,) = make_plan(data, "by-document", seed=1).trials
    made = peers.make_job(trial, encoded, 1)
    np.savez(tmp_path / "job.npz", **made)
    read = job_module.Job.read(tmp_path / "job.npz")
    assert read.seed == 1
    for name, value in made.items():
        np.testing.assert_array_equal(getattr(read, name), value)


def test_a_pooled_job_trains_on_dev_too(peers, job_module, data, encoded, tmp_path):
    (trial,) = make_plan(data, "by-query", seed=3).trials
    np.savez(tmp_path / "job.npz", **peers.make_job(trial, encoded, 3))
    job = job_module.Job.read(tmp_path / "job.npz")
    pooled = job.pooled()
    vectors = {vector.tobytes(): query for query, vector in zip(encoded.query_ids, encoded.queries, strict=True)}
    found = {(vectors[pooled.train_queries[q].tobytes()], encoded.document_ids[d]) for q, d in pooled.train_pairs}
    assert found == {(query, document) for query in trial.pool.queries for document in data.positives(query)}
    assert len(pooled.train_grades) == len(found) == 96
    np.testing.assert_array_equal(pooled.dev_queries, job.dev_queries)


def test_vectors_given_back_as_they_are_score_as_the_judge_scores_base(peers, data, encoded, tmp_path):
    rows = run(peers, tmp_path, data, encoded, ["base", "bm25", "triplet-notebook"])
    (trial,) = make_plan(data, "by-query", seed=3).trials
    expected = evaluate(trial.test.qrels, retrieve(encode_dataset(HashingEncoder(), trial.test)), peers.METRICS)
    for peer in ("base", "triplet-notebook"):
        assert rows[peer]["scores"]["all"] == {name: round(mean, 5) for name, mean in expected.means.items()}
        assert rows[peer]["delta"]["all"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
        kept = np.load(tmp_path / "peers" / "tiny--hashing--by-query--3.npz")
        assert tuple(kept["query_ids"]) == expected.query_ids
        np.testing.assert_array_equal(kept[peer], expected.scores["ndcg@10"].astype(np.float32))
    row = rows["triplet-notebook"]
    assert row["n"] == {"all": 24, "seen": len(trial.seen), "unseen": 24 - len(trial.seen)}
    assert (row["seconds"], row["peak_mib"], row["fingerprint"]) == (1.235, 10.0, data.fingerprint)
    weighted = sum(row["n"][group] * row["scores"][group]["mrr@10"] for group in ("seen", "unseen") if row["n"][group])
    assert weighted / 24 == pytest.approx(row["scores"]["all"]["mrr@10"], abs=1e-4)


def test_moved_documents_are_judged_too(peers, data, encoded, tmp_path):
    row = run(peers, tmp_path, data, encoded, ["nudge-n"])["nudge-n"]
    (trial,) = make_plan(data, "by-query", seed=3).trials
    queries = encoded.queries[[encoded.query_ids.index(query) for query in trial.test.queries]]
    judgments = Judgments.from_qrels(trial.test.qrels, list(trial.test.queries), encoded.document_ids)
    expected = evaluate_positions(judgments, top_k(queries, -encoded.documents, 60)[0], "ndcg@10")["ndcg@10"].mean()
    assert row["scores"]["all"]["ndcg@10"] == pytest.approx(expected, abs=1e-5)
    assert row["delta"]["all"]["mean"] < 0


def test_a_row_that_is_there_is_not_run_again_unless_asked(peers, data, encoded, tmp_path):
    for _ in range(2):
        rows = run(peers, tmp_path, data, encoded, ["base", "triplet-notebook"])
    run(peers, tmp_path, data, encoded, ["search-adaptor", "triplet-notebook"])
    assert (tmp_path / "runner.log").read_text().split() == ["triplet-notebook", "search-adaptor"]
    assert list(rows) == ["base", "triplet-notebook"]
    chosen = options(peers, tmp_path, ["triplet-notebook"])
    chosen.again = True
    peers.measure_split(GROUP, data, encoded, peers.Table(chosen.results), chosen)
    assert (tmp_path / "runner.log").read_text().split()[2:] == ["triplet-notebook"]


def test_every_method_but_bm25_is_told_how_far_it_is_behind_the_first(peers, data, encoded, tmp_path):
    rows = run(peers, tmp_path, data, encoded, ["base", "bm25", "nudge-n"])
    assert "behind" not in rows["bm25"]
    found = rows["nudge-n"]["behind"]["all"]
    scores = {peer: row["scores"]["all"]["ndcg@10"] for peer, row in rows.items()}
    assert found["first"] == "base"
    assert found["mean"] == pytest.approx(scores["base"] - scores["nudge-n"], abs=2e-5)
    assert (found["low"], found["high"]) == pytest.approx(
        [-rows["nudge-n"]["delta"]["all"][end] for end in ("high", "low")], abs=0.01
    )
    assert rows["base"]["behind"]["all"] == {"first": "base", "mean": 0.0, "low": 0.0, "high": 0.0}
    # A later method takes its place among those that are there.
    rows = run(peers, tmp_path, data, encoded, ["triplet-notebook"])
    assert rows["triplet-notebook"]["behind"]["all"]["first"] == "base"


@pytest.mark.parametrize(("peer", "side"), [("embertune-fast", "query"), ("embertune", "auto")])
def test_our_rows_are_what_tune_trains_on_the_same_split(peers, data, encoded, tmp_path, peer, side):
    chosen = options(peers, tmp_path, [peer])
    chosen.set = ["folds=2", "search_steps=4", "max_steps=5", "pulls=[0.1, 0.01]"]
    peers.measure_split(GROUP, data, encoded, peers.Table(chosen.results), chosen)
    (row,) = json.loads(chosen.results.read_text())
    ids = {"corpus_ids": np.array(encoded.document_ids), "query_ids": np.array(encoded.query_ids)}
    np.savez(tmp_path / "vectors.npz", corpus=encoded.documents, queries=encoded.queries, **ids)
    effort = {"embertune-fast": "fast", "embertune": "normal"}[peer]
    settings = {"folds": 2, "search_steps": 4, "max_steps": 5, "pulls": [0.1, 0.01], "seeds": 1, "side": side}
    config = TuneConfig.of_effort(effort, **settings)
    result = tune(data, PrecomputedEncoder(tmp_path / "vectors.npz"), split="by-query", effort=config, seed=GROUP[3])
    record = result.record
    assert row["scores"]["all"]["ndcg@10"] == pytest.approx(record["tuned"]["ndcg@10"], abs=1e-5)
    assert row["delta"]["all"]["mean"] == pytest.approx(record["delta"]["ndcg@10"]["mean"], abs=1e-5)
    assert row["delta"]["all"]["mean"] > 0.1
    assert row["verdict"] == result.verdict.code
    assert row["fingerprint"] == record["data"]["fingerprint"]
    assert (row["chosen"]["adapter"], row["chosen"]["side"]) == (
        record["candidate"]["type"],
        record["candidate"]["side"],
    )
    assert row["chosen"]["side"] == {"query": "query", "auto": "both"}[side]
    assert 0 < row["before_mib"] <= row["peak_mib"]
    assert min(row["seconds"], row["cpu_seconds"]) > 0


def test_our_row_tells_its_error(peers, data, encoded, tmp_path):
    chosen = options(peers, tmp_path, ["embertune"])
    chosen.set = ["folds=1"]
    peers.measure_split(GROUP, data, encoded, peers.Table(chosen.results), chosen)
    (row,) = json.loads(chosen.results.read_text())
    assert row["error"] == "ConfigError: Invalid configuration:\n- folds must be at least 2, got 1"
    assert "behind" not in row


@pytest.mark.parametrize(
    ("peer", "error"),
    [
        ("weightgain", "exit code 1: MemoryError: 9 TiB"),
        ("nudge-m", "not finished after 2.0 s"),
        ("st-dense", "ValueError: no"),
    ],
)
def test_a_failing_peer_is_a_row_with_its_error(peers, data, encoded, tmp_path, peer, error):
    rows = run(peers, tmp_path, data, encoded, [peer, "base"], timeout=2)
    assert rows[peer]["error"] == error
    assert "scores" not in rows[peer]
    assert "scores" in rows["base"]
    key = (*GROUP, peer)
    assert key in peers.Table(tmp_path / "peers.json")
    assert key not in peers.Table(tmp_path / "peers.json", retry=True)


def test_without_the_peers_environment_it_says_what_to_do(tmp_path):
    command = [sys.executable, FOLDER / "peers.py", "--python", tmp_path / "python", "--results", tmp_path / "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(re.escape(f"{tmp_path}/python is not there."), done.stderr)


def test_a_trial_with_other_settings_does_not_touch_the_table():
    command = [sys.executable, FOLDER / "peers.py", "--set", "epochs=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("--set makes other rows than the table's.")


def test_the_files_name_the_same_methods(peers, job_module, monkeypatch):
    runner = load(FOLDER / "peers" / "run.py", "runner_of_peers")
    assert tuple(runner.PEERS) == peers.PEERS
    monkeypatch.setitem(sys.modules, "run", runner)
    assert tuple(load(FOLDER / "peers" / "ours.py", "runner_of_ours").OURS) == peers.OURS


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="VmHWM is told by Linux only")
def test_peak_memory_is_of_the_process_itself_not_of_the_one_that_started_it():
    held = np.ones(40_000_000)  # 305 MiB
    code = f"import sys; sys.path.insert(0, {str(FOLDER / 'peers')!r}); import run; print(run.memory()[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < held.nbytes / 2**20


def test_what_peers_choose_by_on_dev_is_our_ndcg(job_module):
    random = np.random.default_rng(0)
    queries, corpus = (random.normal(size=(n, 8)).astype(np.float32) for n in (600, 50))
    pairs = np.array([(q, d) for q in range(600) for d in random.choice(50, size=1 + q % 12, replace=False)])
    grades = random.integers(1, 4, size=len(pairs)).astype(float)
    parts = dict.fromkeys(("train_queries", "train_pairs", "train_grades", "test_queries"))
    job = job_module.Job(**parts, dev_queries=queries, dev_pairs=pairs, dev_grades=grades, corpus=corpus, seed=0)
    qrels = {}
    for (query, document), grade in zip(pairs.tolist(), grades.tolist(), strict=True):
        qrels.setdefault(str(query), {})[str(document)] = grade
    judgments = Judgments.from_qrels(qrels, list(map(str, range(600))), list(map(str, range(50))))
    expected = evaluate_positions(judgments, top_k(queries, corpus, 10)[0], "ndcg@10")["ndcg@10"].mean()
    assert job_module.dev_ndcg(job, queries, corpus) == pytest.approx(expected, rel=1e-12)


@pytest.mark.torch
def test_search_adaptors_ranking_loss_is_its_formula(job_module):
    import torch

    module = importlib.import_module("search_adaptor")
    random = np.random.default_rng(0)
    scores, grades = random.normal(size=(4, 6)), random.integers(0, 3, size=(4, 6)).astype(float)
    terms = [
        (grades[i, j] - grades[i, k]) * np.log1p(np.exp(scores[i, k] - scores[i, j]))
        for i in range(4) for j in range(6) for k in range(6) if grades[i, j] > grades[i, k]
    ]  # fmt: skip
    found = module.ranking_loss(torch.from_numpy(scores), torch.from_numpy(grades))
    assert float(found) == pytest.approx(np.mean(terms))


@pytest.mark.torch
def test_weightgains_accuracy_is_the_best_of_its_2000_thresholds(job_module):
    module = importlib.import_module("weightgain")
    random = np.random.default_rng(0)
    cosines, labels = random.uniform(-1, 1, size=60), random.choice([-1, 1], size=60)
    best = max(np.mean(np.where(cosines > at / 1000, 1, -1) == labels) for at in range(-1000, 1000))
    assert module.accuracy(cosines, labels) == pytest.approx(best)
