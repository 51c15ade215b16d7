"""Passages from a description, through the real LiteLLM client."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

from embertune.data.dataset import Dataset
from embertune.data.synthesis.chunk_writer import LLMChunkWriter, write_chunks
from embertune.errors import ConfigError, LLMError

pytestmark = pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")

MODEL = "openai/gpt-4o-mini"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-this-is-the-secret-key-0123456789")


def told(request):
    """The titles that a request says are written already."""
    return re.findall(r"^- (.*)$", request["messages"][1]["content"], re.MULTILINE)


def test_every_batch_knows_what_was_written(chat_server):
    chunks = write_chunks("Things", MODEL, 25, api_base=chat_server.base)
    assert len({chunk.text for chunk in chunks}) == 25
    titles = [chunk.title for chunk in chunks]
    assert [told(request) for request in chat_server.requests] == [[], titles[:10], titles[:20]]
    asked = [request["messages"][1]["content"].splitlines()[-1] for request in chat_server.requests]
    assert asked == ["Write 10 new passages.", "Write 10 new passages.", "Write 5 new passages."]
    assert len({chunk.source for chunk in chunks}) == 25


def test_what_is_told_stays_within_its_tokens(chat_server):
    writer = LLMChunkWriter(MODEL, api_base=chat_server.base, memory_tokens=40)
    chunks = writer.write("Things", 20)
    # "thing mark1n0x" is taken for 6 tokens.
    assert told(chat_server.requests[1]) == [chunk.title for chunk in chunks[4:10]]
    assert "Written already (and 4 more):" in chat_server.requests[1]["messages"][1]["content"]


def test_near_copies_are_dropped_and_more_is_asked_for(chat_server):
    text = "Bread is made of flour, water and salt, and baked in a hot oven for nearly an hour until it is brown."
    answers = [
        [{"title": "Bread", "text": text}, {"title": "Loaf", "text": text.replace("brown", "golden")}],
        [{"title": "bread!", "text": "Something else."}, {"title": "Soup", "text": "Soup is hot and wet."}],
    ]
    chat_server.write = lambda body, number: ("chunks", answers.pop(0))
    writer = LLMChunkWriter(MODEL, api_base=chat_server.base)
    assert [chunk.title for chunk in writer.write("Food", 2)] == ["Bread", "Soup"]
    assert writer.notes[1] == "2 near copies were dropped."


def test_it_gives_up_where_nothing_new_comes(chat_server):
    chat_server.write = lambda body, number: ("chunks", [{"title": "Bread", "text": "Bread is good."}] * 3)
    message = (
        "openai/gpt-4o-mini wrote 1 distinct chunks of 5, and 3 requests in a row brought nothing but 11 near copies "
        "of them. Describe more than 'Food', or type: n_chunks=1"
    )
    with pytest.raises(LLMError, match=re.escape(message)):
        write_chunks("Food", MODEL, 5, api_base=chat_server.base)
    assert len(chat_server.requests) == 4


def test_nothing_is_asked_twice_and_more_may_be_asked_for(chat_server):
    first = write_chunks("Things", MODEL, 20, api_base=chat_server.base)
    assert write_chunks("Things", MODEL, 20, api_base=chat_server.base) == first
    assert len(chat_server.requests) == 2
    assert write_chunks("Things", MODEL, 30, api_base=chat_server.base)[:20] == first
    assert len(chat_server.requests) == 3


def test_a_failure_half_way_goes_on_where_it_was(chat_server):
    chat_server.script = ["ok", (401, "no")]
    with pytest.raises(LLMError, match="refused the key"):
        write_chunks("Things", MODEL, 20, api_base=chat_server.base)
    assert len(write_chunks("Things", MODEL, 20, api_base=chat_server.base)) == 20
    assert len(chat_server.requests) == 3


def test_a_budget_ends_it_with_what_is_written(chat_server):
    writer = LLMChunkWriter(MODEL, api_base=chat_server.base, budget_tokens=3500)
    written = len(writer.write("Things", 1000))
    assert 10 <= written < 100
    assert writer.spent.tokens <= 3500
    assert writer.notes[-1].startswith(f"The budget of 3,500 tokens was reached: {written} of 1000 chunks are written.")


def test_a_data_set_from_a_description(chat_server):
    told = []
    data = Dataset.from_synthetic_chunks(
        prompt="Things",
        llm=MODEL,
        n_chunks=12,
        n_queries_per_chunk=2,
        api_base=chat_server.base,
        language="English",
        progress=lambda stage, *rest: told.append(stage),
    )
    assert (len(data.corpus), len(data.queries)) == (12, 24)
    assert {origin.generator for origin in data.synthetic.values()} == {MODEL}
    assert all(len(data.positives(query)) == 1 for query in data.queries)
    assert data.notes[0].startswith("openai/gpt-4o-mini wrote 12 chunks from a description (2 requests, ")
    assert set(told) == {"write chunks", "write queries"}


def test_one_budget_is_for_passages_and_queries(chat_server):
    options = {"n_chunks": 10, "n_queries_per_chunk": 1, "api_base": chat_server.base}
    with pytest.raises(LLMError, match=r"has written no query yet\. .*The budget of 2,000 tokens was reached: 0 of 10"):
        Dataset.from_synthetic_chunks("Things", MODEL, budget_tokens=2000, **options)
    data = Dataset.from_synthetic_chunks("Things", MODEL, budget_tokens=4000, **options)
    assert len(data.queries) == 10


def test_settings_are_refused_before_anything_is_asked(chat_server):
    with pytest.raises(ConfigError, match=r"There is no option 'temprature'\. Did you mean 'temperature'"):
        Dataset.from_synthetic_chunks("Things", MODEL, temprature=1, api_base=chat_server.base)
    with pytest.raises(ConfigError, match="There is no style 'poem'"):
        Dataset.from_synthetic_chunks("Things", MODEL, styles=["poem"], api_base=chat_server.base)
    assert chat_server.requests == []
