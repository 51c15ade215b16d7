import math
import re

import pytest

from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.faults import is_out_of_memory, not_a_number
from embertune.training.finetune.trainer import Memory


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error, is_it):
    assert is_out_of_memory(error) is is_it


@pytest.mark.parametrize(
    ("labels", "weights", "config", "cause"),
    [
        (False, True, {}, "Labels of the batch are no numbers: look at what the teacher gives for these queries."),
        (True, True, {"precision": "fp16"}, "Type: precision=bf16"),
        (True, False, {"learning_rate": 2.0}, "so the learning rate (2) is too high. Type: learning_rate=0.2"),
        (True, True, {}, "Type: loss.temperature=0.1"),
    ],
)
def test_a_loss_that_is_no_number_has_a_likely_cause(labels, weights, config, cause):
    ids = [f"q{n}" for n in range(12)]
    error = not_a_number(math.inf, 7, ids, labels_finite=labels, weights_sound=weights, config=FinetuneConfig(**config))
    start = (
        "The loss is infinite at step 7, of the batch with the queries q0, q1, q2, q3, q4, q5, q6, q7, q8, q9 and 2 "
    )
    assert str(error).startswith(start)
    assert re.search(re.escape(cause) + "$", str(error))


def test_rows_in_memory_are_halved_until_there_is_one():
    memory, seen = Memory(5, 1), []
    while memory is not None:
        seen.append((memory.batch_size, memory.accumulation))
        memory = memory.halved(cached=False)
    assert seen == [(5, 1), (3, 2), (2, 4), (1, 8)]
    assert Memory(8, 1, 1).halved(cached=True) is None
