"""What does each loss give, with each kind of negatives?

    python benchmarks/losses.py [--data ../shared/data] [--only finance10k-lyft]

Tunes one family after another on the given split of sets with MiniLM vectors, at the defaults of its parameters but for
those named, on one thread and with one seed. The teacher of the distilled losses is BM25: its scores for each training
query's answers and for its 20 highest documents. Writes benchmarks/results/losses.json and prints a table.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import sys
import time
from pathlib import Path

import embertune
from embertune.adapters import LinearAdapter, MLPAdapter
from embertune.evaluation.baselines import bm25_run

HERE = Path(__file__).parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SETS = ("finance10k-lyft", "scifact")
# How strong the pull should be hangs on how steep a loss is, so every loss is given both.
PULLS = (0.1, 0.003)
LOSSES = [
    ("info_nce", ("all", "in-batch", "random", "hard")),
    ("triplet", ("in-batch", "random", "hard")),
    ("triplet_euclidean", ("random",)),
    ("cosent", ("random",)),
    ("mse", ("random",)),
    ("margin_mse", ("judged",)),
    ("mean_margin", ("judged",)),
]
NETWORKS = [("info_nce", "all"), ("triplet", "in-batch"), ("cosent", "random"), ("margin_mse", "judged")]


def rows():
    """Give a label and an adapter per row; the first is the search of linear maps."""
    yield "tune's own search", None
    for loss, kinds in LOSSES:
        for negatives in kinds:
            for pull in PULLS:
                yield "linear", LinearAdapter(loss=loss, negatives=negatives, pull=pull)
    for loss, negatives in NETWORKS:
        yield "mlp", MLPAdapter(loss=loss, negatives=negatives)


def teach(data):
    """Give BM25's scores of each training query's answers and of its 20 highest documents."""
    train = data.select([query for query, part in data.parts.items() if part != "test"])
    run = bm25_run(train.corpus, train.queries, top_k=len(train.corpus))
    scores = {}
    for query in train.judged:
        ranked = dict(run.ranking(query))
        kept = {*list(ranked)[:20], *train.positives(query)}
        scores[query] = {document: ranked.get(document, 0.0) for document in sorted(kept)}
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--only", help="one set")
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    results = []
    for name in SETS:
        if args.only not in (None, name):
            continue
        data = embertune.load_dataset(args.data / name)
        encoder = embertune.load_encoder(f"precomputed:{args.data / name / 'all-MiniLM-L6-v2.npz'}", name=MINILM)
        taught = teach(data)
        for family, adapter in rows():
            params = {} if adapter is None else {k: adapter.get_params()[k] for k in ("loss", "negatives", "pull")}
            scores = taught if params.get("loss") in ("margin_mse", "mean_margin") else None
            started = time.process_time()
            result = embertune.tune(data, encoder, split="given", adapter=adapter, scores=scores,
                                    effort=embertune.TuneConfig(seeds=1))  # fmt: skip
            record = result.record
            delta = record["delta"]["ndcg@10"]
            results.append({
                "set": name, "family": family, **params,
                "base": record["base"]["ndcg@10"], "tuned": record["tuned"]["ndcg@10"],
                "low": delta["low"], "high": delta["high"], "verdict": record["verdict"]["code"],
                "dev": [tried["dev"] for tried in record["selection"]["candidates"]],
                "reasons": record["selection"]["reasons"], "cpu_seconds": time.process_time() - started,
            })  # fmt: skip
            one = results[-1]
            print(f"| {name} | {family} | {' | '.join(str(params.get(k, '')) for k in ('loss', 'negatives', 'pull'))} "
                  f"| {one['base']:.3f} | {one['tuned']:.3f} | {one['verdict']} | {one['cpu_seconds']:.0f} |",
                  flush=True)  # fmt: skip
    if args.only is None:
        text = json.dumps({"seed": 0, "rows": results}, indent=1) + "\n"
        (HERE / "results" / "losses.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
