import os

# Before numpy is loaded: where other processes hold the cores, OpenBLAS's threads wait for each other in a loop, and
# fitting on a hundred queries took 85 s instead of 3.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the embedding cache of whoever runs it."""
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "embertune-cache"))
