"""Several processes that train one model together: how many, which is the first, and handing on what the first did."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from embertune._optional import require

__all__ = ["count", "from_main", "is_main", "on_cpu"]

T = TypeVar("T")

# The others wait while the first mines negatives, labels them and judges; torch's own limit is ten minutes on GPUs.
_PATIENCE = timedelta(days=1)
_PURPOSE = "Fine-tuning in several processes"


def count() -> int:
    """Give how many processes ``accelerate launch`` or ``torchrun`` started; 1 without them.

    Example:
        >>> count(), is_main()
        (1, True)
    """
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def is_main() -> bool:
    """Tell whether this is the process that mines, judges, prints and saves."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def on_cpu() -> bool:
    """Tell whether models are trained without a GPU: there is none, or accelerate was told so (``--cpu``)."""
    torch = require("torch", extra="finetune", purpose="Fine-tuning")
    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return told or not torch.accelerator.is_available()


def from_main(work: Callable[[], T]) -> T:
    """Let the first process do something while the others wait, and give what came out to all of them.

    Alone it is called, and that is all.

    Args:
        work: What it returns is pickled.

    Raises:
        SystemExit: In the other processes, without a word, where it failed in the first, which raises what it raised.

    Example:
        >>> from_main(lambda: 7)
        7
    """
    if count() == 1:
        return work()
    _connect()
    distributed = require("torch.distributed", extra="finetune", purpose=_PURPOSE)
    told: list[Any] = [None]
    if is_main():
        try:
            told = [(work(),)]
        finally:  # also after an error: without a word the others would wait forever
            distributed.broadcast_object_list(told, src=0)
    else:
        distributed.broadcast_object_list(told, src=0)
    if told[0] is None:
        raise SystemExit(0)
    found: T = told[0][0]
    return found


def _connect() -> None:
    accelerate = require("accelerate", extra="finetune", purpose=_PURPOSE)
    accelerate.PartialState(cpu=on_cpu(), timeout=_PATIENCE)
