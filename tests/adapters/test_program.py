"""A program gives what the adapter gives, whatever the family, the gate and the strength."""

import inspect
import json
import re

import numpy as np
import pytest

from embertune import Gate, LinearAdapter
from embertune.adapters.program import apply_steps, to_program
from embertune.errors import ConfigError

KINDS = [
    *("identity", "linear", "both sides", "low rank", "diagonal", "mlp", "orthogonal", "truncation", "whitening"),
    *("documents", "half", "gated", "gated half", "half truncation", "half documents", "nothing", "chain"),
    *("query then documents", "gated chain", "rotation bridge", "bridge", "half bridge", "gated apart"),
]


def test_every_kind_is_tested(every_kind):
    assert sorted(every_kind) == sorted(KINDS)


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_gives_what_the_adapter_gives(kind, side, every_kind, some_vectors):
    adapter = every_kind[kind]
    program = to_program(adapter, side)
    expected = adapter.transform(some_vectors, side)
    assert program(some_vectors) == pytest.approx(expected, abs=2e-6)
    assert (program.dimension, bool(program.steps)) == (adapter.dimension, adapter.changes(side))
    assert {array.dtype for array in program.arrays.values()} <= {np.dtype(np.float32)}
    if program.steps:
        assert expected.shape != some_vectors.shape or not np.allclose(expected, some_vectors, atol=1e-3)
        assert program.output_dimension == expected.shape[1]


def test_a_gate_opens_and_closes_in_these_tests(every_kind, some_vectors):
    weights = every_kind["gated"].gate.weights(some_vectors)
    assert weights.min() == 0
    assert len(np.unique(weights)) > 5


def test_a_gate_of_many_dimensions_is_compared_in_its_directions():
    random = np.random.default_rng(1)
    queries = random.normal(size=(80, 100)).astype(np.float32)
    adapter = LinearAdapter(rank=8).fit(queries, queries[:, ::-1]).gated(Gate.fit(queries))
    asked = np.concatenate([queries[:20] + 0.05 * random.normal(size=(20, 100)), random.normal(size=(20, 100))])
    program = to_program(adapter, "query")
    assert "gate_directions" in program.arrays
    assert program(asked) == pytest.approx(adapter.transform(asked), abs=2e-6)


def test_steps_are_json_and_the_reader_needs_numpy_alone(every_kind, some_vectors):
    program = to_program(every_kind["gated chain"], "query")
    space = {"np": np, "Any": object}
    exec(inspect.getsource(apply_steps), space)
    steps = json.loads(json.dumps(program.steps))
    found = space["apply_steps"](some_vectors, steps, program.arrays)
    assert np.array_equal(found, program(some_vectors))


def test_a_family_of_ones_own_is_refused(every_kind):
    class Mine(LinearAdapter):
        pass

    mine = Mine().fit(np.eye(3), np.eye(3))
    message = (
        "An adapter of type 'linear' (Mine) cannot be written in steps for other runtimes; known are bridge, chain, "
        "document, identity, linear, mlp, orthogonal, truncation, whitening. Serve it with Embertune instead: "
        "embertune serve --adapter DIR"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        to_program(mine, "query")
