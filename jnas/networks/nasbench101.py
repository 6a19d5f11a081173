"""Image network of NAS-Bench-101 with the architecture as an input.

Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635, section 2 and appendix: a stem (3x3
convolution), stacks of identical cells with a 2x2 max-pool and twice the channels before each but
the first, mean over pixels, dense layer. A convolution is followed by batch norm and ReLU. An edge
from the input of a cell is a 1x1 convolution to the width of its target; one between interior
vertices passes the first channels on. Vertices sum what comes in; the output concatenates, and then
adds the projection of the input.

One program serves the whole space: all vertices have as many channels as the stack, those beyond a
vertex's own width are 0, and `control.switch` skips what a cell does not have. Map over
architectures with `lax.map`. The network of one architecture (`Network.own`) has cells of their
true widths (`_nasbench101_own`).
"""

import functools
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.messages import nearest
from jnas.networks import _nasbench101_weights as weights
from jnas.networks import control, layers
from jnas.networks._factories import one_object
from jnas.networks._nasbench101_own import known_cell, own_cell
from jnas.networks._nasbench101_weights import NUM_VERTICES, OUTPUT, Cell, Init
from jnas.networks.flow import Flow, check_images, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, MAXPOOL3X3
from jnas.types import Arch, Hooks, Network, Params, Pass, Relu

# Each vertex that is concatenated needs a channel. Nine edges make at most four of them: five would
# take ten, one in and one out each.
_MIN_CHANNELS = 4


def _rectify(
    flow: Flow, exists: jax.Array, channels: jax.Array, norm_value: jax.Array, hooks: Hooks
) -> Flow:
    """Flow after a ReLU of the channels `[C]` bool, or as it was where no module `exists` `[]`."""
    # Modules and live ones are as many: a pruned cell has no vertex without a path to the output.
    count = exists.astype(jnp.int32)
    state = show(flow.state, Relu(flow.x, channels & exists, count, count), hooks)
    x = jnp.where(exists, jax.nn.relu(flow.x), flow.x)
    return Flow(x, state, flow.norm_sum + norm_value)


def _norm(x: jax.Array, norm: Params, mask: jax.Array, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """Norm `[N, H, W, C]` and its value; `mask` `[C]` is 1.0 for channels that exist, else 0."""
    # Float until here: `mask` is an operand of a switch.
    channels = mask > 0
    y, value = layers.norm_layer(x, norm, hooks, channels)
    # A channel of zeros comes out of a norm as its bias.
    return jnp.where(channels[None, None, None], y, 0), value


def _as_it_is(x: jax.Array, _: Params, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Identity and a norm value of 0: the branch without a norm."""
    del mask
    return x, jnp.zeros(())


def _zeros(x: jax.Array, _: Params) -> jax.Array:
    """Zeros in the shape of `x`: the branch of what the cell does not have."""
    return jnp.zeros_like(x)


# Convolution and norm are two switches, so that what a gradient needs of each is just its input.
# Within `jit`, the vertices of a stack are traced once.


@functools.partial(jax.jit, static_argnames="hooks")
def _projection(
    exists: jax.Array, x: jax.Array, layer: Params, channels: jax.Array, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Projection and norm of a cell's input, before the ReLU, and norm value; zeros if absent."""
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
    """Operation `op` `[]` int32 and norm of a vertex, before the ReLU, and its norm value.

    An `op` beyond the last gives zeros.
    """
    # In the order of the space's numbers, CONV3X3, CONV1X1, MAXPOOL3X3.
    operations = (
        lambda x, w: layers.conv_layer(x, w["conv3x3"]),
        lambda x, w: layers.conv_layer(x, w["conv1x1"]),
        lambda x, _: layers.max_pool3x3(x),
        _zeros,
    )
    norms = (_as_it_is, lambda x, norm, mask: _norm(x, norm, mask, hooks))
    # The norms of both convolutions are one branch, which is compiled once, with either's weights.
    norm = control.select(op == CONV1X1, vertex["conv1x1"]["norm"], vertex["conv3x3"]["norm"])
    which, mask = _is_conv(op).astype(jnp.int32), channels.astype(x.dtype)
    x = control.switch(op, operations, x, vertex)
    result: tuple[jax.Array, jax.Array] = control.switch(which, norms, x, norm, mask)
    return result


def _is_conv(op: jax.Array) -> jax.Array:
    """Kind of `op`, `[]` bool: True for convolutions, the only operations with norm and ReLU."""
    return (op == CONV3X3) | (op == CONV1X1)


def _project(flow: Flow, layer: Params, cell: Cell, vertex: int, hooks: Hooks) -> Flow:
    """Flow whose `x` is the projection of a cell's input to a vertex; zeros without that edge."""
    exists, channels = cell.edges[0, vertex], cell.channels[vertex]
    x, value = _projection(exists, flow.x, layer, channels, Hooks(norm=hooks.norm))
    flow = _rectify(flow._replace(x=x), exists, channels, value, hooks)
    state, x = dropped(flow.state, flow.x, True, hooks)
    return flow._replace(x=x, state=state)


def _operate(flow: Flow, vertex_weights: Params, cell: Cell, vertex: int, hooks: Hooks) -> Flow:
    """Flow whose `x` is the value of an interior vertex, zeros where it is not there."""
    channels, op = cell.channels[vertex], cell.ops[vertex - 1]
    op = jnp.where(cell.widths[vertex] > 0, op, MAXPOOL3X3 + 1)
    x, value = _operation(op, flow.x, vertex_weights, channels, Hooks(norm=hooks.norm))
    return _rectify(flow._replace(x=x), _is_conv(op), channels, value, hooks)


def _concatenated(output: jax.Array, x: jax.Array, cell: Cell, vertex: int) -> jax.Array:
    """Output with the channels of `x` after those of earlier vertices, if the vertex feeds it."""
    feeds = cell.edges[1:OUTPUT, OUTPUT]
    offset = jnp.sum(jnp.where(feeds, cell.widths[1:OUTPUT], 0)[: vertex - 1])
    # Beyond its width a vertex is 0, so that rolling wraps only zeros and adding is concatenating.
    # The offset is not known while tracing, and a float because operands of a switch are.
    branches = (
        lambda output, _x, _offset: output,
        lambda output, x, offset: output + jnp.roll(x, offset.astype(jnp.int32), axis=-1),
    )
    which = feeds[vertex - 1].astype(jnp.int32)
    # Of 32 bits, whatever the images have: 16 would round offsets beyond 256.
    result: jax.Array = control.switch(which, branches, output, x, offset.astype(jnp.float32))
    return result


def _cell(flow: Flow, params: Params, cell: Cell, hooks: Hooks) -> Flow:
    """Flow after one cell, as wide as its stack."""
    flow, params = enter(flow, params, hooks)
    start, output = flow.x, jnp.zeros_like(flow.x)
    projections = control.unstacked(params["projection"], NUM_VERTICES + 1)
    convs = control.unstacked({name: params[name] for name in ("conv1x1", "conv3x3")}, NUM_VERTICES)
    values: list[jax.Array] = []
    for vertex in range(1, OUTPUT):
        flow = _project(flow._replace(x=start), projections[vertex - 1], cell, vertex, hooks)
        total = flow.x
        for source, value in enumerate(values, start=1):
            # A source is at least as wide as its target, so that to truncate is to mask.
            passed = cell.channels[vertex] & cell.edges[source, vertex]
            state, value = dropped(
                flow.state, jnp.where(passed[None, None, None], value, 0), False, hooks
            )
            flow, total = flow._replace(state=state), total + value
        flow = _operate(flow._replace(x=total), convs[vertex - 1], cell, vertex, hooks)
        values.append(flow.x)
        output = _concatenated(output, flow.x, cell, vertex)
    flow = _project(flow._replace(x=start), projections[-1], cell, OUTPUT, hooks)
    return flow._replace(x=output + flow.x)


def _stem(params: Params, images: jax.Array, hooks: Hooks, state: Any) -> Flow:
    """Flow after the stem, `channels` wide in every architecture."""
    x, value = layers.norm_layer(layers.conv_layer(images, params), params["norm"], hooks)
    return _rectify(
        Flow(x, state, jnp.zeros(())), jnp.asarray(True), jnp.ones(x.shape[-1], bool), value, hooks
    )


def _forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Known to NumPy or not, an architecture is an input of one program.
    return _run(params, jnp.asarray(arch), images, hooks, state)


def _run(
    params: Params, arch: Arch | np.ndarray, images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of the whole network, in the program of `arch` alone where that is of NumPy."""
    check_images(images, params["stem"]["conv"], 2 ** (len(params["stacks"]) - 1))
    flow, known = _stem(params["stem"], images, hooks, state), control.is_known(arch)
    for stack, stacked in enumerate(params["stacks"]):
        width = stacked["conv3x3"]["conv"].shape[-1]
        if stack > 0:
            flow = flow._replace(x=layers.max_pool2x2(flow.x))
        if not known:
            # All cells of a stack are one loop and so of one shape: the first, which reads half
            # of the channels, is given zeros in the others.
            missing = width - flow.x.shape[-1]
            flow = flow._replace(x=jnp.pad(flow.x, ((0, 0),) * 3 + ((0, missing),)))
        # Bound by a partial: widths of the next stack are others.
        step = functools.partial(_step, cell=_cell_of(arch, width), hooks=hooks)
        x, rest = control.scan(step, flow.x, (flow.state, flow.norm_sum), stacked, unroll=known)
        flow = Flow(x, *rest)
    flow, dense = enter(flow, params["dense"], hooks)
    logits = layers.dense_layer(pooled(flow.x, flow.state, hooks), dense)
    return Pass(logits, flow.x, flow.state, flow.norm_sum)


def _cell_of(arch: Arch | np.ndarray, width: int) -> Cell:
    """Pruned cell in a stack of `width` channels, known where the architecture is."""
    return known_cell(arch, width) if isinstance(arch, np.ndarray) else weights.cell_of(arch, width)


def _step(
    x: jax.Array, rest: tuple[Any, jax.Array], block: Params, cell: Cell, hooks: Hooks
) -> tuple[jax.Array, Any]:
    """Activations, and state and norm values, after one cell of a stack."""
    of_cell = own_cell if control.is_known(cell.ops) else _cell
    after = of_cell(Flow(x, *rest), block, cell, hooks)
    return after.x, (after.state, after.norm_sum)


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), ()).logits


@one_object
def nasbench101(
    *,
    channels: int = 16,
    stacks: int = 3,
    cells: int = 3,
    num_classes: int = 10,
    in_channels: int = 3,
    init: Init = "published",
) -> Network:
    """Network of the NAS-Bench-101 space (Ying et al., ICML 2019).

    The benchmark's own has 128 channels, and so had the zero-cost proxies; NASWOT had 16.

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
        `Hooks.on_edge` may drop projections; edges between interior vertices are identities, and
        what the output concatenates is not summed.
        `init` draws kernels as wide as their stack; `instantiate` scales and masks them to the
        widths of one architecture. Logits of the two differ by no more than what the epsilon
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
    draw = functools.partial(
        weights.draw,
        channels=channels,
        stacks=stacks,
        repeats=cells,
        num_classes=num_classes,
        in_channels=in_channels,
        init=init,
    )
    settings: dict[str, Any] = {"channels": channels, **counts, "init": init}
    return Network(
        spaces.nasbench101(),
        draw,
        _apply,
        _forward,
        of_one,
        functools.partial(weights.instantiate, present=of_one, init=init),
        functools.partial(own, nasbench101, tuple(settings.items()), _run),
    )
