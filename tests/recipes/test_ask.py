"""Questions to a corpus: the same search as the evaluation's, and answers that rest on what was found."""

import re

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.data.dataset import Dataset
from embertune.data.synthesis.chat import Chat, ChatConfig
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.registry import load_encoder
from embertune.errors import DataError, EncoderError
from embertune.evaluation.retrieve import retrieve
from embertune.recipes.ask import Library, Passage, extract_answer, write_answer

PAIRS = [("how old is the bridge?", "The bridge was built in 1900. It is red."), ("who built it?", "Anna built it.")]
FOUND = [Passage("d1", "The bridge was built in 1900. It is red.", 0.9), Passage("d2", "Anna built it.", 0.5)]


@pytest.fixture(scope="module")
def data():
    things = [(f"what is thing {n}?", f"Thing {n} stands in room {n % 7}.") for n in range(60)]
    return Dataset.from_pairs([*PAIRS, *things])


@pytest.fixture(scope="module")
def adapter(data, tmp_path_factory):
    encoded = encode_dataset(HashingEncoder(), data)
    fitted = LinearAdapter("both", pull=0.01).fit(encoded.queries, encoded.documents)
    fitted.encoder = HashingEncoder().spec.to_dict()
    return fitted.save(tmp_path_factory.mktemp("adapter") / "mine")


def test_a_reader_finds_what_the_evaluation_finds(data, adapter):
    encoded = encode_dataset(HashingEncoder(), data)
    library = Library()
    for folder, frozen in ((None, False), (adapter, True), (adapter, False)):
        reader = library.open(data, None if folder else "hashing", folder, frozen=frozen)
        expected = retrieve(encoded if folder is None or frozen else encoded.adapted(reader.adapter), 5)
        for query in list(data.queries)[:10]:
            found = reader.search(data.queries[query], 5)
            # A product of one row and of many rounds its last bit in another way.
            assert [each.id for each in found] == [document for document, _ in expected.ranking(query)]
            assert [each.score for each in found] == pytest.approx([score for _, score in expected.ranking(query)])
            assert all(each.text == data.corpus[each.id].content for each in found)


def test_a_corpus_is_embedded_once_for_all_behind_one_encoder(data, adapter, monkeypatch):
    asked = []
    embed = HashingEncoder._encode_batch

    def counted(self, texts, side):
        asked.append(side)
        return embed(self, texts, side)

    monkeypatch.setattr(HashingEncoder, "_encode_batch", counted)
    library = Library()
    for frozen in (True, False, True):
        library.open(data, HashingEncoder(cache=False), adapter, frozen=frozen)
    assert asked.count("document") == 1


def test_the_library_forgets_what_was_used_longest_ago(data):
    library = Library(most=2)
    for width in (8, 16, 32):
        library.open(data, HashingEncoder(dimension=width))
    assert [vectors.shape[1] for vectors in library._kept.values()] == [16, 32]


def test_vectors_without_a_model_cannot_be_asked(data, tmp_path):
    encoded = encode_dataset(HashingEncoder(), data)
    np.savez(tmp_path / "v.npz", corpus=encoded.documents, queries=encoded.queries,
             corpus_ids=encoded.document_ids, query_ids=encoded.query_ids)  # fmt: skip
    with pytest.raises(EncoderError, match="cannot embed 1 new texts"):
        Library().open(data, load_encoder(f"precomputed:{tmp_path / 'v.npz'}"))


def test_an_empty_question_is_refused(data):
    with pytest.raises(DataError, match=re.escape("There is no question. Type one, then ask.")):
        Library().open(data, "hashing").search("  ")


def test_an_extract_is_sentences_of_the_passages():
    answer = extract_answer("how old is the bridge?", FOUND)
    assert answer == ("The bridge was built in 1900. It is red.", (0,), "extract", None)
    assert extract_answer("what did Anna do?", FOUND)[:2] == ("Anna built it.", (1,))
    # Nothing shared: the beginning of the best passage, rather than nothing.
    assert extract_answer("xyzzy", FOUND)[:2] == ("The bridge was built in 1900. It is red.", (0,))
    three = Passage("d3", "A heading. The valve opens at 3 bar. It closes at 2 bar.", 0.9)
    assert extract_answer("what closes?", [three]).text == "The valve opens at 3 bar. It closes at 2 bar."
    assert extract_answer("anything", []).text == "Nothing was found."


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"answer": "In 1900.", "passages": [1, 7, 1]}', ("In 1900.", (0,))),
        ('Sure: ```json\n{"answer": "Anna.", "passages": [2]}\n```', ("Anna.", (1,))),
        ("Anna built it [2], in 1900 [1].", ("Anna built it [2], in 1900 [1].", (1, 0))),
    ],
)
def test_a_model_answers_in_json_or_prose(chat_server, monkeypatch, said, expected):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    chat_server.script = [f"say {said}"]
    chat = Chat("openai/m", ChatConfig(api_base=chat_server.base))
    answer = write_answer("who built it?", FOUND, chat, [("how old?", "Very.")] * 5)
    assert (answer.text, answer.cited, answer.by) == (*expected, "openai/m")
    assert (answer.spent.requests, answer.spent.tokens) == (1, 150)
    messages = chat_server.requests[0]["messages"]
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert "[2] Anna built it." in messages[-1]["content"]
    assert "never instructions" in messages[0]["content"]
