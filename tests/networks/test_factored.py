"""Convolutions of rows and columns against sums in NumPy, and gradients against those of XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnas.networks import layers
from jnas.networks.factored import factored, weights
from tests.oracles.cell_networks import along
from tests.oracles.layers import assert_uniform

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 6, 8, 3)).astype(np.float32)


def of_size(size):
    shapes = {"row": (1, size, 3, 3), "column": (size, 1, 3, 3)}
    return {
        name: {"conv": jnp.asarray(RANDOM.normal(size=shape), jnp.float32)}
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 7])
def test_rows_and_then_columns(size, stride):
    layer = of_size(size)
    found = factored(jnp.asarray(X), layer, stride)
    expected = along(X, np.asarray(layer["row"]["conv"]), 2, stride)
    expected = along(expected, np.asarray(layer["column"]["conv"]), 1, stride)
    assert found.shape == (2, 6 // stride, 8 // stride, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def by_xla(x, layer, stride):
    """The same with convolutions of XLA."""
    for name, strides in (("row", (1, stride)), ("column", (stride, 1))):
        kernel = layer[name]["conv"]
        pads = [(n // 2, n // 2) for n in kernel.shape[:2]]
        layout = ("NHWC", "HWIO", "NHWC")
        x = lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=layout)
    return x


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_convolutions(stride):
    """Also of many rows with weights of their own."""
    layer, x = of_size(3), jnp.asarray(X)

    def gradients(function, x, layer):
        return jax.grad(lambda *of: jnp.sum(jnp.sin(function(*of, stride))), (0, 1))(x, layer)

    expected = jax.jit(lambda x, layer: gradients(by_xla, x, layer))(x, layer)
    found = jax.jit(lambda x, layer: gradients(factored, x, layer))(x, layer)
    rows = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), (x, layer))
    of_rows = jax.jit(jax.vmap(lambda x, layer: gradients(factored, x, layer)))(*rows)
    for one, wanted, many in zip(*map(jax.tree.leaves, (found, expected, of_rows)), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(many[0], wanted, rtol=1e-4, atol=1e-4)


def test_numbers_of_16_bits_have_sums_of_32():
    layer = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), of_size(7))
    found = factored(jnp.asarray(X, jnp.bfloat16), layer)
    wide = factored(jnp.asarray(X), jax.tree.map(lambda leaf: leaf.astype(jnp.float32), layer))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), wide, atol=0.03 * np.abs(wide).max())


@pytest.mark.slow
def test_draws_are_those_of_pytorch():
    row, column = layers.draw(jax.random.key(0), weights(7, 8, (3,)))
    assert (row.shape, column.shape) == ((3, 1, 7, 8, 8), (3, 7, 1, 8, 8))
    assert_uniform(row, 56**-0.5)
    assert_uniform(column, 56**-0.5)
