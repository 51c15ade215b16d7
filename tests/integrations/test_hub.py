"""Adapters to the hub and back, with its real client against a hub on this machine."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from embertune import LinearAdapter, load_adapter
from embertune.adapters.canaries import CANARY_TEXTS, Canaries
from embertune.cli import root
from embertune.errors import ArtifactError, ConfigError, StorageError
from embertune.integrations.hub import pull, push
from embertune.recipes.finetune_result import FinetuneResult
from embertune.recipes.hub import _may_hold_texts, names_texts

SPEC = importlib.util.spec_from_file_location(
    "finetune_conftest", Path(__file__).parents[1] / "training" / "finetune" / "conftest.py"
)
SHARED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SHARED)
tiny_model = SHARED.tiny_model

pytestmark = [
    pytest.mark.frameworks,
    # The client's own call of httpx.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
TOKEN = "hf_" + "a1" * 17


def make_stub(**options):
    spec = importlib.util.spec_from_file_location("hub_stub", Path(__file__).with_name("hub_stub.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.HubStub(**options)


@pytest.fixture(params=["regular", "lfs"])
def hub(request, monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: group frameworks")
    from huggingface_hub import constants

    stub = make_stub(lfs=(".safetensors",) if request.param == "lfs" else ())
    monkeypatch.setenv("HF_ENDPOINT", stub.base)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # Of the hub's two ways for large files, the one whose server is a page of code.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("hf_" + "of_an_earlier_login" * 2)
    yield stub
    stub.close()


@pytest.fixture
def folder(tmp_path):
    """A saved adapter with everything that `tune` saves beside it."""
    adapter = LinearAdapter(pull=0.01).fit(np.eye(4), np.eye(4)[::-1])
    texts = CANARY_TEXTS["query"], CANARY_TEXTS["document"]
    vectors = (np.ones((len(each), 4), dtype=np.float32) for each in texts)
    adapter.canaries = Canaries(*texts, *vectors)
    adapter.attachments = {"README.md": "# A card\n", "record.json": json.dumps({"queries": [{"id": "q1"}]})}
    place = adapter.save(tmp_path / "my-adapter")
    (place / "report.html").write_text("<p>a query of a customer</p>")
    return place


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_and_back(hub, folder, tmp_path):
    pushed = push(folder, "someone/faq-adapter")
    assert pushed.left_out == ("report.html",)
    assert "left out: report.html (may hold texts of your data; --with-texts takes them along)" in str(pushed)
    assert hub.private == {"someone/faq-adapter": True}
    assert set(hub.repos["someone/faq-adapter"]) == set(contents(folder)) - {"report.html"}
    assert {key for _, path, key in hub.seen if not path.startswith("blobs")} <= {f"Bearer {TOKEN}", None}
    pulled = pull("someone/faq-adapter", tmp_path / "there" / "again")
    expected = {name: body for name, body in contents(folder).items() if name != "report.html"}
    assert contents(tmp_path / "there" / "again") == expected
    assert (pulled.revision, pulled.files) == (pushed.revision, pushed.files)
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(load_adapter(pulled.folder).transform(vectors), load_adapter(folder).transform(vectors))


def test_texts_go_along_only_if_told(hub, folder):
    (folder / "candidate").mkdir()
    (folder / "candidate" / "config.json").write_text("{}")
    (folder / "notes.txt").write_text("what a customer wrote")
    (folder / "record.json").write_text(json.dumps({"queries": [{"id": "how do I pay"}]}))
    assert push(folder, "me/a").left_out == ("notes.txt", "record.json", "report.html")
    assert set(hub.repos["me/a"]) == {*("README.md", "adapter.safetensors", "candidate/config.json"),
                                      "canaries.safetensors", "config.json"}  # fmt: skip
    told = push(folder, "me/a", with_texts=True, public=True)
    assert told.left_out == ()
    assert set(hub.repos["me/a"]) == set(contents(folder))
    assert b"what a customer wrote" in hub.repos["me/a"].values()


def test_canaries_of_ones_own_texts_are_texts(hub, folder):
    adapter = load_adapter(folder)
    adapter.canaries = Canaries(("of a customer",), ("b",), np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))
    adapter.save(folder)
    assert "canaries.safetensors" in push(folder, "me/a").left_out


def test_a_public_repository_is_one_by_request(hub, folder):
    push(folder, "me/open", public=True)
    assert hub.private == {"me/open": False}


def test_the_key_comes_from_the_environment_alone(hub, folder, monkeypatch, tmp_path):
    push(folder, "me/a")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        ConfigError, match=re.escape("Pushing needs a key with the right to write. Type: export HF_TOKEN=")
    ):
        push(folder, "me/a")
    hub.seen.clear()
    pull("me/a", tmp_path / "b")
    assert {key for _, _, key in hub.seen} == {None}


def test_what_the_hub_refuses(hub, folder, tmp_path):
    with pytest.raises(StorageError, match=r"^nobody/none was not found on the hub, or HF_TOKEN gives no right to it"):
        pull("nobody/none", tmp_path / "b")
    push(folder, "me/a")
    with pytest.raises(StorageError, match=r"^me/a was not found on the hub"):
        pull("me/a", tmp_path / "b", revision="no-such-branch")
    with pytest.raises(ConfigError, match=r"^'me/a/b' is no name of a repository: .*Expected OWNER/NAME\.$"):
        pull("me/a/b", tmp_path / "b")
    hub.refuse = 403
    with pytest.raises(StorageError, match=r"^The hub could not be used for me/a: .*403") as caught:
        push(folder, "me/a")
    assert TOKEN not in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_what_is_pulled_is_looked_through(hub, folder, tmp_path):
    push(folder, "me/a")
    hub.repos["me/a"]["adapter.safetensors"] = b"no tensors"
    hub.repos["me/a"]["evil.py"] = b"raise SystemExit"
    with pytest.raises(ArtifactError, match=r"^me/a on the hub is damaged"):
        pull("me/a", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    hub.repos["me/a"]["adapter.safetensors"] = (folder / "adapter.safetensors").read_bytes()
    assert "evil.py" not in pull("me/a", tmp_path / "b").files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match=r"holds letter\.txt, so it was left alone"):
        pull("me/a", tmp_path / "mine")


def test_no_hub_is_reached(folder, monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: group frameworks")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(StorageError, match=r"^The hub could not be used for me/a: "):
        pull("me/a", tmp_path / "b")


def test_only_adapters_are_pushed(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(ArtifactError, match="is not a saved adapter"):
        push(tmp_path, "me/a")


@pytest.fixture
def model_folder(tmp_path):
    """What a fine-tuned model's folder has in it, and what else may lie there."""
    place = tmp_path / "my-model"
    files = {
        "modules.json": json.dumps([{"path": ""}, {"path": "1_Pooling"}, {"type": "custom_st.Mean", "path": ""}]),
        "router_config.json": json.dumps({"types": {"query_0_Static": "sentence_transformers.models.Static"}}),
        "query_0_Static/model.safetensors": "weights",
        "config.json": json.dumps({"auto_map": {"AutoModel": "me/base--modeling_mine.Mine"}}),
        "custom_st.py": "import numpy as np\n",
        "modeling_mine.py": "from .layers_mine import Layer\n",
        "layers_mine.py": "class Layer: pass\n",
        "config_sentence_transformers.json": "{}",
        "1_Pooling/config.json": "{}",
        "model.safetensors": "weights",
        "tokenizer.json": "{}",
        "README.md": "# A card\n",
        "record.json": json.dumps({"queries": [{"id": "q1"}]}),
        "report.html": "<p>a query of a customer</p>",
        "rankings.jsonl": "{}\n",
        "map.json": "{}",
        "eval.py": 'QUERIES = ["what a customer wrote"]\n',
        "1_Pooling/README.md": "what a customer wrote",
        "notes/README.md": "what a customer wrote",
        "notes/config.json": "{}",
        "notes/custom_st.py": "",
        "notes/questions.txt": "what a customer wrote",
        "notes/record.json": "{}",
        "notes/vocab.txt": "what a customer wrote",
        ".cache/huggingface/x.json": "{}",
    }
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


def test_a_model_goes_without_texts(hub, model_folder, capsys):
    assert root.main(["push", "--model", str(model_folder), "--repo", "me/m"], standalone_mode=False) in (None, 0)
    assert hub.private == {"me/m": True}
    assert set(hub.repos["me/m"]) == {
        "1_Pooling/config.json", "README.md", "config.json", "config_sentence_transformers.json", "custom_st.py",
        "layers_mine.py", "model.safetensors", "modeling_mine.py", "modules.json", "query_0_Static/model.safetensors",
        "record.json", "router_config.json", "tokenizer.json",
    }  # fmt: skip
    assert hub.repos["me/m"]["model.safetensors"] == b"weights"
    said = capsys.readouterr().out
    notes = ", ".join(f"notes/{name}" for name in ("README.md", "config.json", "custom_st.py", "questions.txt",
                                                   "record.json", "vocab.txt"))  # fmt: skip
    left_out = f"1_Pooling/README.md, eval.py, map.json, {notes}, rankings.jsonl, report.html"
    assert f"left out: {left_out} (may hold texts" in said
    (model_folder / "record.json").write_text(json.dumps({"queries": [{"id": "how do I pay"}]}), encoding="utf-8")
    assert "record.json" in push(model_folder, "me/m").left_out
    told = push(model_folder, "me/m", with_texts=True, public=True)
    assert told.left_out == ()
    assert ".cache/huggingface/x.json" not in told.files


@pytest.mark.torch
def test_all_that_is_saved_of_a_model_with_routes_goes(tiny_model, tmp_path):
    from sentence_transformers import SentenceTransformer

    from embertune.training.finetune.models import freeze_documents

    place = tmp_path / "routed"
    freeze_documents(SentenceTransformer(str(tiny_model), device="cpu")).save_pretrained(str(place))
    names = [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]
    assert {name.rpartition("/")[0] for name in names} > {""}
    assert [name for name in names if _may_hold_texts(place, name)] == []


@pytest.mark.parametrize(
    ("record", "stays"),
    [
        ('{"queries": [{"id": "q1"}, {"id": "FAQ-2"}]}', False),
        ("{}", False),
        ('{"queries": [{"id": "什么时候开门"}]}', True),
        ('{"queries": ["how do I pay"]}', True),
        ("[]", True),
        ("{bro", True),
    ],
)
def test_a_record_that_may_hold_texts_stays(tmp_path, record, stays):
    (tmp_path / "record.json").write_text(record, encoding="utf-8")
    assert names_texts(tmp_path / "record.json") is stays


def test_a_model_needs_a_key_and_a_model(hub, model_folder, tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match=r"is no model: modules\.json was not found there\. Name the output_dir"):
        root.main(["push", "--model", str(tmp_path), "--repo", "me/m"], standalone_mode=False)
    with pytest.raises(ConfigError, match=re.escape("Expected one of the two: --adapter DIR or --model DIR.")):
        root.main(["push", "--repo", "me/m"], standalone_mode=False)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigError, match=r"^Pushing needs a key with the right to write\."):
        push(model_folder, "me/m")
    assert hub.repos == {}


def test_a_result_that_cannot_be_uploaded_says_where_it_lies(hub, model_folder):
    hub.refuse = 403
    result = FinetuneResult({}, None, None, None)
    with pytest.raises(StorageError) as caught:
        result.push("me/m", model_folder)
    assert str(caught.value).startswith("The hub could not be used for me/m: ")
    assert str(caught.value).endswith(f"upload it later with: embertune push --model {model_folder} --repo me/m")
    hub.refuse = None
    assert result.push("me/m", model_folder) == "https://huggingface.co/me/m"
    assert "report.html" not in hub.repos["me/m"]
