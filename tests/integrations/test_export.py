"""One command, many targets: what is written, what it says of the index, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from embertune import Chain, DocumentAdapter, IdentityAdapter, LinearAdapter, export
from embertune.cli import root
from embertune.errors import ConfigError, MissingExtraError, StorageError
from embertune.integrations.export import TARGETS, Exported

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "frameworks.md"


@pytest.fixture
def folder(every_kind, tmp_path):
    return str(every_kind["gated half"].save(tmp_path / "my-adapter"))


def run(*arguments):
    return CliRunner().invoke(root, ["export", *map(str, arguments)])


@pytest.mark.parametrize(
    ("to", "name"), [("pgvector", "t.sql"), ("safetensors", "t.safetensors"), ("langchain", "t.py")]
)
def test_the_command(to, name, folder, tmp_path):
    done = run("--adapter", folder, "--to", to, "--out", tmp_path / name)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{to}, {'both sides' if to == 'langchain' else 'query side'} → {tmp_path / name}")
    assert lines[1].startswith("The adapter changes documents, too: write the index once more before you search it")
    assert (lines[2:] == ["Documents that come later need their side: the same command with --side document."]) == (
        to != "langchain"
    )
    assert (tmp_path / name).is_file()
    told = json.loads(run("--adapter", folder, "--to", to, "--out", tmp_path / name, "--json").stdout)
    assert told["changes_documents"]
    assert told["files"][0] == str(tmp_path / name)


def test_queries_alone_leave_the_index(every_kind, tmp_path):
    done = export(every_kind["gated"], "safetensors", tmp_path / "t.safetensors")
    assert str(done).splitlines()[1:] == ["The adapter changes queries alone: the index stays as it is."]


def test_where_documents_alone_change_their_side_is_written(every_kind, tmp_path):
    assert export(every_kind["documents"], "pgvector", tmp_path / "t.sql").side == "document"
    assert "FUNCTION embertune_document(x vector)" in (tmp_path / "t.sql").read_text()
    both = Chain([every_kind["linear"], every_kind["documents"]])
    assert export(both, "pgvector", tmp_path / "t.sql", side="document", name="faq").side == "document"
    assert "FUNCTION faq_document(x vector)" in (tmp_path / "t.sql").read_text()


def test_the_strength(every_kind, some_vectors, tmp_path):
    from safetensors import safe_open

    from embertune.adapters.program import apply_steps

    export(every_kind["linear"], "safetensors", tmp_path / "t.safetensors", strength=0.3)
    with safe_open(tmp_path / "t.safetensors", "np") as file:
        steps, arrays = json.loads(file.metadata()["steps"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    expected = every_kind["linear"].scaled(0.3).transform(some_vectors)
    assert apply_steps(some_vectors, steps, arrays) == pytest.approx(expected, abs=2e-6)


def test_code_in_a_folder_is_said():
    done = Exported("sentence-transformers", "both", ("my-model",), False, needs_code=True)
    assert str(done).endswith("It holds a module of its own: SentenceTransformer(FOLDER, trust_remote_code=True).")


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("tflite", {}, "There is no target 'tflite'. Known: langchain, onnx, pgvector, safetensors, sent"),
        ("onnx", {"out": "t.bin"}, "out must end with .onnx for onnx, got 't.bin'"),
        ("langchain", {"side": "query", "out": "t.py"}, "side is not for langchain, which holds both sides"),
        ("onnx", {"side": "left"}, "side must be 'query' or 'document', got 'left'"),
        ("onnx", {"name": "x", "encoder": "static"}, "encoder is not for onnx, but for sentence-transformers\n- name"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(to, options, message, every_kind):
    with pytest.raises(ConfigError, match=re.escape(message)):
        export(every_kind["linear"], to, **{"out": "t.onnx", **options})


def test_what_cannot_be_written(every_kind, tmp_path, monkeypatch):
    with pytest.raises(
        ConfigError, match=r"^This IdentityAdapter changes nothing: .* lies in the folder's candidate/\.$"
    ):
        export(IdentityAdapter(), "safetensors", tmp_path / "t.safetensors")
    with pytest.raises(ConfigError, match=r"^This LinearAdapter leaves the document side as it is"):
        export(every_kind["linear"], "safetensors", tmp_path / "t.safetensors", side="document")
    with pytest.raises(
        StorageError, match=re.escape(f"There is no folder {tmp_path / 'no'} to write t.sql to. Type: mkdir")
    ):
        export(every_kind["linear"], "pgvector", tmp_path / "no" / "t.sql")

    class Mine(LinearAdapter):
        pass

    with pytest.raises(ConfigError, match="cannot be written in steps for other runtimes"):
        export(Mine().fit(np.eye(3), np.eye(3)[::-1]), "pgvector", tmp_path / "t.sql")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(
        MissingExtraError, match=r"Writing ONNX needs `onnx`\. Install it with: pip install .*\[onnx\]'"
    ):
        export(every_kind["linear"], "onnx", tmp_path / "t.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_guide_and_the_command_know_every_target():
    page, told = GUIDE.read_text(encoding="utf-8"), run("--help").stdout
    assert [name for name in TARGETS if f"**`{name}`**" not in page or name not in told] == []


def test_documents_that_move_one_by_one_are_in_the_files(every_kind, tmp_path):
    assert isinstance(every_kind["documents"], DocumentAdapter)
    export(every_kind["documents"], "langchain", tmp_path / "t.py")
    assert "'moves'" in (tmp_path / "t.py").read_text()
