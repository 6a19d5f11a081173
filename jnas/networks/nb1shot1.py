"""One-shot network of NAS-Bench-1Shot1 with the architecture as an input.

Zela, Siems and Hutter, ICLR 2020, https://arxiv.org/abs/2001.10422, section 3 and figure 1, with
weights of 0 and 1 in place of the softmax, as Ning et al. (NeurIPS 2021) train and score it: a stem
(3x3 convolution), stacks of cells with a 2x2 max-pool (padding 1: 32, 17, 9 pixels) and twice the
channels before each but the first, then ReLU, 1x1 convolution, batch norm without scale and bias,
mean over pixels, dense layer.

All blocks of a cell are as wide as its stack, whatever the wiring. A block sums its parents, the
input of the cell by a 1x1 convolution of the block's own, and then has one operation; a convolution
is followed by batch norm and ReLU. The output of a cell has the channels of all its blocks: those
of blocks that do not feed it are 0. An edge from input to output adds a 1x1 convolution to all.

So it is another network than that of NAS-Bench-101, whose vertices share the channels of the output
(`networks.nasbench101`). What a cell does not have is skipped by `control.switch`; of an
architecture that is known while tracing (`Network.own`) neither it nor the channels of 0 are there.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import _nb1shot1_weights as weights
from jnas.networks import control, layers
from jnas.networks._factories import one_object
from jnas.networks._nb1shot1_weights import CONVS, Cell, reading, rows_of
from jnas.networks.flow import Flow, check_images, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3
from jnas.spaces.nb1shot1 import Subspace
from jnas.types import Arch, Hooks, Network, Params, Pass, Relu

# Convolution and norm are two switches, so that what a gradient needs of each is just its input.


def _projection(
    exists: Any, x: jax.Array, layer: Params, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """1x1 convolution and norm of a cell's input, before the ReLU, and norm value; else zeros."""

    def nothing(x: jax.Array, layer: Params) -> jax.Array:
        return jnp.zeros((*x.shape[:3], layer["conv"].shape[-1]), x.dtype)

    which = exists.astype(np.int32)
    return _normed(
        which, control.switch(which, (nothing, layers.conv_layer), x, layer), layer["norm"], hooks
    )


def _operation(op: Any, x: jax.Array, block: Params, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """Operation `op` `[]` int32 and norm of a block, before the ReLU, and its norm value.

    An `op` beyond the last gives zeros.
    """
    # In the order of the space's numbers, CONV3X3, CONV1X1, MAXPOOL3X3.
    operations = (
        lambda x, block: layers.conv_layer(x, block["conv3x3"]),
        lambda x, block: layers.conv_layer(x, block["conv1x1"]),
        lambda x, _: layers.max_pool3x3(x),
        lambda x, _: jnp.zeros_like(x),
    )
    # The norms of both convolutions are one branch, which is compiled once, with either's weights.
    norm = control.select(op == CONV1X1, block["conv1x1"]["norm"], block["conv3x3"]["norm"])
    return _normed(
        _is_conv(op).astype(np.int32), control.switch(op, operations, x, block), norm, hooks
    )


def _normed(which: Any, x: jax.Array, norm: Params, hooks: Hooks) -> tuple[jax.Array, jax.Array]:
    """Norm of `x` and its value where `which` `[]` int32 is 1; `x` as it is and 0 where it is 0."""
    norms = (lambda x, _: (x, jnp.zeros(())), lambda x, norm: layers.norm_layer(x, norm, hooks))
    result: tuple[jax.Array, jax.Array] = control.switch(which, norms, x, norm)
    return result


def _is_conv(op: Any) -> Any:
    """Kind of `op`, `[]` bool: True for convolutions, the only operations with norm and ReLU."""
    return (op == CONV3X3) | (op == CONV1X1)


# Within `jit`, the blocks of a group are traced once.
_ONCE = {f: jax.jit(f, static_argnames="hooks") for f in (_projection, _operation)}


def _computed(
    function: Callable[..., tuple[jax.Array, jax.Array]],
    which: Any,
    is_rectified: Any,
    flow: Flow,
    layer: Params,
    hooks: Hooks,
) -> Flow:
    """Flow after a projection or an operation, and its ReLU where there is one."""
    function = function if control.is_known(which) else _ONCE[function]
    x, value = function(which, flow.x, layer, Hooks(norm=hooks.norm))
    count = jnp.asarray(is_rectified, jnp.int32)
    channels = jnp.broadcast_to(jnp.asarray(is_rectified), x.shape[-1:])
    # Modules and live ones are as many: a pruned cell has no block without a path to the output.
    state = show(flow.state, Relu(x, channels, count, count), hooks)
    if not control.is_known(is_rectified):
        x = jnp.where(is_rectified, jax.nn.relu(x), x)
    elif is_rectified:
        x = jax.nn.relu(x)
    return Flow(x, state, flow.norm_sum + value)


def _project(flow: Flow, exists: Any, layer: Params, hooks: Hooks) -> Flow:
    """Flow whose `x` is the projection of a cell's input, zeros where it does not exist."""
    if control.is_known(exists) and not exists:
        zeros = jnp.zeros((*flow.x.shape[:3], layer["conv"].shape[-1]), flow.x.dtype)
        flow = flow._replace(x=zeros)
    else:
        flow = _computed(_projection, exists, exists, flow, layer, hooks)
    # Without the edge, too, so that hooks draw the same in the network of one architecture.
    state, x = dropped(flow.state, flow.x, True, hooks)
    return flow._replace(x=x, state=state)


def _sum(flow: Flow, values: list[jax.Array], edges: Any, hooks: Hooks) -> Flow:
    """Flow whose `x` is the sum of `flow.x` and of the values with an edge."""
    state, total = flow.state, flow.x
    for value, edge in zip(values, edges, strict=True):
        passed = jnp.where(edge, value, 0)
        state, passed = dropped(state, passed, False, hooks)
        total = total + passed
    return flow._replace(x=total, state=state)


def _cell(flow: Flow, params: Params, cell: Cell, rows: Any, hooks: Hooks) -> Flow:
    """Flow after one cell; `rows` are the channels of its input that are there, None for all."""
    flow, params = enter(flow, params, hooks)
    start, num = flow.x, len(cell.ops)
    projections = control.unstacked(params["projection"], num)
    convs = control.unstacked({name: params[name] for name, *_ in CONVS}, num)
    values: list[jax.Array] = []
    for block in range(num):
        edges = cell.edges[:, block + 1]
        flow = _project(flow._replace(x=start), edges[0], reading(projections[block], rows), hooks)
        flow = _sum(flow, values, edges[1 : block + 1], hooks)
        op = cell.ops[block]
        flow = _computed(_operation, op, _is_conv(op), flow, convs[block], hooks)
        values.append(flow.x)
    return _put_out(flow._replace(x=start), values, cell, reading(params["output"], rows), hooks)


def _put_out(flow: Flow, values: list[jax.Array], cell: Cell, layer: Params, hooks: Hooks) -> Flow:
    """Flow whose `x` is the output of a cell; of its input `flow.x` and the values of blocks."""
    exists, feeds = cell.edges[0, -1], cell.edges[1:-1, -1]
    if control.is_known(exists) and not exists:
        # The channels of 0 are left out, and so are the weights of the next cell that read them.
        parts = [value for value, is_fed in zip(values, feeds, strict=True) if is_fed]
        flow = _project(flow, exists, layer, hooks)
        return flow._replace(x=jnp.concatenate(parts, axis=-1))
    parts = [jnp.where(feed, value, 0) for value, feed in zip(values, feeds, strict=True)]
    together = jnp.concatenate(parts, axis=-1)
    if control.is_known(exists) or hooks.on_relu is not None or hooks.on_edge is not None:
        flow = _project(flow, exists, layer, hooks)
        return flow._replace(x=flow.x + together)
    # One switch where no hook looks inside: most cells have no such edge, and zeros as wide as the
    # output would be written and read several times.
    branches = (
        lambda together, _x, _layer: (together, jnp.zeros(())),
        functools.partial(_added, hooks=hooks),
    )
    x, value = control.switch(exists.astype(np.int32), branches, together, flow.x, layer)
    return flow._replace(x=x, norm_sum=flow.norm_sum + value)


def _added(
    together: jax.Array, x: jax.Array, layer: Params, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Output of a cell with the projection of its input, and the value of its norm."""
    x, value = layers.norm_layer(layers.conv_layer(x, layer), layer["norm"], hooks)
    return together + jax.nn.relu(x), value


def _stem(params: Params, images: jax.Array, hooks: Hooks, state: Any) -> Flow:
    """Flow after the stem."""
    x, value = layers.norm_layer(layers.conv_layer(images, params), params["norm"], hooks)
    one = jnp.ones((), jnp.int32)
    state = show(state, Relu(x, jnp.ones(x.shape[-1], bool), one, one), hooks)
    return Flow(jax.nn.relu(x), state, value)


def _head(flow: Flow, params: Params, cell: Cell, hooks: Hooks) -> Pass:
    """Results of the network: ReLU, convolution, norm, mean over pixels, dense layer."""
    flow, parts = enter(flow, {name: params[name] for name in ("last", "dense")}, hooks)
    x, width = flow.x, params["last"]["conv"].shape[-1]
    rows, one = rows_of(cell, width), jnp.ones((), jnp.int32)
    feeds = jnp.repeat(jnp.asarray(cell.feeds), width, total_repeat_length=len(cell.ops) * width)
    state = show(flow.state, Relu(x, feeds if rows is None else feeds[rows], one, one), hooks)
    last = reading(parts["last"], rows)
    x, value = layers.norm_layer(layers.conv_layer(jax.nn.relu(x), last), last["norm"], hooks)
    logits = layers.dense_layer(pooled(x, state, hooks), parts["dense"])
    return Pass(logits, x, state, flow.norm_sum + value)


def _run(
    params: Params,
    arch: Arch | np.ndarray,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    *,
    subspace: Subspace,
) -> Pass:
    """Results of the whole network, in the program of `arch` alone where that is of NumPy."""
    check_images(images, params["stem"]["conv"], 1)
    if known := isinstance(arch, np.ndarray):
        cell = weights.known_cell(arch, subspace)
    else:
        cell = weights.cell_of(arch, subspace)
    flow, before = _stem(params["stem"], images, hooks, state), 0
    for number, group in enumerate(params["groups"]):
        width, c_in = group["conv3x3"]["conv"].shape[-1], group["projection"]["conv"].shape[-2]
        if before and width > before:
            flow = flow._replace(x=layers.max_pool2x2_padded(flow.x))
        rows = rows_of(cell, c_in // len(cell.ops)) if number else None
        step = functools.partial(_step, cell=cell, rows=rows, hooks=hooks)
        x, rest = control.scan(step, flow.x, (flow.state, flow.norm_sum), group, unroll=known)
        flow, before = Flow(x, *rest), width
    return _head(flow, params, cell, hooks)


def _step(
    x: jax.Array, rest: tuple[Any, jax.Array], params: Params, cell: Cell, rows: Any, hooks: Hooks
) -> tuple[jax.Array, Any]:
    """Activations, and state and norm values, after one cell of a group."""
    after = _cell(Flow(x, *rest), params, cell, rows, hooks)
    return after.x, (after.state, after.norm_sum)


def _forward(
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    *,
    subspace: Subspace,
) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Known to NumPy or not, an architecture is an input of one program.
    return _run(params, jnp.asarray(arch), images, hooks, state, subspace=subspace)


def _apply(params: Params, arch: Arch, images: jax.Array, *, subspace: Subspace) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), (), subspace=subspace).logits


@one_object
def nb1shot1(
    *,
    subspace: Subspace = 3,
    channels: int = 16,
    stacks: int = 3,
    cells: int = 3,
    num_classes: int = 10,
    in_channels: int = 3,
) -> Network:
    """One-shot network of NAS-Bench-1Shot1 (Zela et al., ICLR 2020) with weights of 0 and 1.

    Args:
        subspace: 1, 2 or 3, as of `spaces.nb1shot1`.
        channels: width of the stem and of each block of the first stack; each later stack is twice
            as wide as the one before.
        stacks: number of stacks.
        cells: cells a stack.
        num_classes: width of the logits.
        in_channels: channels of the images.

    Returns:
        A `Network` for images `[N, H, W, in_channels]` of any size. `init` draws PyTorch's default
        weights for all three operations of every block of every cell. `Hooks.on_edge` may drop
        projections; edges between blocks are identities, and what the output concatenates is not
        summed.

    Raises:
        ValueError: a size is less than 1, or there is no such sub-space.
    """
    space = spaces.nb1shot1(subspace=subspace)
    sizes = {
        "channels": channels,
        "stacks": stacks,
        "cells": cells,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    check_at_least_one(**sizes)
    settings: dict[str, Any] = {"subspace": subspace, **sizes}
    of_arch = {name: settings[name] for name in ("subspace", "channels", "stacks", "cells")}
    return Network(
        space,
        functools.partial(weights.draw, **settings),
        functools.partial(_apply, subspace=subspace),
        functools.partial(_forward, subspace=subspace),
        functools.partial(weights.present, **of_arch),
        weights.instantiate,
        functools.partial(
            own, nb1shot1, tuple(settings.items()), functools.partial(_run, subspace=subspace)
        ),
    )
