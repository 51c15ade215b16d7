from __future__ import annotations

import numpy as np

from embertune.serving.cache import MemoryCache


def row(value):
    return np.full(100, value, dtype=np.float32)


def test_the_least_recently_used_is_forgotten_first():
    cache = MemoryCache(3 * 800)  # a row of 100 numbers counts 400 bytes and 400 of its entry
    for number in range(3):
        cache.put(cache.key("query", str(number)), row(number))
    assert cache.get(cache.key("query", "0"))[0] == 0
    cache.put(cache.key("query", "3"), row(3))
    kept = [number for number in range(4) if cache.get(cache.key("query", str(number))) is not None]
    assert kept == [0, 2, 3]
    assert cache.filled == 3 * 800


def test_it_never_grows_beyond_its_size():
    cache = MemoryCache(10_000)
    for number in range(1000):
        cache.put(cache.key("query", str(number % 300)), row(number))
        assert cache.filled <= 10_000
    assert len(cache) == 12


def test_a_row_does_not_keep_its_batch_in_memory():
    cache, batch = MemoryCache(10_000), np.zeros((1000, 100), dtype=np.float32)
    cache.put(b"key", batch[3])
    assert cache.get(b"key").base is None
    batch[3] = 1
    assert not cache.get(b"key").any()


def test_what_is_put_again_counts_once():
    cache = MemoryCache(10_000)
    for number in range(5):
        cache.put(b"key", row(number))
    assert (len(cache), cache.filled, cache.get(b"key")[0]) == (1, 800, 4)


def test_a_cache_of_no_size_keeps_nothing():
    cache = MemoryCache(0)
    cache.put(b"key", row(1))
    assert (len(cache), cache.filled) == (0, 0)


def test_side_text_and_tokens_have_keys_of_their_own():
    cache = MemoryCache(1)
    keys = {cache.key("query", "1"), cache.key("document", "1"), cache.key("query", (1,)), cache.key("query", "(1,)"),
            cache.key("query", (11,)), cache.key("query", (1, 1))}  # fmt: skip
    assert len(keys) == 6
