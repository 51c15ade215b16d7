from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from embertune.encoders.hashing import HashingEncoder

pytest.importorskip("schemathesis", reason="schemathesis is not installed: group integrations")


@pytest.mark.parametrize("local", [True, False])
def test_schemathesis_finds_nothing(serve, make_adapter, adapter, monkeypatch, tmp_path, local):
    """All of its checks, requests that fit the description and requests that do not, and sequences of them."""
    key = "key-of-the-clients-01"
    if local:
        make_adapter(encoder=HashingEncoder()).save(tmp_path / "faq")
        server = serve(upstream="hashing")
    else:
        monkeypatch.setenv("EMBERTUNE_API_KEY", key)
        server = serve()
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"http://127.0.0.1:{server.port}/openapi.json", "--checks", "all", "--mode", "all"),
        *("--max-examples", "40", "--seed", "1", "--generation-database", "none", "--no-color"),
        *(("--header", f"Authorization: Bearer {key}") if not local else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    # What it was refused it was meant to be refused, and what it should get it got.
    statuses = server.statuses()
    assert statuses["200"] > 20
    assert {status for status in statuses if status.startswith("5")} == set()
