"""The code of the tab Use, for every kind of adapter: it compiles, and what needs no other project is run."""

import ast
import copy
import shlex

import numpy as np
import pytest

from embertune.ui.snippets import KINDS, snippet

SPEC = {"provider": "static", "model": "m", "dimension": 12}


@pytest.fixture
def saved(every_kind, tmp_path):
    def save(name):
        adapter = copy.copy(every_kind[name])
        adapter.encoder = {**SPEC, "query_prompt": 'a "quoted" \\prompt: '}
        return adapter.save(tmp_path / "it's mine")

    return save


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["linear", "gated", "both sides", "chain", "identity"])
def test_all_code_is_python_and_names_the_adapter(kind, name, saved, tmp_path):
    folder = saved(name)
    code = snippet(kind, folder, tmp_path / "exports", port=8123)
    ast.parse(code)
    if kind == "OpenAI client":
        assert "http://127.0.0.1:8123/v1" in code
        typed = shlex.split(code.strip().splitlines()[0].partition(" or type: ")[2])
        assert typed == ["embertune", "serve", "--adapter", f"tuned={folder}", "--port", "8123"]
    else:
        assert str(folder) in code or str(tmp_path / "exports") in code


@pytest.mark.parametrize(
    "name",
    ["linear", "both sides", "low rank", "mlp", "gated half", "gated apart", "documents", "gated chain", "identity"],
)
def test_the_numpy_code_gives_what_the_adapter_gives(name, saved, every_kind, some_vectors, tmp_path):
    made = {"__name__": "copied"}
    code = snippet("numpy", saved(name), tmp_path / "exports")
    assert "import embertune" not in code
    assert "from embertune" not in code
    exec(compile(code, "copied.py", "exec"), made)
    for side in ("query", "document"):
        expected = every_kind[name].transform(some_vectors, side)
        assert np.allclose(made["adapt"](some_vectors, side), expected, atol=2e-6)


def test_a_model_of_sentence_transformers_is_written_whole_and_others_are_not(saved, every_kind, tmp_path):
    folder = saved("linear")
    assert "is no model of sentence-transformers" in snippet("sentence-transformers", folder, tmp_path / "exports")
    adapter = copy.copy(every_kind["linear"])
    adapter.encoder = {**SPEC, "provider": "sentence-transformers"}
    folder = adapter.save(tmp_path / "st")
    assert "write_sentence_transformer(" in snippet("sentence-transformers", folder, tmp_path / "exports")


def test_stored_vectors_are_written_anew_only_where_they_change(saved, tmp_path):
    assert "stored vectors stay" in snippet("LangChain", saved("linear"), tmp_path / "exports")
    assert "written anew" in snippet("LangChain", saved("both sides"), tmp_path / "exports")
    assert "embertune_document(embedding)" in snippet("pgvector", saved("both sides"), tmp_path / "exports")
