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
    widths = [channels * 2**stage for stage in range(_NUM_STAGES)]
    weights = {
        "stem": _conv_norm(3, in_channels, channels),
        "stages": [_stage_weights(width, cells) for width in widths],
        "blocks": [_block_weights(width) for width in widths[:-1]],
        "norm": layers.norm_weights(widths[-1]),
        "dense": layers.dense_weights(widths[-1], num_classes),
    }
    return layers.draw(key, weights)


def _conv_norm(size: int, c_in: int, c_out: int, batch: tuple[int, ...] = ()) -> Params:
    return {"conv": layers.conv_weights(size, c_in, c_out, batch), "norm": layers.norm_weights(c_out, batch)}


def _stage_weights(width: int, cells: int) -> Params:
    """Both convolutions of all edges of all cells, stacked `[cells, 6, ...]`."""
    batch = (cells, len(EDGES))
    return {name: _conv_norm(size, width, width, batch) for name, size in (("conv1x1", 1), ("conv3x3", 3))}


def _block_weights(width: int) -> Params:
    return {
        "a": _conv_norm(3, width, 2 * width),
        "b": _conv_norm(3, 2 * width, 2 * width),
        "shortcut": layers.conv_weights(1, width, 2 * width),
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
    _check_images(images, params["stem"]["conv"].shape[-2])
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


def _check_images(images: jax.Array, channels: int) -> None:
    shape, is_float = images.shape, jnp.issubdtype(images.dtype, jnp.floating)
    if len(shape) != 4 or shape[1] % 4 or shape[2] % 4 or shape[3] != channels or not is_float:
        needed = f"float [N, H, W, {channels}] with H and W multiples of 4"
        raise ValueError(f"the network takes images {needed}; got {images.dtype} {list(shape)}")


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
