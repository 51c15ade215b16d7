from itertools import pairwise

import numpy as np
import pytest

from embertune.data.sentences import sentence_spans


def sentences(text):
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ('He said "Go." She left.', ['He said "Go."', "She left."]),
        ("Dr. No met Mr. J. Bond, e.g. at 3.5 p.m. sharp.", ["Dr. No met Mr. J. Bond, e.g. at 3.5 p.m. sharp."]),
        ("Use os.path. It works.", ["Use os.path.", "It works."]),
        ("It ended in 1900. Nobody knew.", ["It ended in 1900.", "Nobody knew."]),
        ("1. Peel. 2. Cut.", ["1. Peel.", "2. Cut."]),
        ("costs rise.Drivers pay. Node.js stays", ["costs rise.", "Drivers pay.", "Node.js stays"]),
        ("A title\n\nwrapped\nlines stay. So", ["A title", "wrapped\nlines stay.", "So"]),
        ("Needs:\n- eggs\n- milk\n3) salt", ["Needs:", "- eggs", "- milk", "3) salt"]),
        ("今天下雨。明天呢？“好！”他说", ["今天下雨。", "明天呢？", "“好！”", "他说"]),
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟", "نعم."]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences_end_where_people_say(text, expected):
    assert sentences(text) == expected


def test_all_but_white_space_is_in_one_sentence():
    rng = np.random.default_rng(0)
    pieces = ["word", ". ", "! ", "。", "\n\n", "\n- ", " ", "Dr. ", "1. ", "“", "”", "漢", "a.B ", "…", "U.S. "]
    for _ in range(300):
        text = "".join(rng.choice(pieces, size=40))
        spans = sentence_spans(text)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        covered = np.zeros(len(text), dtype=bool)
        for start, end in spans:
            covered[start:end] = True
            assert text[start:end] == text[start:end].strip() != ""
        assert all(character.isspace() for character, is_in in zip(text, covered, strict=True) if not is_in)
