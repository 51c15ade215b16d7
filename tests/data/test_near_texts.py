import re

import numpy as np
import pytest

from embertune.data.near_texts import CopyMeter, near_documents, near_queries
from embertune.errors import ConfigError

WORDS = [one + other for one in "abcdefgh" for other in "klmno"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the price?", "what is  price"),
        ("What are the symptoms of Parkinson's disease?", "what symptoms of parkinson diseases"),
        ("reset the phones", "Reset phone!"),
        ("is the", "IS THE?"),
        ("信息检索是什么", "信息检索是什么？"),
    ],
)  # fmt: skip
def test_wording_that_says_nothing_makes_no_other_query(one, other):
    assert near_queries([one, other]) == {1: 0}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("symptoms of glycogen storage disease type I", "symptoms of glycogen storage disease type II"),
        ("What is hepatitis A?", "What is hepatitis?"),
        ("revenue in the fiscal year of 2021", "revenue in the fiscal year of 2022"),
        ("flights from Paris to Rome", "flights from Rome to Paris"),
        ("does aspirin cause asthma", "does aspirin not cause asthma"),
        ("genetic changes of ALG1 disorder", "genetic changes of ALG12 disorder"),
        ("sort a list in C++", "sort a list in C#"),
        ("信息检索是什么", "信息检测是什么"),
    ],
)
def test_a_word_that_tells_things_apart_does(one, other):
    assert near_queries([one, other]) == {}


def test_the_earliest_query_stays_and_a_repetition_keeps_no_others():
    texts = ["open the file", "close it", "open file", "Open files", "open the filet"]
    # "file" has four letters: its plural may be another word.
    assert near_queries(texts) == {2: 0}
    assert near_queries([]) == {}


def shingles(text):
    words = text.split()
    return {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.9, 1.0])
def test_passages_found_through_prefixes_are_those_of_all_comparisons(threshold):
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(150):
        if texts and rng.random() < 0.5:
            words = texts[rng.integers(len(texts))].split()
            words[rng.integers(len(words))] = WORDS[rng.integers(len(WORDS))]
        else:
            words = [WORDS[at] for at in rng.integers(len(WORDS), size=rng.integers(1, 40))]
        texts.append(" ".join(words))
    kept, expected = [], {}
    for at, text in enumerate(texts):
        alike = {}
        for other in kept:
            one, two = shingles(text), shingles(texts[other])
            alike[other] = len(one & two) / len(one | two)
        best = max(alike, key=alike.get, default=None)
        if best is not None and alike[best] >= threshold - 1e-9:
            expected[at] = best
        else:
            kept.append(at)
    found = near_documents(texts, threshold=threshold)
    assert found == expected
    assert len(found) > 2


def test_passages_with_other_numbers_are_two():
    text = "Revenue grew by 5 percent over the year " * 5
    assert near_documents([text, text.upper() + "!"]) == {1: 0}
    assert near_documents([text, text.replace("5", "6")], threshold=0.1) == {}


def test_an_impossible_threshold_is_refused():
    message = "threshold must be a Jaccard index above 0 and at most 1, got 0"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        near_documents(["a"], threshold=0)


@pytest.mark.parametrize(
    ("query", "text", "words"),
    [
        ("a b c d", "x a b c y", 3),
        ("a b c d", "d c b a", 1),
        ("b c", "a bc d", 0),
        ("", "a", 0),
        ("A, b!", "a b", 2),
        ("a b x c d e", "a b c d e", 3),
        ("信息检索", "关于信息检测", 2),
        ("字典保持顺序", "因为字典保持顺序。", 3),
        ("The KEYS, keep!", "all the keys keep order", 3),
        ("b c a b c d", "a b c d", 4),
        ("ab", "abc ab", 1),
    ],
)
def test_the_longest_run_of_copied_words(query, text, words):
    assert CopyMeter(text).longest_run(query) == words
