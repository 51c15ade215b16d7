import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from embertune.adapters import IdentityAdapter, LinearAdapter, load_adapter
from embertune.adapters.base import ADAPTER_TYPES
from embertune.errors import ArtifactError, ConfigError, NotFittedError, StorageError

SPEC = {"provider": "openai", "model": "text-embedding-3-small", "dimension": 8}


def fitted(side="query", seed=0):
    rng = np.random.default_rng(seed)
    adapter = LinearAdapter(side, pull=0.03).fit(rng.normal(size=(30, 8)), rng.normal(size=(30, 8)))
    adapter.encoder = SPEC
    return adapter


@pytest.mark.parametrize("side", ["query", "both"])
def test_save_and_load_give_equal_bits(tmp_path, side):
    adapter = fitted(side)
    adapter.attachments = {"record.json": '{"a": 1}', "README.md": "# card"}
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    vectors = np.random.default_rng(1).normal(size=(5, 8))
    for at in ("query", "document"):
        assert loaded.transform(vectors, at).tobytes() == adapter.transform(vectors, at).tobytes()
    assert loaded.get_params() == adapter.get_params()
    assert loaded.encoder == SPEC
    assert loaded.attachments == adapter.attachments


def test_the_folder_is_readable_without_this_library(tmp_path):
    adapter = fitted("both")
    folder = adapter.save(tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "adapter.safetensors")
    assert (config["type"], config["side"], config["format"], config["encoder"]) == ("linear", "both", 1, SPEC)
    vectors = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    for side in ("query", "document"):
        raw = vectors + vectors @ weights[side]
        expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        np.testing.assert_allclose(adapter.transform(vectors, side), expected, atol=1e-6)


def test_the_identity_is_saved_and_says_so(tmp_path):
    folder = IdentityAdapter().save(tmp_path / "a")
    assert json.loads((folder / "config.json").read_text())["type"] == "identity"
    vectors = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    assert load_adapter(folder).transform(vectors).tobytes() == vectors.tobytes()


def test_saving_again_replaces_and_leaves_nothing_else_behind(tmp_path):
    fitted(seed=0).save(tmp_path / "a")
    newer = fitted(seed=1)
    newer.save(tmp_path / "a")
    assert load_adapter(tmp_path / "a").tensors()["query"].tobytes() == newer.coef_.tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    folder = fitted().save(tmp_path / "a")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=re.escape("holds notes.txt, so it was left alone")):
        fitted().save(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file, so it was left alone"):
        fitted().save(tmp_path / "file")


def test_a_failing_disk_keeps_what_was_there(tmp_path, monkeypatch):
    import embertune.adapters.artifact as module

    old = fitted(seed=0)
    old.save(tmp_path / "a")

    def full(tensors, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_tensors", full)
    with pytest.raises(StorageError, match=re.escape("No space left on device. What stood there before is unchanged.")):
        fitted(seed=1).save(tmp_path / "a")
    assert load_adapter(tmp_path / "a").tensors()["query"].tobytes() == old.coef_.tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_unfitted_adapter_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        LinearAdapter().save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_explained(tmp_path):
    with pytest.raises(ArtifactError, match=re.escape("is not a saved adapter: config.json was not found there")):
        load_adapter(tmp_path)
    folder = fitted().save(tmp_path / "a")
    weights = (folder / "adapter.safetensors").read_bytes()
    (folder / "adapter.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ArtifactError, match="is damaged: Error while deserializing header"):
        load_adapter(folder)
    config = json.loads((folder / "config.json").read_text())
    for change, message in [
        ({"format": 2}, "has format 2; this version reads up to 1. Upgrade with: pip install -U embertune"),
        ({"type": "new"}, f"holds an adapter of type 'new'; known are {', '.join(sorted(ADAPTER_TYPES))}."),
        ({"format": None}, "has no format number"),
    ]:
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(ArtifactError, match=re.escape(message)):
            load_adapter(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match="is not JSON"):
        load_adapter(folder)


def test_a_type_that_is_taken_is_refused():
    says = "have the type 'linear', which is what saved adapters are found by. Give yours another, such as"
    with pytest.raises(ConfigError, match=re.escape(says)):
        type("Mine", (LinearAdapter,), {"type": "linear", "__module__": "mine"})
