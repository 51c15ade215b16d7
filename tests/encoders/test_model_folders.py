from __future__ import annotations

from embertune.encoders.model_folders import download_revision, folder_revision

COMMIT = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"


def folder_of(path, weights=b"weights"):
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(weights)
    return path


def test_a_snapshot_of_the_hub_is_its_commit(tmp_path, monkeypatch):
    snapshot = folder_of(tmp_path / "models--a--b" / "snapshots" / COMMIT)
    assert download_revision(snapshot) == COMMIT
    monkeypatch.chdir(snapshot)
    assert download_revision(type(snapshot)(".")) == COMMIT


def test_any_other_folder_is_its_files(tmp_path):
    for name in ("fast-bge-small-en", "snapshots/main", COMMIT):
        folder = folder_of(tmp_path / name)
        assert download_revision(folder) == folder_revision(folder)
    assert folder_revision(folder) != folder_revision(folder_of(tmp_path / "other", b"others"))
    assert folder_revision(folder) == folder_revision(folder_of(tmp_path / "same"))
