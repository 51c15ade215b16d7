"""From the form to the command line."""

from __future__ import annotations

from dataclasses import fields

import pytest

from embertune.cli.tuning import take_tuning
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError
from embertune.training.config import EFFORTS, TuneConfig
from embertune.ui.tuning import DEFAULTS, arguments, changed_rows, default_of, family_rows, hyperparameters
from embertune.ui.workspace import Workspace


@pytest.fixture
def settings(tmp_path):
    bench = Workspace(tmp_path / "bench")
    entry = bench.add(Dataset.from_pairs([("a", "b")]), "pairs")
    return bench, {**DEFAULTS, "data": entry.id, "version": 1}


def test_the_form_as_it_is_opened_says_no_more_than_needed(settings):
    bench, chosen = settings
    found = arguments(bench, chosen, "key")
    assert found[:2] == ["tune", str(bench.data_folder(chosen["data"]))]
    assert [each.partition("=")[0] for each in found[2:]] == [
        "--encoder", "--out", "--effort", "--seed", "--progress-file", "--json",
    ]  # fmt: skip


def test_no_value_is_taken_for_an_option(settings):
    bench, chosen = settings
    assert "--encoder=--out=/tmp/x" in arguments(bench, {**chosen, "encoder": "--out=/tmp/x"}, "key")


def test_parameters_go_with_their_adapter_alone(settings):
    bench, chosen = settings
    chosen |= {"parameters": {"hidden": "64"}, "side": "both"}
    assert "--set=hidden=64" not in arguments(bench, chosen, "key")
    found = arguments(bench, {**chosen, "adapter": "mlp"}, "key")
    assert {"--set=hidden=64", "--adapter=mlp"} <= set(found)
    assert not any(each.startswith("--side") for each in found)


def test_an_empty_encoder_is_refused(settings):
    bench, chosen = settings
    with pytest.raises(ConfigError, match="No encoder is named"):
        arguments(bench, {**chosen, "encoder": " "}, "key")


def test_every_field_of_tuning_is_in_the_form_with_its_meaning():
    assert {field.name for field in hyperparameters()} == {field.name for field in fields(TuneConfig)} - {
        "side",
        "adapter",
    }
    assert all(field.meaning.endswith(".") for field in hyperparameters())


@pytest.mark.parametrize("effort", EFFORTS)
def test_what_the_form_shows_as_default_is_what_the_command_line_reads(effort):
    typed = [f"{field.name}={default_of(field, effort)}" for field in hyperparameters()]
    found, _ = take_tuning(typed, None)
    assert found == {name: getattr(EFFORTS[effort], name) for name in found}
    assert len(found) == len(typed)


def test_only_parameters_that_were_changed_are_told():
    rows = family_rows("mlp")
    assert changed_rows("mlp", rows) == {}
    rows = [[name, "64" if name == "hidden" else value] for name, value in rows]
    assert changed_rows("mlp", [*rows, ["unknown", "1"], ["", ""]]) == {"hidden": "64"}
