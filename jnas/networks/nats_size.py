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
not have are 0. The network of one architecture (`Network.own`) is the same code with weights that
are cut to their widths and masks of NumPy, which are known to be ones.
"""

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import control, layers, weights
from jnas.networks._factories import one_object
from jnas.networks.flow import Flow, check_images, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces.nats_size import WIDTHS
from jnas.types import Arch, Hooks, Key, Network, Params, Pass, Relu

_CHANNELS = WIDTHS[-1]
_NUM_CONVS = 5  # of a cell: 0→1, 0→2, 1→2, 1→3, 2→3

_Mask: TypeAlias = jax.Array | np.ndarray
"""Channels that exist, `[C]` 0/1 float32; of NumPy, if they all do."""


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


def _widens(c_in: _Mask, c_out: _Mask) -> Any:
    """Branch of a skip, `[]` int32: 1 where the masks of a cell's two widths differ."""
    if control.is_known(c_in):
        return int(len(c_in) != len(c_out))
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
    bias = dense["bias"] * scale.astype(dense["bias"].dtype)
    return {**params, "dense": {**dense, "bias": bias}}


def _shrink(kernel: jax.Array, mask: jax.Array) -> jax.Array:
    """Kernel `[..., C, C']` of U(±1/√c) made of one of U(±1/√C), `c` the inputs in `mask`."""
    # The maximum, as outputs that do not exist have no inputs. It is 0 for a skip without weights.
    channels = jnp.max(jnp.sum(jnp.broadcast_to(mask, kernel.shape), axis=-2))
    scale = jnp.sqrt(kernel.shape[-2] / jnp.maximum(channels, 1))
    return kernel * mask.astype(kernel.dtype) * scale.astype(kernel.dtype)


def _narrowed(params: Params, widths: list[int]) -> Params:
    """Weights of an architecture, cut to its 5 widths."""
    cut, (c1, c2, c3, c4, c5) = weights.narrowed, widths

    def cell(whole: Params, c_in: int, c_out: int) -> Params:
        pairs = zip(whole["convs"], (c_in, c_in, c_out, c_out, c_out), strict=True)
        convs = {"convs": [cut(layer, width, c_out) for layer, width in pairs]}
        return {**convs, **{k: cut(whole[k], c_in, c_out) for k in whole if k == "skip"}}

    def block(whole: Params, c_in: int, c_out: int) -> Params:
        inputs = {"a": c_in, "b": c_out, "shortcut": c_in}
        return {name: cut(whole[name], width, c_out) for name, width in inputs.items()}

    pairs = ((c1, c1), (c2, c3), (c4, c5)), ((c1, c2), (c3, c4))
    return {
        "stem": cut(params["stem"], None, c1),
        "cells": [cell(c, *p) for c, p in zip(params["cells"], pairs[0], strict=True)],
        "blocks": [block(b, *p) for b, p in zip(params["blocks"], pairs[1], strict=True)],
        "norm": jax.tree.map(lambda leaf: leaf[..., :c5], params["norm"]),
        "dense": cut(params["dense"], c5, None),
    }


def _norm(x: jax.Array, norm: Params, mask: _Mask, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """Batch norm and its value; masked, as a channel that does not exist would become its bias."""
    x, value = layers.norm_layer(x, norm, hooks, jnp.asarray(mask > 0))
    return _masked(x, mask), value


def _masked(x: jax.Array, mask: _Mask) -> jax.Array:
    """Activations `[N, H, W, C]`, 0 in channels that do not exist."""
    return x if control.is_known(mask) else x * mask.astype(x.dtype)[None, None, None]


def _relu_conv_norm(
    x: jax.Array, layer: Params, mask: _Mask, hooks: Hooks, stride: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Output of one ReLU, convolution, batch norm, and its norm value."""
    return _norm(layers.conv_layer(jax.nn.relu(x), layer, stride), layer["norm"], mask, hooks)


_traced_once = jax.jit(_relu_conv_norm, static_argnames=("hooks", "stride"))


def _convolve(
    x: jax.Array, layer: Params, mask: _Mask, hooks: Hooks, stride: int = 1
) -> tuple[jax.Array, jax.Array]:
    """`_relu_conv_norm`, which is traced once for each shape where the mask is not known."""
    # To `jit` a mask would be an argument as any other, and no longer known.
    function = _relu_conv_norm if control.is_known(mask) else _traced_once
    return function(x, layer, mask, Hooks(norm=hooks.norm), stride)


def _skip(
    x: jax.Array, cell: Params, c_in: _Mask, c_out: _Mask, hooks: Hooks
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


def _cell(flow: Flow, cell: Params, c_in: _Mask, c_out: _Mask, hooks: Hooks) -> Flow:
    """Flow after one cell; `c_in` and `c_out` `[C]` are masks of its input and its other nodes."""
    # A node is shown once to the hooks, with the number of convolutions that read it.
    (x, state, norm_sum), cell = enter(flow, cell, hooks)
    to1, to2, from1to2, from1to3, from2to3 = cell["convs"]
    norm_values: list[jax.Array] = []

    def add(state: Any, value: jax.Array, norm_value: jax.Array, can_drop: Any = True) -> Any:
        norm_values.append(norm_value)
        return dropped(state, value, can_drop, hooks)

    state = _show(state, x, c_in, 2, hooks)
    state, node1 = add(state, *_convolve(x, to1, c_out, hooks))
    state, node2 = add(state, *_convolve(x, to2, c_out, hooks))
    can_drop = "skip" in cell and _widens(c_in, c_out) == 1
    state, node3 = add(state, *_skip(x, cell, c_in, c_out, hooks), can_drop)
    state = _show(state, node1, c_out, 2, hooks)
    state, more = add(state, *_convolve(node1, from1to2, c_out, hooks))
    state, last = add(state, *_convolve(node1, from1to3, c_out, hooks))
    node2, node3 = node2 + more, node3 + last
    state = _show(state, node2, c_out, 1, hooks)
    state, last = add(state, *_convolve(node2, from2to3, c_out, hooks))
    return Flow(node3 + last, state, sum(norm_values, norm_sum))


def _block(flow: Flow, block: Params, c_in: _Mask, c_out: _Mask, hooks: Hooks) -> Flow:
    """Flow after the residual block of stride 2; its shortcut has no batch norm."""
    (x, state, norm_sum), block = enter(flow, block, hooks)
    state = _show(state, x, c_in, 1, hooks)
    hidden, first = _convolve(x, block["a"], c_out, hooks, stride=2)
    state = _show(state, hidden, c_out, 1, hooks)
    value, second = _convolve(hidden, block["b"], c_out, hooks)
    shortcut = _masked(layers.conv_layer(layers.avg_pool2x2(x), block["shortcut"]), c_out)
    return Flow(shortcut + value, state, norm_sum + first + second)


def _show(state: Any, inputs: jax.Array, mask: _Mask, num: int, hooks: Hooks) -> Any:
    """State of the hooks after a tensor that `num` ReLU modules read."""
    # The cell is fixed, and in it every ReLU has a path to the logits.
    num_modules = jnp.asarray(num, jnp.int32)
    return show(state, Relu(inputs, jnp.asarray(mask > 0), num_modules, num_modules), hooks)


def _pooled(features: jax.Array, state: Any, hooks: Hooks) -> jax.Array:
    """Mean `[N, C]` over pixels, after `Hooks.on_features`, which sees 64 channels."""
    if hooks.on_features is None:
        return pooled(features, state, hooks)
    # What a hook draws depends on the shape, and must not on whose program it is.
    width = features.shape[-1]
    wide = jnp.pad(features, ((0, 0),) * 3 + ((0, _CHANNELS - width),))
    return pooled(wide, state, hooks)[:, :width]


def _forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    return _run(params, _masks(jnp.asarray(arch)), images, hooks, state)


def _run_own(params: Params, arch: np.ndarray, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    """Results of the network of one architecture (`own.Run`)."""
    widths = [WIDTHS[choice] for choice in arch]
    masks = [np.ones(width, np.float32) for width in widths]
    return _run(_narrowed(params, widths), masks, images, hooks, state)


def _run(
    params: Params, masks: Sequence[_Mask], images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of the whole network, whose 5 widths have the masks."""
    # Two blocks halve the images.
    check_images(images, params["stem"]["conv"], 4)
    c1, c2, c3, c4, c5 = masks
    stem, (first, second, third), blocks = params["stem"], params["cells"], params["blocks"]
    x, norm_sum = _norm(layers.conv_layer(images, stem), stem["norm"], c1, hooks)
    flow = _cell(Flow(x, state, norm_sum), first, c1, c1, hooks)
    flow = _cell(_block(flow, blocks[0], c1, c2, hooks), second, c2, c3, hooks)
    flow = _cell(_block(flow, blocks[1], c3, c4, hooks), third, c4, c5, hooks)
    flow, dense = enter(flow, params["dense"], hooks)
    x, value = _norm(flow.x, params["norm"], c5, hooks)
    state = _show(flow.state, x, c5, 1, hooks)
    features = jax.nn.relu(x)
    logits = layers.dense_layer(_pooled(features, state, hooks), dense)
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
        have 64 channels; those of `own` have the true ones, but for `Hooks.on_features`.

    Raises:
        ValueError: a size is less than 1.
    """
    sizes: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
    check_at_least_one(**sizes)
    return Network(
        spaces.nats_size(),
        functools.partial(_init, **sizes),
        _apply,
        _forward,
        _present,
        _instantiate,
        functools.partial(own, nats_size, tuple(sizes.items()), _run_own),
    )
