"""The NAS-Bench-201 image network with the architecture as an input.

Dong and Yang, ICLR 2020, figure 1: a stem (3x3 convolution, batch norm), three stages of identical cells
joined by two residual blocks of stride 2 that double the width, then batch norm, ReLU, mean over pixels,
dense layer. A convolution operation is ReLU, convolution, batch norm; the pool has no batch norm; a node sums
what comes in.

One program serves the whole space: `lax.switch` on each edge's operation, `lax.scan` over the cells of a
stage. Map over architectures with `lax.map`; under `vmap` a switch would compute all five branches.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jnas import spaces
from jnas.networks import layers
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, NONE
from jnas.types import Arch, Key, Network, OnRelu, Params, Relu

_NUM_STAGES, _NUM_NODES = 3, 4


def _init(key: Key, channels: int, cells: int, num_classes: int, in_channels: int) -> Params:
    keys = iter(jax.random.split(key, 12))
    widths = [channels * 2**stage for stage in range(_NUM_STAGES)]
    return {
        "stem": {
            "conv": layers.init_conv(next(keys), 3, in_channels, channels),
            "norm": layers.init_norm(channels),
        },
        "stages": [_init_stage(next(keys), width, cells) for width in widths],
        "blocks": [_init_block(next(keys), width) for width in widths[:-1]],
        "norm": layers.init_norm(widths[-1]),
        "dense": layers.init_dense(next(keys), widths[-1], num_classes),
    }


def _init_stage(key: Key, width: int, cells: int) -> Params:
    """Both convolutions of all edges of all cells, stacked `[cells, 6, ...]`."""
    key1, key3 = jax.random.split(key)
    batch = (cells, len(EDGES))
    return {
        name: {"conv": layers.init_conv(k, size, width, width, batch), "norm": layers.init_norm(width, batch)}
        for name, k, size in (("conv1x1", key1, 1), ("conv3x3", key3, 3))
    }


def _init_block(key: Key, width: int) -> Params:
    key_a, key_b, key_shortcut = jax.random.split(key, 3)
    return {
        "a": {"conv": layers.init_conv(key_a, 3, width, 2 * width), "norm": layers.init_norm(2 * width)},
        "b": {"conv": layers.init_conv(key_b, 3, 2 * width, 2 * width), "norm": layers.init_norm(2 * width)},
        "shortcut": layers.init_conv(key_shortcut, 1, width, 2 * width),
    }


def _relu_conv_norm(x: jax.Array, weights: Params, stride: int = 1) -> jax.Array:
    return layers.batch_norm(layers.conv(jax.nn.relu(x), weights["conv"], stride), weights["norm"])


def _operation(op: jax.Array, x: jax.Array, weights: Params) -> jax.Array:
    """Apply operation `op` `[]` int32 of one edge to `x`; the branch order is that of the space."""
    branches = (
        jnp.zeros_like,
        lambda x: x,
        lambda x: _relu_conv_norm(x, weights["conv1x1"]),
        lambda x: _relu_conv_norm(x, weights["conv3x3"]),
        layers.avg_pool3x3,
    )
    value: jax.Array = lax.switch(op, branches, x)
    return value


def _reaches_output(arch: Arch) -> list[jax.Array]:
    """For each of the 4 nodes, `[]` bool: a path of edges other than "none" leads to the output."""
    reaches = [jnp.asarray(False)] * (_NUM_NODES - 1) + [jnp.asarray(True)]
    for source in reversed(range(_NUM_NODES - 1)):
        for edge, (start, end) in enumerate(EDGES):
            if start == source:
                reaches[source] |= (arch[edge] != NONE) & reaches[end]
    return reaches


def _cell(
    x: jax.Array, weights: Params, live: jax.Array, arch: Arch, on_relu: OnRelu, state: Any
) -> tuple[jax.Array, Any]:
    """One cell; `live` `[]` bool says whether its output has a path to the logits."""
    reaches = _reaches_output(arch)
    is_conv = (arch == CONV1X1) | (arch == CONV3X3)
    inputs: list[Any] = [x, None, None, None]
    for node in range(_NUM_NODES):
        outgoing = [(edge, end) for edge, (start, end) in enumerate(EDGES) if start == node]
        if outgoing:
            modules = jnp.stack([is_conv[edge] for edge, _ in outgoing])
            used = modules & jnp.stack([reaches[end] for _, end in outgoing]) & live
            counts = jnp.sum(modules, dtype=jnp.int32), jnp.sum(used, dtype=jnp.int32)
            state = on_relu(state, Relu(inputs[node], *counts))
        for edge, end in outgoing:
            value = _operation(arch[edge], inputs[node], jax.tree.map(lambda w, edge=edge: w[edge], weights))
            inputs[end] = value if inputs[end] is None else inputs[end] + value
    return inputs[-1], state


def _block(x: jax.Array, weights: Params, live: jax.Array, on_relu: OnRelu, state: Any) -> tuple[jax.Array, Any]:
    """The residual block of stride 2 between stages; its shortcut has no batch norm."""
    one = jnp.ones((), jnp.int32)
    state = on_relu(state, Relu(x, one, live.astype(jnp.int32)))
    hidden = _relu_conv_norm(x, weights["a"], stride=2)
    state = on_relu(state, Relu(hidden, one, live.astype(jnp.int32)))
    shortcut = layers.conv(layers.avg_pool2x2(x), weights["shortcut"])
    return shortcut + _relu_conv_norm(hidden, weights["b"]), state


def _fold_relus(params: Params, arch: Arch, images: jax.Array, on_relu: OnRelu, state: Any) -> tuple[jax.Array, Any]:
    connected = _reaches_output(arch)[0]
    x = layers.batch_norm(layers.conv(images, params["stem"]["conv"]), params["stem"]["norm"])
    for stage, weights in enumerate(params["stages"]):
        cells = weights["conv1x1"]["conv"].shape[0]
        last = (jnp.arange(cells) == cells - 1) & (stage == _NUM_STAGES - 1)

        def step(carry: tuple[jax.Array, Any], cell: tuple[Params, jax.Array]) -> tuple[tuple[jax.Array, Any], None]:
            return _cell(carry[0], *cell, arch, on_relu, carry[1]), None

        (x, state), _ = lax.scan(step, (x, state), (weights, last | connected))
        if stage < _NUM_STAGES - 1:
            x, state = _block(x, params["blocks"][stage], connected, on_relu, state)
    x = layers.batch_norm(x, params["norm"])
    one = jnp.ones((), jnp.int32)
    state = on_relu(state, Relu(x, one, one))
    features = jnp.mean(jax.nn.relu(x), axis=(1, 2))
    return features @ params["dense"]["kernel"] + params["dense"]["bias"][None], state


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    return _fold_relus(params, arch, images, lambda state, _: state, ())[0]


@functools.cache
def nasbench201(*, channels: int = 16, cells: int = 5, num_classes: int = 10, in_channels: int = 3) -> Network:
    """The network of the NAS-Bench-201 space.

    Args:
        channels: width of the first stage; the second and third have two and four times as many.
        cells: cells a stage.
        num_classes: width of the logits.
        in_channels: channels of the images.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of 4. `init` draws
        PyTorch's default weights for both convolutions on every edge of every cell.

    Raises:
        ValueError: a size is less than 1.
    """
    sizes = {"channels": channels, "cells": cells, "num_classes": num_classes, "in_channels": in_channels}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    init = functools.partial(_init, channels=channels, cells=cells, num_classes=num_classes, in_channels=in_channels)
    return Network(spaces.nasbench201(), init, _apply, _fold_relus)
