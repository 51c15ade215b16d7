import re

import pytest

from embertune.data.passages import passages_from_text
from embertune.errors import ConfigError, DataError

BOOK = """The Project Gutenberg eBook of Nothing
This eBook is for the use of anyone.

*** START OF THE PROJECT GUTENBERG EBOOK NOTHING ***

CHAPTER I

It was the best of times,
it was   the worst of times.

*** END OF THE PROJECT GUTENBERG EBOOK NOTHING ***

Section 1. General Terms of Use and Redistribution
"""


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(" ".join(f"w{number}" for number in range(1000)), encoding="utf-8")
    return path


def test_all_passages_together_are_the_text(book):
    passages = passages_from_text(book, words=40)
    assert len(passages) == 25
    assert " ".join(passages) == book.read_text(encoding="utf-8")
    assert " ".join(passages_from_text(book, words=7)).split() == [f"w{number}" for number in range(994)]


def test_drawn_passages_are_some_of_them_and_follow_the_seed(book):
    every = passages_from_text(book, words=40)
    drawn = passages_from_text(book, words=40, count=6, seed=1)
    assert drawn == [passage for passage in every if passage in drawn]
    assert len(set(drawn)) == 6
    assert drawn == passages_from_text(book, words=40, count=6, seed=1)
    assert drawn != passages_from_text(book, words=40, count=6, seed=2)


def test_what_project_gutenberg_adds_is_left_out(tmp_path):
    path = tmp_path / "nothing.txt"
    path.write_text(BOOK, encoding="utf-8")
    assert passages_from_text(path, words=7) == ["CHAPTER I It was the best of", "times, it was the worst of times."]


def test_characters_are_words_where_no_spaces_are_written(tmp_path):
    path = tmp_path / "zh.txt"
    path.write_text("道可道，非常道。名可名，非常名。", encoding="utf-8")
    assert passages_from_text(path, words=4) == ["道可道，", "非常道。", "名可名，", "非常名。"]


def test_mistakes_are_said(book, tmp_path):
    message = (
        f"{book} has 1000 words, which is 25 passages of 40. "
        "Expected at least 26: give a longer text, a lower count, or a lower number of words."
    )
    with pytest.raises(DataError, match=re.escape(message)):
        passages_from_text(book, words=40, count=26)
    with pytest.raises(DataError, match=re.escape("has 1000 words, which is 0 passages of 1001. Expected at least 1:")):
        passages_from_text(book, words=1001)
    message = "Invalid configuration:\n- words must be at least 1, got 0\n- count must be at least 1, got 0"
    with pytest.raises(ConfigError, match=re.escape(message)):
        passages_from_text(book, words=0, count=0)
    with pytest.raises(DataError, match=re.escape(f"There is no file {tmp_path / 'none.txt'}.")):
        passages_from_text(tmp_path / "none.txt")
