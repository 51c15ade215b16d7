"""Tell what can be learned from data, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embertune.data.dataset import Dataset
from embertune.data.inspect import Inspection, inspect_dataset
from embertune.data.io import load_dataset

__all__ = ["inspect"]


def inspect(data: Dataset | str | Path | Any) -> Inspection:
    """Count what a data set holds, what each split of it would give, and what looks wrong.

    Args:
        data: A data set, or what `load_dataset` reads.

    Returns:
        The findings; print them, or take `to_dict`.

    Raises:
        DataError: The data cannot be read.

    Example:
        >>> inspect(Dataset.from_pairs([("a question", "an answer"), ("another", "an answer")])).to_dict()["queries"]
        2
    """
    return inspect_dataset(data if isinstance(data, Dataset) else load_dataset(data))
