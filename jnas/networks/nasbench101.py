"""The NAS-Bench-101 image network with the architecture as an input.

Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635, section 2 and appendix: a stem (3x3
convolution), stacks of identical cells with a 2x2 max-pool and twice the channels before each but
the first, mean over pixels, dense layer. A convolution is followed by batch norm and ReLU. An edge
from the input of a cell is a 1x1 convolution to the width of its target; one between interior
vertices passes the first channels on. Vertices sum what comes in; the output concatenates, and then
adds the projection of the input.

One program serves the whole space: all vertices have as many channels as the stack, those beyond a
vertex's own width are 0, and `control.switch` skips what a cell does not have. Map over
architectures with `lax.map`.
"""

import functools
from typing import Any, get_args

import jax
import jax.numpy as jnp

from jnas import spaces
from jnas.engine.messages import nearest
from jnas.networks import _nasbench101_weights as weights
from jnas.networks import control, layers
from jnas.networks._nasbench101_weights import NUM_VERTICES, OUTPUT, Cell, Init
from jnas.networks.flow import Flow, check_images, enter, show
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, MAXPOOL3X3
from jnas.types import Arch, Hooks, Network, Params, Pass, Relu

_MIN_CHANNELS = (
    4  # as many vertices as a cell of 9 edges can concatenate: each has at least one channel
)


def _rectify(
    flow: Flow, exists: jax.Array, channels: jax.Array, norm_value: jax.Array, hooks: Hooks
) -> Flow:
    """ReLU of `flow.x`, where the module exists `[]` bool; `channels` `[C]` bool are those of the
    tensor.
    """
    count = exists.astype(jnp.int32)
    state = show(flow.state, Relu(flow.x, channels & exists, count, count), hooks)
    x = jnp.where(exists, jax.nn.relu(flow.x), flow.x)
    return Flow(x, state, flow.norm_sum + norm_value)


def _norm(x: jax.Array, norm: Params, mask: jax.Array, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """`mask` `[C]` is 1.0 for channels that exist: an operand of a switch, and those have to be
    float.
    """
    channels = mask > 0
    y, value = layers.norm_layer(x, norm, hooks, channels)
    return jnp.where(channels[None, None, None], y, 0), value


def _as_it_is(x: jax.Array, _: Params, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    del mask
    return x, jnp.zeros(())


def _zeros(x: jax.Array, _: Params) -> jax.Array:
    return jnp.zeros_like(x)


# Convolution and norm are two switches, so that what a gradient needs of each is just its input.
# Within `jit`, the vertices of a stack are traced once.


@functools.partial(jax.jit, static_argnames="hooks")
def _projection(
    exists: jax.Array, x: jax.Array, layer: Params, channels: jax.Array, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Projection and norm of the input of a cell, before the ReLU, and its norm value; zeros if it
    does not exist.
    """
    which = exists.astype(jnp.int32)
    x = control.switch(which, (_zeros, layers.conv_layer), x, layer)
    norms = (_as_it_is, lambda x, norm, mask: _norm(x, norm, mask, hooks))
    result: tuple[jax.Array, jax.Array] = control.switch(
        which, norms, x, layer["norm"], channels.astype(x.dtype)
    )
    return result


@functools.partial(jax.jit, static_argnames="hooks")
def _operation(
    op: jax.Array, x: jax.Array, vertex: Params, channels: jax.Array, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Operation `op` `[]` int32 and norm of an interior vertex, before the ReLU, and its norm
    value.

    An `op` beyond the last gives zeros.
    """
    operations = (
        lambda x, w: layers.conv_layer(x, w["conv3x3"]),
        lambda x, w: layers.conv_layer(x, w["conv1x1"]),
        lambda x, _: layers.max_pool3x3(x),
        _zeros,
    )
    norms = (_as_it_is, lambda x, norm, mask: _norm(x, norm, mask, hooks))
    norm = control.select(op == CONV1X1, vertex["conv1x1"]["norm"], vertex["conv3x3"]["norm"])
    which, mask = _is_conv(op).astype(jnp.int32), channels.astype(x.dtype)
    x = control.switch(op, operations, x, vertex)
    result: tuple[jax.Array, jax.Array] = control.switch(which, norms, x, norm, mask)
    return result


def _is_conv(op: jax.Array) -> jax.Array:
    return (op == CONV3X3) | (op == CONV1X1)


def _project(flow: Flow, layer: Params, cell: Cell, vertex: int, hooks: Hooks) -> Flow:
    """The projection of a cell's input to a vertex, or zeros where there is no such edge."""
    exists, channels = cell.edges[0, vertex], cell.channels[vertex]
    x, value = _projection(exists, flow.x, layer, channels, hooks)
    return _rectify(flow._replace(x=x), exists, channels, value, hooks)


def _operate(flow: Flow, vertex_weights: Params, cell: Cell, vertex: int, hooks: Hooks) -> Flow:
    """The operation of an interior vertex, or zeros where it is not there."""
    channels, op = cell.channels[vertex], cell.ops[vertex - 1]
    op = jnp.where(cell.widths[vertex] > 0, op, MAXPOOL3X3 + 1)
    x, value = _operation(op, flow.x, vertex_weights, channels, hooks)
    return _rectify(flow._replace(x=x), _is_conv(op), channels, value, hooks)


def _concatenated(output: jax.Array, x: jax.Array, cell: Cell, vertex: int) -> jax.Array:
    """`output` with the channels of `x` after those of the vertices before, if the vertex feeds the
    output.
    """
    feeds = cell.edges[1:OUTPUT, OUTPUT]
    offset = jnp.sum(jnp.where(feeds, cell.widths[1:OUTPUT], 0)[: vertex - 1])
    branches = (
        lambda output, _x, _offset: output,
        lambda output, x, offset: output + jnp.roll(x, offset.astype(jnp.int32), axis=-1),
    )
    which = feeds[vertex - 1].astype(jnp.int32)
    result: jax.Array = control.switch(which, branches, output, x, offset.astype(x.dtype))
    return result


def _cell(flow: Flow, params: Params, cell: Cell, hooks: Hooks) -> Flow:
    flow, params = enter(flow, params, hooks)
    start, output = flow.x, jnp.zeros_like(flow.x)
    projections = control.unstacked(params["projection"], NUM_VERTICES + 1)
    own = control.unstacked({name: params[name] for name in ("conv1x1", "conv3x3")}, NUM_VERTICES)
    values: list[jax.Array] = []
    for vertex in range(1, OUTPUT):
        flow = _project(flow._replace(x=start), projections[vertex - 1], cell, vertex, hooks)
        total = flow.x
        for source, value in enumerate(values, start=1):
            passed = cell.channels[vertex] & cell.edges[source, vertex]
            total += jnp.where(passed[None, None, None], value, 0)
        flow = _operate(flow._replace(x=total), own[vertex - 1], cell, vertex, hooks)
        values.append(flow.x)
        output = _concatenated(output, flow.x, cell, vertex)
    flow = _project(flow._replace(x=start), projections[-1], cell, OUTPUT, hooks)
    return flow._replace(x=output + flow.x)


def _stem(params: Params, images: jax.Array, hooks: Hooks, state: Any) -> Flow:
    x, value = layers.norm_layer(layers.conv_layer(images, params), params["norm"], hooks)
    return _rectify(
        Flow(x, state, jnp.zeros(())), jnp.asarray(True), jnp.ones(x.shape[-1], bool), value, hooks
    )


def _forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    check_images(images, params["stem"]["conv"].shape[-2], 2 ** (len(params["stacks"]) - 1))
    flow = _stem(params["stem"], images, hooks, state)
    for stack, stacked in enumerate(params["stacks"]):
        if stack > 0:
            # The first cell is as wide as the others: it reads zeros in the channels that are yet
            # to come.
            x = layers.max_pool2x2(flow.x)
            flow = flow._replace(x=jnp.pad(x, ((0, 0),) * 3 + ((0, x.shape[-1]),)))
        cell = weights.cell_of(arch, flow.x.shape[-1])

        def step(
            x: jax.Array, rest: tuple[Any, jax.Array], block: Params, cell: Cell = cell
        ) -> tuple[jax.Array, Any]:
            after = _cell(Flow(x, *rest), block, cell, hooks)
            return after.x, (after.state, after.norm_sum)

        x, rest = control.scan(step, flow.x, (flow.state, flow.norm_sum), stacked)
        flow = Flow(x, *rest)
    flow, dense = enter(flow, params["dense"], hooks)
    return Pass(
        layers.dense_layer(jnp.mean(flow.x, axis=(1, 2)), dense), flow.x, flow.state, flow.norm_sum
    )


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    return _forward(params, arch, images, Hooks(), ()).logits


@functools.cache
def nasbench101(
    *,
    channels: int = 16,
    stacks: int = 3,
    cells: int = 3,
    num_classes: int = 10,
    in_channels: int = 3,
    init: Init = "published",
) -> Network:
    """The network of the NAS-Bench-101 space.

    The benchmark's own has 128 channels. NASWOT was published with 16, the zero-cost proxies with
    128.

    Args:
        channels: width of the stem and the first stack; each later stack is twice as wide as the
            one before.
        stacks: number of stacks.
        cells: cells a stack.
        num_classes: width of the logits.
        in_channels: channels of the images.
        init: "published" is that of the published zero-cost proxies: convolutions from N(0, 2 / (k²
            C_out)), the dense layer from N(0, 0.01²) with a bias of 0; "torch" is PyTorch's
            default, U(±1/√fan_in).

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of `2^(stacks - 1)`.
        `init` draws kernels as wide as their stack; `instantiate` makes those of one architecture
        of them, which has narrower ones. Logits of the two differ by no more than what the epsilon
        of batch norms makes of the scale.

    Raises:
        ValueError: a size is less than 1 (channels: less than 4), or `init` is unknown.
    """
    counts = {
        "stacks": stacks,
        "cells": cells,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    for name, value in {"channels": channels, **counts}.items():
        least = _MIN_CHANNELS if name == "channels" else 1
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}")
    if init not in get_args(Init):
        raise ValueError(f"unknown init {init!r}. {nearest(init, get_args(Init))}")
    of_one = functools.partial(weights.present, channels=channels, stacks=stacks, repeats=cells)
    instantiate = functools.partial(weights.instantiate, present=of_one, init=init)
    draw = functools.partial(
        weights.draw,
        channels=channels,
        stacks=stacks,
        repeats=cells,
        num_classes=num_classes,
        in_channels=in_channels,
        init=init,
    )
    return Network(spaces.nasbench101(), draw, _apply, _forward, of_one, instantiate)
