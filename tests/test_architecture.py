"""Imports point down, the ground floors are numpy, and nothing grows too large to read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "embertune"
FLOORS = [
    {"errors"},
    {"_optional", "core"},
    {"adapters", "data"},
    {"encoders"},
    {"evaluation", "testing"},
    {"training", "reports"},
    {"recipes"},
    {"integrations", "serving"},
    {"ui"},
    {"cli"},
]
FLOOR = {layer: level for level, layers in enumerate(FLOORS) for layer in layers}
ENTRANCES = {"__init__.py", "__main__.py"}
ALLOWED = {"numpy", "safetensors", "click", "embertune"}
FILES = sorted(SOURCE.rglob("*.py"))


def name_of(path):
    return str(path.relative_to(SOURCE))


def layer(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    if name_of(path) in ENTRANCES:
        pytest.skip("the package's entrances may import every floor")
    here = layer(path)
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] == "embertune":
            assert len(parts) > 1, "import from the layer, not from the package itself"
            there = parts[1]
            assert there == here or FLOOR[there] < FLOOR[here], f"{here} imports {there}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_numpy_safetensors_and_click_are_imported_at_the_top(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imports(ast.Module(body=[node], type_ignores=[])):
                package = name.split(".")[0]
                assert package in ALLOWED or package in sys.stdlib_module_names, f"{name} is imported at the top"
                assert package != "click" or layer(path) == "cli", "click belongs to the command line"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = node.end_lineno - first.lineno + 1
            assert length <= 40, f"{node.name} has {length} lines"


def test_importing_the_package_loads_numpy_and_safetensors_alone():
    code = (
        "import sys; before = set(sys.modules); import embertune; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    strangers = {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert strangers <= {"embertune", "numpy", "safetensors"}


def test_import_is_silent():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import embertune, embertune.cli"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_call_in_a_default(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                assert not any(isinstance(part, ast.Call | ast.List | ast.Dict) for part in ast.walk(default)), (
                    node.name
                )


def test_the_project_names_no_path_outside_itself():
    root = SOURCE.parents[1]
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    forbidden = ["/work" + "/", "find-" + "links"]
    for name in filter(None, listed):
        path = root / name
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".json", ""}:
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not any(word in text for word in forbidden), name
