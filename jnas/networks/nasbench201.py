"""Image network of NAS-Bench-201 with the architecture as an input.

Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326, figure 1: a stem (3x3 convolution, batch
norm), three stages of identical cells joined by two residual blocks of stride 2 that double the
width, then batch norm, ReLU, mean over pixels, dense layer. A convolution operation is ReLU,
convolution, batch norm. The pool has no batch norm. A node sums what comes in.

One program serves the whole space: a switch on each edge's operation, a loop over the cells of a
stage. Under `lax.map` the switch is a conditional; under `vmap` it groups architectures by
operation (`networks.control`, `grouped`). With choices that are known while tracing, numbers of
NumPy, the same code is the program of one architecture (`Network.own`).
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import _nasbench201_weights, control, layers
from jnas.networks._factories import one_object
from jnas.networks._nasbench201_mixed import mix
from jnas.networks.flow import Flow, check_images, counted, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, NONE, SKIP
from jnas.types import Arch, Hooks, Network, Params, Pass, Relu

_NUM_NODES = 4
Block: TypeAlias = Callable[[jax.Array, Params], jax.Array]
"""Function `(x [N, H, W, C], layer) -> [N, H, W, C]` in place of ReLU, convolution, batch norm."""


def _instantiate(params: Params, arch: Arch) -> Params:
    """Weights as they are (`Network.instantiate`)."""
    del arch  # no weight has a shape that depends on it
    return params


def _relu_conv_norm(
    x: jax.Array, layer: Params, hooks: Hooks, stride: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Output of one ReLU, convolution, batch norm, and its norm value."""
    return layers.norm_layer(layers.conv_layer(jax.nn.relu(x), layer, stride), layer["norm"], hooks)


def _operation(
    op: jax.Array, x: jax.Array, edge: Params, hooks: Hooks, block: Block | None = None
) -> tuple[jax.Array, jax.Array]:
    """Value of operation `op` `[]` int32 on one edge that reads `x`, and its norm value.

    Convolution and norm are two switches, so that what a gradient needs of each is just its input.
    """

    def convolve(name: str) -> Callable[[jax.Array, Params], jax.Array]:
        if block is not None:
            return lambda x, edge: block(x, edge[name])
        return lambda x, edge: layers.conv_layer(jax.nn.relu(x), edge[name])

    # In the order of the space's numbers: none, skip, 1x1, 3x3, pool.
    operations = (
        lambda x, _: jnp.zeros_like(x),
        lambda x, _: x,
        convolve("conv1x1"),
        convolve("conv3x3"),
        lambda x, _: layers.avg_pool3x3(x),
    )
    if block is not None:
        return control.switch(op, operations, x, edge), jnp.zeros(())
    norms = (lambda x, _: (x, jnp.zeros(())), lambda x, norm: layers.norm_layer(x, norm, hooks))
    # The norms of both convolutions are one branch, which is compiled once, with either's weights.
    norm = control.select(op == CONV1X1, edge["conv1x1"]["norm"], edge["conv3x3"]["norm"])
    is_conv = ((op == CONV1X1) | (op == CONV3X3)).astype(jnp.int32)
    result: tuple[jax.Array, jax.Array] = control.switch(
        is_conv, norms, control.switch(op, operations, x, edge), norm
    )
    return result


# Within `jit`, the edges of a stage are traced once for each hook in place of norms.
_traced_once = jax.jit(_operation, static_argnames=("hooks", "block"))


def _reaches_output(arch: Arch | np.ndarray) -> list[Any]:
    """Path of edges other than "none" to the output from each of the 4 nodes, `[]` bool each."""
    # Edges lead to higher nodes, so that backwards every target is known before its sources.
    reaches: list[Any] = [False] * (_NUM_NODES - 1) + [True]
    for source in reversed(range(_NUM_NODES - 1)):
        for edge, (start, end) in enumerate(EDGES):
            if start == source:
                reaches[source] |= (arch[edge] != NONE) & reaches[end]
    return reaches


def _reached_from_input(arch: Arch | np.ndarray) -> list[Any]:
    """Path of edges other than "none" from the input to each of the 4 nodes, `[]` bool each."""
    reached: list[Any] = [True] + [False] * (_NUM_NODES - 1)
    for target in range(1, _NUM_NODES):
        for edge, (start, end) in enumerate(EDGES):
            if end == target:
                reached[target] |= reached[start] & (arch[edge] != NONE)
    return reached


def _cell(
    flow: Flow,
    cell: Params,
    live: jax.Array,
    arch: Arch | np.ndarray,
    hooks: Hooks,
    block: Block | None = None,
) -> Flow:
    """Flow after one cell; `live` `[]` bool says whether its output has a path to the logits."""
    flow, cell = enter(flow, cell, hooks)
    state, norm_sum = flow.state, flow.norm_sum
    reached, reaches = _reached_from_input(arch), _reaches_output(arch)
    is_conv = (arch == CONV1X1) | (arch == CONV3X3)
    inputs: list[Any] = [flow.x, None, None, None]
    edges = control.unstacked(cell, len(EDGES))
    operate = _operation if control.is_known(arch) else _traced_once
    in_norms = Hooks(norm=hooks.norm)
    for node in range(_NUM_NODES):
        if inputs[node] is None:
            inputs[node] = jnp.zeros_like(flow.x)  # a known architecture in which nothing comes in
        outgoing = [(edge, end) for edge, (start, end) in enumerate(EDGES) if start == node]
        # Each convolution has a ReLU of its own, but those that leave a node read one tensor. It is
        # shown once, with their number. Live are those that a gradient of the logits reaches;
        # whether the image reaches them does not matter.
        if outgoing and hooks.on_relu is not None:
            modules = jnp.stack([is_conv[edge] for edge, _ in outgoing])
            used = modules & jnp.stack([reaches[end] for _, end in outgoing]) & live
            counts = jnp.sum(modules, dtype=jnp.int32), jnp.sum(used, dtype=jnp.int32)
            state = _show(state, inputs[node], *counts, hooks)
        for edge, end in outgoing:
            if _is_left_out(arch[edge], reaches[end], hooks):
                # The hook is asked as ever, so that those after it draw what they would have drawn.
                state, _ = dropped(state, jnp.zeros_like(flow.x), arch[edge] != SKIP, hooks)
                continue
            value, norm_value = operate(arch[edge], inputs[node], edges[edge], in_norms, block)
            state, value = dropped(state, value, arch[edge] != SKIP, hooks)
            inputs[end] = value if inputs[end] is None else inputs[end] + value
            norm_sum += counted(norm_value, reached[node] & reaches[end], hooks)
    return Flow(inputs[-1], state, norm_sum)


def _is_left_out(op: Any, reaches: Any, hooks: Hooks) -> bool:
    """Whether an edge is known to add nothing: of operation "none", or to a node that is dead."""
    return control.is_known(op) and not (op != NONE and (reaches or hooks.dead_norms))


def _show(
    state: Any, inputs: jax.Array, num_modules: jax.Array, num_live: jax.Array, hooks: Hooks
) -> Any:
    """State of the hooks after a tensor whose channels all exist."""
    return show(state, Relu(inputs, jnp.ones(inputs.shape[-1], bool), num_modules, num_live), hooks)


def _block(flow: Flow, block: Params, live: jax.Array, hooks: Hooks) -> Flow:
    """Flow after the residual block of stride 2 between stages; its shortcut has no batch norm."""
    (x, state, norm_sum), block = enter(flow, block, hooks)
    counts = jnp.ones((), jnp.int32), live.astype(jnp.int32)
    state = _show(state, x, *counts, hooks)
    hidden, first = _relu_conv_norm(x, block["a"], hooks, stride=2)
    state = _show(state, hidden, *counts, hooks)
    value, second = _relu_conv_norm(hidden, block["b"], hooks)
    shortcut = layers.conv_layer(layers.avg_pool2x2(x), block["shortcut"])
    return Flow(shortcut + value, state, norm_sum + first + second)


def forward(
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    block: Block | None = None,
) -> Pass:
    """Results of the whole network (`Network.forward`).

    With a `block` the layers of cells may be any trees that it reads, each leaf `[cells, 6, ...]`;
    their norms are then the block's own, and `hooks.norm` does not see them.
    """
    # Known to NumPy or not, an architecture is an input of one program.
    cell_of = functools.partial(_cell, block=block)
    return _run(params, jnp.asarray(arch), images, hooks, state, cell_of)


def _run(
    params: Params,
    arch: Arch | np.ndarray | None,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    cell_of: Callable[[Flow, Params, jax.Array, Any, Hooks], Flow] = _cell,
) -> Pass:
    """Results of the whole network, in the program of `arch` alone where that is of NumPy.

    `cell_of` is what stands for its cells; without an architecture they have every operation.
    """
    num_stages = len(params["stages"])
    check_images(images, params["stem"]["conv"], 2 ** (num_stages - 1))
    connected: Any = np.True_ if arch is None else _reaches_output(arch)[0]
    x, norm_sum = layers.norm_layer(
        layers.conv_layer(images, params["stem"]), params["stem"]["norm"], hooks
    )
    flow = Flow(x, state, norm_sum)
    for stage, cells in enumerate(params["stages"]):
        num = len(jax.tree.leaves(cells)[0])
        # All cells are alike: where one does not connect its ends, only the last has a path to the
        # logits, from its output on.
        last = (np.arange(num) == num - 1) & (stage == num_stages - 1)

        def step(
            x: jax.Array, rest: tuple[Any, jax.Array], cell: tuple[Params, jax.Array]
        ) -> tuple[jax.Array, Any]:
            flow = cell_of(Flow(x, *rest), *cell, arch, hooks)
            return flow.x, flow[1:]

        blocks = (cells, last | connected)
        x, rest = control.scan(
            step, flow.x, (flow.state, flow.norm_sum), blocks, unroll=control.is_known(arch)
        )
        flow = Flow(x, *rest)
        if stage < num_stages - 1:
            flow = _block(flow, params["blocks"][stage], connected, hooks)
    # Before the last norm: hooks that scale `x` (SynFlow) leave norms out, and what remains up to
    # the classifier passes the scale on.
    flow, dense = enter(flow, params["dense"], hooks)
    x, value = layers.norm_layer(flow.x, params["norm"], hooks)
    # The one ReLU that is live in every architecture.
    one = jnp.ones((), jnp.int32)
    state = _show(flow.state, x, one, one, hooks)
    features = jax.nn.relu(x)
    logits = layers.dense_layer(pooled(features, state, hooks), dense)
    return Pass(logits, features, state, flow.norm_sum + value)


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return forward(params, arch, images, Hooks(), ()).logits


def _mix(
    params: Params, weights: jax.Array, images: jax.Array, arch: Arch | None = None, **options: Any
) -> jax.Array:
    """Logits `[N, num_classes]` of weighted operations (`Network.mix`)."""
    # A function of the module, for networks go to other processes, and compiled ones cannot.
    return mix(_run, _traced_once, params, weights, images, arch, **options)


@one_object
def nasbench201(
    *,
    channels: int = 16,
    stages: int = 3,
    cells: int = 5,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    bias: bool | None = None,
) -> Network:
    """Network of the NAS-Bench-201 space (Dong and Yang, ICLR 2020, figure 1).

    Args:
        channels: width of the first stage; each later one is twice as wide as the one before.
        stages: number of stages; the benchmark has three.
        cells: cells a stage.
        num_classes: width of the logits.
        in_channels: channels of the images.
        affine: True is the benchmark's own network, batch norms with scale and bias after
            convolutions without bias; False is the one that the zero-cost proxies were published
            on: in the cells, batch norms have neither, and convolutions have a bias.
        bias: whether convolutions of the cells have a bias; None: where batch norms have none. With
            `affine=False`, False is the supernet of the one-shot study (`oneshot`).

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of `2^(stages - 1)`.
        `init` draws PyTorch's default weights for both convolutions on every edge of every cell.

    Raises:
        ValueError: a size is less than 1.
    """
    sizes = {
        "channels": channels,
        "stages": stages,
        "cells": cells,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    check_at_least_one(**sizes)
    has_bias = not affine if bias is None else bias
    settings: dict[str, Any] = {**sizes, "affine": affine, "bias": has_bias}
    return Network(
        spaces.nasbench201(),
        functools.partial(_nasbench201_weights.init, **settings),
        _apply,
        forward,
        functools.partial(_nasbench201_weights.present, stages=stages),
        _instantiate,
        functools.partial(own, nasbench201, tuple(settings.items()), _run),
        _mix,
    )
