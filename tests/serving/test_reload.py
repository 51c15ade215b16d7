from __future__ import annotations

import shutil
import threading
import time

import numpy as np
import pytest

from embertune.adapters.truncation import TruncationAdapter

TEXTS = ["one text", "another text"]


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def reloads(server, outcome):
    return server.service.metrics.reloads.value("faq", outcome)


def test_a_new_version_is_taken_up_without_a_dropped_request(serve, adapter, make_adapter, base_of, tmp_path):
    server = serve(reload_seconds=0.02)
    versions = [make_adapter(seed=seed) for seed in range(6)]
    expected = [version.transform(base_of(TEXTS)) for version in versions]
    stop, replies = threading.Event(), []

    def ask():
        while not stop.is_set():
            replies.append(server.embed(TEXTS))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number, version in enumerate(versions[1:], start=1):
        version.save(tmp_path / "faq")
        wait_until(lambda number=number: reloads(server, "done") == number)
    stop.set()
    for thread in threads:
        thread.join()
    assert {reply.status for reply in replies} == {200}
    # Each answer is of one version, whole.
    assert all(any(np.allclose(reply.vectors, one, atol=1e-6) for one in expected) for reply in replies)
    assert server.embed(TEXTS).vectors == pytest.approx(expected[-1], abs=1e-6)
    assert reloads(server, "refused") == 0


def test_a_request_under_way_ends_on_its_version(serve, adapter, make_adapter, base_of, tmp_path, upstream):
    server = serve(reload_seconds=0.02)
    upstream.delay = 0.6
    found = []
    thread = threading.Thread(target=lambda: found.append(server.embed("slow text")))
    began = len(upstream.requests)
    thread.start()
    wait_until(lambda: len(upstream.requests) > began)
    newer = make_adapter(seed=1)
    newer.canaries = None  # they would have to wait for the upstream, too
    newer.save(tmp_path / "faq")
    wait_until(lambda: reloads(server, "done") == 1)
    assert not found
    thread.join()
    assert found[0].vectors == pytest.approx(adapter.transform(base_of(["slow text"])), abs=1e-6)
    assert server.embed("slow text").vectors == pytest.approx(newer.transform(base_of(["slow text"])), abs=1e-6)


def test_a_damaged_version_leaves_the_old_one(serve, adapter, make_adapter, base_of, tmp_path):
    server = serve(reload_seconds=0.02)
    (tmp_path / "faq" / "adapter.safetensors").write_bytes(b"broken")
    wait_until(lambda: reloads(server, "refused") == 1)
    assert server.embed(TEXTS).vectors == pytest.approx(adapter.transform(base_of(TEXTS)), abs=1e-6)
    time.sleep(0.1)
    assert reloads(server, "refused") == 1  # told once, not every time it is looked at
    newer = make_adapter(seed=1)
    newer.save(tmp_path / "faq")
    wait_until(lambda: reloads(server, "done") == 1)
    assert server.embed(TEXTS).vectors == pytest.approx(newer.transform(base_of(TEXTS)), abs=1e-6)


def test_a_folder_that_is_gone_leaves_the_old_one(serve, adapter, base_of, tmp_path):
    server = serve(reload_seconds=0.02)
    shutil.rmtree(tmp_path / "faq")
    time.sleep(0.1)
    assert server.embed(TEXTS).vectors == pytest.approx(adapter.transform(base_of(TEXTS)), abs=1e-6)
    assert reloads(server, "refused") == 0


def test_a_version_that_does_not_fit_the_index_or_the_encoder_is_refused(serve, adapter, make_adapter, tmp_path):
    server = serve(reload_seconds=0.02)
    shorter = TruncationAdapter.from_tensors(
        {name: np.eye(48, 8, dtype=np.float32) for name in ("matrix", "start")}, TruncationAdapter(8).to_config()
    )
    shorter.encoder = adapter.encoder
    shorter.save(tmp_path / "faq")
    wait_until(lambda: reloads(server, "refused") == 1)
    other = make_adapter(seed=1)
    other.encoder = {**adapter.encoder, "model": "another"}
    other.save(tmp_path / "faq")
    wait_until(lambda: reloads(server, "refused") == 2)
    assert server.embed(TEXTS).vectors.shape == (2, 48)


def test_reloading_can_be_switched_off(serve, adapter, make_adapter, base_of, tmp_path):
    server = serve(reload_seconds=0)
    make_adapter(seed=1).save(tmp_path / "faq")
    time.sleep(0.1)
    assert server.embed(TEXTS).vectors == pytest.approx(adapter.transform(base_of(TEXTS)), abs=1e-6)
