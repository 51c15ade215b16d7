from __future__ import annotations

import re

import numpy as np
import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.truncation import TruncationAdapter
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError, EncoderError
from embertune.recipes import transform_file as module
from embertune.recipes.transform_file import transform


@pytest.fixture(scope="module")
def adapter():
    rng = np.random.default_rng(0)
    return LinearAdapter("both", max_steps=3).fit(rng.normal(size=(30, 6)), rng.normal(size=(30, 6)))


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)
    return np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)


@pytest.mark.parametrize("side", ["query", "document"])
def test_blocks_give_what_the_whole_gives(side, adapter, rows, tmp_path):
    np.save(tmp_path / "x.npy", rows)
    told = []
    done = transform(
        adapter, tmp_path / "x.npy", tmp_path / "y.npy", side=side, progress=lambda *step: told.append(step)
    )
    assert done == {"rows": 20, "dimension": 6, "side": side, "out": str(tmp_path / "y.npy")}
    found = np.load(tmp_path / "y.npy")
    assert found.dtype == np.float32
    # BLAS sums in an order that depends on the shape.
    np.testing.assert_allclose(found, adapter.transform(rows, side), atol=1e-6)
    assert np.array_equal(np.load(tmp_path / "x.npy"), rows)
    assert told == [("transform", 7, 20), ("transform", 14, 20), ("transform", 20, 20)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "y.npy"]


@pytest.mark.parametrize("form", ["float64", "float16", "int8", "columns first"])
def test_every_form_of_numbers_is_read(form, adapter, rows, tmp_path):
    array = np.asfortranarray(rows) if form == "columns first" else (rows * 3).astype(form)
    np.save(tmp_path / "x.npy", array)
    transform(adapter, tmp_path / "x.npy", tmp_path / "y.npy", side="query")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), adapter.transform(array.astype(np.float32)), atol=1e-6)


@pytest.mark.parametrize("strength", [0, 0.25, 1, None])
def test_the_strength_is_that_of_the_dial(strength, adapter, rows, tmp_path):
    np.save(tmp_path / "x.npy", rows)
    half = adapter.scaled(0.5)  # as saved; the dial is not relative to it
    transform(half, tmp_path / "x.npy", tmp_path / "y.npy", side="query", strength=strength)
    expected = adapter.scaled(0.5 if strength is None else strength).transform(rows)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)
    if strength == 0:
        np.testing.assert_allclose(expected, normalize(rows), atol=1e-6)
    assert half.strength == 0.5


def test_fewer_dimensions_come_out_as_they_are(rows, tmp_path):
    rng = np.random.default_rng(2)
    shorter = TruncationAdapter(4).fit(*rng.normal(size=(2, 30, 6)))
    np.save(tmp_path / "x.npy", rows)
    done = transform(shorter, tmp_path / "x.npy", tmp_path / "y.npy", side="document")
    assert done["dimension"] == 4
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), shorter.transform(rows, "document"), atol=1e-6)


def test_the_identity_gives_every_bit_back(rows, tmp_path):
    np.save(tmp_path / "x.npy", rows)
    transform(IdentityAdapter(), tmp_path / "x.npy", tmp_path / "y.npy", side="query")
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()


def test_a_saved_adapter_and_no_rows(adapter, tmp_path):
    np.save(tmp_path / "x.npy", np.empty((0, 6)))
    transform(adapter.save(tmp_path / "a"), tmp_path / "x.npy", tmp_path / "y.npy", side="query")
    assert np.load(tmp_path / "y.npy").shape == (0, 6)


def test_the_file_is_readable_for_others(adapter, rows, tmp_path):
    np.save(tmp_path / "x.npy", rows)
    transform(adapter, tmp_path / "x.npy", tmp_path / "y.npy", side="query")
    assert (tmp_path / "y.npy").stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_read_is_refused_before_anything_is_written(adapter, rows, tmp_path):
    np.save(tmp_path / "x.npy", rows)
    rows[17, 2] = np.inf
    np.save(tmp_path / "bad.npy", rows)
    for source, side, error, message in [
        ("x.npy", "both", ConfigError, "side must be 'query' or 'document', got 'both'"),
        ("bad.npy", "query", DataError, "1 of the rows 14 to 19 hold NaN or infinite values (such as row 17)"),
        ("none.npy", "query", EncoderError, "Write one with: np.save(FILE, X), where X has shape (n, d)"),
        (
            ".",
            "query",
            EncoderError,
            f"Expected a file of vectors, such as {tmp_path}/vectors.npy",
        ),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            transform(adapter, tmp_path / source, tmp_path / "y.npy", side=side)
    with pytest.raises(ConfigError, match=r"strength must be from 0 .*, got 2"):
        transform(adapter, tmp_path / "x.npy", tmp_path / "y.npy", side="query", strength=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npy", "x.npy"]
