"""Fingerprints change with the content and with nothing else."""

import hashlib

import numpy as np

from embertune.core.hashing import fingerprint_array, fingerprint_config, fingerprint_texts


def test_texts_hash_as_length_and_utf8_bytes():
    expected = hashlib.sha256()
    for text in ("a", "née", ""):
        data = text.encode()
        expected.update(len(data).to_bytes(8, "little") + data)
    assert fingerprint_texts(["a", "née", ""]) == "sha256:" + expected.hexdigest()


def test_order_borders_and_every_character_count():
    lists = [["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], ["", "a", "b"], ["a", "c"], [], [""], ["a\x00", "b"]]
    assert len({fingerprint_texts(texts) for texts in lists}) == len(lists)


def test_half_a_surrogate_pair_can_be_hashed():
    assert fingerprint_texts(["\ud800"]) != fingerprint_texts(["\ud801"])


def test_an_iterator_hashes_like_its_list():
    assert fingerprint_texts(iter(["a", "b"])) == fingerprint_texts(["a", "b"])


def test_arrays_differ_by_type_shape_and_values():
    arrays = [
        np.zeros((2, 3), np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 3), np.int32),
        np.zeros(6, np.float32),
        np.full((2, 3), 1, np.float32),
    ]
    assert len({fingerprint_array(array) for array in arrays}) == len(arrays)


def test_layout_in_memory_does_not_change_an_array():
    array = np.arange(12.0).reshape(3, 4)
    assert fingerprint_array(np.asfortranarray(array)) == fingerprint_array(array)
    assert fingerprint_array(np.repeat(array, 2, axis=0)[::2]) == fingerprint_array(array)


def test_the_order_of_keys_does_not_change_a_configuration():
    assert fingerprint_config({"a": 1, "b": [1, 2]}) == fingerprint_config({"b": [1, 2], "a": 1})
    values = [{"a": 1}, {"a": "1"}, {"a": [1, 2]}, {"a": [2, 1]}, {"b": 1}, None, 0]
    assert len({fingerprint_config(value) for value in values}) == len(values)
