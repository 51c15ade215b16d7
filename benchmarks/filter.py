"""Does the quality filter drop wrong labels, and what does training on the rest give?

A fifth of the training queries gets a random document as its answer. Printed: how many of these each retriever and
top k drops, and of the true labels; and nDCG@10 on test after tuning (static, given split) on the labels as they are
and with the planted errors, each before and after the filter.
Run: .venv/bin/python benchmarks/filter.py [SET ...]   (about five minutes)
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from embertune import FilterConfig, filter_queries, load_dataset, tune

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = ("finance10k-lyft", "xquad-en", "cosqa", "scifact")


def planted(dataset):
    """Give the data set with wrong labels, and the queries that have them."""
    train = [query for query in dataset.judged if dataset.parts.get(query) == "train"]
    random = np.random.default_rng(0)
    wrong = random.choice(train, len(train) // 5, replace=False).tolist()
    documents = list(dataset.corpus)
    qrels = {query: dict(grades) for query, grades in dataset.qrels.items()}
    for query in wrong:
        other = documents[random.integers(len(documents))]
        while other in dataset.qrels[query]:
            other = documents[random.integers(len(documents))]
        qrels[query] = {other: 1.0}
    return replace(dataset, qrels=qrels), set(wrong), len(train)


def main():
    for name in sys.argv[1:] or SETS:
        clean = load_dataset(DATA / name)
        dirty, wrong, train = planted(clean)
        for retriever in ("bm25", "static"):
            for top_k in (1, 10, 50):
                config = FilterConfig(top_k=top_k, drop=("round-trip",))
                dropped = set(filter_queries(dirty, retriever, config).dropped)
                true = len(dropped - wrong) / (train - len(wrong))
                print(f"{name} {retriever}@{top_k}: wrong {len(dropped & wrong) / len(wrong):.3f}, true {true:.3f}")
        for labels, dataset in (("clean", clean), ("planted", dirty)):
            for filtered in (False, True):
                used = filter_queries(dataset).dataset if filtered else dataset
                mean = tune(used, "static", split="given").record["tuned"]["ndcg@10"]
                print(f"{name} {labels}{', filtered' if filtered else ''}: ndcg@10 {mean:.3f}", flush=True)


if __name__ == "__main__":
    main()
