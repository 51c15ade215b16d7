"""What `import embertune` promises: its names, their documentation, and that every example is true."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import embertune

SOURCE = Path(embertune.__file__).parent
ENTRANCE = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
MODULES = sorted(
    ".".join(["embertune", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if path.name != "__main__.py"
)
LAYERS = ["adapters", "data", "encoders", "evaluation"]


def names_for_type_checkers():
    for node in ENTRANCE.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    yield from ((alias.name, line.module.removeprefix("embertune.")) for alias in line.names)


def test_public_names_are_these():
    assert embertune.__all__ == sorted(embertune.__all__)
    assert set(embertune.__all__) == {
        *("Adapter", "Chain", "Gate", "IdentityAdapter", "LinearAdapter", "OrthogonalAdapter", "TruncationAdapter"),
        *("BaseAdapter", "DocumentAdapter", "MLPAdapter", "WhiteningAdapter", "load_adapter"),
        *("Dataset", "Document", "demo_dataset", "load_dataset", "split_dataset"),
        *("AdaptedEncoder", "Encoder", "EncoderSpec", "load_encoder"),
        *("BridgeAdapter", "migrate", "update"),
        *("LogConfig", "apply_audit", "audit", "learning_curve"),
        *("Evaluation", "Run", "compare", "evaluate"),
        *("FinetuneConfig", "Result", "TuneConfig", "finetune", "tune"),
        *("doctor", "infer", "inspect", "rag_dataset", "synthesize", "transform"),
        *("FilterConfig", "Margins", "MiningConfig", "filter_queries", "load_scorer", "mine_negatives", "pseudo_label"),
        *("export", "export_model", "pull", "push"),
        *("EmbertuneError", "__version__"),
    }


def test_names_loaded_on_first_use_are_those_that_type_checkers_see():
    assert dict(names_for_type_checkers()) == embertune._LAZY


@pytest.mark.parametrize("name", embertune.__all__)
def test_every_public_name_resolves(name):
    assert getattr(embertune, name) is not None
    assert name in dir(embertune)


@pytest.mark.parametrize("name", sorted(set(embertune.__all__) - {"__version__"}))
def test_every_public_name_has_an_example(name):
    # Whether it is true is for test_examples_in_docstrings.
    assert doctest.DocTestParser().get_examples(getattr(embertune, name).__doc__)


@pytest.mark.parametrize("layer", LAYERS)
def test_names_of_a_layer_are_sorted_and_there(layer):
    module = importlib.import_module(f"embertune.{layer}")
    assert module.__all__ == sorted(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert embertune.__version__ == version("embertune")


def test_an_unknown_name_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'embertune' has no attribute 'tuen'$") as caught:
        embertune.tuen  # noqa: B018
    assert caught.value.name == "tuen"
    with pytest.raises(ImportError, match="cannot import name 'tuen' from 'embertune'"):
        from embertune import tuen  # noqa: F401


def test_import_loads_nothing_before_it_is_used():
    code = (
        "import sys, embertune; before = {m for m in sys.modules if m.startswith('embertune')};"
        "embertune.load_dataset; import json; print(json.dumps([sorted(before), 'embertune.data.io' in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded, after = ast.literal_eval(found.replace("true", "True").replace("false", "False"))
    assert after
    floors = {name.split(".")[1] for name in loaded if "." in name}
    assert floors == {"errors", "core", "adapters"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0, f"{found.failed} of {found.attempted} examples fail; see the captured output"
