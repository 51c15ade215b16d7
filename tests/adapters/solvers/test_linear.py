"""Residual linear maps: a few rows go another way through the product than many."""

import numpy as np
import pytest

from embertune.adapters.solvers.linear import Learned


@pytest.mark.parametrize("rank", [None, 400])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 40])
def test_a_few_rows_of_a_large_map_are_those_of_many(rank, count):
    rng = np.random.default_rng(0)
    size, wide = rank or 700, 700
    inner = rng.normal(size=(size, size)).astype(np.float32)
    basis = None if rank is None else np.linalg.qr(rng.normal(size=(wide, rank)))[0].astype(np.float32)
    rows = rng.normal(size=(count, wide)).astype(np.float32)
    found = Learned({"query": inner}, basis).residual(rows, "query")
    exact = inner.astype(np.float64) if basis is None else basis @ inner.astype(np.float64) @ basis.T
    assert found == pytest.approx(rows @ exact, abs=1e-5 * np.abs(rows @ exact).max(initial=1))
    assert found.flags.c_contiguous
    assert found.base is None or not np.may_share_memory(found, inner)
