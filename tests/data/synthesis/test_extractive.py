"""Queries that are cut out: of the chunk, no two alike, the same for the same seed, in any script."""

import re

import pytest

from embertune.data.sentences import sentence_spans
from embertune.data.synthesis.base import Chunk
from embertune.data.synthesis.extractive import STYLES, ExtractiveGenerator
from embertune.data.synthesis.terms import terms
from embertune.errors import ConfigError

ENGLISH = [
    Chunk(
        "Tokens expire after an hour of silence. Ask for a new one with\nthe refresh call. It never fails twice.",
        "Auth",
    ),
    Chunk(
        "Uploads may have twenty megabytes at most. Larger files go through the bucket of your own account.", "Limits"
    ),
    Chunk("Rows are billed per month and region. The invoice comes by mail on the first working day.", "Limits"),
]
CHINESE = [Chunk("今天北京下了很大的雨，学校因此停课一天。明天可能会是晴天，学生们需要回到学校上课。", "天气")]


def write(chunks, per_chunk=6, **options):
    return list(ExtractiveGenerator(**options).generate(chunks, per_chunk=per_chunk))


@pytest.mark.parametrize("chunks", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_crops_and_sentences_stand_in_their_chunk(chunks):
    found = write(chunks, styles=["crop", "cloze"])
    assert {query.style for query in found} == {"crop", "cloze"}
    for query in found:
        text = " ".join(chunks[query.chunks[0]].text.split())
        assert query.text in text
        assert query.text != text
        if query.style == "cloze":
            assert query.text in {" ".join(text[start:end].split()) for start, end in sentence_spans(text)}


@pytest.mark.parametrize("chunks", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_keywords_are_two_to_six_words_of_one_sentence_in_their_order(chunks):
    for query in write(chunks, styles=["keywords"]):
        text = chunks[query.chunks[0]].text
        found = [[word.lower() for word in terms(text[start:end])] for start, end in sentence_spans(text)]
        words = query.text.split()
        assert 2 <= len(words) <= 6
        assert any(words == sorted(words, key=sentence.index) for sentence in found if set(words) <= set(sentence))


def test_rare_words_are_preferred():
    chunks = [
        Chunk(f"the cost of the {word} is in the table of the report") for word in ("zinc", "iron", "lead", "gold")
    ]
    found = write(chunks, per_chunk=4, styles=["keywords"])
    rare = sum(any(word in query.text.split() for word in ("zinc", "iron", "lead", "gold")) for query in found)
    common = sum("table" in query.text.split() for query in found)
    assert rare > common


def test_titles_and_headings_are_asked_once_and_answered_by_all_that_bear_them():
    chunks = [*ENGLISH, Chunk("Type pip.", "Guide › Install"), *(Chunk(f"Part {n}.", "Book") for n in range(6))]
    found = [query for query in write(chunks) if query.style in ("title", "heading")]
    assert [(query.text, query.chunks, query.style) for query in found] == [
        ("Auth", (0,), "title"), ("Limits", (1, 2), "title"), ("Install", (3,), "heading"),
    ]  # fmt: skip


def test_no_two_queries_of_a_chunk_are_alike_and_there_are_no_more_than_asked():
    found = write(ENGLISH, per_chunk=5)
    for at in range(len(ENGLISH)):
        texts = [query.text.casefold() for query in found if query.chunks[0] == at]
        assert len(texts) == len(set(texts)) <= 5


def test_the_seed_decides():
    assert write(ENGLISH, seed=1) == write(ENGLISH, seed=1)
    assert write(ENGLISH, seed=1) != write(ENGLISH, seed=2)


def test_what_overlapping_chunks_share_is_answered_by_both():
    shared = "The refresh call gives a new token without a password."
    chunks = [
        Chunk(f"Tokens expire after an hour. {shared}", source="a.md", position=0),
        Chunk(f"{shared} It never fails twice in a row.", source="a.md", position=1),
        Chunk(f"{shared} This is another file.", source="b.md"),
    ]
    found = {query.text: query.chunks for query in write(chunks, per_chunk=20, styles=["cloze"])}
    assert found[shared] in {(0, 1), (2,)}
    by_file = [query.chunks for query in write(chunks, per_chunk=20, styles=["cloze"]) if query.text == shared]
    assert set(by_file) == {(0, 1), (2,)}


@pytest.mark.parametrize("text", ["", "  ", "word", "...", "two words", "!!! ???"])
def test_chunks_of_hardly_any_words_give_few_queries_or_none(text):
    assert len(write([Chunk(text)])) <= 1


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match=re.escape(f"styles must be some of {', '.join(STYLES)}; found 'poem'.")):
        ExtractiveGenerator(styles=["poem"])
    with pytest.raises(ConfigError, match=re.escape("found none.")):
        ExtractiveGenerator(styles=[])
    with pytest.raises(ConfigError, match=re.escape("per_chunk must be at least 1, got 0")):
        write(ENGLISH, per_chunk=0)
