"""What stops a training: memory that runs out, which is answered, and a loss that is no number, which is explained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from embertune.errors import TrainingError

__all__ = ["is_out_of_memory", "not_a_number"]

_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")
_SHOWN = 10


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, of a GPU or of the machine.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA error: out of memory")), is_out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def not_a_number(
    loss: float, step: int, query_ids: Iterable[str], *, labels_finite: bool, weights_sound: bool, config: Any
) -> TrainingError:
    """Say that the loss is no number: at which step, of which queries, and what is the likely cause.

    Args:
        loss: NaN or infinite.
        step: The optimizer step that was under way, from 1.
        query_ids: Of the batch.
        labels_finite: Whether the batch's labels were numbers.
        weights_sound: Whether the weights were numbers of a usual size before this step.
        config: The settings.

    Example:
        >>> from embertune.training.finetune.config import FinetuneConfig
        >>> settings = FinetuneConfig(learning_rate=10)
        >>> print(not_a_number(math.nan, 3, ["q1"], labels_finite=True, weights_sound=False, config=settings))
        The loss is nan at step 3, of the batch with the query q1. The weights had grown beyond all \
bounds by then, so the learning rate (10) is too high. Type: learning_rate=1
    """
    ids = list(query_ids)
    shown = ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")
    named = f"the query {shown}" if len(ids) == 1 else f"the queries {shown}"
    return TrainingError(
        f"The loss is {'nan' if math.isnan(loss) else 'infinite'} at step {step}, of the batch with {named}. "
        f"{_cause(labels_finite, weights_sound, config)}"
    )


def _cause(labels_finite: bool, weights_sound: bool, config: Any) -> str:
    if not labels_finite:
        return "Labels of the batch are no numbers: look at what the teacher gives for these queries."
    if config.precision == "fp16":
        return "fp16 holds nothing above 65504, which is the likely cause. Type: precision=bf16"
    if not weights_sound:
        return (
            f"The weights had grown beyond all bounds by then, so the learning rate ({config.learning_rate:g}) is too "
            f"high. Type: learning_rate={config.learning_rate / 10:g}"
        )
    return (
        "Weights and labels are numbers, so it overflows on the way: look for empty or very long texts among these "
        "queries and their documents, or take a higher temperature. "
        f"Type: loss.temperature={config.loss.temperature * 2:g}"
    )
