"""Forward pass of networks of pairs of cells with the architecture as an input.

A node sums two slots, each an operation on an earlier node or input. A loop over the slots of a
cell has one switch on the operation and one on its second half; weights are those of the edge that
the architecture chooses. Cells that are alike are a loop, too. With choices that are known while
tracing, numbers of NumPy, the same code is the program of one architecture (`Network.own`).
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.networks import _darts_auxiliary as auxiliary_head
from jnas.networks import _darts_weights as weights
from jnas.networks import control, layers
from jnas.networks._darts_cells import Cell, Slots, cells_of, computed, live_cells
from jnas.networks._darts_flow import averaged, enter_cell, joined, rows_of, show_relus
from jnas.networks._darts_operations import complete, complete_once, operate, operate_once
from jnas.networks._darts_weights import REDUCTION, Section, read_channels, sections
from jnas.networks.flow import Flow, check_images, counted, dropped, enter
from jnas.spaces._darts_cells import Family
from jnas.types import Arch, Hooks, Params, Pass

_Values: TypeAlias = list[Any]
"""What slots read: inputs and nodes of a normal cell; of a reduction cell inputs, and nodes."""


def _at(values: Any, number: Any) -> Any:
    """Value number `number` of a list, or of an array of them; the last or first beyond them."""
    # Of two lists one is asked for a number that it does not have; nobody uses the answer.
    number = number.clip(0, len(values) - 1)
    if control.is_known(number):
        return values[number]
    return lax.dynamic_index_in_dim(values, number, keepdims=False)


def _read(values: _Values, source: Any) -> tuple[jax.Array, ...]:
    """What a slot reads: of a normal cell one tensor, of a reduction cell an input and a node."""
    if len(values) == 1:
        return (_at(values[0], source),)
    return _at(values[0], source), _at(values[1], source - 2)


def _added(values: _Values, target: Any, x: jax.Array) -> _Values:
    """Values with `x` added to the node `target`."""
    nodes, number = values[-1], target - 2 * (len(values) - 1)
    total = _at(nodes, number) + x
    if control.is_known(number):
        nodes = [total if k == number else node for k, node in enumerate(nodes)]
    else:
        nodes = lax.dynamic_update_index_in_dim(nodes, total, number, 0)
    return [*values[:-1], nodes]


def _slot(
    values: _Values,
    rest: Any,
    block: tuple[Slots, Params],
    *,
    is_live: Any,
    family: Family,
    hooks: Hooks,
) -> tuple[_Values, Any]:
    """Values of a cell after one of its slots, and state and norm values."""
    (slot, layer), (state, norm_sum) = block, rest
    read = _read(values, slot.source)
    # ReLUs are shown outside of the switch, all of whose branches would have to return a state.
    norms = Hooks(norm=hooks.norm)
    known = control.is_known(slot.first)
    first, second = (operate, complete) if known else (operate_once, complete_once)
    for x, is_read in zip(read, (slot.halves, ~slot.halves)[-len(read) :], strict=True):
        state = show_relus(state, x, slot.is_rectified & is_read, is_live, hooks)
    x, value = first(slot.first, read, layer, family.operations, norms)
    state = show_relus(state, x, slot.second > 0, is_live, hooks)
    x, more = second(slot.second, x, layer, family.operations, norms)
    state, x = dropped(state, x, slot.can_drop, hooks)
    return _added(values, slot.target, x), (
        state,
        norm_sum + counted(value + more, slot.is_fed, hooks),
    )


def _nodes(
    inputs: list[jax.Array],
    params: Params,
    cell: Cell,
    is_live: Any,
    rest: Any,
    *,
    kind: int,
    family: Family,
    hooks: Hooks,
) -> tuple[Any, Any]:
    """Nodes of a cell, and state and norm values after it."""
    stride, slots = 1 + kind, cell.slots
    num_nodes = family.num_nodes
    nodes = [jnp.zeros_like(inputs[0][:, ::stride, ::stride])] * num_nodes
    # Inputs of a reduction cell are larger than its nodes: one array cannot hold both.
    parts = [inputs, nodes] if kind == REDUCTION else [[*inputs, *nodes]]
    step = functools.partial(_slot, is_live=is_live, family=family, hooks=hooks)
    if control.is_known(slots.first):
        for number in range(2 * num_nodes):
            slot = Slots(*(part[number] for part in slots))
            parts, rest = step(parts, rest, (slot, _weights_of(params, slot)))
        return parts[-1][-num_nodes:], rest
    values = [jnp.stack(part) for part in parts]
    values, rest = control.scan(step, values, rest, (slots, _weights_of(params, slots)))
    return values[-1][-num_nodes:], rest


def _weights_of(params: Params, slot: Slots) -> Params:
    """Weights of the edge that a slot is, or those that many slots are, stacked."""
    chosen: Params = jax.tree.map(lambda leaf: leaf[slot.edge], params["edges"])
    if "skips" in params:
        chosen["skips"] = jax.tree.map(lambda leaf: leaf[slot.skip], params["skips"])
    return chosen


def _cell(
    x: tuple[jax.Array, jax.Array],
    rest: Any,
    block: tuple[Params, Any, Any],
    *,
    cell: Cell,
    section: Section,
    family: Family,
    hooks: Hooks,
) -> tuple[tuple[jax.Array, jax.Array], Any]:
    """Inputs of the next cell, and state and norm values, after one cell."""
    params, is_live, channels = block
    x, state, params = enter_cell(x, rest[0], params, hooks)
    norm_sum, inputs = rest[1], list[jax.Array]()
    for number, (value, there) in enumerate(zip(x, channels, strict=True)):
        layer, is_read = params[f"input{number}"], cell.is_read[number]
        there, layer = rows_of(there, layer, "conv")
        state = show_relus(state, value, 1, is_live & is_read, hooks, there)
        # The older input is from before a reduction cell.
        convolve = layers.halving_layer if section.is_halved and not number else layers.conv_layer
        y = convolve(jax.nn.relu(value), layer)
        y, of_norm = layers.norm_layer(y, layer["norm"], hooks)
        norm_sum += counted(of_norm, is_read, hooks)
        inputs.append(y)
    nodes, rest = _nodes(
        inputs,
        params,
        cell,
        is_live,
        (state, norm_sum),
        kind=section.kind,
        family=family,
        hooks=hooks,
    )
    return (x[1], joined(nodes, cell.is_joined, family)), rest


def run(
    params: Params,
    arch: Arch | np.ndarray,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    *,
    family: Family,
    channels: int,
    num_cells: int,
) -> Pass:
    """Results of the whole network, in the program of `arch` alone where that is of NumPy."""
    found = sections(family.num_nodes, channels, num_cells)
    kinds = [section.kind for section in found for _ in range(section.num)]
    check_images(images, params["stem"]["conv"], 2 ** sum(kinds))
    cells, stem = cells_of(arch, family), params["stem"]
    there = computed(read_channels, arch, family, channels, num_cells)
    about = [*zip(live_cells(cells, kinds), itertools.pairwise(there[:-1]), strict=True)]
    x, norm_sum = layers.norm_layer(layers.conv_layer(images, stem), stem["norm"], hooks)
    pair, rest, after = (x, x), (state, norm_sum), x
    for section, part in zip(found, params["sections"], strict=True):
        blocks, about = about[: section.num], about[section.num :]
        step = functools.partial(
            _cell, cell=cells[section.kind], section=section, family=family, hooks=hooks
        )
        pair, rest = _loop(step, pair, rest, part, blocks, is_known=control.is_known(arch))
        # What the auxiliary head reads.
        after = pair[1] if section.kind == REDUCTION else after
    flow, dense = enter(Flow(pair[1], *rest), params["dense"], hooks)
    dense = rows_of(there[-1], dense, "kernel")[1]
    logits = layers.dense_layer(averaged(flow.x, there[-1], flow.state, hooks), dense)
    # Without the hooks: it is no part of what is scored, and of programs that do not read it.
    head = params.get("auxiliary")
    if head is not None:
        rows = there[weights.head_input(found)]
        head = {**head, "first": rows_of(rows, head["first"], "conv")[1]}
    more = None if head is None else auxiliary_head.logits(after, head)
    return Pass(logits, flow.x, flow.state, flow.norm_sum, more)


def _loop(
    step: Callable[..., Any], x: Any, rest: Any, params: Params, blocks: list[Any], is_known: bool
) -> Any:
    """`x` and `rest` after the cells of a section, in a loop unless their choices are known."""
    if not is_known:
        # Cells that are alike are compiled once.
        stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *blocks)
        return control.scan(step, x, rest, (params, *stacked))
    for layer, block in zip(control.unstacked(params, len(blocks)), blocks, strict=True):
        x, rest = step(x, rest, (layer, *block))
    return x, rest


def forward(
    params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any, **static: Any
) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Known to NumPy or not, an architecture is an input of one program.
    return run(params, jnp.asarray(arch), images, hooks, state, **static)


def apply(params: Params, arch: Arch, images: jax.Array, **static: Any) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return forward(params, arch, images, Hooks(), (), **static).logits
