"""Upstreams that are encoders: the status of a provider comes through LiteLLM, too."""

from __future__ import annotations

import threading

import pytest

from embertune.encoders.hashing import HashingEncoder
from embertune.errors import ConfigError, EncoderError


@pytest.fixture
def through_litellm(serve, make_adapter, upstream, tmp_path, monkeypatch):
    pytest.importorskip("litellm", reason="the extra api is not installed")
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", "upstream-secret-0123456789")
    adapter = make_adapter()
    adapter.encoder, adapter.canaries = None, None
    adapter.save(tmp_path / "faq")
    return lambda **settings: serve(upstream="hosted_vllm/fake", options={"api_base": upstream.base}, **settings)


def test_an_api_that_litellm_knows(through_litellm, make_adapter, base_of):
    reply = through_litellm().embed(["one text", "two"])
    assert reply.vectors == pytest.approx(make_adapter().transform(base_of(["one text", "two"])), abs=1e-6)
    assert reply.json["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(("fault", "status"), [("400", 400), ("401", 401), ("403", 403), ("404", 404), ("429", 429),
                                               ("500", 500), ("503", 503), ("html", 500), ("fewer", 502)])  # fmt: skip
def test_its_errors_keep_their_status_and_are_not_repeated(through_litellm, upstream, fault, status):
    """What is no JSON LiteLLM calls a 500 of the upstream."""
    server = through_litellm()
    upstream.requests.clear()
    reply = server.embed([f"fault:{fault}", "another"])
    assert reply.status == status, reply.error
    assert reply.error["message"].startswith("hosted_vllm/fake")
    assert "sk-proj" not in reply.error["message"]
    assert "secret" not in reply.error["message"]
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
    assert len(upstream.requests) == 1
    assert server.embed("fine").status == 200


def test_tokens_of_calls_at_once_are_not_mixed(through_litellm, upstream):
    server = through_litellm(cache_mib=0)  # a thread that is late must pay for the word as well
    upstream.delay = 0.1
    upstream.requests.clear()
    replies = server.at_once(*({"input": [f"text {n}"] * 1 + ["word"] * 20 + [f"{n}"]} for n in range(4)))
    counted = [reply.json["usage"]["total_tokens"] for reply in replies]
    # Calls that arrive while one is about to leave go with it, and share by length, rounded, what it pays.
    assert abs(sum(counted) - sum(len(text.split()) for text in upstream.texts)) <= len(replies)
    assert set(counted) <= {3, 4}


def test_a_local_model_is_called_by_one_thread_at_a_time(serve, make_adapter, tmp_path):
    busy, most = [], []

    class Slow(HashingEncoder):
        def _encode_batch(self, texts, side):
            busy.append(threading.get_ident())
            most.append(len(busy))
            found = super()._encode_batch(texts, side)
            busy.pop()
            return found

    make_adapter(encoder=HashingEncoder()).save(tmp_path / "faq")
    server = serve(upstream=Slow())
    assert {reply.status for reply in server.at_once(*({"input": f"text {n}"} for n in range(16)))} == {200}
    assert max(most) == 1


def test_the_cache_of_an_encoder_is_left_alone(serve, make_adapter, tmp_path):
    encoder = HashingEncoder(cache=tmp_path / "cache")
    make_adapter(encoder=HashingEncoder()).save(tmp_path / "faq")
    serve(upstream=encoder).embed("a text of a client")
    assert not (tmp_path / "cache").exists()


def test_an_encoder_with_an_adapter_is_refused(serve, adapter):
    from embertune.adapters.identity import IdentityAdapter

    with pytest.raises(ConfigError, match=r"^hashing/trigrams-64 \(64 dimensions\) has an adapter behind it already"):
        serve(upstream=HashingEncoder() | IdentityAdapter())


def test_an_adapter_that_names_no_encoder_needs_one(serve, adapter, tmp_path):
    adapter.encoder = None
    adapter.save(tmp_path / "faq")
    with pytest.raises(ConfigError, match=r"^The adapter faq does not say who made its vectors\. Type: --upstream "):
        serve(upstream=None)


def test_an_unknown_upstream_lists_the_known_ones(serve, adapter):
    with pytest.raises(EncoderError, match="There is no encoder 'statik'"):
        serve(upstream="statik")
