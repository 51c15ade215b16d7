"""From the choices of the form to the command line: settings of a run, and the arguments that they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from embertune.adapters.base import ADAPTER_TYPES
from embertune.errors import ConfigError
from embertune.training.config import EFFORTS, TuneConfig
from embertune.ui import finetuning
from embertune.ui.fields import Field, fields_of
from embertune.ui.finetuning import WHOLE
from embertune.ui.workspace import Workspace

__all__ = [
    "DEFAULTS",
    "FAMILIES",
    "SEARCHED",
    "arguments",
    "choices",
    "family_rows",
    "hyperparameters",
    "of_record",
    "written",
]

SEARCHED = "linear maps, searched"
_NOT_BY_NAME = ("identity", "chain")
# Where the adapter says it by its own name, or another control of the form does.
_ELSEWHERE = ("side", "adapter")

FAMILIES = (SEARCHED, *sorted(name for name in ADAPTER_TYPES if name not in _NOT_BY_NAME))
"""Adapters that may be trained; the first lets tune choose."""

DEFAULTS: Mapping[str, Any] = {
    "encoder": "static",
    "adapter": SEARCHED,
    "effort": "normal",
    "split": "",
    "side": "",
    "seed": 0,
    "strict": False,
    "tuning": {},
    "parameters": {},
}
"""The form as it is when it is opened."""


def choices() -> list[str]:
    """Give what may be trained here: adapters, and the whole model where the extra for that is installed."""
    return [*FAMILIES, *([WHOLE] if finetuning.is_installed() else [])]


def hyperparameters() -> list[Field]:
    """Give the fields of `TuneConfig` that have no control of their own.

    Example:
        >>> [field.name for field in hyperparameters()][-3:]
        ['seeds', 'large_dev', 'metric']
    """
    return [field for field in fields_of(TuneConfig) if field.name not in _ELSEWHERE]


def written(value: Any) -> str:
    """Write a value as it is typed: words as they are, everything else as JSON.

    Example:
        >>> written("ndcg@10"), written((1.0, 0.1)), written(None)
        ('ndcg@10', '[1.0, 0.1]', 'null')
    """
    return value if isinstance(value, str) else json.dumps(value)


def default_of(field: Field, effort: str) -> str:
    """Write what an effort sets a field to."""
    return written(getattr(EFFORTS[effort], field.name))


def family_rows(family: str) -> list[list[str]]:
    """Give the parameters of a family and their defaults, as rows of a table that is edited.

    Example:
        >>> family_rows("orthogonal")[0]
        ['pull', '0.01']
    """
    if family not in ADAPTER_TYPES:
        return []
    return [[name, written(value)] for name, value in ADAPTER_TYPES[family]().get_params().items()]


def arguments(workspace: Workspace, settings: Mapping[str, Any], key: str) -> list[str]:
    """Give the command line of a run, after ``python -m embertune``.

    Args:
        workspace: Where the data is, and the run will be.
        settings: As `DEFAULTS`, and "data" and "version".
        key: The id of the job, which will be that of the run.

    Raises:
        ConfigError: There is no encoder.
        DataError: There is no such data set.
    """
    if settings["adapter"] == WHOLE:
        return finetuning.arguments(workspace, settings, key)
    if not str(settings["encoder"]).strip():
        raise ConfigError("No encoder is named. Choose one, such as static.")
    data = workspace.data_folder(settings["data"], settings["version"])
    is_searched = settings["adapter"] == SEARCHED
    given = {
        "encoder": str(settings["encoder"]).strip(),
        "out": workspace.inside("runs", key),
        "effort": settings["effort"],
        "seed": settings["seed"],
        "split": settings["split"],
        "side": settings["side"] if is_searched else "",
        "adapter": "" if is_searched else settings["adapter"],
        "progress-file": workspace.inside("jobs", key) / "progress.jsonl",
    }
    # With "=", so that no value is taken for an option, whatever it begins with.
    named = [f"--{name}={value}" for name, value in given.items() if value != ""]
    changed = {**settings["tuning"], **({} if is_searched else settings["parameters"])}
    sets = [f"--set={name}={value}" for name, value in changed.items()]
    return ["tune", str(data), *named, *sets, *(["--strict"] if settings["strict"] else []), "--json"]


def changed_rows(family: str, rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Give the parameters of a family whose value in an edited table is not the default."""
    defaults = {name: value for name, value in family_rows(family)}
    return {
        str(name): str(value).strip()
        for name, value in rows
        if name in defaults and str(value).strip() not in ("", defaults[name])
    }


def of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a record says of the settings it was made with; of a run from the command line it is all that is known.

    Example:
        >>> from embertune.reports.record import example_record
        >>> of_record(example_record())["seed"]
        0
    """
    encoder = record["encoder"]
    if record["adapter"].get("type") == "fine-tuned":
        config = record["training"]["config"]
        method = str(config["split"] or "")
        return {**DEFAULTS, "encoder": config["model_name"], "adapter": WHOLE, "effort": "", "seed": record["seed"],
                "split": method, "tuning": finetuning.changed(config)}  # fmt: skip
    name = "static" if encoder["provider"] == "static" else f"{encoder['provider']}/{encoder['model']}"
    method = str(record["data"]["split"].get("method", ""))
    return {**DEFAULTS, "encoder": name, "effort": "", "seed": record["seed"], "split": method,
            "tuning": {} if record["primary"] == TuneConfig().metric else {"metric": record["primary"]}}  # fmt: skip
