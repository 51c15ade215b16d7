from __future__ import annotations

import base64
import json
import stat

import numpy as np
import pytest

from embertune.errors import StorageError

TEXTS = ["a private question", "another private question"]


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def test_clients_get_base_vectors_and_the_file_gets_both(serve, adapter, base_of, tmp_path):
    server = serve(shadow=tmp_path / "shadow.jsonl")
    reply = server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": TEXTS}, x_request_id="trace")
    base, adapted = base_of(TEXTS), adapter.transform(base_of(TEXTS))
    assert reply.vectors == pytest.approx(base, abs=1e-6)
    server.service.shadow.flush()
    text = (tmp_path / "shadow.jsonl").read_text()
    assert "private" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["request"], line["model"], line["side"], line["row"]) for line in lines] == [
        ("trace", "faq/query", "query", 0), ("trace", "faq/query", "query", 1),
    ]  # fmt: skip
    assert np.stack([unpacked(line["base"]) for line in lines]) == pytest.approx(base, abs=1e-6)
    assert np.stack([unpacked(line["adapted"]) for line in lines]) == pytest.approx(adapted, abs=1e-6)
    assert [line["cosine"] for line in lines] == pytest.approx((base * adapted).sum(axis=1), abs=1e-5)
    assert lines[0]["text"] != lines[1]["text"]
    assert stat.S_IMODE((tmp_path / "shadow.jsonl").stat().st_mode) == 0o600


def test_it_is_written_in_the_background_and_at_the_end(serve, adapter, tmp_path, monkeypatch):
    from embertune.serving import shadow

    monkeypatch.setattr(shadow, "_FLUSH_SECONDS", 0.02)
    server = serve(shadow=tmp_path / "shadow.jsonl")
    server.embed("a text")
    for _ in range(500):
        if (tmp_path / "shadow.jsonl").stat().st_size:
            break
        server.ask("GET", "/health")
    assert len((tmp_path / "shadow.jsonl").read_text().splitlines()) == 1
    monkeypatch.setattr(shadow, "_FLUSH_SECONDS", 1000)
    server.embed("another text")
    server.run(server.service.close())
    assert len((tmp_path / "shadow.jsonl").read_text().splitlines()) == 2


def test_base_models_are_not_written(serve, adapter, tmp_path):
    server = serve(shadow=tmp_path / "shadow.jsonl")
    server.embed("a text", "fake")
    server.service.shadow.flush()
    assert (tmp_path / "shadow.jsonl").read_bytes() == b""
    assert server.ask("GET", "/health").json["shadow"] is True


def test_clients_get_base_vectors_though_the_upstream_has_changed(serve, adapter, upstream, tmp_path):
    server = serve(shadow=tmp_path / "shadow.jsonl")
    upstream.prompt = "changed: "
    catalogue = server.service.catalogue
    catalogue.served["faq"] = server.run(server.service.watch.look(catalogue.served["faq"]))
    assert server.ask("GET", "/health").status == 503
    assert server.embed("a text").status == 200
    server.service.shadow.flush()
    assert (tmp_path / "shadow.jsonl").read_bytes() == b""


def test_a_disk_that_refuses_costs_lines_and_no_answers(serve, adapter, tmp_path):
    server = serve(shadow=tmp_path / "shadow.jsonl")
    server.embed("a text")
    (tmp_path / "shadow.jsonl").unlink()
    (tmp_path / "shadow.jsonl").mkdir()
    server.service.shadow.flush()
    assert server.embed(["two", "more"]).status == 200
    assert server.service.metrics.dropped.value() == 3


def test_a_file_that_cannot_be_written_is_refused_at_start(serve, adapter, tmp_path):
    with pytest.raises(StorageError, match=r"shadow\.jsonl cannot be written: .* Name another file: --shadow FILE$"):
        serve(shadow=tmp_path / "no-folder" / "shadow.jsonl")


def test_it_keeps_to_its_size_and_its_queue(serve, adapter, tmp_path, monkeypatch):
    from embertune.serving import shadow

    monkeypatch.setattr(shadow, "_MOST_WAITING", 3)
    monkeypatch.setattr(shadow, "_FLUSH_SECONDS", 1000)
    server = serve(shadow=tmp_path / "shadow.jsonl")
    server.embed(["1", "2", "3", "4", "5"])
    server.service.shadow.flush()
    assert len((tmp_path / "shadow.jsonl").read_text().splitlines()) == 3
    assert server.service.metrics.dropped.value() == 2
    monkeypatch.setattr(shadow, "_MOST_BYTES", 10)
    server.embed("6")
    server.service.shadow.flush()
    assert len((tmp_path / "shadow.jsonl").read_text().splitlines()) == 3
    assert server.service.metrics.dropped.value() == 3
