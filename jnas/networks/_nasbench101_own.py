"""Cells of the NAS-Bench-101 network at their true widths, for the network of one architecture."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import _nasbench101_weights as weights
from jnas.networks import control, layers
from jnas.networks._nasbench101_weights import NUM_VERTICES, OUTPUT, Cell
from jnas.networks.flow import Flow, dropped, enter, show
from jnas.networks.weights import narrowed
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, MAXPOOL3X3
from jnas.types import Hooks, Params, Relu

_cell_of = jax.jit(weights.cell_of, static_argnums=1)


def known_cell(arch: np.ndarray, width: int) -> Cell:
    """Pruned cell of `arch` `[26]` in a stack of `width` channels, with arrays of NumPy."""
    # Within a function that is traced, too, it is computed now and not put into its program.
    with jax.ensure_compile_time_eval():
        cell: Cell = jax.tree.map(np.asarray, _cell_of(jnp.asarray(arch), width))
        return cell


def _conv_norm_relu(flow: Flow, layer: Params, width: int, hooks: Hooks) -> Flow:
    """Flow after a convolution to `width` channels, batch norm, ReLU."""
    layer = narrowed(layer, flow.x.shape[-1], width)
    x, value = layers.norm_layer(layers.conv_layer(flow.x, layer), layer["norm"], hooks)
    one = jnp.ones((), jnp.int32)
    state = show(flow.state, Relu(x, jnp.ones(width, bool), one, one), hooks)
    return Flow(jax.nn.relu(x), state, flow.norm_sum + value)


def _total(
    flow: Flow,
    projection: Params,
    values: dict[int, jax.Array],
    cell: Cell,
    vertex: int,
    hooks: Hooks,
) -> tuple[Flow, jax.Array | None]:
    """Sum of what comes into a vertex: the projection of `flow.x`, and of `values` the first."""
    start, width, total = flow.x, int(cell.widths[vertex]), None
    # The output concatenates what comes from other vertices.
    for source in range(1 if vertex == OUTPUT else vertex):
        exists, value = cell.edges[source, vertex], jnp.zeros_like(start)
        if exists and source == 0:
            flow = _conv_norm_relu(flow, projection, width, hooks)
            value = flow.x
        elif exists:
            value = values[source][..., :width]
        # Without the edge, too, so that hooks draw what they draw in the general network.
        state, value = dropped(flow.state, value, source == 0, hooks)
        flow = flow._replace(x=start, state=state)
        if exists:
            total = value if total is None else total + value
    return flow, total


def own_cell(flow: Flow, params: Params, cell: Cell, hooks: Hooks) -> Flow:
    """Flow after one cell, which is known: `cell` has arrays of NumPy."""
    flow, params = enter(flow, params, hooks)
    start, values = flow.x, dict[int, jax.Array]()
    projections = control.unstacked(params["projection"], NUM_VERTICES + 1)
    names = {CONV3X3: "conv3x3", CONV1X1: "conv1x1"}
    convs = {op: control.unstacked(params[name], NUM_VERTICES) for op, name in names.items()}
    for vertex in range(1, OUTPUT):
        flow, total = _total(flow, projections[vertex - 1], values, cell, vertex, hooks)
        if total is None:  # pruned
            continue
        op, flow = int(cell.ops[vertex - 1]), flow._replace(x=total)
        if op == MAXPOOL3X3:
            values[vertex] = layers.max_pool3x3(total)
        else:
            flow = _conv_norm_relu(flow, convs[op][vertex - 1], int(cell.widths[vertex]), hooks)
            values[vertex] = flow.x
        flow = flow._replace(x=start)
    flow, projected = _total(flow, projections[-1], values, cell, OUTPUT, hooks)
    feeding = [values[vertex] for vertex in range(1, OUTPUT) if cell.edges[vertex, OUTPUT]]
    parts = [jnp.concatenate(feeding, axis=-1)] if feeding else []
    parts += [] if projected is None else [projected]
    return flow._replace(x=functools.reduce(operator.add, parts))
