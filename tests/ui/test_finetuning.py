"""A whole model from the form to the command line and back."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

from embertune.data.dataset import Dataset
from embertune.errors import ConfigError
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.files import read_config
from embertune.ui import finetuning, tuning
from embertune.ui.finetuning import WHOLE, changed, encoder_of, model_fields
from embertune.ui.snippets import KINDS
from embertune.ui.snippets_model import MODEL_KINDS, served_adapter
from embertune.ui.workspace import RunEntry, Workspace


@pytest.fixture
def settings(tmp_path):
    bench = Workspace(tmp_path / "bench")
    entry = bench.add(Dataset.from_pairs([("a", "b")]), "pairs")
    model = "sentence-transformers/all-MiniLM-L6-v2"
    return bench, {**tuning.DEFAULTS, "data": entry.id, "version": 1, "encoder": model, "adapter": WHOLE}


def overrides(arguments):
    return [each for each in arguments[1:] if not each.startswith("--")]


def test_the_command_line_is_a_configuration_that_finetune_takes(settings):
    bench, chosen = settings
    chosen |= {"seed": 3, "split": "by-document", "tuning": {"mining.num_negatives": "2", "loss.name": "triplet"}}
    arguments = tuning.arguments(bench, chosen, "key")
    assert arguments[0] == "finetune"
    assert f"--progress-file={bench.folder / 'jobs' / 'key' / 'progress.jsonl'}" in arguments
    config = read_config(None, overrides(arguments))
    assert config.data == str(bench.data_folder(chosen["data"]))
    assert config.output_dir == str(bench.folder / "runs" / "key")
    assert (config.seed, config.split, config.mining.num_negatives, config.loss.name) == (
        3,
        "by-document",
        2,
        "triplet",
    )
    assert config.model_name == "sentence-transformers/all-MiniLM-L6-v2"


def test_the_defaults_of_the_form_are_those_of_finetune(settings):
    bench, chosen = settings
    chosen |= {"tuning": {field.name: tuning.written(field.default) for field in model_fields()}}
    found = read_config(None, overrides(tuning.arguments(bench, chosen, "key")))
    assert found == FinetuneConfig(data=found.data, output_dir=found.output_dir, model_name=found.model_name)


def test_every_setting_is_in_the_form_with_its_meaning():
    names = {field.name for field in model_fields()}
    assert all(field.meaning.endswith(".") for field in model_fields())
    plain = {field.name for field in dataclasses.fields(FinetuneConfig)} - {name.partition(".")[0] for name in names}
    assert plain == {
        "data", "dataset_name", "dataset_split", "columns", "split", "seed", "model_name", "output_dir", "cache_dir",
        "push_to_hub",
    }  # fmt: skip


@pytest.mark.parametrize(
    "encoder",
    ["static", "openai/text-embedding-3-small", "ollama/nomic-embed-text", "precomputed:x.npz", "x.npz", "./no", ""],
)
def test_what_has_no_weights_here_is_refused_before_it_waits_in_the_queue(settings, encoder):
    bench, chosen = settings
    with pytest.raises(ConfigError, match="no weights that can be trained here"):
        tuning.arguments(bench, {**chosen, "encoder": encoder}, "key")


def test_it_is_offered_only_where_its_extra_is_installed(monkeypatch):
    monkeypatch.setattr(finetuning, "is_installed", lambda: False)
    assert WHOLE not in tuning.choices()
    monkeypatch.setattr(finetuning, "is_installed", lambda: True)
    assert tuning.choices()[-1] == WHOLE


def test_a_run_of_the_command_line_is_loaded_with_its_settings():
    plain = json.loads(json.dumps(dataclasses.asdict(FinetuneConfig(num_epochs=2, split="by-query"))))
    record = {"adapter": {"type": "fine-tuned"}, "encoder": {}, "seed": 4, "training": {"config": plain}}
    found = tuning.of_record(record)
    assert (found["adapter"], found["seed"], found["split"]) == (WHOLE, 4, "by-query")
    assert found["tuning"] == {"num_epochs": "2"} == changed(plain)


def test_the_model_as_it_was_can_be_asked(tmp_path):
    record = {"training": {"config": {"model_name": "BAAI/bge-small-en-v1.5"}}}
    run = RunEntry("key", tmp_path, record)
    assert encoder_of(None, run) == "sentence-transformers/BAAI/bge-small-en-v1.5"
    assert encoder_of(str(tmp_path), run) == str(tmp_path)


@pytest.mark.parametrize("kind", list(KINDS))
def test_there_is_code_of_every_kind_and_it_is_python(kind, tmp_path):
    code = MODEL_KINDS[kind](tmp_path / "it's a model", tmp_path, 8000)
    compile(code, "copied.py", "exec")
    assert str(tmp_path) in code


def test_the_line_that_starts_a_server_is_one_of_a_shell(tmp_path):
    model, place = tmp_path / "it's a model", tmp_path / "a place"
    comment = MODEL_KINDS["OpenAI client"](model, place, 8000).strip().splitlines()[0]
    typed = shlex.split(comment.partition(" or type: ")[2])
    options = ["--adapter", f"tuned={place / 'identity'}", "--upstream", str(model), "--port", "8000"]
    assert typed == ["embertune", "serve", *options]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"OpenAI client"}))
def test_code_that_loads_the_model_embeds_each_side_by_its_own_prompt_and_route(kind, tmp_path):
    code = MODEL_KINDS[kind](tmp_path, tmp_path, 8000)
    assert ".encode_query(" in code
    assert ".encode_document(" in code


def test_what_is_served_beside_a_model_changes_nothing(tmp_path):
    from embertune.adapters.artifact import load_adapter

    assert load_adapter(served_adapter(tmp_path)).type == "identity"
