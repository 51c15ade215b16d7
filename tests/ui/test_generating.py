"""Queries for documents: what the form asks of the command line."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from embertune.cli.synthesize import command
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError, DataError
from embertune.recipes.synthesize import estimate_synthesis
from embertune.ui.generating import _CUT, _HERE, _MODEL, _UPLOAD, _Wanted
from embertune.ui.workspace import Workspace


@pytest.fixture
def bench(tmp_path):
    return SimpleNamespace(workspace=Workspace(tmp_path / "bench"))


@pytest.fixture
def at(bench):
    text = "The bridge was built in 1900. It is 80 metres tall and carries two roads and a railway."
    return bench.workspace.add(Dataset.from_pairs([("how old?", text)]), "Bridge").id, 1


def wanted(bench, at, *, source=_HERE, files=None, writer=_CUT, model="", budget=1.0):
    return _Wanted(bench, at, source, files, writer, 3, 200, model, budget)


def test_what_is_cut_out_costs_nothing_and_names_no_model(bench, at):
    form = wanted(bench, at, model="openai/gpt-4o-mini")
    arguments = form.arguments(form.documents(), "key")
    assert arguments[:2] == ["synthesize", str(bench.workspace.data_folder(*at) / "corpus.jsonl")]
    assert "--llm" not in arguments
    assert "--budget" not in arguments


def test_a_model_has_its_budget_and_its_price_is_told_before_anything_is_sent(bench, at, monkeypatch):
    pytest.importorskip("litellm", reason="prices are LiteLLM's")
    monkeypatch.setenv("OPENAI_API_KEY", "no key of anybody")
    form = wanted(bench, at, writer=_MODEL, model="openai/gpt-4o-mini", budget=0.5)
    arguments = form.arguments(form.documents(), "key")
    assert arguments[arguments.index("--llm") + 1] == "openai/gpt-4o-mini"
    assert arguments[arguments.index("--budget") + 1] == "0.5"
    assert re.search(r"\$|dollar|tokens", str(estimate_synthesis(form.documents(), form.model, per_chunk=3)))


def test_the_command_takes_every_argument(bench, at):
    form = wanted(bench, at)
    bench.workspace.inside("jobs", "key").mkdir()
    command.main(form.arguments(form.documents(), "key")[1:], standalone_mode=False)
    assert (bench.workspace.folder / "jobs" / "key" / "out" / "synthesis.json").is_file()


@pytest.mark.parametrize(
    ("model", "budget", "said"), [("", 1.0, "No language model is named"), ("x/y", 0, "A budget of 0")]
)
def test_what_cannot_be_is_said_at_once(bench, at, model, budget, said):
    with pytest.raises(ConfigError, match=said):
        wanted(bench, at, writer=_MODEL, model=model, budget=budget)


def test_nothing_uploaded_is_said(bench, at):
    with pytest.raises(DataError, match="No file was chosen"):
        wanted(bench, at, source=_UPLOAD).documents()
