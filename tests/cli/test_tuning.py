"""Every field of TuneConfig is a setting on the command line, of the kind that the field has."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
from click.testing import CliRunner

from embertune.cli import root
from embertune.cli.tuning import take_tuning
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError
from embertune.training.config import EFFORTS, TuneConfig


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_field_is_read_back_as_it_is(effort):
    config = EFFORTS[effort]
    values = {field.name: getattr(config, field.name) for field in fields(TuneConfig)}
    del values["side"], values["adapter"]
    written = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
    found, others = take_tuning(written, None)
    assert found == values
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in values.items()}
    assert others == ()


def test_a_parameter_of_the_adapter_goes_to_the_adapter():
    assert take_tuning(["rank=8", "folds=3"], "linear") == ({"folds": 3}, ("rank=8",))
    assert take_tuning(["rank=8", "folds=3"], None) == ({"rank": 8, "folds": 3}, ())


def test_every_value_of_a_wrong_kind_is_named():
    with pytest.raises(
        ConfigError,
        match=re.escape(
            "Invalid configuration:\n"
            "- folds must be a whole number, got '2.5'\n"
            "- seeds must be a whole number, got 'true'\n"
            "- rank must be a whole number or null, got 'all'\n"
            "- pulls must be numbers, such as [1, 0.1], got '[\"a\"]'\n"
            "- metric must be a word, got '10'"
        ),
    ):
        take_tuning(["folds=2.5", "seeds=true", "rank=all", 'pulls=["a"]', "metric=10"], None)


def test_settings_reach_the_record(small, run):
    outcome = run(*small.tune("--json", "--set", "metric=recall@10", "--set", "seeds=1"))
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["primary"] == "recall@10"
    assert len(record["selection"]["seeds"]) == 1


def test_a_setting_that_is_impossible_is_explained(small, run):
    outcome = run(*small.tune("--set", "folds=1"))
    assert outcome.code == 1
    assert "folds must be at least 2, got 1" in outcome.err


def test_a_teachers_scores_reach_the_loss(tmp_path):
    words = [f"{kind}{at}" for kind in ("cat", "dog", "owl", "fox") for at in range(30)]
    pairs = [(f"where is {word}?", f"the home of {word} is here") for word in words]
    data = Dataset.from_pairs(pairs)
    data.save(tmp_path / "data")
    rows = [{"query": q, "positive": d, "negative": pairs[at - 1][1], "margin": 6.0} for at, (q, d) in enumerate(pairs)]
    (tmp_path / "taught.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    line = ["tune", tmp_path / "data", "--encoder", "hashing", "--out", tmp_path / "out", "--effort", "fast",
            "--scores", tmp_path / "taught.jsonl"]  # fmt: skip
    with pytest.raises(ConfigError, match=re.escape("The search of linear maps makes no use of --scores.")):
        CliRunner().invoke(root, list(map(str, line)), catch_exceptions=False, standalone_mode=False)
    taught = [*line, "--adapter", "linear", "--loss", "margin_mse", "--set", "max_epochs=2", "--json"]
    done = CliRunner().invoke(root, list(map(str, taught)), catch_exceptions=False, standalone_mode=False)
    assert json.loads(done.stdout)["verdict"]["code"] in ("ship", "no-gain", "too-little-data")
