import re

import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.data.splits import folds, seen_queries, split_dataset
from embertune.data.texts import normalize_text
from embertune.errors import ConfigError, SplitError


def random_dataset(seed: int, queries: int = 60, documents: int = 50) -> Dataset:
    rng = np.random.default_rng(seed)
    pairs = [
        (f"Query {n % (queries - 5)}" + "?" * (n % 2), f"document {rng.integers(documents)}") for n in range(queries)
    ]
    pairs += [(f"Query {rng.integers(queries)}", f"document {rng.integers(documents)}") for _ in range(5)]
    return Dataset.from_pairs(pairs)


def singles(count: int) -> Dataset:
    return Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(count)])


def documents_of(data: Dataset) -> set[str]:
    return {document_id for query_id in data.queries for document_id in data.positives(query_id)}


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_every_split_keeps_its_promises(method):
    for seed in range(30):
        data = random_dataset(seed)
        split = split_dataset(data, method, seed=seed)
        parts = (split.train, split.dev, split.test)
        assert sorted(query_id for part in parts for query_id in part.queries) == sorted(data.queries)
        for one, other in [(0, 1), (0, 2), (1, 2)]:
            texts = [{normalize_text(text) for text in parts[side].queries.values()} for side in (one, other)]
            assert texts[0].isdisjoint(texts[1])
            if method == "by-document":
                assert documents_of(parts[one]).isdisjoint(documents_of(parts[other]))
        assert all(part.corpus is data.corpus for part in parts)
        assert all(part.qrels[query_id] == data.qrels[query_id] for part in parts for query_id in part.queries)
        assert split.seen == seen_queries(split.train, split.test)
        assert not (split.seen and method == "by-document")


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.5, 0.0, 0.5), (0.1, 0.2, 0.7)])
@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_split_fractions_mean_what_they_say(method, fractions):
    split = split_dataset(singles(200), method, fractions=fractions)
    assert list(split.sizes.values()) == [round(200 * fraction) for fraction in fractions]
    assert split.notes == ()


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_seed_moves_the_split(method):
    data = singles(100)
    tests = [tuple(split_dataset(data, method, seed=seed).test.queries) for seed in (0, 0, 1)]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]
    expected_overlap = len(set(tests[0]) & set(tests[2]))
    assert expected_overlap < 20


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_the_order_of_rows_does_not_move_the_split(method):
    data = random_dataset(3)
    turned = Dataset(
        corpus=dict(reversed(data.corpus.items())),
        queries=dict(reversed(data.queries.items())),
        qrels={query_id: dict(reversed(grades.items())) for query_id, grades in reversed(data.qrels.items())},
    )
    one, other = split_dataset(data, method), split_dataset(turned, method)
    assert (one.train, one.dev, one.test) == (other.train, other.dev, other.test)


def test_the_data_set_is_unchanged():
    data = random_dataset(5)
    before = data.fingerprint
    split_dataset(data)
    assert Dataset(data.corpus, data.queries, data.qrels, parts=data.parts).fingerprint == before


def test_queries_without_a_relevant_document_get_no_part():
    data = Dataset.from_scored_pairs([*((f"q {n}", f"d {n}", 1) for n in range(10)), ("other", "d 1", 0)])
    split = split_dataset(data)
    assert split.sizes == {"train": 6, "dev": 2, "test": 2}
    assert split.notes == ("1 query has no relevant document and no part.",)


def test_what_components_cannot_give_is_told():
    data = Dataset.from_pairs([*((f"q {n}", "hub") for n in range(80)), *((f"r {n}", f"d {n}") for n in range(20))])
    split = split_dataset(data, "by-document")
    assert split.sizes == {"train": 80, "dev": 10, "test": 10}
    assert split.notes == (
        "Asked for train 60, dev 20, test 20 queries; the largest of 21 groups that share no document has 80, "
        "so it became 80, 10, 10.",
    )


@pytest.mark.parametrize(
    ("data", "method", "message"),
    [
        (
            singles(2),
            "by-query",
            "dataset: 2 of 2 queries have a relevant document; they form 2 groups of equal text, the largest of 1, "
            "too few for 60/20/20 % by-query: test would stay empty. Add labelled queries",
        ),
        (singles(1), "by-query", "dev and test would stay empty"),
        (
            Dataset.from_pairs([(f"q {n}", "one") for n in range(50)]),
            "by-document",
            "they form 1 group that shares no document, the largest of 50",
        ),
        (Dataset.from_pairs([(f"Same{'?' * n}", f"d {n}") for n in range(9)]), "by-query", "the largest of 9"),
    ],
)
def test_too_little_data_is_explained(data, method, message):
    with pytest.raises(SplitError, match=re.escape(message)):
        split_dataset(data, method)


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("by-query", "Add labelled queries or ask for fewer or other parts."),
        ("by-document", "Add labelled queries, ask for fewer or other parts, or split by query (--split by-query)."),
    ],
)
def test_what_was_asked_for_is_not_advised(method, advice):
    data = Dataset.from_pairs([("same", f"d {n}") for n in range(9)])
    for divide in (lambda: split_dataset(data, method), lambda: folds(data, 5, method)):
        with pytest.raises(SplitError) as caught:
            divide()
        assert str(caught.value).endswith(f" stay empty. {advice}") or str(caught.value).endswith(
            f" stay empty. Expected at least 5 groups of similar size. {advice}"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "random"}, "The split method 'random' is unknown. Expected by-query, by-document, given."),
        ({"fractions": (0.8, 0.2)}, "fractions must be three (train, dev, test), got 2"),
        ({"fractions": (0.8, 0.1, 0.2)}, "fractions must sum to 1, got 1.1; such as (0.6, 0.2, 0.2)"),
        ({"fractions": (1.0, 0.0, 0.0)}, "the fractions of train and test must be above 0, got 1.0 and 0.0"),
        ({"fractions": (1.2, -0.4, 0.2)}, "fractions must be between 0 and 1"),
    ],
)
def test_impossible_settings(arguments, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        split_dataset(singles(20), **arguments)


def with_parts(data: Dataset, *names: str) -> Dataset:
    parts = {query_id: names[position % len(names)] for position, query_id in enumerate(data.queries)}
    return Dataset(data.corpus, data.queries, data.qrels, parts=parts)


def test_given_parts_are_taken():
    data = with_parts(singles(30), "train", "dev", "test")
    split = split_dataset(data, "given")
    assert all(set(getattr(split, part).parts.values()) == {part} for part in ("train", "dev", "test"))
    assert split.sizes == {"train": 10, "dev": 10, "test": 10}


@pytest.mark.parametrize(("is_seen", "method"), [(False, "by-document"), (True, "by-query")])
def test_a_missing_dev_is_cut_from_train_as_test_was(is_seen, method):
    pairs = [(f"q {n}", f"d {n // 4}") for n in range(80)]
    data = Dataset.from_pairs(pairs)
    parts = {
        query_id: "test" if (n % 4 == 0 if is_seen else n >= 60) else "train" for n, query_id in enumerate(data.queries)
    }
    split = split_dataset(Dataset(data.corpus, data.queries, data.qrels, parts=parts), "given")
    assert list(split.sizes.values()) == [len(split.train.queries), 60 - len(split.train.queries), 20]
    assert split.notes == (
        f"The source gave no dev; {len(split.dev.queries)} of its 60 training queries were taken for it, {method}.",
    )
    if is_seen:
        assert split.sizes == {"train": 45, "dev": 15, "test": 20}
    else:
        assert documents_of(split.train).isdisjoint(documents_of(split.dev))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (singles(9), "dataset has no split of its own. Expected qrels/train.tsv and qrels/test.tsv"),
        (
            with_parts(singles(9), "train", "dev"),
            "dataset: the given split has no test (train 5, dev 4, test 0 judged queries). Expected qrels/test.tsv, or "
            "type --split by-query to pool all queries and split them again.",
        ),
        (
            with_parts(singles(9), "test", "dev"),
            "the given split has no train (train 0, dev 4, test 5 judged queries).",
        ),
        (
            with_parts(singles(2), "train", "test"),
            "its 1 training query in 1 group that shares no document: too few to cut one.",
        ),
    ],
)
def test_given_parts_that_do_not_suffice(data, message):
    with pytest.raises(SplitError, match=re.escape(message)):
        split_dataset(data, "given")


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_folds_test_every_query_once(method):
    for seed in range(10):
        data = random_dataset(seed)
        pairs = folds(data, 4, method, seed=seed)
        assert sorted(query_id for _, test in pairs for query_id in test.queries) == sorted(data.queries)
        for train, test in pairs:
            assert train.queries.keys() | test.queries.keys() == data.queries.keys()
            assert train.queries.keys().isdisjoint(test.queries)
            if method == "by-document":
                assert not seen_queries(train, test)
    assert folds(data, 4, method, seed=1) == folds(data, 4, method, seed=1)
    assert folds(data, 4, method, seed=1) != folds(data, 4, method, seed=2)


def test_folds_are_even():
    assert [len(test.queries) for _, test in folds(singles(23), 5)] == [5, 5, 5, 4, 4]


def test_folds_that_cannot_be():
    with pytest.raises(
        SplitError, match=re.escape("3 judged queries in 3 groups of equal text cannot fill 5 folds by-query")
    ):
        folds(singles(3))
    with pytest.raises(ConfigError) as caught:
        folds(singles(3), 1, "given")
    assert caught.value.problems == [
        "k must be at least 2, got 1",
        "folds are made by-query or by-document; the parts of the source are one split, not folds",
    ]


def test_to_dict_is_what_the_record_keeps():
    data = Dataset.from_pairs([(f"q {n}", f"d {n % 2}") for n in range(10)])
    split = split_dataset(data, seed=3)
    assert split.to_dict() == {
        "method": "by-query",
        "fractions": [0.6, 0.2, 0.2],
        "seed": 3,
        "sizes": {"train": 6, "dev": 2, "test": 2},
        "seen": len(split.seen),
        "notes": [],
    }
