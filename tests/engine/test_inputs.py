"""Inputs at the doors: old keys and seeds, architectures of other shapes, plain functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jnas.engine.inputs import as_archs, as_estimator, as_key, as_keys, is_key


def data(key: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


def test_keys_are_told_from_their_numbers() -> None:
    key = jax.random.key(3)
    assert is_key(key)
    assert is_key(jax.random.split(key))
    assert not any(
        is_key(value) for value in (jax.random.key_data(key), np.arange(2), 0, None, "key")
    )


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey, int, np.int64])
def test_keys_of_any_spelling_are_one_key(make) -> None:
    for seed in (0, 7, 2**31):
        key = as_key(make(seed))
        np.testing.assert_array_equal(data(key), data(jax.random.key(seed)))
    old = as_keys(jax.random.split(jax.random.PRNGKey(3), 5), (5,))
    np.testing.assert_array_equal(data(old), data(jax.random.split(jax.random.key(3), 5)))
    np.testing.assert_array_equal(
        data(jax.jit(as_key)(jax.random.PRNGKey(4))), data(jax.random.key(4))
    )


@pytest.mark.parametrize(
    "bad", [-1, 2**32, 0.5, True, None, "0", np.zeros(2), np.zeros((), np.uint32)]
)
def test_what_is_no_key_is_refused(bad) -> None:
    with pytest.raises(ValueError, match=r"key .*must be"):
        as_key(bad)


def test_keys_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"key must be one key, .*; got key<fry> \[3\]"):
        as_key(jax.random.split(jax.random.key(0), 3))
    with pytest.raises(ValueError, match=r"keys must be \[2\] keys, .*; got uint32 \[3, 2\]"):
        as_keys(jax.random.split(jax.random.PRNGKey(0), 3), (2,))


def test_architectures_are_integers_of_any_width() -> None:
    rows = np.arange(12).reshape(2, 6)
    for dtype in (np.uint8, np.int8, np.int32, np.int64):
        found = as_archs(rows.astype(dtype), 6)
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (np.zeros(6, int), r"int64 \[6\]; one architecture is a batch of one, archs\["),
        (np.zeros((2, 5), int), r"int64 \[2, 5\]$"),
        (np.zeros((2, 6)), r"float64 \[2, 6\]$"),
        ([[0] * 6], "list"),
    ],
)
def test_architectures_of_another_shape_are_refused(bad, told) -> None:
    with pytest.raises(ValueError, match=rf"archs must be \[B, 6\] integers; got {told}"):
        as_archs(bad, 6)


def test_plain_functions_become_arguments_of_programs(key) -> None:
    def first(key: jax.Array, archs: jax.Array) -> jax.Array:
        return archs[:, 0]

    made = Partial(lambda weights, key, archs: archs @ weights, jnp.arange(6))
    assert as_estimator(made) is made
    judged = jax.jit(lambda estimator, archs: estimator(key, archs))
    archs = jnp.arange(12).reshape(2, 6)
    np.testing.assert_array_equal(judged(as_estimator(first), archs), archs[:, 0])
    with pytest.raises(ValueError, match=r"an estimator is a function \(key, archs.*; got int"):
        as_estimator(3)
