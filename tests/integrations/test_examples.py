"""Every example runs, in a process of its own, where what it needs is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("with_*.py"))


def needs(path):
    return (re.search(r"^Needs: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE) or [None, ""])[1].split()


def marks(path):
    return [pytest.mark.frameworks, *([pytest.mark.torch] if "torch" in needs(path) else [])]


@pytest.fixture
def environment(request, tmp_path):
    """Variables that an example reads, with the service behind them."""
    found = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "EMBERTUNE_CACHE": str(tmp_path / "cache")}
    name = request.node.callspec.id
    if name == "with_pgvector":
        found["DATABASE_URL"] = request.getfixturevalue("postgres")
    if name == "with_hub":
        spec = importlib.util.spec_from_file_location("hub_stub", Path(__file__).with_name("hub_stub.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        stub = module.HubStub()
        yield {**found, "HF_ENDPOINT": stub.base, "HF_TOKEN": "hf_" + "a1" * 17}
        stub.close()
        return
    yield found


def is_missing(module):
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:  # of a.b, where there is no a
        return True


@pytest.mark.parametrize("path", [pytest.param(path, marks=marks(path), id=path.stem) for path in EXAMPLES])
def test_an_example_runs(path, request, tmp_path):
    absent = [module for module in needs(path) if is_missing(module)]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed")
    environment = request.getfixturevalue("environment")
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
