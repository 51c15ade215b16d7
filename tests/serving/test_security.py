from __future__ import annotations

import http.client
import socket
import time

import pytest

from embertune.errors import ConfigError
from embertune.serving.config import ServeConfig, is_private, keys_of_environment
from embertune.serving.security import KeyCheck, refuse_public_without_key

KEY, OTHER = "first-key-0123456789", "second-key-0123456789"


@pytest.fixture
def guarded(serve, adapter, monkeypatch):
    monkeypatch.setenv("EMBERTUNE_API_KEY", f"{KEY}, {OTHER}")
    return serve()


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_of_the_keys_opens(guarded, key):
    for method, path in (("GET", "/v1/models"), ("GET", "/v1/models/faq"), ("GET", "/metrics")):
        assert guarded.ask(method, path, authorization=f"Bearer {key}").status == 200
    body = {"model": "faq/query", "input": "x"}
    assert guarded.ask("POST", "/v1/embeddings", body, authorization=f"bearer {key}").status == 200


WRONG = [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer \xe9"]


@pytest.mark.parametrize("header", [*WRONG, f"Bearer {KEY}, {OTHER}"])
@pytest.mark.parametrize("page", ["/v1/embeddings", "/v1/models", "/v1/models/faq", "/metrics"])
def test_nothing_else_does(guarded, header, page, upstream):
    upstream.requests.clear()
    given = {} if header is None else {"authorization": header}
    method = "POST" if page.endswith("embeddings") else "GET"
    reply = guarded.ask(method, page, {"model": "faq/query", "input": "x"} if method == "POST" else None, **given)
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert upstream.requests == []


def test_health_and_description_need_no_key(guarded):
    assert guarded.ask("GET", "/health").status == guarded.ask("GET", "/openapi.json").status == 200


def test_an_address_that_others_reach_needs_a_key():
    refuse_public_without_key("0.0.0.0", KeyCheck([KEY]))
    refuse_public_without_key("localhost", KeyCheck([]))
    for host in ("0.0.0.0", "::", "", "192.168.1.7", "example.com", "127.0.0.1.example.com"):
        assert not is_private(host)
        with pytest.raises(ConfigError, match=r"Others can reach .* and there is no key.*export EMBERTUNE_API_KEY="):
            refuse_public_without_key(host, KeyCheck([]))


def test_the_server_refuses_before_it_loads_anything(monkeypatch):
    from embertune.serving.run import serve

    monkeypatch.delenv("EMBERTUNE_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="there is no key"):
        serve(ServeConfig({"faq": "nowhere"}, host="0.0.0.0"))


def test_a_key_that_is_no_secret_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("EMBERTUNE_API_KEY", f"{KEY},hunter2")
    with pytest.raises(ConfigError, match="EMBERTUNE_API_KEY holds a key of fewer than 16 characters") as caught:
        keys_of_environment()
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("EMBERTUNE_API_KEY", " , ")
    assert keys_of_environment() == ()


def test_a_body_may_not_be_too_large(serve, adapter):
    server = serve(body_mib=1)
    reply = server.embed("x" * 1_100_000)
    assert (reply.status, reply.error["message"]) == (413, "The body is larger than 1 MiB. Send fewer texts at once.")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    piece = b"a" * 100_000
    connection.request("POST", "/v1/embeddings", iter([piece] * 20), {"content-type": "application/json"},
                       encode_chunked=True)  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()
    assert server.embed("fine").status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_a_web_page_is_refused(server, kind):
    reply = server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": "x"}, content_type=kind)
    assert (reply.status, reply.error["message"]) == (415, "The body must come with content-type: application/json.")
    assert "access-control-allow-origin" not in reply.headers


def test_a_body_that_does_not_come_is_given_up(server, monkeypatch):
    from embertune.serving import security

    monkeypatch.setattr(security, "_BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                       b"content-length: 50\r\n\r\n{")  # fmt: skip
        began = time.monotonic()
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5


def test_settings_that_cannot_be_are_all_named():
    with pytest.raises(ConfigError) as caught:
        ServeConfig({}, port=-1, concurrency=0, timeout=0, canaries="maybe", cache_mib=-1)
    assert caught.value.problems == [
        "there is no adapter to serve. Type: --adapter DIR",
        "canaries must be refuse, warn or off, got 'maybe'",
        "port must be at least 0, got -1",
        "concurrency must be at least 1, got 0",
        "cache_mib must be at least 0, got -1",
        "timeout must be positive, got 0",
    ]
