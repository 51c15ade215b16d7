"""What several tests of the judge share."""

import warnings

import pytest


@pytest.fixture(scope="session")
def ranx():
    """Give ranx without its compiler, which takes a minute for a second of work."""
    numba = pytest.importorskip("numba")
    numba.config.DISABLE_JIT = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ranx")
