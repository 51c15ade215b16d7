import re
from itertools import pairwise

import numpy as np
import pytest

from embertune.data.chunking import chunk_documents, token_spans
from embertune.data.document import Document
from embertune.data.sources.base import Heading, SourceText
from embertune.data.synthesis.base import Chunk
from embertune.errors import ConfigError, DataError

ENGLISH = "Keys keep their order. Values may repeat, e.g. twice.\n\nLists can be sorted by key! Why? " * 12
CHINESE = "今天下雨。明天可能是晴天！谁知道呢？" * 20
LONG = "x" * 500 + " and one sentence that has no end but many many words " * 8
TEXTS = {"english": ENGLISH, "chinese": CHINESE, "long": LONG, "one word": "word"}


def covered(text, chunks):
    marks = np.zeros(len(text), dtype=bool)
    for chunk in chunks:
        marks[chunk.start : chunk.start + len(chunk.text)] = True
    return "".join(character for character, is_in in zip(text, marks, strict=True) if not is_in)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("by", ["tokens", "sentences", "headings"])
@pytest.mark.parametrize(("size", "overlap"), [(1, 0), (7, 0), (20, 5), (20, 19), (10_000, 100)])
def test_chunks_cover_the_text_point_at_it_and_keep_the_limit(text, by, size, overlap):
    chunks = chunk_documents([SourceText(text, source="a.txt")], by=by, size=size, overlap=overlap)
    assert covered(text, chunks).strip() == ""
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert text[chunk.start : chunk.start + len(chunk.text)] == chunk.text == chunk.text.strip()
        assert 1 <= len(token_spans(chunk.text)) <= size
        assert chunk.source == "a.txt"
    starts = [chunk.start for chunk in chunks]
    ends = [chunk.start + len(chunk.text) for chunk in chunks]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))
    for before, after in zip(ends, starts[1:], strict=False):
        assert len(token_spans(text[after:before])) <= overlap


def test_windows_overlap_by_as_many_tokens_as_asked():
    text = " ".join(f"w{number}" for number in range(50))
    chunks = [chunk.text.split() for chunk in chunk_documents([text], by="tokens", size=20, overlap=5)]
    assert [len(chunk) for chunk in chunks] == [20, 20, 20]
    assert all(before[-5:] == after[:5] for before, after in pairwise(chunks))


def test_sentences_overlap_by_whole_sentences_that_fit():
    text = "One two three. Four five. Six seven eight. Nine ten."
    found = [chunk.text for chunk in chunk_documents([text], size=6, overlap=3)]
    assert found == ["One two three. Four five.", "Four five. Six seven eight.", "Six seven eight. Nine ten."]
    found = [chunk.text for chunk in chunk_documents([text], size=6, overlap=2)]
    assert found == ["One two three. Four five.", "Four five. Six seven eight.", "Nine ten."]


def test_the_path_of_headings_is_the_title():
    text = "Intro.\n# Guide\n## Install\nType pip.\n## Use\n### Fast\nGo.\n## Empty\n# End\nBye."
    names = {"# Guide": 1, "## Install": 2, "## Use": 2, "### Fast": 3, "## Empty": 2, "# End": 1}
    headings = tuple(
        Heading(at := text.index(f"{line}\n"), at + len(line) + 1, level, line.lstrip("# "))
        for line, level in names.items()
    )
    chunks = chunk_documents([SourceText(text, "Guide", "g.md", headings)], by="headings")
    assert [(chunk.title, chunk.text) for chunk in chunks] == [
        ("Guide", "Intro."),
        ("Guide › Install", "Type pip."),
        ("Guide › Use › Fast", "Go."),
        ("Guide › Empty", "## Empty"),
        ("Guide › End", "Bye."),
    ]
    assert all(text[chunk.start :].startswith(chunk.text) for chunk in chunks)


def test_every_form_of_document_is_taken():
    chunks = chunk_documents(["a text", Document("a text", "name"), ("name", "a text"), "  "])
    assert chunks == [Chunk("a text"), Chunk("a text", "name"), Chunk("a text", "name")]


def test_impossible_settings_are_told_at_once():
    expected = (
        "Invalid configuration:\n- by must be tokens, sentences, headings, got 'pages'\n"
        "- size must be at least 1, got 0\n- overlap must be at least 0 and below size (0), got 5"
    )
    with pytest.raises(ConfigError, match=re.escape(expected)):
        chunk_documents(["a"], by="pages", size=0, overlap=5)
    with pytest.raises(ConfigError, match=re.escape("overlap must be at least 0 and below size (5), got 5")):
        chunk_documents(["a"], size=5, overlap=5)


def test_what_is_no_document_is_refused():
    expected = "Document 2 is a int. Expected a text, a Document, or a pair (title, text). For files type:"
    with pytest.raises(DataError, match=re.escape(expected)):
        chunk_documents(["a", 7])
