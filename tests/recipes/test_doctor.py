from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import pytest

from embertune._optional import install_line
from embertune.recipes import doctor
from embertune.recipes.doctor import Check, Examination


def _found(examination):
    return {check.name: check for check in examination.checks}


def test_this_installation_is_sound():
    found = doctor.doctor()
    assert found.is_sound, str(found)
    assert _found(found)["numpy"] == Check("numpy", "ok", f"numpy {version('numpy')}")
    assert _found(found)["embedded encoder"].found == "static gives 256 dimensions, offline"
    assert str(found).endswith("\nSound.")
    assert json.loads(json.dumps(found.to_dict()))["sound"] is True


def test_a_missing_package_is_broken_and_a_missing_extra_is_not(monkeypatch):
    def installed(name):
        if name in ("plotly", "fastembed"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", installed)
    found = doctor.doctor()
    assert _found(found)["plotly"] == Check("plotly", "broken", "not installed: pip install plotly")
    assert _found(found)["extra fastembed"] == Check("extra fastembed", "absent", install_line("fastembed"))
    assert not found.is_sound
    assert str(found).endswith("Something is broken: see above.")


def test_whatever_fails_is_reported_and_the_rest_is_looked_at(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no such model")

    monkeypatch.setattr(doctor, "load_encoder", refuse)
    found = _found(doctor.doctor())
    assert found["embedded encoder"] == Check("embedded encoder", "broken", "OSError: no such model")
    assert found["cache"].state == "ok"


@pytest.mark.parametrize(("value", "said"), [("off", "switched off by EMBERTUNE_CACHE=off"), ("{}/c", "{}/c")])
def test_the_cache_is_named(value, said, monkeypatch, tmp_path):
    monkeypatch.setenv("EMBERTUNE_CACHE", value.format(tmp_path))
    assert said.format(tmp_path) in _found(doctor.doctor())["cache"].found


def test_absent_extras_leave_an_installation_sound():
    assert Examination((Check("a", "ok", ""), Check("extra b", "absent", ""))).is_sound
