from __future__ import annotations

import threading
import time
from importlib.util import find_spec

import pytest

from embertune._optional import import_litellm
from embertune.core.tokens import estimate_tokens
from embertune.encoders.batching import pack, run_batches


@pytest.mark.parametrize(
    "text",
    [
        "How do I split a list into chunks of n?",
        "Die Umsatzerlöse stiegen im dritten Quartal um zwölf Prozent auf 3,4 Milliarden Euro.",
        "我们如何将列表拆分成大小相等的块？这个问题经常出现。",
        "def chunks(lst, n):\n    for i in range(0, len(lst), n):\n        yield lst[i:i + n]\n",
        "Как разделить список на части одинакового размера?",
    ],
)
def test_the_estimate_is_not_below_a_real_tokenizer(text):
    if find_spec("litellm") is None:
        pytest.skip("the api extra is not installed; its tokenizer is the reference")
    real = import_litellm("A test").token_counter(model="text-embedding-3-small", text=text * 20)
    assert real <= estimate_tokens(text * 20) <= 4 * real


def test_batches_hold_everything_in_order_under_both_limits():
    texts = ["x" * (i * 7 % 40) + str(i) for i in range(100)]
    batches = pack(texts, size=8, tokens=60)
    assert [text for batch in batches for text in batch] == texts
    for batch in batches:
        assert 1 <= len(batch) <= 8
        assert sum(map(estimate_tokens, batch)) <= 60


def test_a_text_above_the_budget_travels_alone():
    assert pack(["a", "b" * 1000, "c"], size=10, tokens=10) == [["a"], ["b" * 1000], ["c"]]


def test_no_batches_of_nothing():
    assert pack([], size=3) == []
    assert list(run_batches(len, [], concurrency=4)) == []


def test_after_a_failure_no_new_batch_starts_and_running_ones_are_given():
    started, failed = [], threading.Event()

    def work(batch):
        started.append(batch[0])
        if batch == ["bad"]:
            failed.set()
            raise RuntimeError("bad batch")
        assert failed.wait(20)
        time.sleep(0.01)
        return batch[0]

    batches = [["good"], ["bad"], *[[str(i)] for i in range(200)]]
    given = []
    results = (given.append(result) for _, result in run_batches(work, batches, concurrency=2))
    with pytest.raises(RuntimeError, match="bad batch"):
        list(results)
    assert "good" in given
    assert sorted(given) == sorted(name for name in started if name != "bad")
    assert len(started) < 200
