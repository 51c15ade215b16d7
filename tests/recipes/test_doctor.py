from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import pytest

from embertune._optional import install_line
from embertune.adapters.identity import IdentityAdapter
from embertune.encoders.canaries import embed_canaries
from embertune.encoders.hashing import HashingEncoder
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


@pytest.fixture
def tuned(tmp_path):
    """A saved adapter on hashed trigrams, with their vectors of the canaries."""
    encoder = HashingEncoder()
    adapter = IdentityAdapter()
    adapter.encoder, adapter.canaries = encoder.spec.to_dict(), embed_canaries(encoder)
    return adapter.save(tmp_path / "mine")


def test_the_encoder_of_an_adapter_is_asked_whether_it_is_the_same(tuned):
    check = _found(doctor.doctor([tuned]))["adapter mine"]
    assert (check.state, check.found) == (
        "ok",
        "hashing/trigrams-64 (64 dimensions): the median cosine of query canaries to those of training is 1.00000",
    )


def test_another_encoder_under_an_adapter_is_broken(tuned):
    class Changed(HashingEncoder):
        """The model under the same name embeds otherwise."""

        def _encode_batch(self, texts, side):
            return super()._encode_batch([f"passage: {text}" for text in texts], side)

    found = doctor.doctor([tuned], encoder=Changed())
    check = _found(found)["adapter mine"]
    assert check.state == "broken"
    assert "another model, or another prompt. Embed the index again and tune again" in check.found
    assert not found.is_sound


def test_an_adapter_without_canaries_is_no_fault(tmp_path):
    IdentityAdapter().save(tmp_path / "old")
    found = doctor.doctor([tmp_path / "old"])
    assert _found(found)["adapter old"].state == "absent"
    assert found.is_sound


def test_what_cannot_be_asked_is_said(tuned, tmp_path):
    assert "is not a saved adapter" in _found(doctor.doctor([tmp_path]))[f"adapter {tmp_path.name}"].found
    adapter = IdentityAdapter()
    adapter.canaries = embed_canaries(HashingEncoder())
    adapter.save(tmp_path / "nameless")
    check = _found(doctor.doctor([tmp_path / "nameless"]))["adapter nameless"]
    assert check == Check(
        "adapter nameless",
        "broken",
        "The adapter does not say who made its vectors. Name the encoder: --encoder PROVIDER/MODEL",
    )
    assert _found(doctor.doctor([tmp_path / "nameless"], encoder="hashing"))["adapter nameless"].state == "ok"
