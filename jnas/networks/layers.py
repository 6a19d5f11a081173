"""Layers as functions of their weights, with PyTorch's defaults.

Images are `[N, H, W, C]`. Convolutions pad symmetrically by half their kernel, whatever the stride. Batch
normalisation uses the statistics of the batch (the "train mode" in which zero-shot scores are taken).
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Key, Params


class Uniform(NamedTuple):
    """Weights that are yet to be drawn: `shape` of U(-bound, bound)."""

    shape: tuple[int, ...]
    bound: float


def draw(key: Key, tree: Params) -> Params:
    """Replace every `Uniform` of a pytree by its weights, all cut from one flat draw.

    Each draw is compiled on its own, so one for all layers compiles several times as fast.
    """
    leaves, structure = jax.tree.flatten(tree, is_leaf=lambda leaf: isinstance(leaf, Uniform))
    sizes = [math.prod(leaf.shape) if isinstance(leaf, Uniform) else 0 for leaf in leaves]
    flat = jax.random.uniform(key, (sum(sizes),), minval=-1.0, maxval=1.0)
    starts = itertools.accumulate(sizes, initial=0)
    drawn = [
        leaf.bound * flat[start : start + size].reshape(leaf.shape) if isinstance(leaf, Uniform) else leaf
        for leaf, start, size in zip(leaves, starts, sizes, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)


def conv_weights(size: int, c_in: int, c_out: int, batch: tuple[int, ...] = ()) -> Uniform:
    """PyTorch's default convolution weights, U(±1/√fan_in): `batch + [size, size, c_in, c_out]`."""
    return Uniform((*batch, size, size, c_in, c_out), (size * size * c_in) ** -0.5)


def norm_weights(channels: int, batch: tuple[int, ...] = ()) -> dict[str, jax.Array]:
    """Batch-norm γ = 1 and β = 0: `batch + [channels]` each."""
    shape = (*batch, channels)
    return {"scale": jnp.ones(shape), "bias": jnp.zeros(shape)}


def dense_weights(c_in: int, c_out: int) -> dict[str, Uniform]:
    """PyTorch's default linear layer, weight `[c_in, c_out]` and bias `[c_out]` U(±1/√c_in)."""
    return {"kernel": Uniform((c_in, c_out), c_in**-0.5), "bias": Uniform((c_out,), c_in**-0.5)}


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """`[N, H, W, C]` with `[k, k, C, C']` → `[N, H/stride, W/stride, C']`, no bias."""
    pad = (kernel.shape[0] // 2,) * 2
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), (pad, pad), dimension_numbers=layout)


def batch_norm(x: jax.Array, norm: dict[str, jax.Array], eps: float = 1e-5) -> jax.Array:
    """Normalise `[N, H, W, C]` with the batch's own mean and biased variance, then scale and shift."""
    mean, variance = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
    scale = norm["scale"] * lax.rsqrt(variance + eps)
    return (x - mean[None, None, None]) * scale[None, None, None] + norm["bias"][None, None, None]


def avg_pool3x3(x: jax.Array) -> jax.Array:
    """3x3, stride 1, padding 1, divided by the number of pixels inside (count_include_pad=False).

    Two passes of three shifted sums, which on CPU beat a reduction over windows (`experiments/bench_naswot.py`).
    """
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :height] + padded[:, 1 : height + 1] + padded[:, 2:]
    total = rows[:, :, :width] + rows[:, :, 1 : width + 1] + rows[:, :, 2:]
    inside = _inside(height)[:, None] * _inside(width)[None, :]
    return total * (1 / inside)[None, :, :, None]


def _inside(length: int) -> jax.Array:
    """How many of three neighbours of each position exist, `[length]`."""
    ones = jnp.pad(jnp.ones(length), 1)
    return ones[:length] + ones[1 : length + 1] + ones[2:]


def avg_pool2x2(x: jax.Array) -> jax.Array:
    """2x2 with stride 2, no padding."""
    n, height, width, channels = x.shape
    return jnp.mean(x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))
