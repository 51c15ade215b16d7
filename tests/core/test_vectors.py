"""Vectors are checked once at the border, and scaled without surprises."""

import re

import numpy as np
import pytest

from embertune.core.vectors import as_vectors, normalize
from embertune.errors import DataError


def test_what_is_already_right_is_not_copied():
    array = np.ones((3, 2), np.float32)
    assert as_vectors(array) is array


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64, bool])
def test_other_numbers_become_float32_of_the_same_value(kind):
    array = np.array([[1, 0], [0, 1]], dtype=kind)
    found = as_vectors(array)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array.astype(np.float32))


def test_transposed_arrays_become_contiguous():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = as_vectors(array.T)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array.T)


@pytest.mark.parametrize(("value", "shape"), [(1.0, "()"), ([1, 2], "(2,)"), (np.ones((2, 2, 2)), "(2, 2, 2)")])
def test_another_shape_is_told(value, shape):
    message = f"The documents have shape {shape}. Expected two dimensions, (n, d): one row per text."
    with pytest.raises(DataError, match=re.escape(message)):
        as_vectors(value, "documents")


@pytest.mark.parametrize("value", [[["a", "b"]], [[1, 2], [3]], [[object()]]])
def test_what_is_no_matrix_of_numbers_is_told(value):
    with pytest.raises(DataError, match=re.escape("The vectors are not a matrix of numbers: ")):
        as_vectors(value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_named(bad):
    array = np.ones((10, 3))
    array[[2, 4, 5, 9], 1] = bad
    message = "4 of 10 rows of the queries hold NaN or infinite values (first rows: 2, 4, 5). Embed those texts again"
    with pytest.raises(DataError, match=re.escape(message)):
        as_vectors(array, "queries")


def test_opposite_infinities_do_not_hide_each_other():
    with pytest.raises(DataError, match=re.escape("2 of 2 rows")):
        as_vectors([[np.inf], [-np.inf]])


def test_large_finite_values_are_accepted_though_their_sum_overflows_float32():
    largest = np.finfo(np.float32).max
    assert as_vectors(np.full((4, 2), largest, np.float32)).shape == (4, 2)


def test_rows_have_length_one_and_keep_their_direction():
    array = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    found = normalize(array)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found * np.linalg.norm(array, axis=1, keepdims=True), array, rtol=1e-5)
    assert found.dtype == np.float32


def test_normalizing_leaves_zeros_and_the_input_alone():
    array = np.array([[0, 0], [0, -5]], np.float32)
    copy = array.copy()
    assert normalize(array).tolist() == [[0, 0], [0, -1]]
    np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e25, 1e38])
def test_tiny_and_huge_rows_are_normalised_too(scale):
    # Their squares leave the range of float32: below it they were taken for zeros, above it they became zeros.
    found = normalize(np.array([[3, 4]], np.float32) / 4 * np.float32(scale))
    np.testing.assert_allclose(found, [[0.6, 0.8]], rtol=1e-5)


def test_rows_are_scaled_in_place_where_that_is_asked_for_and_alike_in_every_block():
    array = np.random.default_rng(0).normal(size=(1000, 384)).astype(np.float32)
    array[[3, 700]], array[[4, 800]] = 0, 1e30
    expected = np.array([normalize(row[None])[0] for row in array])
    found = array.copy()
    assert normalize(found, out=found) is found
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(normalize(array), expected)


def test_large_values_do_not_hide_one_that_is_not_finite():
    array = np.full((4, 2), np.finfo(np.float32).max, np.float32)
    array[1, 0] = np.nan
    with pytest.raises(DataError, match=re.escape("1 of 4 rows")):
        as_vectors(array)
