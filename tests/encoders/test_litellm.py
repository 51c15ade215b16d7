from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import traceback
from importlib.util import find_spec

import numpy as np
import pytest

from embertune._optional import install_line
from embertune.encoders import load_encoder
from embertune.encoders.cost import Cost
from embertune.errors import ConfigError, EncoderError, MissingExtraError, RateLimitError

pytestmark = pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")

KEY = "sk-proj-this-is-the-secret-key-0123456789"
TEXTS = [f"text number {i}" for i in range(10)]


def vector_of(text):
    return [float(len(text)), float(sum(map(ord, text)) % 97 + 1), float(ord(text[0])), 1.0]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def make(api):
    def factory(**options):
        name = options.pop("model", "openai/text-embedding-3-small")
        encoder = load_encoder(name, api_base=api.base, **{"timeout": 5, "normalize": False, **options})
        encoder._retrier.first_wait = 0.01
        return encoder

    return factory


def expected(texts):
    return np.array([vector_of(text) for text in texts], dtype=np.float32)


def test_order_is_kept_and_each_text_is_paid_once(api, make):
    encoder = make(batch_size=3)
    texts = [*TEXTS, TEXTS[4], "", TEXTS[0]]
    vectors = encoder.encode_document(texts)
    np.testing.assert_array_equal(vectors[:10], expected(TEXTS))
    np.testing.assert_array_equal(vectors[[10, 12]], vectors[[4, 0]])
    assert not vectors[11].any()
    assert len(api.requests) == 4
    assert sorted(api.texts) == sorted(TEXTS)
    assert encoder.empty_texts == 1
    make(batch_size=3).encode_document(texts)
    assert len(api.requests) == 4


@pytest.mark.parametrize("how", ["reversed", "base64", "same index"])
def test_forms_of_answers(api, make, how):
    api.script = [how]
    np.testing.assert_array_equal(make().encode_query(TEXTS), expected(TEXTS))
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "how", ["cut", "broken json", "too few", "odd indices", (500, "oops oops"), (503, "b b"), (429, "slow down")]
)
def test_a_passing_failure_is_retried_once(api, make, how):
    api.script = [how]
    np.testing.assert_array_equal(make().encode_query(TEXTS), expected(TEXTS))
    assert len(api.requests) == 2


def test_a_slow_answer_is_given_up_and_asked_again(api, make):
    api.delay = 0.5
    encoder = make(timeout=0.1, max_retries=1)
    with pytest.raises(EncoderError, match=re.escape("openai/text-embedding-3-small failed 2 times, last with: ")):
        encoder.encode_query(["a"])
    assert len(api.requests) == 2


def test_retry_after_is_honoured(api, make):
    api.script = [(429, "slow down", {"retry-after": "1"})]
    make(batch_size=1, concurrency=1).encode_query(["a", "b"])
    assert api.texts == ["a", "a", "b"]
    assert api.times[1] - api.times[0] >= 1


def test_concurrency_is_bounded_and_used(api, make):
    api.together, api.delay = 3, 0.02
    make(batch_size=1, concurrency=3).encode_query(TEXTS)
    assert api.busiest == 3
    assert sorted(api.texts) == sorted(TEXTS)


def test_an_exhausted_rate_limit_keeps_what_came(api, make):
    encoder = make(batch_size=5, concurrency=1, max_retries=2)
    api.script = ["ok", *[(429, "slow down please")] * 3]
    with pytest.raises(RateLimitError, match=r"still refused for its rate limit after 3 tries: .*slow down please"):
        encoder.encode_document(TEXTS)
    assert len(api.requests) == 4
    np.testing.assert_array_equal(encoder.encode_document(TEXTS), expected(TEXTS))
    assert api.requests[-1]["input"] == TEXTS[5:]
    assert len(api.requests) == 5


def test_a_failure_among_concurrent_requests_keeps_the_others(api, make):
    api.refuse = lambda body: TEXTS[0] in body["input"]
    encoder = make(batch_size=1, concurrency=4)
    with pytest.raises(EncoderError, match="refused a request of 1 texts"):
        encoder.encode_document(TEXTS)
    api.refuse = None
    encoder.encode_document(TEXTS)
    assert sorted(api.texts) == sorted([*TEXTS, TEXTS[0]])


def test_a_far_retry_after_fails_at_once(api, make):
    api.script = [(429, "slow down", {"retry-after": "86400"})]
    with pytest.raises(RateLimitError) as caught:
        make().encode_query(["a"])
    assert caught.value.retry_after == 86400
    assert len(api.requests) == 1


def test_a_retry_after_may_be_a_date(api, make):
    api.script = [(429, "slow down", {"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"})]
    with pytest.raises(RateLimitError) as caught:
        make().encode_query(["a"])
    assert caught.value.retry_after > 86400
    api.script = [(429, "slow down", {"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"})]
    make().encode_query(["b"])
    assert len(api.requests) == 3


def test_no_credit_is_not_retried(api, make):
    api.script = [(429, "insufficient_quota")]
    with pytest.raises(RateLimitError, match="has no credit left"):
        make().encode_query(["a"])
    assert len(api.requests) == 1


def test_a_refused_request_names_the_longest_text(api, make):
    api.script = [(400, "maximum context length is 8192 tokens")]
    with pytest.raises(EncoderError, match=r"maximum context length.*longest has 300 characters and starts with 'xxx"):
        make().encode_query(["a", "x" * 300])
    assert len(api.requests) == 1


def test_nan_is_refused_and_not_cached(api, make):
    api.script = ["nan"]
    with pytest.raises(EncoderError, match=r"1 of 2 rows .* hold NaN"):
        make().encode_query(["a", "b"])
    np.testing.assert_array_equal(make().encode_query(["a", "b"]), expected(["a", "b"]))


def test_the_key_is_in_no_error_and_not_in_the_cache(api, make, tmp_path):
    api.script = [(401, f"Incorrect API key provided: {KEY}. It should begin with sk-")]
    encoder = make()
    with pytest.raises(EncoderError, match=re.escape("export OPENAI_API_KEY=...")) as caught:
        encoder.encode_query(["a"])
    assert api.headers[0]["authorization"] == f"Bearer {KEY}"
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert KEY[:12] not in shown
    encoder.encode_query(["a text of mine"])
    stored = b"".join(path.read_bytes() for path in (tmp_path / "embertune-cache").iterdir())
    assert KEY.encode() not in stored
    assert b"a text of mine" not in stored


def test_missing_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    message = (
        "openai/text-embedding-3-small needs a key, and OPENAI_API_KEY is not set. Type: export OPENAI_API_KEY=..."
    )
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoder("openai/text-embedding-3-small")
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoder("openai/text-embedding-3-small")


def test_a_server_of_ones_own_needs_no_key(api, make, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert make(model="openai/my-model").encode_query(["a"]).shape == (1, 4)


def test_a_key_as_an_option_is_refused():
    with pytest.raises(ConfigError, match="Keys are read from the environment only"):
        load_encoder("openai/text-embedding-3-small", api_key=KEY)


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("cohere/embed-v4.0", {"input_type": "search_query"}, {"input_type": "search_document"}),
        ("voyage/voyage-3.5", {"input_type": "query"}, {"input_type": "document"}),
        ("jina_ai/jina-embeddings-v3", {"task": "retrieval.query"}, {"task": "retrieval.passage"}),
        ("nvidia_nim/nvidia/nv-embedqa-e5-v5", {"input_type": "query"}, {"input_type": "passage"}),
        ("openai/text-embedding-3-small", {}, {}),
        ("mistral/mistral-embed", {}, {}),
    ],
)
def test_the_side_is_told_in_the_providers_own_words(api, make, monkeypatch, model, query, document):
    monkeypatch.setenv(f"{model.split('/')[0].upper()}_API_KEY", KEY)
    # The answer of the fake server fits OpenAI's protocol only; what counts here is what arrived.
    api.script = [(400, "seen enough")] * 2
    encoder = make(model=model)
    for encode, wanted in ((encoder.encode_query, query), (encoder.encode_document, document)):
        with pytest.raises(EncoderError, match="seen enough"):
            encode(["a"])
        sent = {name: value for name, value in api.requests[-1].items() if name in ("input_type", "task")}
        assert sent == wanted


def test_gemini_is_told_the_side_by_the_task_type(api, make, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    api.script = [(400, "seen enough")]
    with pytest.raises(EncoderError, match="seen enough"):
        make(model="gemini/gemini-embedding-001", dimensions=256).encode_query(["a"])
    [request] = api.requests[0]["requests"]
    assert (request["taskType"], request["outputDimensionality"]) == ("RETRIEVAL_QUERY", 256)


def test_dimensions_are_asked_for_and_checked(api, make):
    assert make(dimensions=4).encode_query(["a"]).shape == (1, 4)
    assert api.requests[0]["dimensions"] == 4
    make().encode_query(["a"])
    make(dimensions=4).encode_query(["a"])
    assert len(api.requests) == 2
    with pytest.raises(EncoderError, match="gave vectors of 4 dimensions where 3 were expected"):
        make(dimensions=3).encode_query(["a"])


def test_prompts_reach_the_server(api, make):
    make(query_prompt="query: ").encode_query(["a"])
    assert api.texts == ["query: a"]


def test_cost_before_and_after(api, make):
    encoder = make()
    before = encoder.estimate([*TEXTS, TEXTS[0], ""], "document")
    # "text number 3" is four tokens of cl100k_base, and three words of the fake server; $0.02 a million.
    assert before == Cost(10, 40, pytest.approx(40 * 2e-8))
    encoder.encode_document(TEXTS)
    assert encoder.cost == Cost(10, 30, pytest.approx(30 * 2e-8))
    assert encoder.estimate(TEXTS, "document") == Cost(0, 0, 0.0)
    encoder.encode_document(TEXTS)
    assert encoder.cost.texts == 10


def test_an_unknown_price_is_not_zero(api, make):
    encoder = make(model="openai/a-model-of-my-own")
    assert encoder.estimate(TEXTS, "query").usd is None
    encoder.encode_query(TEXTS)
    assert encoder.cost.usd is None
    assert str(encoder.cost) == "10 texts, 30 tokens, price unknown"


def test_unknown_provider_and_wrong_settings():
    with pytest.raises(EncoderError, match=re.escape("no provider 'opnai'. Did you mean \"openai/x\"")):
        load_encoder("opnai/x")
    with pytest.raises(EncoderError, match=re.escape('"sentence-transformers/BAAI/bge-small-en-v1.5"')):
        load_encoder("BAAI/bge-small-en-v1.5")
    problems = "- dimensions must be at least 1, got 0\n- concurrency must be at least 1, got 0"
    with pytest.raises(ConfigError, match=re.escape(problems)):
        load_encoder("openai/text-embedding-3-small", dimensions=0, concurrency=0)
    with pytest.raises(
        ConfigError, match="batch_size must be at most 2048 for openai/text-embedding-3-small, got 5000"
    ):
        load_encoder("openai/text-embedding-3-small", batch_size=5000)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    message = f"An embedding API needs `litellm`. Install it with: {install_line('api')}"
    with pytest.raises(MissingExtraError, match=re.escape(message)):
        load_encoder("openai/text-embedding-3-small")


def test_failures_are_silent_on_the_terminal(api, make, capfd, caplog):
    api.script = [(500, "a b"), "too few", (400, "a b")]
    with caplog.at_level(logging.WARNING), pytest.raises(EncoderError):
        make().encode_query(["a"])
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert not caplog.records


@pytest.fixture
def closed():
    """A port of this machine at which nobody listens: bound, so that nobody else takes it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class Clock:
    """Stands for the time module of the retrier: waits are noted, not waited."""

    def __init__(self):
        self.waits = []

    def monotonic(self):
        return 0.0

    def sleep(self, seconds):
        self.waits.append(seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("embertune.core.retrying.time", clock)
    return clock


def test_a_refused_connection_is_told_at_once_and_given_up_soon(closed, clock, caplog):
    encoder = load_encoder("openai/m", api_base=f"{closed}/v1?key={KEY}", concurrency=1, batch_size=1)
    told = []
    error = (
        f"openai/m: nobody listens at {closed} (connection refused, tries: 3). Start the server, or give its "
        "address with api_base= (--api-base). Run again to go on from the cache."
    )
    with pytest.raises(EncoderError, match=f"^{re.escape(error)}$"):
        encoder.encode(["a", "b"], "query", progress=lambda *step: told.append(step))
    assert len(clock.waits) == 2
    plan = "trying again for 3 s at most"
    assert told == [
        ("embed queries", 0, 2, ""),
        (f"wait for {closed}", 0, None, f"connection refused, {plan}"),
    ]
    warning = f"openai/m: nobody listens at {closed} (connection refused); {plan}."
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [warning]
    # Another run warns anew.
    with pytest.raises(EncoderError):
        encoder.encode_query(["a"])
    assert sum(record.getMessage() == warning for record in caplog.records) == 2


def test_a_refusal_from_elsewhere_is_retried_as_often_as_asked(closed, clock, caplog, monkeypatch):
    monkeypatch.setattr("embertune.encoders.litellm.is_loopback", lambda address: False)
    with pytest.raises(EncoderError, match="tries: 5"):
        load_encoder("openai/m", api_base=closed, max_retries=4).encode_query(["a"])
    assert len(clock.waits) == 4
    assert "trying again for 15 s at most" in caplog.text


def test_without_retries_there_is_nothing_to_wait_for(closed, clock, caplog):
    with pytest.raises(EncoderError, match="tries: 1"):
        load_encoder("openai/m", api_base=closed, max_retries=0).encode_query(["a"])
    assert (clock.waits, caplog.records) == ([], [])


def test_many_threads_warn_once(closed, clock, caplog):
    with pytest.raises(EncoderError, match="nobody listens"):
        load_encoder("openai/m", api_base=closed, batch_size=1, concurrency=4).encode_query(TEXTS)
    assert caplog.text.count("nobody listens") == 1


def test_importing_litellm_leaves_the_environment_and_reads_no_env_file(tmp_path):
    (tmp_path / ".env").write_text("FROM_AN_ENV_FILE=1\n")
    code = (
        "import os; before = dict(os.environ)\n"
        "from embertune.encoders import load_encoder\n"
        "load_encoder('openai/text-embedding-3-small')\n"
        "assert dict(os.environ) == before, set(os.environ) ^ set(before)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_requests_stay_within_the_providers_token_limit(api, make):
    encoder = make(concurrency=1)
    encoder.batch_tokens = 50
    encoder.encode_document([f"{i} " + "x" * 50 for i in range(6)])
    # 52 bytes are taken for 21 tokens, so two fit and three do not.
    assert [len(request["input"]) for request in api.requests] == [2, 2, 2]
