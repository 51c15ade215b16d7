"""Measure what queries lose that an adapter is not for: another set's, searched in the documents of both.

    OPENBLAS_NUM_THREADS=1 python benchmarks/foreign.py [--own medquad] [--encoder static] [--side auto]

Every set is tuned on, as `tune` does it at its defaults, but for one seed; what is judged is what was trained, shipped
or not. Then once more for every other set, named with `foreign=`: half of its queries are looked at, half are judged.
Of sets with more than 3000 training queries 1500 are drawn, and 500 for test, with 5000 documents; of foreign queries
500. Writes benchmarks/results/foreign.json after every set; rows that are there are run again only with --again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from embertune.core.files import write_whole
from embertune.core.random import generator
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.recipes.foreign import judge_foreign, load_foreign
from embertune.recipes.result import describe
from embertune.recipes.tune import tune
from embertune.reports.words import parts
from embertune.training.config import TuneConfig

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "foreign.json"
SETS = ("cosqa", "cranfield", "finance10k-lyft", "medquad", "nl2bash", "scifact", "squad-dev", "xquad-en")
MINILM = "all-MiniLM-L6-v2.npz"
METRIC = "ndcg@10"
KEY = ("own", "encoder", "side", "foreign")
TRAIN, TEST, DOCUMENTS = 1500, 500, 5000


def draw(rows, most, name):
    order = generator(0, name).permutation(len(rows))[:most]
    return [rows[at] for at in sorted(order)]


def sampled(name, data):
    """Load a set; of a large one some training and test queries, and documents."""
    whole = load_dataset(data / name)
    parts_ = {part: [query for query in whole.judged if whole.parts[query] == part] for part in ("train", "test")}
    if len(parts_["train"]) <= 2 * TRAIN:
        return whole
    kept = whole.select([*draw(parts_["train"], TRAIN, "train"), *draw(parts_["test"], TEST, "test")])
    answers = {document for query in kept.judged for document in kept.positives(query)}
    rest = draw([document for document in whole.corpus if document not in answers], DOCUMENTS - len(answers), "rest")
    names = answers | set(rest)
    qrels = {query: {name: grade for name, grade in kept.qrels[query].items() if name in names} for query in kept.qrels}
    return replace(kept, corpus={name: kept.corpus[name] for name in kept.corpus if name in names}, qrels=qrels)


def encoder_of(kind, name, data):
    """Give the encoder of a set; None where there are no vectors."""
    if kind == "static":
        return load_encoder("static")
    path = data / name / MINILM
    return load_encoder(f"precomputed:{path}", name="all-MiniLM-L6-v2") if path.is_file() else None


def fewer(dataset):
    return dataset.select(draw(list(dataset.judged), TEST, "foreign"))


def measure(own, kind, side, others, data):
    """Tune on a set, and judge the queries of all others under what was trained: a row for each."""
    dataset, encoder = sampled(own, data), encoder_of(kind, own, data)
    config = TuneConfig(side=side, seeds=1)
    result = tune(dataset, encoder, split="given", effort=config, seed=0)
    encoded, told = encode_dataset(encoder, dataset), describe(result.candidate)
    delta = result.record["delta"][METRIC]
    shared = {
        "own_base": result.record["base"][METRIC],
        "own_change": delta["mean"],
        "adapter": [part["type"] for part in parts(told)],
        "maps": told["side"],
        "gates": sorted({name for part in parts(told) for name in ("gate", "document_gate") if part.get(name)}),
        "fingerprint": dataset.fingerprint,
    }
    for name in others:
        foreign = load_foreign(fewer(sampled(name, data)), encoder_of(kind, name, data), dataset, encoder, seed=0)
        found = judge_foreign(foreign.mix(encoded), result.candidate, [METRIC], primary=METRIC, seed=0).to_dict()
        low, high = found["delta"][METRIC]["low"], found["delta"][METRIC]["high"]
        numbers = {"n": found["n"], "base": found["base"][METRIC], "change": found["delta"][METRIC]["mean"]}
        told = {"named": measure_named(dataset, encoder, config, foreign)}
        yield (
            dict(zip(KEY, (own, kind, side, name), strict=True)) | numbers | {"low": low, "high": high} | told | shared
        )


def measure_named(dataset, encoder, config, foreign):
    """Tune with the other queries named: what those that are judged then lose, what the own gain, and how."""
    record = tune(dataset, encoder, split="given", effort=config, seed=0, foreign=foreign).record
    change, own = record["foreign"]["delta"][METRIC], record["delta"][METRIC]["mean"]
    how = [reason.partition(":")[0] for reason in record["selection"]["reasons"] if "that are not judged" in reason]
    found = {"n": record["foreign"]["n"], "change": change["mean"], "low": change["low"], "high": change["high"]}
    return found | {"own_change": own, "how": how[0].partition(" ")[2].partition(" ")[2] if how else ""}


def write(rows):
    lines = (json.dumps(rows[key], ensure_ascii=False) for key in sorted(rows))
    write_whole(RESULTS, "[\n" + ",\n".join(lines) + "\n]\n")


def show(row):
    names = f"{row['own']:16} {row['encoder']:7} {row['side']:6} -> {row['foreign']:16}"
    change = f"{row['change']:+.4f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    named = f"named {row['named']['change']:+.4f}, own {row['named']['own_change']:+.3f} {row['named']['how']}"
    print(names, change, f"own {row['own_change']:+.3f}", row["maps"], *row["gates"], named, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--own", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--encoder", nargs="+", default=["static", "minilm"], choices=["static", "minilm"])
    parser.add_argument("--side", nargs="+", default=["query", "auto"], choices=["query", "both", "auto"])
    parser.add_argument("--again", action="store_true", help="run rows that are there once more")
    args = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    rows = {tuple(row[name] for name in KEY): row for row in found}
    for kind in args.encoder:
        known = [name for name in SETS if encoder_of(kind, name, args.data)]
        for own in (name for name in known if name in args.own):
            for side in args.side:
                others = [n for n in known if n != own and (args.again or (own, kind, side, n) not in rows)]
                for row in measure(own, kind, side, others, args.data) if others else ():
                    rows[tuple(row[name] for name in KEY)] = row
                    show(row)
                write(rows)


if __name__ == "__main__":
    main()
