"""Fingerprints change with the content and with nothing else."""

import hashlib

from embertune.core.hashing import fingerprint_texts


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
