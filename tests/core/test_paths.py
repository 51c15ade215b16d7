from __future__ import annotations

from pathlib import Path

from embertune.core.paths import as_path


def test_a_home_is_found_and_an_unknown_one_left(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert as_path("~/a/b") == tmp_path / "a" / "b"
    assert as_path(Path("~")) == tmp_path
    assert as_path("~no-such-user/a") == Path("~no-such-user/a")
    assert as_path("a/~/b") == Path("a/~/b")
