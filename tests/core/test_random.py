"""One seed, many generators: the same name gives the same numbers, another name others."""

import numpy as np
import pytest

from embertune.core.random import generator


def test_one_seed_and_name_give_one_sequence():
    np.testing.assert_array_equal(generator(3, "split").random(100), generator(3, "split").random(100))


def test_seed_and_every_name_move_the_sequence():
    keys = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", "b"), (0, "ab"), (0,), (2**40, "a")]
    drawn = {generator(seed, *names).integers(2**62) for seed, *names in keys}
    assert len(drawn) == len(keys)


def test_the_numbers_are_the_same_on_every_machine_and_day():
    assert generator(0, "split").integers(1000, size=5).tolist() == [530, 496, 833, 300, 471]


def test_no_global_seed_is_read_or_set():
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = generator(0, "x").random()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    assert generator(0, "x").random() == first


def test_generators_of_different_names_are_not_correlated():
    drawn = np.stack([generator(0, "bootstrap", at).normal(size=2000) for at in range(20)])
    correlations = np.corrcoef(drawn)[np.triu_indices(20, 1)]
    # 190 coefficients with standard error 1 / sqrt(2000): six of them hold for all but 1 in a million draws.
    assert np.abs(correlations).max() < 6 / np.sqrt(2000)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be a whole number, 0 or more, got -1"):
        generator(-1, "x")
