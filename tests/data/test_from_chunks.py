import re

import pytest

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.data.origin import Origin
from embertune.data.synthesis.base import Chunk, SyntheticQuery
from embertune.errors import ConfigError, DataError

TEXTS = ["Tokens expire after an hour of silence.", "Uploads may have twenty megabytes at most."]


class Writer:
    name = "my-model"
    notes = ("One answer was broken.",)

    def generate(self, chunks, *, per_chunk):
        for at, chunk in enumerate(chunks):
            if at != 1:
                yield from (SyntheticQuery(f"{chunk.text} {n}?", (at,)) for n in range(per_chunk))
        yield SyntheticQuery(" what of both? ", (0, 2), "multi-hop")
        yield SyntheticQuery("what of both?", (2, 3), "vague")
        yield SyntheticQuery(" ", (0,))


def test_every_form_of_chunk_is_taken_and_every_chunk_is_in_the_corpus(tmp_path):
    chunks = ["plain", Document("of a document", "Title"), ("Pair", "of a title and a text"),
              Chunk("of a source", "", "guide.md", 3), " "]  # fmt: skip
    data = Dataset.from_chunks(chunks, Writer(), 1, name="mine")
    assert data.corpus == {
        "d1": Document("plain"),
        "d2": Document("of a document", "Title"),
        "d3": Document("of a title and a text", "Pair"),
        "guide.md#3": Document("of a source"),
    }
    assert data.qrels["q1"] == {"d1": 1.0}
    both = next(query for query, text in data.queries.items() if text == "what of both?")
    assert set(data.qrels[both]) == {"d1", "d3", "guide.md#3"}
    assert data.synthetic[both] == Origin("my-model", "multi-hop")
    assert data.notes == (
        "4 chunks gave 4 synthetic queries (3 question, 1 multi-hop).",
        "1 chunk has no query: searched among the others, never asked for.",
        "One answer was broken.",
    )
    data.save(tmp_path)
    assert load_dataset(tmp_path) == data


def test_equal_chunks_are_one_and_places_that_two_share_are_no_ids():
    chunks = [
        Chunk(TEXTS[0], source="a"),
        Chunk(TEXTS[0], source="b"),
        Chunk(TEXTS[1], source="c"),
        Chunk("else", source="c"),
    ]
    data = Dataset.from_chunks(chunks)
    assert list(data.corpus) == ["a#0", "d1", "d2"]
    assert "1 chunk repeats an earlier one; equal chunks are one." in data.notes


def test_without_a_model_queries_are_cut_out_and_marked():
    data = Dataset.from_chunks(TEXTS, n_queries_per_chunk=2, seed=3)
    assert set(data.synthetic) == set(data.queries)
    assert {origin.generator for origin in data.synthetic.values()} == {"extractive"}
    assert data == Dataset.from_chunks(TEXTS, n_queries_per_chunk=2, seed=3)
    assert {origin.style for origin in Dataset.from_chunks(TEXTS, styles=["crop"]).synthetic.values()} == {"crop"}


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ("one text", "Found a str. Expected a list of passages, such as [text, text]."),
        (7, "Found a int. Expected a list of passages"),
        ([], "Found 0 chunks, none of which has text."),
        (["a", 7], "Chunk 2 is a int. Expected a text, a Document, a Chunk, or a pair (title, text)."),
        (["word"], "extractive wrote no query for 1 chunk. Expected passages of some sentences. 1 chunk has no query"),
    ],
)
def test_what_cannot_be_asked_about_is_told(chunks, expected):
    with pytest.raises(DataError, match=re.escape(expected)):
        Dataset.from_chunks(chunks)


def test_options_are_those_of_who_writes():
    expected = "The extractive generator has no option budget; its options are styles and seed. For a language model"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        Dataset.from_chunks(TEXTS, budget=1)
    with pytest.raises(ConfigError, match=re.escape("llm is a Writer. Expected the name of a model, or an object")):
        Dataset.from_chunks(TEXTS, Writer(), budget=1)
    with pytest.raises(ConfigError, match=re.escape("llm is a int. Expected the name of a model, or an object")):
        Dataset.from_chunks(TEXTS, 7)


def test_a_named_model_writes_through_the_llm_generator(monkeypatch):
    pytest.importorskip("litellm", reason="litellm is not installed")
    from embertune.data.synthesis import llm

    asked = {}

    class Stub(Writer):
        def __init__(self, model, **options):
            asked.update(model=model, **options)

    monkeypatch.setattr(llm, "LLMQueryGenerator", Stub)
    Dataset.from_chunks([*TEXTS, "c", "d"], "openai/gpt-4o-mini", 1, language="German")
    assert (asked["model"], asked["language"]) == ("openai/gpt-4o-mini", "German")
