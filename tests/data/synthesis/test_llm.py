"""Queries by a language model, through the real LiteLLM client, from a server that fails in every way."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import traceback
from importlib.util import find_spec

import pytest

from embertune.data.synthesis.base import Chunk
from embertune.data.synthesis.budget import Spent
from embertune.data.synthesis.llm import LLMQueryGenerator
from embertune.data.synthesis.tasks import Task
from embertune.errors import ConfigError, LLMError

pytestmark = pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")

KEY = "sk-proj-this-is-the-secret-key-0123456789"
PLAIN = ("question", "keywords", "vague", "typo")


def chunks_of(count, source="s"):
    return [Chunk(f"The answer to riddle {i} has mark{i}x in it, as told here.", source=source) for i in range(count)]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server(chat_server):
    return chat_server


@pytest.fixture
def make(server):
    def factory(model="openai/gpt-4o-mini", **options):
        generator = LLMQueryGenerator(model, **{"api_base": server.base, "timeout": 10, "styles": PLAIN, **options})
        generator._chat._retrier.first_wait = 0.01
        return generator

    return factory


def texts(queries):
    return [query.text for query in queries]


def test_every_chunk_gets_its_queries_in_order(server, make):
    queries = list(make(chunks_per_request=3).generate(chunks_of(10), per_chunk=2))
    assert [query.chunks for query in queries] == [(i,) for i in range(10) for _ in range(2)]
    assert all(f"mark{query.chunks[0]}x" in query.text for query in queries)
    assert sorted(texts(queries)) == sorted(server.given)
    assert len(server.requests) == 4
    assert {query.style for query in queries} <= set(PLAIN)


def test_the_schema_is_sent_where_the_model_takes_one(server, make):
    list(make().generate(chunks_of(1), per_chunk=1))
    sent = server.requests[0]["response_format"]["json_schema"]
    assert sent["strict"]
    assert sent["schema"]["properties"]["queries"]["items"]["required"] == ["passage", "style", "text"]
    list(make("openai/a-model-of-my-own").generate(chunks_of(1), per_chunk=1))
    assert "response_format" not in server.requests[1]
    list(make("openai/a-model-of-my-own", structured=True, temperature=0.3).generate(chunks_of(2), per_chunk=1))
    assert server.requests[2]["temperature"] == 0.3
    assert "response_format" in server.requests[2]


def test_a_server_without_schemas_is_asked_without(server, make):
    server.script = [(400, "response_format is not supported here")]
    assert len(list(make().generate(chunks_of(2), per_chunk=2))) == 4
    assert ["response_format" in request for request in server.requests] == [True, False]


def test_language_and_styles_reach_the_model(server, make):
    list(make(language="Swahili", styles=("keywords",)).generate(chunks_of(1), per_chunk=2))
    system, user = (message["content"] for message in server.requests[0]["messages"])
    assert "Write every query in Swahili." in system
    assert "typo" not in system
    assert user.endswith("- passage 1: 2 keywords")
    list(make().generate(chunks_of(1), per_chunk=2))
    assert "Write each query in the language of its passage." in server.requests[1]["messages"][0]["content"]


def test_texts_of_other_languages_arrive_as_they_were_written(server, make):
    told = ["как сохранить порядок ключей", "字典是否保持顺序", "كيف أحافظ على الترتيب", "how 🙂"]
    items = [{"passage": 1, "style": style, "text": text} for style, text in zip(PLAIN, told, strict=True)]
    server.write = lambda body, number: ("queries", items)
    for _ in range(2):
        assert texts(make(language="several languages").generate(chunks_of(1), per_chunk=4)) == told
    assert len(server.requests) == 1


def test_a_query_in_another_language_than_its_chunk_is_dropped_and_asked_for_again(server, make):
    answers = ["Wie ist das Rätsel von gestern zu lösen und was ist die Antwort?", "what is the solution of the puzzle"]
    server.write = lambda body, number: (
        "queries",
        [{"passage": 1, "style": "question", "text": answers[len(server.requests) - 1]}],
    )
    generator = make()
    assert texts(generator.generate(chunks_of(1), per_chunk=1)) == answers[1:]
    assert generator.notes[1] == "1 query was dropped: 1 in another language than the chunk."


def test_multi_hop_needs_a_neighbour_of_the_same_source(server, make):
    chunks = [*chunks_of(2, "a"), *chunks_of(2, "b")]
    queries = list(make(styles=("question", "multi-hop"), chunks_per_request=1).generate(chunks, per_chunk=2))
    assert [query.chunks for query in queries if query.style == "multi-hop"] == [(0, 1), (2, 3)]
    assert [sum(position in query.chunks[-1:] for query in queries) for position in range(4)] == [2, 2, 2, 2]
    shown = [request["messages"][1]["content"].count("<passage") for request in server.requests]
    assert sorted(shown) == [1, 1, 2, 2]


def test_a_declined_multi_hop_query_is_not_asked_again(server, make):
    whole = server.write
    server.write = lambda body, number: (
        "queries",
        [item for item in whole(body, number)[1] if item["style"] != "multi-hop"],
    )
    generator = make(styles=("question", "multi-hop"))
    queries = list(generator.generate(chunks_of(3), per_chunk=2))
    assert len(queries) == 4
    assert len(server.requests) == 1
    assert "2 queries were dropped: 2 two chunks with nothing in common." in generator.notes


def test_a_chunk_is_never_left_without_a_query_because_multi_hop_was_declined(server, make):
    whole = server.write
    server.write = lambda body, number: (
        "queries",
        [item for item in whole(body, number)[1] if item["style"] != "multi-hop"],
    )
    queries = list(make(styles=("question", "multi-hop")).generate(chunks_of(20), per_chunk=1))
    assert [query.chunks for query in queries] == [(i,) for i in range(20)]


@pytest.mark.parametrize("how", ["cut", "half", 500, 503, 429, "broken json", "none", "empty", "other passage"])
def test_a_passing_failure_is_retried(server, make, how):
    server.script = [how]
    queries = list(make().generate(chunks_of(2), per_chunk=2))
    assert len(queries) == 4
    assert len(server.requests) == 2


@pytest.mark.parametrize("how", ["prose", 'say {"a": 1}, {"queries": [{"passage": 1, "text": "why"}]} so'])
def test_an_answer_in_prose_is_read(server, make, how):
    server.script = [how]
    assert len(list(make().generate(chunks_of(1), per_chunk=1))) == 1
    assert len(server.requests) == 1


def test_too_few_are_kept_and_the_rest_is_asked_for(server, make):
    server.script = ["too few"]
    queries = list(make(concurrency=1).generate(chunks_of(4), per_chunk=2))
    assert [query.chunks[0] for query in queries] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(server.requests) == 2
    assert sorted(texts(queries)) == sorted(server.given)
    assert "mark0x" not in server.requests[1]["messages"][1]["content"]


def test_copied_and_repeated_queries_are_dropped_asked_for_again_and_counted(server, make):
    copied = "the answer to riddle 0 has"
    answers = [[copied, "what riddle"], ["What riddle?"], [f"say: {copied}"]]
    server.write = lambda body, number: (
        "queries",
        [{"passage": 1, "style": "question", "text": text} for text in answers.pop(0)],
    )
    generator = make()
    assert texts(generator.generate(chunks_of(1), per_chunk=2)) == ["what riddle"]
    assert "other than 'what riddle'" in server.requests[1]["messages"][1]["content"]
    assert generator.notes[1:] == (
        "3 queries were dropped: 2 copied from the chunk, 1 the same query twice.",
        "1 chunk has fewer queries than were asked for.",
    )


def test_a_chunk_that_is_refused_costs_only_itself(server, make):
    whole = server.write

    def write(body, number):
        key, items = whole(body, number)
        return key, [] if "mark3x" in body["messages"][1]["content"] else items

    server.write = write
    generator = make(chunks_per_request=4)
    queries = list(generator.generate(chunks_of(8), per_chunk=1))
    assert [query.chunks[0] for query in queries] == [0, 1, 2, 4, 5, 6, 7]
    assert generator.notes[-1] == "1 chunk has fewer queries than were asked for."


def test_a_model_that_never_writes_what_is_asked_is_given_up(server, make):
    server.write = lambda body, number: ("queries", [])
    with pytest.raises(LLMError, match=r"it has no query for any of 1 passages\. That was so for 5 chunks in a row"):
        list(make(concurrency=1).generate(chunks_of(100), per_chunk=1))
    assert len(server.requests) < 20


def test_nothing_is_asked_twice(server, make):
    first = list(make(chunks_per_request=3).generate(chunks_of(10), per_chunk=2))
    asked = len(server.requests)
    assert list(make(chunks_per_request=2).generate(chunks_of(10), per_chunk=2)) == first
    assert len(server.requests) == asked
    # A new chunk is asked about alone, a new style or number for all.
    chunks = chunks_of(10)
    chunks.insert(4, Chunk("A new one, mark99x."))
    again = list(make().generate(chunks, per_chunk=2))
    assert len(server.requests) == asked + 1
    assert texts(again)[:8] == texts(first)[:8]
    list(make().generate(chunks_of(10), per_chunk=3))
    assert len(server.requests) > asked + 1


def test_concurrency_is_bounded_and_used(server, make):
    server.delay = 0.1
    list(make(chunks_per_request=1, concurrency=3).generate(chunks_of(9), per_chunk=1))
    assert server.busiest == 3


def test_retry_after_is_honoured(server, make):
    server.script = [(429, "slow down", {"retry-after": "0.7"})]
    list(make(concurrency=1).generate(chunks_of(1), per_chunk=1))
    assert server.times[1] - server.times[0] >= 0.7


def test_requests_per_minute_are_kept(server, make):
    list(make(chunks_per_request=1, concurrency=4, requests_per_minute=600).generate(chunks_of(6), per_chunk=1))
    gaps = [later - earlier for earlier, later in itertools.pairwise(server.times)]
    assert sum(gaps) >= 0.45


def test_a_slow_answer_is_given_up_and_the_error_says_how_to_go_on(server, make):
    server.delay = 0.6
    with pytest.raises(LLMError, match=r"failed 2 times, last with: .*Run again to go on: what was answered is in the"):
        list(make(timeout=0.1, max_retries=1).generate(chunks_of(1), per_chunk=1))
    assert len(server.requests) == 2


def test_a_failure_half_way_keeps_what_came_and_goes_on(server, make):
    server.script = ["ok", "ok", (401, "Incorrect API key")]
    generator = make(chunks_per_request=1, concurrency=1)
    got = []
    with pytest.raises(LLMError, match="refused the key: Incorrect API key"):
        got.extend(generator.generate(chunks_of(5), per_chunk=1))
    assert len(got) == 2
    assert len(server.requests) == 3
    again = list(make(chunks_per_request=1, concurrency=1).generate(chunks_of(5), per_chunk=1))
    assert again[:2] == got
    assert len(server.requests) == 6


def test_the_key_is_in_no_error_and_no_journal(server, make, tmp_path):
    server.script = [(401, f"Incorrect API key provided: {KEY}.")]
    with pytest.raises(LLMError) as caught:
        list(make().generate(chunks_of(1), per_chunk=1))
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert KEY[:12] not in shown
    list(make().generate(chunks_of(3), per_chunk=1))
    stored = b"".join(path.read_bytes() for path in (tmp_path / "embertune-cache").iterdir())
    assert KEY.encode() not in stored
    assert b"riddle" not in stored


def test_a_key_as_an_option_and_unknown_options_are_refused(make):
    with pytest.raises(ConfigError, match="Keys are read from the environment only"):
        make(api_key=KEY)
    with pytest.raises(ConfigError, match=r"There is no option 'concurency'\. Did you mean 'concurrency'"):
        make(concurency=2)
    with pytest.raises(ConfigError, match="- concurrency must be at least 1, got 0\n- timeout must be positive, got 0"):
        make(concurrency=0, timeout=0)
    with pytest.raises(ConfigError, match="must be at least 1, got 0"):
        make().generate(chunks_of(1), per_chunk=0)


def test_the_key_is_asked_for_before_anything_is_sent(make, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LLMError, match="openai/gpt-4o-mini needs a key, and OPENAI_API_KEY is not set"):
        LLMQueryGenerator("openai/gpt-4o-mini")
    with pytest.raises(LLMError, match=r"LiteLLM knows no provider 'opnai'\. Did you mean \"openai/x\""):
        LLMQueryGenerator("opnai/x")


def test_a_server_of_ones_own_may_be_named_by_the_environment(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_BASE", server.base)
    assert len(list(LLMQueryGenerator("openai/my-model").generate(chunks_of(2), per_chunk=1))) == 2


def test_a_budget_of_tokens_stops_cleanly_and_what_was_paid_is_used(server, make):
    options = {"chunks_per_request": 1, "concurrency": 2}
    generator = make(budget_tokens=2500, **options)
    queries = list(generator.generate(chunks_of(50), per_chunk=1))
    assert generator.spent.tokens <= 2500
    assert 5 < len(queries) < 25
    assert sorted(texts(queries)) == sorted(server.given)
    assert generator.notes[-1] == (
        f"The budget of 2,500 tokens was reached: {50 - len(queries)} of 50 chunks were not asked about, or not to the "
        "end. Run again to go on."
    )
    rest = make(**options)
    assert len(list(rest.generate(chunks_of(50), per_chunk=1))) == 50
    assert len(server.requests) == 50


def test_after_the_budget_what_is_in_the_journal_is_still_given(server, make):
    list(make().generate(chunks_of(30)[20:], per_chunk=1))
    generator = make(budget_tokens=1000, chunks_per_request=1, concurrency=1)
    queries = list(generator.generate(chunks_of(30), per_chunk=1))
    assert [query.chunks[0] for query in queries][-10:] == list(range(20, 30))
    assert len(queries) < 20


def test_a_budget_in_dollars(server, make):
    generator = make(budget_usd=0.0005, chunks_per_request=1, concurrency=1)
    queries = list(generator.generate(chunks_of(100), per_chunk=1))
    # 100 prompt tokens at $0.15 and 50 at $0.60 a million are $0.000045.
    assert generator.spent == Spent(
        len(queries), 100 * len(queries), 50 * len(queries), pytest.approx(45e-6 * len(queries))
    )
    assert generator.spent.usd <= 0.0005
    assert 5 < len(queries) < 12
    with pytest.raises(ConfigError, match=r"does not know what openai/mine costs, so a budget of \$1 cannot be kept"):
        make("openai/mine", budget_usd=1)


def test_the_estimate_asks_nothing_and_knows_the_journal(server, make):
    generator = make()
    before = generator.estimate(chunks_of(16), per_chunk=2)
    assert (before.chunks, before.journaled, before.spent.requests, before.spent.answer_tokens) == (16, 0, 2, 32 * 32)
    assert server.requests == []
    list(generator.generate(chunks_of(10), per_chunk=2))
    sent = "\n".join(message["content"] for message in server.requests[0]["messages"])
    assert generator._chat.count_tokens(sent) == pytest.approx(before.spent.prompt_tokens / 2, rel=0.02)
    after = generator.estimate(chunks_of(16), per_chunk=2)
    assert (after.chunks, after.journaled, after.spent.requests) == (16, 10, 1)
    assert generator.estimate(chunks_of(10), per_chunk=2).spent == Spent(0, 0, 0, 0.0)
    assert str(make("openai/mine").estimate(chunks_of(1), per_chunk=1)).endswith("price unknown")


def test_progress_tells_rate_cost_and_time_left(server, make):
    told = []
    generator = make(chunks_per_request=1, concurrency=1, progress=lambda *step: told.append(step))
    list(generator.generate(chunks_of(5), per_chunk=1))
    stage, done, total, note = told[-1]
    assert (stage, done, total) == ("write queries", 5, 5)
    assert note.endswith("chunks/s, $0.0002")
    assert told[0][3].endswith("s left")


def test_memory_does_not_grow_with_the_chunks_and_they_are_taken_as_needed(server, make):
    taken = itertools.count()
    last = [0]

    def stream(count):
        for i in range(count):
            last[0] = next(taken)
            yield Chunk(f"Riddle {i} has mark{i}x in it.")

    queries = make(concurrency=2).generate(stream(1000), per_chunk=1)
    ahead, held = [], []
    for seen, _ in enumerate(queries):
        ahead.append(last[0] - seen)
        if seen % 200 == 100:
            gc.collect()  # what only waits for its turn to be collected is not held
            held.append(sum(isinstance(thing, Task) for thing in gc.get_objects()))
    assert max(ahead) <= 64
    assert max(held) <= 100, "as many as the window is wide, and those that workers have just finished"


def test_leaving_early_waits_for_what_is_under_way(server, make):
    server.delay = 0.2
    queries = make(chunks_per_request=1, concurrency=4).generate(chunks_of(40), per_chunk=1)
    next(queries)
    queries.close()
    asked = len(server.requests)
    assert asked < 20
    server.delay = 0
    assert len(list(make(chunks_per_request=1).generate(chunks_of(asked), per_chunk=1))) == asked
    assert len(server.requests) == asked


def test_two_at_once_do_not_corrupt_the_journal(server, make):
    server.delay = 0.01
    pairs = [make(chunks_per_request=1).generate(chunks_of(60), per_chunk=1) for _ in range(2)]
    interleaved = list(zip(*pairs, strict=True))
    assert all(left.chunks == right.chunks for left, right in interleaved)
    asked = len(server.requests)
    assert len(list(make().generate(chunks_of(60), per_chunk=1))) == 60
    assert len(server.requests) == asked


PROGRAM = """
from embertune.data.synthesis.base import Chunk
from embertune.data.synthesis.llm import LLMQueryGenerator
base, out = sys.argv[1:]
chunks = [Chunk(f"The answer to riddle {i} has mark{i}x in it, as told here.") for i in range(1000)]

def run():
    generator = LLMQueryGenerator("openai/gpt-4o-mini", api_base=base, timeout=5, max_retries=20,
                                  styles=("question", "keywords", "vague", "typo"))
    generator._chat._retrier.first_wait = 0.02
    with open(out, "w") as file:
        for query in generator.generate(chunks, per_chunk=2):
            file.write(f"{query.chunks[0]} {query.text}\\n")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_thousand_chunks_with_a_fifth_of_faults_and_three_kills(tmp_path, chat_module):
    log, out = tmp_path / "given", tmp_path / "out"
    with chat_module.killable_runs(PROGRAM, log, out, faults=0.2) as run:
        statuses = [run(given) for given in (400, 900, 1400, None)]
    assert statuses == [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, 0]
    rows = [line.split(" ", 1) for line in out.read_text().splitlines()]
    assert [int(position) for position, _ in rows] == [i for i in range(1000) for _ in range(2)]
    assert all(f"mark{position}x" in text for position, text in rows)
    used, given = [text for _, text in rows], log.read_text().splitlines()
    assert len(set(used)) == len(used) == 2000
    assert set(used) <= set(given)
    # What is lost was on its way to a process that was killed: eight requests of eight chunks, two queries each.
    assert len(given) - len(used) <= 3 * 8 * 8 * 2
