import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the embedding cache of whoever runs it."""
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "embertune-cache"))
