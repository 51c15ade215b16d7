"""Plain safetensors: the arrays of an adapter and, in the file's metadata, the steps that apply them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from embertune.adapters.base import Adapter, Side
from embertune.adapters.program import to_program
from embertune.core.files import replacing
from embertune.core.paths import as_path
from embertune.errors import ConfigError

__all__ = ["write_safetensors"]


def write_safetensors(adapter: Adapter, path: str | Path, side: Side = "query") -> Path:
    """Write one side of an adapter as one file, matrices as they are applied and no parameters to interpret.

    The steps are `embertune.adapters.program.Step`s; the guide has their reader, which needs numpy and safetensors.

    Args:
        adapter: A fitted adapter.
        path: Where to.
        side: Whose embeddings it maps.

    Raises:
        ConfigError: The adapter leaves this side as it is, or is of a family of one's own.
        StorageError: The disk refused.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from safetensors import safe_open
        >>> from embertune.adapters.linear import LinearAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_safetensors(LinearAdapter().fit(np.eye(2), np.eye(2)[::-1]), f"{folder}/x.safetensors")
        ...     with safe_open(path, "np") as file:
        ...         file.metadata()["steps"], list(file.keys())
        ('[["v0", "matmul", "x", "matrix"], ["v1", "unit", "v0"]]', ['matrix'])
    """
    program = to_program(adapter, side)
    if not program.steps:
        raise ConfigError(f"This {type(adapter).__name__} leaves the {side} side as it is: there is nothing to write.")
    about: dict[str, Any] = {"steps": program.steps, "side": side, "encoder": dict(adapter.encoder or {})}
    metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
    with replacing(path) as file:
        file.write(save(program.arrays, metadata))
    return as_path(path)
