"""The upstream is a real server on 127.0.0.1, and what it does wrong comes back as OpenAI would say it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from embertune.errors import ConfigError, EncoderError

GARBAGE = [
    *("html", "empty", "half", "list", "no-data", "null-data", "short", "fewer", "no-index", "same-index", "nan"),
    *("zeros", "narrow", "no-base64", "odd-bytes", "words", "nested", "huge"),
]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 422, 429, 500, 503, 529])
def test_an_error_keeps_its_status_and_words_without_keys(server, status):
    reply = server.embed(f"fault:{status} please")
    assert reply.status == status
    assert reply.error == {
        "message": f"openai/fake: no {status}; key ***",
        "type": "their_type",
        "param": "input",
        "code": "their_code",
    }
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
    assert server.embed("fine").status == 200


@pytest.mark.parametrize("fault", GARBAGE)
def test_garbage_is_a_bad_gateway(server, fault):
    reply = server.embed([f"fault:{fault}", "another"])
    assert (reply.status, reply.error["type"]) == (502, "server_error")
    assert reply.error["message"].startswith("openai/fake")
    assert reply.error["code"] in ("upstream_broken", "upstream_changed")
    assert server.embed("fine").status == 200


def test_a_narrow_answer_says_what_it_was(server):
    reply = server.embed("fault:narrow")
    assert reply.error["message"] == "openai/fake gave vectors of 5 dimensions where 48 were expected."


def test_a_redirect_is_not_followed(server, upstream):
    upstream.requests.clear()
    reply = server.embed("fault:302")
    assert (reply.status, reply.error["message"]) == (502, "openai/fake answered with status 302.")
    assert len(upstream.requests) == 1


def test_a_connection_that_is_cut_is_tried_once_more(server, upstream):
    upstream.requests.clear()
    reply = server.embed("fault:cut")
    assert (reply.status, reply.error["message"]) == (502, "openai/fake closed the connection without an answer.")
    assert len(upstream.requests) == 2


def test_a_slow_upstream_is_a_timeout(serve, adapter):
    server = serve(canaries="off", timeout=0.3)
    reply = server.embed("fault:slow")
    assert (reply.status, reply.error["code"]) == (504, "timeout")


def test_an_upstream_that_is_gone_is_a_bad_gateway(server, upstream):
    upstream.stop_listening()
    upstream.fault = "cut"  # the connection that is kept; a new one finds nobody
    reply = server.embed("a text")
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert reply.error["message"] == "openai/fake cannot be reached."


def test_one_client_s_bad_text_is_not_another_s(serve, adapter, upstream):
    server = serve(concurrency=1)
    upstream.delay = 0.05
    asked = [{"input": "fault:400 x" if number == 5 else f"text {number}"} for number in range(12)]
    assert [reply.status for reply in server.at_once(*asked)] == [200] * 5 + [400] + [200] * 6


def test_the_upstream_gets_its_own_key_and_not_the_clients(server, upstream):
    upstream.headers.clear()
    server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": "x"}, authorization="Bearer of-the-client")
    assert upstream.headers[0]["authorization"] == "Bearer upstream-secret-0123456789"
    assert "of-the-client" not in str(upstream.headers)


def test_shorter_vectors_of_the_upstream_are_asked_for(serve, upstream, make_adapter, tmp_path):
    from embertune.encoders.hashing import HashingEncoder

    adapter = make_adapter(encoder=HashingEncoder(dimension=16))
    adapter.encoder, adapter.canaries = None, None
    adapter.save(tmp_path / "faq")
    server = serve(options={"api_base": upstream.base, "dimensions": 16})
    assert server.embed("a text").vectors.shape == (1, 16)
    assert all(request["dimensions"] == 16 for request in upstream.requests)


def test_without_a_key_openai_is_refused_before_anything_is_asked(monkeypatch):
    pytest.importorskip("aiohttp", reason="the extra serve is not installed")
    from embertune.serving.upstream import open_upstream

    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EncoderError, match=r"^openai/m needs a key, and OPENAI_API_KEY is not set. Type: export O"):
        open_upstream("openai/m")
    # A server of one's own wants none.
    assert open_upstream("openai/m", {"api_base": "http://localhost:1/v1"}).name == "openai/m"
    with pytest.raises(ConfigError, match="'localhost:1' is no address"):
        open_upstream("openai/m", {"api_base": "localhost:1"})


def test_five_hundred_faults_give_their_statuses_and_no_crash(serve, adapter):
    """429, 500, cut, slow and garbage, a hundred each, beside good requests, through the real client."""
    pytest.importorskip("openai", reason="openai is not installed")
    kinds = [*["429", "500", "cut"] * 100, *(GARBAGE[number % len(GARBAGE)] for number in range(100)), *["good"] * 250]
    random.Random(0).shuffle(kinds)
    server, hasty = serve(), serve(timeout=0.5, concurrency=100, canaries="off")
    for one in (server, hasty):
        # Every request in a call of its own, so that a fault meets it alone: here statuses are looked at, not sharing.
        one.service.batcher._limits = one.service.upstream.limits._replace(texts=1)
    found = asyncio.run(ask_all(server.base, kinds)) + asyncio.run(ask_all(hasty.base, ["slow"] * 100))
    assert sum(found.values()) == 750
    wanted = {"429": 429, "500": 500, "slow": 504, "good": 200}
    assert set(found) == {(kind, wanted.get(kind, 502)) for kind in {*kinds, "slow"}}
    assert [reply.status for reply in server.at_once(*({"input": f"after {n}"} for n in range(20)))] == [200] * 20
    assert server.statuses() == {"200": 270, "429": 100, "500": 100, "502": 200}
    assert hasty.statuses() == {"504": 100}


async def ask_all(base, kinds):
    """Ask for a text of each kind, 20 at a time, and count the statuses."""
    import openai

    client = openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0, timeout=120)
    found, numbers = Counter(), iter(range(len(kinds)))

    async def work():
        for number in numbers:
            kind = kinds[number]
            text = f"good {number}" if kind == "good" else f"fault:{kind} {number}"
            try:
                answer = await client.embeddings.create(model="faq/query", input=text)
                status = 200 if len(answer.data[0].embedding) == 48 else "wrong"
            except openai.APIStatusError as error:
                status = error.status_code if error.body["message"] else "wordless"
            found[kind, status] += 1

    await asyncio.gather(*(work() for _ in range(20)))
    await client.close()
    return found


def test_the_proxy_of_the_environment_is_used_where_it_holds(monkeypatch):
    pytest.importorskip("aiohttp", reason="the extra serve is not installed")
    from embertune.serving.upstream_http import _proxy_for

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert _proxy_for("https://api.openai.com/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,.example.com")
    assert _proxy_for("https://api.openai.com/v1") == "http://proxy:3128"
    assert _proxy_for("http://api.openai.com/v1") is None
    assert _proxy_for("https://localhost:8080/v1") is None
    assert _proxy_for("https://embed.example.com/v1") is None
