"""How much of a full re-embedding's recall@10 does a bridge between two encoders keep?

    python benchmarks/migrate.py [--data ../shared/data] [--only 500,1000]

The static model and all-MiniLM-L6-v2, from one to the other and back, by mapped queries and by a mapped index, on the
test queries of five sets. The sample is drawn from the documents and from the train and dev queries of all five; no
test query is in it. With 16 000 nearly every document that is searched is in the sample, so a mapped index was fitted
on; the rows "others" are fitted on 4 000 texts of the other four sets. With more than
2 000 texts, and for "others", effort is "fast": no network is tried. Writes benchmarks/results/migrate.json.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np

from embertune.core.random import generator
from embertune.core.search import top_k
from embertune.data.io import load_dataset
from embertune.data.texts import normalize_text
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.recipes.bridging import choose_bridge, share_kept, split_texts

HERE = Path(__file__).parent
SETS = ("finance10k-lyft", "xquad-en", "cosqa", "scifact", "cranfield")
SIZES = (500, 1000, 2000, 4000, 8000, 16000)
LARGEST_NORMAL = 2000
MODELS = ("static", "minilm")
METRIC = "recall@10"


def read(folder):
    """Give one set: vectors of both models, the rows of its test queries, its judgements, and the rest as texts."""
    dataset = load_dataset(folder)
    source = {"static": "static", "minilm": f"precomputed:{folder / 'all-MiniLM-L6-v2.npz'}"}
    found = {model: encode_dataset(load_encoder(source[model]), dataset) for model in MODELS}
    ids = found["static"].query_ids
    test = [row for row, query in enumerate(ids) if dataset.parts[query] == "test"]
    asked = {normalize_text(dataset.queries[ids[row]]) for row in test}
    texts = [*(dataset.queries[query] for query in ids), *(document.content for document in dataset.corpus.values())]
    rows = {model: np.concatenate([one.queries, one.documents]) for model, one in found.items()}
    tested = [ids[row] for row in test]
    judgments = Judgments.from_qrels(
        {query: dataset.qrels[query] for query in tested}, tested, found["static"].document_ids
    )
    return {"vectors": found, "test": test, "texts": texts, "rows": rows, "asked": asked, "judgments": judgments}


def pool(sets):
    """Give the different texts of some sets that are no test query of any, and their vectors."""
    asked = set().union(*(one["asked"] for one in sets))
    place = {}
    for number, one in enumerate(sets):
        for row, text in enumerate(one["texts"]):
            if normalize_text(text) not in asked:
                place.setdefault(text, (number, row))
    return {model: np.stack([sets[number]["rows"][model][row] for number, row in place.values()]) for model in MODELS}


def searched(one, queries, documents):
    positions, _ = top_k(queries, documents, min(10, len(documents)))
    return evaluate_positions(one["judgments"], positions, METRIC)[METRIC]


def judge(bridge, one, old, new, direction):
    """Give recall of the test queries: of the old encoder, of the bridge, and of a full re-embedding."""
    queries = {model: one["vectors"][model].queries[one["test"]] for model in MODELS}
    documents = {model: one["vectors"][model].documents for model in MODELS}
    if direction == "queries":
        bridged = searched(one, bridge.transform(queries[new]), documents[old])
    else:
        bridged = searched(one, queries[new], bridge.transform(documents[old], "document"))
    return searched(one, queries[old], documents[old]), bridged, searched(one, queries[new], documents[new])


def fit(rows, size, old, new, direction, effort):
    picked = np.sort(generator(0, "migrate", size).permutation(len(rows[old]))[:size])
    source, goal = (new, old) if direction == "queries" else (old, new)
    parts = split_texts(size, judge=False, seed=0)
    target = {"provider": "benchmark", "model": goal, "dimension": rows[goal].shape[1]}
    return choose_bridge(
        rows[source][picked], rows[goal][picked], parts, direction=direction, target=target, effort=effort
    )


def row_of(name, sample, size, ends, chosen, scores, seconds):
    old, new, direction = ends
    before, bridged, full = scores
    kept = share_kept(bridged, full, seed=0)
    return {"set": name, "sample": sample, "size": size, "old": old, "new": new, "direction": direction,
            "queries": len(full), "recall old": before.mean(), "recall bridged": bridged.mean(),
            "recall full": full.mean(), "kept": kept.share, "low": kept.low, "high": kept.high,
            "kind": chosen.bridge.kind, "pull": chosen.bridge.pull, "rank": chosen.bridge.rank,
            "seconds": seconds}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--only", help="sizes, such as 500,1000; nothing is written")
    args = parser.parse_args()
    sizes = SIZES if args.only is None else tuple(int(size) for size in args.only.split(","))
    sets = {name: read(args.data / name) for name in SETS}
    everything = pool(list(sets.values()))
    others = {name: pool([sets[other] for other in SETS if other != name]) for name in SETS}
    jobs = [("all", size, everything, SETS) for size in sizes]
    jobs += [("others", 4000, others[name], (name,)) for name in SETS if args.only is None]
    pairs = (MODELS, MODELS[::-1])
    found = []
    for (sample, size, rows, names), (old, new), direction in product(jobs, pairs, ("queries", "index")):
        ends = old, new, direction
        started = time.perf_counter()
        # A network on 16 000 texts takes minutes, of 24 fits each.
        effort = "normal" if sample == "all" and size <= LARGEST_NORMAL else "fast"
        chosen = fit(rows, size, *ends, effort)
        seconds = time.perf_counter() - started
        for name in names:
            found.append(row_of(name, sample, size, ends, chosen, judge(chosen.bridge, sets[name], *ends), seconds))
        mean = np.mean([row["kept"] for row in found[-len(names) :]])
        print(f"{old} -> {new}, {direction}, {sample} {size}: {mean:.3f} {chosen.bridge.kind}", flush=True)
        if args.only is None:
            text = json.dumps(found, indent=1, default=float) + "\n"
            (HERE / "results" / "migrate.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
