"""Costs of the networks of TransNAS-Bench-101 for its task class_object, exact.

256x256x3 images, a stem of two 3x3 convolutions of stride 2 to 32 and to 64 channels, the modules,
the mean over pixels, and a dense layer for 75 classes. The networks of other tasks have the same
stem and modules.
"""

import jax
import jax.numpy as jnp

from jnas.spaces import _common

BASE, NUM_CLASSES = 64, 75
SIDE = 64  # pixels on a side of what the stem returns
_STEM = 27 * BASE // 2, 9 * BASE // 2 * BASE  # weights of its convolutions


def params(weights: jax.Array, norms: jax.Array, last: jax.Array) -> jax.Array:
    """`[]` int32, trainable parameters of a network.

    Args:
        weights: `[]` int32, of the convolutions of its modules.
        norms: `[]` int32, channels that they normalise.
        last: `[]` int32, channels of the last module.
    """
    stem = sum(_STEM) + 2 * (BASE // 2 + BASE)
    return stem + weights + 2 * norms + (last + 1) * NUM_CLASSES


def flops(weights: jax.Array, pixels: jax.Array, last: jax.Array) -> jax.Array:
    """`[]` float, multiply-accumulates of a network for one image, rounded once.

    Args:
        weights: `[K]` int32, of the convolutions of its modules.
        pixels: `[K]` int32, that they are computed for.
        last: `[]` int32, channels of the last module.
    """
    # The first convolution is computed for four times as many pixels as the stem returns.
    stem = 4 * _STEM[0] + _STEM[1]
    counts = jnp.concatenate([weights, jnp.full(1, stem, jnp.int32), last[None]])
    times = jnp.concatenate([pixels, jnp.asarray([SIDE * SIDE, NUM_CLASSES], jnp.int32)])
    return _common.weighted_sum(counts, times)
