"""Auxiliary head of DARTS: a second classifier after two thirds of the cells, for trainings alone.

Liu, Simonyan and Yang, ICLR 2019: ReLU, 5x5 average pool of stride 3, 1x1 convolution to 128
channels, batch norm, ReLU, 2x2 convolution to 768, batch norm, ReLU, dense layer; of 8x8 pixels.
"""

import jax
import jax.numpy as jnp

from jnas.networks import layers
from jnas.types import Params

_WIDTHS = 128, 768
_SIDE, _POOL, _STRIDE = 8, 5, 3


def weights(c_in: int, num_classes: int) -> Params:
    """Weights of the head on `c_in` channels."""
    first, last = _WIDTHS
    return {
        "first": {"conv": layers.conv_weights(1, c_in, first), "norm": layers.norm_weights(first)},
        "last": {"conv": layers.conv_weights(2, first, last), "norm": layers.norm_weights(last)},
        "dense": layers.dense_weights(last, num_classes),
    }


def masks(rows: jax.Array) -> Params:
    """Masks of the weights of an architecture, which reads the channels `rows` `[C]` bool."""
    always = {"conv": jnp.ones(())}
    first = {"conv": rows.astype(jnp.float32)[None, None, :, None]}
    return {"first": first, "last": always, "dense": {"kernel": jnp.ones(())}}


def logits(x: jax.Array, params: Params) -> jax.Array:
    """Logits `[N, num_classes]` of the output `[N, 8, 8, C]` of a cell; ValueError for others."""
    if x.shape[1:3] != (_SIDE, _SIDE):
        raise ValueError(
            f"the auxiliary head reads {_SIDE}x{_SIDE} pixels, those of images of 32x32 after two "
            f"reduction cells; got {x.shape[1]}x{x.shape[2]}"
        )
    x, first = _pooled(jax.nn.relu(x)), params["first"]
    x = jax.nn.relu(layers.batch_norm(layers.conv_layer(x, first), first["norm"]))
    return layers.dense_layer(_last(x, params["last"])[:, 0, 0], params["dense"])


def _pooled(x: jax.Array) -> jax.Array:
    """Average pool `[N, 2, 2, C]` of `[N, 8, 8, C]`."""
    for axis in (1, 2):
        parts = [
            jnp.mean(jax.lax.slice_in_dim(x, start, start + _POOL, axis=axis), axis=axis)
            for start in (0, _STRIDE)
        ]
        x = jnp.stack(parts, axis=axis)
    return x


def _last(x: jax.Array, layer: Params) -> jax.Array:
    """Convolution of all of the 2x2 pixels, norm and ReLU, `[N, 1, 1, 768]`."""
    kernel = layer["conv"]
    y = (x.reshape(len(x), -1) @ kernel.reshape(-1, kernel.shape[-1]))[:, None, None]
    return jax.nn.relu(layers.batch_norm(layers.finished(y, layer), layer["norm"]))
