"""Image network of the NATS-Bench size space with the widths as an input.

Dong, Liu, Musial and Gabrys, TPAMI 2021, https://arxiv.org/abs/2009.00437: a stem (3x3
convolution, batch norm), then a cell, a residual block of stride 2, a cell, a residual block of
stride 2, a cell; then batch norm, ReLU, mean over pixels, dense layer. Stem and first cell, then
every block and cell, have a width of their own. The cell is always `spaces.nats_size.CELL`:

    node 1 = conv(node 0)
    node 2 = conv(node 0) + conv(node 1)
    node 3 = skip(node 0) + conv(node 1) + conv(node 2)

where `conv` is ReLU, 3x3 convolution, batch norm; edges that leave node 0 change the width, and a
skip that does so is 1x1 convolution, batch norm (in the published code no ReLU comes before it).

One program serves the whole space: all arrays have 64 channels, of which those that a layer does
not have are 0.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jnas import spaces
from jnas.networks import control, layers, weights
from jnas.networks._factories import one_object
from jnas.networks.flow import Flow, check_images, enter, show
from jnas.spaces.nats_size import WIDTHS
from jnas.types import Arch, Hooks, Key, Network, Params, Pass, Relu

_CHANNELS = WIDTHS[-1]
_NUM_CONVS = 5  # of a cell: 0→1, 0→2, 1→2, 1→3, 2→3


def _init(key: Key, num_classes: int, in_channels: int) -> Params:
    """Weights of the widest architecture (`Network.init`)."""
    tree = {
        "stem": _conv_norm(3, in_channels),
        # The first cell is as wide as the stem. In the others a skip may have to change the width.
        "cells": [_cell_weights(changes_width) for changes_width in (False, True, True)],
        "blocks": [_block_weights() for _ in range(2)],
        "norm": layers.norm_weights(_CHANNELS),
        "dense": layers.dense_weights(_CHANNELS, num_classes),
    }
    return layers.draw(key, tree)


def _conv_norm(size: int, c_in: int = _CHANNELS) -> Params:
    """Convolution without bias to 64 channels, and its batch norm."""
    return {
        "conv": layers.conv_weights(size, c_in, _CHANNELS),
        "norm": layers.norm_weights(_CHANNELS),
    }


def _cell_weights(changes_width: bool) -> Params:
    """Weights of a cell; those of its skip are drawn for every cell that can change its width."""
    convs = {"convs": [_conv_norm(3) for _ in range(_NUM_CONVS)]}
    return {**convs, "skip": _conv_norm(1)} if changes_width else convs


def _block_weights() -> Params:
    """Weights of a residual block of stride 2."""
    shortcut = {"conv": layers.conv_weights(1, _CHANNELS, _CHANNELS)}
    return {"a": _conv_norm(3), "b": _conv_norm(3), "shortcut": shortcut}


def _masks(arch: Arch) -> list[jax.Array]:
    """Masks of the channels that exist at the 5 widths, `[64]` 0/1 float32 each."""
    # Float, because they are operands of a switch. Choice 0 is a width of 8, choice 7 one of 64.
    widths = 8 * (arch.astype(jnp.int32) + 1)
    return list(
        (jnp.arange(_CHANNELS, dtype=jnp.int32)[None] < widths[:, None]).astype(jnp.float32)
    )


def _widens(c_in: jax.Array, c_out: jax.Array) -> jax.Array:
    """Branch of a skip, `[]` int32: 1 where the masks `[64]` of a cell's two widths differ."""
    return jnp.any(c_in != c_out).astype(jnp.int32)


def _present(arch: Arch) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""
    c1, c2, c3, c4, c5 = _masks(arch)

    def conv(c_in: jax.Array, c_out: jax.Array) -> Params:
        return {"conv": (c_in[:, None] * c_out[None])[None, None]}

    def convs(c_in: jax.Array, c_out: jax.Array) -> Params:
        # Two convolutions leave node 0, which is as wide as the cell's input.
        return {"convs": [conv(c_in, c_out)] * 2 + [conv(c_out, c_out)] * 3}

    def skip(c_in: jax.Array, c_out: jax.Array) -> Params:
        # Between equal widths it is an identity, and the weights drawn for it do not count.
        return {"skip": conv(c_in * _widens(c_in, c_out).astype(c_in.dtype), c_out)}

    def block(c_in: jax.Array, c_out: jax.Array) -> Params:
        return {"a": conv(c_in, c_out), "b": conv(c_out, c_out), "shortcut": conv(c_in, c_out)}

    tree = {
        "stem": {"conv": c1[None, None, None]},
        "cells": [
            convs(c1, c1),
            {**convs(c2, c3), **skip(c2, c3)},
            {**convs(c4, c5), **skip(c4, c5)},
        ],
        "blocks": [block(c1, c2), block(c3, c4)],
        "dense": {"kernel": c5[:, None]},
    }
    return weights.kernels(tree)


def _instantiate(params: Params, arch: Arch) -> Params:
    """Weights of `arch`, as if drawn for their true number of input channels; 0 elsewhere.

    Batch norms stay as they are: the network masks what comes out of them.
    """
    kernels = [_shrink(*pair) for pair in zip(weights.kernels(params), _present(arch), strict=True)]
    params = weights.with_kernels(params, kernels)
    # PyTorch's bound of a bias, 1/√fan_in, is that of the weights. Only the classifier has one.
    dense = params["dense"]
    scale = jnp.sqrt(_CHANNELS / jnp.sum(_masks(arch)[-1]))
    return {**params, "dense": {**dense, "bias": dense["bias"] * scale}}


def _shrink(kernel: jax.Array, mask: jax.Array) -> jax.Array:
    """Kernel `[..., C, C']` of U(±1/√c) made of one of U(±1/√C), `c` the inputs in `mask`."""
    # The maximum, as outputs that do not exist have no inputs. It is 0 for a skip without weights.
    channels = jnp.max(jnp.sum(jnp.broadcast_to(mask, kernel.shape), axis=-2))
    return kernel * mask * jnp.sqrt(kernel.shape[-2] / jnp.maximum(channels, 1))


def _norm(x: jax.Array, norm: Params, mask: jax.Array, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """Batch norm and its value; masked, as a channel that does not exist would become its bias."""
    x, value = layers.norm_layer(x, norm, hooks, mask > 0)
    return _masked(x, mask), value


def _masked(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Activations `[N, H, W, C]`, 0 in channels that do not exist."""
    return x * mask.astype(x.dtype)[None, None, None]


@functools.partial(jax.jit, static_argnames=("hooks", "stride"))
def _relu_conv_norm(
    x: jax.Array, layer: Params, mask: jax.Array, hooks: Hooks, stride: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Output of one ReLU, convolution, batch norm, and its norm value."""
    return _norm(layers.conv_layer(jax.nn.relu(x), layer, stride), layer["norm"], mask, hooks)


def _skip(
    x: jax.Array, cell: Params, c_in: jax.Array, c_out: jax.Array, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Value of the edge 0→3 and its norm value."""
    # The first cell has no weights for it, because it always keeps its width.
    if "skip" not in cell:
        return x, jnp.zeros(())
    branches = (
        lambda x, *_: (x, jnp.zeros(())),
        lambda x, layer, mask: _norm(layers.conv_layer(x, layer), layer["norm"], mask, hooks),
    )
    result: tuple[jax.Array, jax.Array] = control.switch(
        _widens(c_in, c_out), branches, x, cell["skip"], c_out
    )
    return result


def _cell(flow: Flow, cell: Params, c_in: jax.Array, c_out: jax.Array, hooks: Hooks) -> Flow:
    """Flow after one cell; `c_in` and `c_out` `[64]` are masks of its input and its other nodes."""
    # A node is shown once to the hooks, with the number of convolutions that read it.
    (x, state, norm_sum), cell = enter(flow, cell, hooks)
    to1, to2, from1to2, from1to3, from2to3 = cell["convs"]
    state = _show(state, x, c_in, 2, hooks)
    node1, *values = _relu_conv_norm(x, to1, c_out, hooks)
    node2, value = _relu_conv_norm(x, to2, c_out, hooks)
    node3, skip_value = _skip(x, cell, c_in, c_out, hooks)
    values += [value, skip_value]
    state = _show(state, node1, c_out, 2, hooks)
    more, value = _relu_conv_norm(node1, from1to2, c_out, hooks)
    last, last_value = _relu_conv_norm(node1, from1to3, c_out, hooks)
    node2, node3, values = node2 + more, node3 + last, [*values, value, last_value]
    state = _show(state, node2, c_out, 1, hooks)
    last, last_value = _relu_conv_norm(node2, from2to3, c_out, hooks)
    return Flow(node3 + last, state, sum([*values, last_value], norm_sum))


def _block(flow: Flow, block: Params, c_in: jax.Array, c_out: jax.Array, hooks: Hooks) -> Flow:
    """Flow after the residual block of stride 2; its shortcut has no batch norm."""
    (x, state, norm_sum), block = enter(flow, block, hooks)
    state = _show(state, x, c_in, 1, hooks)
    hidden, first = _relu_conv_norm(x, block["a"], c_out, hooks, stride=2)
    state = _show(state, hidden, c_out, 1, hooks)
    value, second = _relu_conv_norm(hidden, block["b"], c_out, hooks)
    shortcut = _masked(layers.conv_layer(layers.avg_pool2x2(x), block["shortcut"]), c_out)
    return Flow(shortcut + value, state, norm_sum + first + second)


def _show(state: Any, inputs: jax.Array, mask: jax.Array, num: int, hooks: Hooks) -> Any:
    """State of the hooks after a tensor that `num` ReLU modules read."""
    # The cell is fixed, and in it every ReLU has a path to the logits.
    num_modules = jnp.asarray(num, jnp.int32)
    return show(state, Relu(inputs, mask > 0, num_modules, num_modules), hooks)


def _forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Two blocks halve the images.
    check_images(images, params["stem"]["conv"], 4)
    c1, c2, c3, c4, c5 = _masks(arch)
    stem, (first, second, third), blocks = params["stem"], params["cells"], params["blocks"]
    x, norm_sum = _norm(layers.conv_layer(images, stem), stem["norm"], c1, hooks)
    flow = _cell(Flow(x, state, norm_sum), first, c1, c1, hooks)
    flow = _cell(_block(flow, blocks[0], c1, c2, hooks), second, c2, c3, hooks)
    flow = _cell(_block(flow, blocks[1], c3, c4, hooks), third, c4, c5, hooks)
    flow, dense = enter(flow, params["dense"], hooks)
    x, value = _norm(flow.x, params["norm"], c5, hooks)
    state = _show(flow.state, x, c5, 1, hooks)
    features = jax.nn.relu(x)
    logits = layers.dense_layer(jnp.mean(features, axis=(1, 2)), dense)
    return Pass(logits, features, state, flow.norm_sum + value)


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), ()).logits


@one_object
def nats_size(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of the NATS-Bench size space (Dong et al., TPAMI 2021).

    Args:
        num_classes: width of the logits.
        in_channels: channels of the images.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of 4. `init` draws
        PyTorch's default weights of the widest architecture; `instantiate` cuts those of another
        out of them, with the bounds of its widths. `Pass.features` and all arrays that hooks see
        have 64 channels.

    Raises:
        ValueError: a size is less than 1.
    """
    sizes = {"num_classes": num_classes, "in_channels": in_channels}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    init = functools.partial(_init, num_classes=num_classes, in_channels=in_channels)
    return Network(spaces.nats_size(), init, _apply, _forward, _present, _instantiate)
