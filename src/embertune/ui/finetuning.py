"""Fine-tuning a whole model from the form of Tune: which settings there are, and the command line that they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embertune.encoders.registry import names_weights
from embertune.errors import ConfigError
from embertune.training.finetune.config import FinetuneConfig
from embertune.ui.fields import Field, fields_of
from embertune.ui.workspace import RunEntry, Workspace

__all__ = ["WHOLE", "arguments", "changed", "encoder_of", "is_installed", "is_model", "model_fields"]

WHOLE = "the whole model, fine-tuned"
"""Stands among the adapters: what is trained in place of one."""

# Another control of the form says it, or the workbench does. Nothing is uploaded from here.
_ELSEWHERE = (
    "data", "dataset_name", "dataset_split", "columns", "split", "seed", "model_name", "output_dir", "cache_dir",
    "push_to_hub",
)  # fmt: skip
_PROVIDER = "sentence-transformers/"


def is_installed() -> bool:
    """Say whether the extra that fine-tunes is there."""
    return all(find_spec(name) is not None for name in ("sentence_transformers", "datasets", "accelerate", "yaml"))


def is_model(run: RunEntry) -> bool:
    """Say whether a run made a model of its own, and no adapter."""
    return bool(run.record["adapter"].get("type") == "fine-tuned")


def encoder_of(typed: str | None, run: RunEntry) -> str:
    """Name the model that was fine-tuned as `embertune.load_encoder` takes it."""
    name = typed or str(run.record["training"]["config"]["model_name"])
    is_known = name.startswith(_PROVIDER) or Path(name).is_dir()
    return name if is_known else _PROVIDER + name


def model_fields(config: type[Any] = FinetuneConfig, place: str = "") -> list[Field]:
    """Give the settings that have no control of their own; those of a group are called as on the command line.

    Example:
        >>> [field.name for field in model_fields() if field.name.startswith("mining.")][:2]
        ['mining.num_negatives', 'mining.batch_size']
    """
    found: list[Field] = []
    for field, plain in zip(dataclasses.fields(config), fields_of(config), strict=True):
        made = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        if dataclasses.is_dataclass(made):
            found += model_fields(type(made), f"{place}{field.name}.")
        elif field.name not in _ELSEWHERE:
            found.append(plain._replace(name=place + field.name, default=plain.default if made is None else made))
    return found


def changed(config: Mapping[str, Any]) -> dict[str, str]:
    """Give what the configuration in a record changes, by the names of `model_fields`, as it is typed.

    Example:
        >>> changed({"num_epochs": 2, "batch_size": 32, "loss": {"name": "triplet"}})
        {'num_epochs': '2', 'loss.name': 'triplet'}
    """
    found = {}
    for field in model_fields():
        group, _, name = field.name.rpartition(".")
        inner = config.get(group, {}) if group else config
        # As JSON lists and tuples are one.
        if name in inner and json.dumps(inner[name]) != json.dumps(field.default):
            value = inner[name]
            found[field.name] = value if isinstance(value, str) else json.dumps(value)
    return found


def arguments(workspace: Workspace, settings: Mapping[str, Any], key: str) -> list[str]:
    """Give the command line of a fine-tuning, after ``python -m embertune``.

    Args:
        workspace: Where the data is, and the model will be.
        settings: As `embertune.ui.tuning.DEFAULTS`, and "data" and "version".
        key: The id of the job, which will be that of the run.

    Raises:
        ConfigError: The encoder is none whose weights can be trained.
        DataError: There is no such data set.
        EncoderError: The encoder is a folder without a model.
    """
    given = {
        "data": workspace.data_folder(settings["data"], settings["version"]),
        "output_dir": workspace.inside("runs", key),
        "model_name": _model(str(settings["encoder"]).strip()),
        "seed": settings["seed"],
        "split": settings["split"] or "null",
        **settings["tuning"],
    }
    progress = workspace.inside("jobs", key) / "progress.jsonl"
    return ["finetune", *(f"{name}={value}" for name, value in given.items()), f"--progress-file={progress}", "--json"]


def _model(encoder: str) -> str:
    if not names_weights(encoder):
        raise ConfigError(
            f"{encoder or 'No encoder'} has no weights that can be trained here. Choose a model of "
            "sentence-transformers, such as sentence-transformers/all-MiniLM-L6-v2, or the folder of one, or train an "
            "adapter."
        )
    name = encoder.removeprefix(_PROVIDER)
    # sentence-transformers is an owner on the hub, too: what has no other owner is theirs.
    return name if "/" in name else encoder
