"""Check the judge: on shuffled training labels nothing may ship, and intervals must cover the truth.

    python benchmarks/aa_check.py [--data ../shared/data] [--count 100] [--side auto]

Each data set is drawn from a shared set: 3000 documents, 400 training queries whose answers are permuted, 150 test
queries with their true answers. Real vectors (the embedded encoder), the whole of `tune`. The true difference of an
adapter is its mean over all other queries of those documents, of which the test queries are a random sample. Where dev
chose the identity the interval is [0, 0] and says nothing, so a second adapter is always fitted on the shuffled labels
(pull 0.1), a third on the true ones, and their intervals are counted apart.

Labels that are all shuffled are recognised as such, which leaves the judge little to do. So half as many data sets have
only some shuffled (half of the queries): there an adapter may truly gain, and what counts is how many of those that
ship do not. Other seeds, which decide nothing, are left out. Of 100 sets and more
the result is written to benchmarks/results/aa-SIDE.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.core.random import generator
from embertune.core.search import top_k
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig

HERE = Path(__file__).parent
SETS = ("squad-dev", "medquad", "nl2bash")
DOCUMENTS, TRAIN, DEV, TEST = 3000, 300, 100, 150
METRIC = "ndcg@10"


class Vectors(PrecomputedEncoder):
    """Vectors that are in memory already."""

    def __init__(self, encoded):
        self.spec = load_encoder("static").spec
        self.rows = {
            "query": (encoded.query_ids, encoded.queries),
            "document": (encoded.document_ids, encoded.documents),
        }
        self.rows = {side: ({name: at for at, name in enumerate(ids)}, v) for side, (ids, v) in self.rows.items()}

    def lookup(self, ids, side):
        place, vectors = self.rows[side]
        return vectors[[place[name] for name in ids]]


def draw(whole, seed, share):
    """Draw documents and queries, shuffle a share of the training labels, and keep the true ones of everything else."""
    random = generator(seed, "aa")
    documents = sorted(whole.corpus)
    documents = {documents[at] for at in random.permutation(len(documents))[:DOCUMENTS]}
    usable = [q for q in whole.queries if (p := whole.positives(q)) and documents.issuperset(p)]
    order = [usable[at] for at in random.permutation(len(usable))]
    train, test, rest = order[: TRAIN + DEV], order[TRAIN + DEV :][:TEST], order[TRAIN + DEV :]
    true = {query: {d: 1.0 for d in whole.positives(query)} for query in order}
    wrong = train[: round(share * len(train))]
    answers = [true[query] for query in wrong]
    shuffled = {query: true[query] for query in train}
    shuffled |= dict(zip(wrong, (answers[at] for at in random.permutation(len(wrong))), strict=True))
    parts = {q: "train" if at < TRAIN else "dev" for at, q in enumerate(train)} | dict.fromkeys(test, "test")
    corpus = {name: whole.corpus[name] for name in sorted(documents)}
    queries = {query: whole.queries[query] for query in [*train, *test]}
    judged = {**shuffled, **{query: true[query] for query in test}}
    return Dataset(corpus, queries, judged, whole.name, parts), true, train, test, rest


def differences(adapter, encoder, corpus, true, queries):
    """Score queries under the identity and under an adapter, one by one."""
    vectors, documents = encoder.lookup(queries, "query"), encoder.lookup(corpus, "document")
    judgments = Judgments.from_qrels(true, queries, corpus)
    scores = [
        evaluate_positions(judgments, top_k(a.transform(vectors), a.transform(documents, "document"), 10)[0], METRIC)[
            METRIC
        ]
        for a in (IdentityAdapter(), adapter)
    ]
    return scores[1] - scores[0]


def fitted(encoder, labels, train):
    """Fit at a fixed strength on some labels of the training queries."""
    documents = sorted({document for query in train for document in labels[query]})
    place = {name: at for at, name in enumerate(documents)}
    pairs = [(at, place[d]) for at, query in enumerate(train) for d in labels[query]]
    return LinearAdapter(pull=0.1).fit(
        encoder.lookup(train, "query"), encoder.lookup(documents, "document"), pairs=pairs
    )


def check(whole, encoder, seed, share, side):
    """Tune one shuffled data set, and hold its intervals against the truth."""
    data, true, train, test, rest = draw(whole, seed, share)
    corpus = list(data.corpus)
    result = tune(data, encoder, split="given", effort=TuneConfig(seeds=1, side=side), seed=seed)
    row = {"set": whole.name, "seed": seed, "shuffled": share, "verdict": result.verdict.code, "adapters": {}}
    candidates = {"chosen": result.candidate, "shuffled": fitted(encoder, data.qrels, train),
                  "true labels": fitted(encoder, true, train)}  # fmt: skip
    for name, adapter in candidates.items():
        if isinstance(adapter, IdentityAdapter) or (share < 1 and name != "chosen"):
            continue
        low, high = bootstrap_interval(differences(adapter, encoder, corpus, true, test), seed=seed)
        truth = float(differences(adapter, encoder, corpus, true, rest).mean())
        row["adapters"][name] = {"low": low, "high": high, "truth": truth}
    return row


def summary(rows):
    some = [row for row in rows if row["shuffled"] < 1]
    shipped = [row["adapters"]["chosen"]["truth"] for row in some if row["verdict"] == "ship"]
    whole = [row for row in rows if row["shuffled"] == 1]
    found = {"data sets": len(whole), "ship": sum(row["verdict"] == "ship" for row in whole),
             "half shuffled": {"data sets": len(some), "ship": len(shipped),
                               "ship without a true gain": sum(truth <= 0 for truth in shipped)}}  # fmt: skip
    for name in ("chosen", "shuffled", "true labels"):
        held = [row["adapters"][name] for row in rows if name in row["adapters"]]
        covered = sum(one["low"] <= one["truth"] <= one["high"] for one in held)
        truths = [one["truth"] for one in held]
        found[name] = {"intervals": len(held), "covered": covered, "share": covered / max(len(held), 1),
                       "mean truth": float(np.mean(truths)) if truths else None}  # fmt: skip
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--side", default="auto", choices=["query", "both", "auto"])
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    loaded = {name: load_dataset(args.data / name) for name in SETS}
    encoders = {name: Vectors(encode_dataset(load_encoder("static"), data)) for name, data in loaded.items()}
    rows, started = [], time.perf_counter()
    for seed, share in [(at, 1.0) for at in range(args.count)] + [(at, 0.5) for at in range(args.count // 2)]:
        name = SETS[seed % len(SETS)]
        rows.append(check(loaded[name], encoders[name], seed, share, args.side))
        print(f"{time.perf_counter() - started:6.0f} s {json.dumps(rows[-1])}", file=sys.stderr, flush=True)
    report = {"summary": summary(rows), "rows": rows}
    print(json.dumps(report["summary"], indent=1))
    if args.count >= 100:
        path = HERE / "results" / f"aa-{args.side}.json"
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
