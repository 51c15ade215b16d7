"""Parameters of adapters and arrays read from a file: what is wrong with them, said once for all families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.errors import DataError

__all__ = ["check_finite", "impossible"]


def impossible(
    params: Mapping[str, Any],
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
    at_least: Mapping[str, int] | None = None,
    positive: Sequence[str] = (),
    not_negative: Sequence[str] = (),
) -> list[str]:
    """Say what is wrong with parameters, one sentence for each; None, where it is a value, is passed over.

    Args:
        params: By name.
        choices: The words that each may be.
        at_least: The lowest whole number that each may be.
        positive: Names of those above 0.
        not_negative: Names of those of 0 or more.

    Example:
        >>> impossible({"side": "left", "rank": 0, "pull": -1}, at_least={"rank": 1}, positive=["pull"])
        ['rank must be at least 1, got 0', 'pull must be positive, got -1']
    """
    problems = [
        f"{name} must be {' or '.join(map(repr, known))}, got {params[name]!r}"
        for name, known in (choices or {}).items()
        if params[name] not in known
    ]
    problems += [
        f"{name} must be at least {least}, got {params[name]}"
        for name, least in (at_least or {}).items()
        if params[name] is not None and params[name] < least
    ]
    # "not x > 0" refuses NaN as well.
    problems += [f"{name} must be positive, got {params[name]}" for name in positive if not params[name] > 0]
    problems += [f"{name} must be 0 or more, got {params[name]}" for name in not_negative if not params[name] >= 0]
    return problems


def check_finite(tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse arrays of a saved adapter that hold what no fit gives.

    Raises:
        DataError: Some values are not finite; the text is a part of a sentence on the file.

    Example:
        >>> check_finite({"query": np.eye(2)})
    """
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise DataError(f"{name!r} holds NaN or infinite values")
