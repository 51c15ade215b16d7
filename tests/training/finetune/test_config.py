import re
from dataclasses import fields, is_dataclass

import pytest

from embertune.errors import ConfigError
from embertune.training.finetune.config import EvaluationConfig, FinetuneConfig, LossConfig, MiningSettings
from embertune.training.finetune.files import commented, field_docs, make_config, read_config

yaml = pytest.importorskip("yaml")

# What the field expects of such a configuration, by the names of sentence-transformers and transformers.
KEYS = {
    "data", "dataset_name", "sample_size", "test_size", "seed", "model_name", "mining_model_name", "revision",
    "prompts", "max_seq_length", "num_epochs", "batch_size", "learning_rate", "weight_decay", "warmup_ratio",
    "gradient_checkpointing", "gradient_accumulation_steps", "precision", "mining", "loss", "evaluation", "cache_dir",
    "output_dir", "tracking", "lora", "query_only",
}  # fmt: skip


def test_all_keys_that_were_asked_for_are_there():
    assert {each.name for each in fields(FinetuneConfig)} >= KEYS
    mining = {"num_negatives", "batch_size", "margin", "range_min", "range_max", "sampling_strategy"}
    assert {each.name for each in fields(MiningSettings)} == mining
    judged = {"metrics", "eval_steps", "save_best_model", "early_stopping_patience"}
    assert {each.name for each in fields(EvaluationConfig)} >= judged


def test_every_problem_is_told_at_once_with_the_nearest_name():
    values = {
        "num_epoch": 3,
        "batch_size": 0,
        "learning_rate": "fast",
        "precision": "fp8",
        "mining": {"num_negative": 3, "margin": 1.5},
        "loss": "tripet",
        "evaluation": {"metrics": ["ndgc"]},
        "test_size": 0.7,
    }
    with pytest.raises(ConfigError) as caught:
        make_config(values)
    told = "\n".join(caught.value.problems)
    for expected in (
        "There is no key num_epoch. Did you mean num_epochs?",
        "There is no key mining.num_negative. Did you mean mining.num_negatives?",
        "batch_size must be at least 1, got 0",
        "learning_rate must be a number, got 'fast'",
        "precision must be one of auto, fp32, bf16, fp16, got 'fp8'",
        "mining.margin must be from 0 to below 1, got 1.5",
        "loss.name must be one of mnrl, cached_mnrl, margin_mse, mean_margin, triplet, cosent, got 'tripet'",
        "test_size must be between 0 and 0.5, got 0.7",
        "evaluation.metrics: ",
    ):
        assert expected in told, expected
    assert len(caught.value.problems) == 9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": "a", "dataset_name": "b"}, "data is 'a' and dataset_name 'b'; give one of them"),
        (
            {"mining": {"num_negatives": 4, "range_min": 10, "range_max": 12}},
            "mining.range_max must be at least range_min + num_negatives = 14, got 12",
        ),
        (
            {"loss": {"name": "mnrl", "teacher": "x"}},
            "loss.teacher is given, and the loss mnrl makes no use of it; expected margin_mse or mean_margin",
        ),
        ({"prompts": {"passage": "p"}}, "prompts has passage; expected query and document"),
        (
            {"tracking": "tensorbord"},
            "tracking must be of tensorboard, wandb, mlflow, trackio, comet_ml, got tensorbord",
        ),
        ({"mining": 3}, "mining must be a group of keys (num_negatives,"),
        ({"batch_size": True}, "batch_size must be a whole number, got True"),
        ({"num_epochs": float("nan")}, "num_epochs must be a number, got nan"),
        ({"lora": 0}, "lora must be at least 1 or null, got 0"),
        ({"evaluation": {"metrics": []}}, "evaluation.metrics is empty; expected at least one, such as ndcg"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_config(values)


def test_a_file_and_overrides_make_one_configuration(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "num_epochs: 3\nloss: triplet\nmining:\n  num_negatives: 5\nlearning_rate: 2e-5\n"
        "evaluation: {metrics: [mrr, recall@20]}\n",
        encoding="utf-8",
    )
    overrides = [
        "batch_size=16",
        "mining.margin=0.1",
        "loss.margin=0.3",
        "tracking=none",
        "loss.matryoshka_dims=[8, 4]",
    ]
    config = read_config(file, overrides)
    assert config == FinetuneConfig(
        num_epochs=3,
        batch_size=16,
        learning_rate=2e-5,
        mining=MiningSettings(num_negatives=5, margin=0.1),
        loss=LossConfig(name="triplet", margin=0.3, matryoshka_dims=(8, 4)),
        evaluation=EvaluationConfig(metrics=("mrr", "recall@20")),
        tracking=(),
    )
    assert config.primary == "mrr@10"
    assert config.dev_metrics == ("mrr@10", "recall@20")


def test_the_commented_configuration_is_the_configuration():
    config = make_config({"num_epochs": 2, "prompts": {"query": "query: "}, "loss": {"matryoshka_dims": [8]}})
    assert make_config(yaml.safe_load(commented(config))) == config
    assert make_config(yaml.safe_load(commented())) == FinetuneConfig()


def test_every_key_has_a_comment():
    text = commented()
    for kind in (FinetuneConfig, MiningSettings, LossConfig, EvaluationConfig):
        docs = field_docs(kind)
        assert set(docs) == {each.name for each in fields(kind)}
        for name, meaning in docs.items():
            assert f"# {meaning[:40]}" in text, name
    assert all(len(line) <= 100 for line in text.splitlines() if line.lstrip().startswith("#"))
    assert not any(is_dataclass(each.default) for each in fields(FinetuneConfig))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "config.yaml cannot be read: No such file or directory. Write one with: embertune finetune --print-con"),
        ("a: [", "config.yaml is no YAML: while parsing"),
        ("- a\n- b\n", "config.yaml holds a list. Expected keys and values, such as num_epochs: 4"),
    ],
)
def test_a_file_that_is_none_is_explained(tmp_path, content, message):
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_config(file)


def test_overrides_that_are_none_are_explained_together():
    with pytest.raises(ConfigError) as caught:
        read_config(None, ["epochs", "num_epochs=[", "seed.x=1", "loss=mnrl", "loss.name.x=3"])
    assert caught.value.problems == [
        "'epochs' is no key=value, such as num_epochs=6",
        "'num_epochs=[' has no value that YAML knows; put it in quotes",
        "loss.name.x cannot be set: name is 'mnrl'",
        "seed must be a whole number, got {'x': 1}",
        "num_epochs must be a number, got None",
    ]
