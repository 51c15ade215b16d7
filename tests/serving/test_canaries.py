"""What the server does when the provider changes under an adapter."""

from __future__ import annotations

import asyncio
import logging

import pytest

from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError, EncoderError


def events(caplog):
    return [(record.message, record.fields) for record in caplog.records if hasattr(record, "fields")]


def test_a_changed_upstream_is_refused_at_start(serve, adapter, upstream):
    upstream.prompt = "passage: "
    said = (
        r"^openai/fake no longer gives the vectors that the adapter faq was trained on: the median cosine of \w+ "
        r"canaries to those of training is 0\.\d+, below 0\.99: another model, or another prompt\. Your index is "
    )
    with pytest.raises(ArtifactError, match=said):
        serve()


def test_a_changed_upstream_may_be_served_with_a_warning(serve, adapter, upstream, caplog):
    upstream.prompt = "passage: "
    with caplog.at_level(logging.INFO, "embertune.serving"):
        server = serve(canaries="warn")
    told = [(record.levelname, record.fields["state"]) for record in caplog.records if record.message == "canaries"]
    assert told == [("ERROR", "changed")]
    assert server.embed("a text").status == 200
    assert server.ask("GET", "/health").json["adapters"]["faq"] == {
        "type": "linear",
        "canaries": "changed",
        "answers": True,
    }


def test_canaries_can_be_switched_off(serve, adapter, upstream):
    upstream.prompt = "passage: "
    server = serve(canaries="off")
    assert upstream.requests == []
    assert server.embed("a text").status == 200


def test_a_change_while_it_runs_stops_the_adapter_and_its_end_lets_it_answer_again(
    serve, adapter, upstream, monkeypatch
):
    from embertune.serving import canaries

    monkeypatch.setattr(canaries, "_DAY", 0.05)
    server = serve()

    def state():
        return server.ask("GET", "/health").json["adapters"]["faq"]["canaries"]

    upstream.prompt = "passage: "
    wait_until(lambda: state() == "changed")
    refused = server.embed("a text")
    assert (refused.status, refused.error["code"]) == (503, "upstream_changed")
    assert server.ask("GET", "/health").status == 503
    assert server.embed("a text", "fake").status == 200  # what was embedded afresh needs no adapter
    upstream.prompt = ""
    wait_until(lambda: state() == "same")
    assert server.embed("another text").status == 200


def test_canaries_do_not_come_from_the_cache(serve, adapter, upstream):
    server = serve()
    canary = adapter.canaries.queries[0]
    server.embed(canary)
    upstream.prompt = "passage: "
    found = server.run(server.service.watch.look(server.service.catalogue.served["faq"]))
    assert found.drift.state == "changed"


@pytest.mark.parametrize("fault", ["429", "500", "cut", "html"])
def test_an_upstream_in_trouble_is_no_changed_one(serve, adapter, upstream, monkeypatch, caplog, fault):
    from embertune.serving import canaries

    monkeypatch.setattr(canaries, "_SOON", 0.05)
    upstream.fault = fault
    with caplog.at_level(logging.INFO, "embertune.serving"):
        server = serve()
        assert server.ask("GET", "/health").json["adapters"]["faq"] == {
            "type": "linear",
            "canaries": "unknown",
            "answers": True,
        }
        upstream.fault = None
        wait_until(lambda: server.ask("GET", "/health").json["adapters"]["faq"]["canaries"] == "same")
    assert "canaries_not_checked" in [name for name, _ in events(caplog)]
    assert server.embed("a text").status == 200


@pytest.mark.parametrize("fault", ["401", "403", "404"])
def test_an_upstream_that_refuses_for_good_is_told_at_start(serve, adapter, upstream, fault):
    upstream.fault = fault
    with pytest.raises(EncoderError, match=rf"^openai/fake: no {fault}; key \*\*\* \(status {fault}"):
        serve()


def test_an_adapter_without_canaries_is_served_and_said(serve, adapter, tmp_path, caplog, upstream):
    (tmp_path / "faq" / "canaries.safetensors").unlink()
    with caplog.at_level(logging.INFO, "embertune.serving"):
        server = serve()
    assert events(caplog)[0] == (
        "no_canaries",
        {"adapter": "faq", "reason": "the adapter was saved without canaries: tune again to have them"},
    )
    assert server.ask("GET", "/health").json["adapters"]["faq"]["canaries"] == "none"
    assert server.embed("a text").status == 200


def test_a_new_version_that_was_trained_on_a_changed_upstream_is_not_taken_up(
    serve, adapter, make_adapter, base_of, tmp_path
):
    server = serve(reload_seconds=0.02)
    other = make_adapter(seed=1)
    turned = type(other.canaries)(
        other.canaries.queries, other.canaries.documents,
        other.canaries.query_vectors[:, ::-1].copy(), other.canaries.document_vectors,
    )  # fmt: skip
    other.canaries = turned
    other.save(tmp_path / "faq")
    wait_until(lambda: server.service.metrics.reloads.value("faq", "refused") == 1)
    assert server.embed("a text").vectors == pytest.approx(adapter.transform(base_of(["a text"])), abs=1e-6)


def wait_until(true, seconds=10):
    import time

    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_adapter_that_was_looked_at_does_not_hide_another_that_was_not(adapter, tmp_path):
    from embertune.serving.canaries import CanaryWatch
    from embertune.serving.catalogue import Catalogue, load_served
    from embertune.serving.metrics import Metrics
    from embertune.serving.problems import ApiError

    failing, canaries = [True], adapter.canaries

    async def embed(texts, side):
        if failing:
            failing.clear()
            raise ApiError(503, "not now")
        return canaries.query_vectors if side == "query" else canaries.document_vectors

    spec = EncoderSpec("openai", "fake", dimension=adapter.dimension)
    served = {name: load_served(name, tmp_path / "faq", spec) for name in ("faq", "law")}
    watch = CanaryWatch(
        embed, Catalogue(served, ("fake",), same_sides=False), Metrics(), policy="refuse", name="openai/fake"
    )
    asyncio.run(watch.start())
    assert watch.unknown == {"faq"}
    asyncio.run(watch.start())
    assert not watch.unknown
