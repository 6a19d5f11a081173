"""Convolution of a row and then of a column of pixels, as NASNet's operations 7x1 and 1x7 are.

Each is one matrix product with shifted images side by side: XLA for CPUs computes gradients of
convolutions inside loops and switches fifty times slower than outside, and these are products.
"""

import jax
import jax.numpy as jnp

from jnas.networks import layers
from jnas.types import Params

ROW, COLUMN = 2, 1  # axes of images


def weights(
    size: int, channels: int, batch: tuple[int, ...] = ()
) -> tuple[layers.Uniform, layers.Uniform]:
    """Weights `batch + [1, k, C, C]` and `batch + [k, 1, C, C]` of PyTorch's default."""
    bound = (size * channels) ** -0.5
    row, column = (1, size, channels, channels), (size, 1, channels, channels)
    return layers.Uniform((*batch, *row), bound), layers.Uniform((*batch, *column), bound)


def factored(x: jax.Array, weights: Params, stride: int = 1) -> jax.Array:
    """Convolution `[N, H/stride, W/stride, C]` of `[N, H, W, C]`, of rows and then of columns.

    Args:
        x: `[N, H, W, C]`.
        weights: `row` with `conv` `[1, k, C, C]`, `column` with `conv` `[k, 1, C, C]`, `k` odd.
        stride: along the row in the first, along the column in the second.
    """
    x = layers.finished(_along(x, weights["row"]["conv"], ROW, stride), weights["row"])
    column = weights["column"]
    return layers.finished(_along(x, column["conv"], COLUMN, stride), column)


def _along(x: jax.Array, kernel: jax.Array, axis: int, stride: int) -> jax.Array:
    """Convolution along one axis, with padding of half a kernel."""
    size, length = max(kernel.shape[:2]), x.shape[axis]
    pads = [(0, 0)] * 4
    pads[axis] = (size // 2, size // 2)
    padded = jnp.pad(x, pads)
    ends = range(length, length + size)
    shifted = [jax.lax.slice_in_dim(padded, end - length, end, stride, axis) for end in ends]
    wide = x.dtype if x.dtype.itemsize > 2 else jnp.float32
    matrix = kernel.reshape(-1, kernel.shape[-1])
    product = jnp.matmul(jnp.concatenate(shifted, -1), matrix, preferred_element_type=wide)
    return product.astype(x.dtype)
