"""Cells of the network of DARTS: what each slot reads and does, and whether it counts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks._darts_weights import (
    DILATED,
    EDGES,
    HALVING,
    NORMAL,
    NUM_INPUTS,
    NUM_NODES,
    REDUCTION,
    SEPARABLE,
    edge_numbers,
)
from jnas.spaces._darts_cells import Family, slots
from jnas.types import Arch

NUM_SLOTS = 2 * NUM_NODES


class Slots(NamedTuple):
    """What the slots of a cell do, `[8]` each, node by node; of NumPy where that is known.

    Attributes:
        source: int32, what is read: 0 and 1 are the inputs, nodes begin at 2.
        target: int32, the node that adds it up.
        edge: int32, the number of both in `EDGES`.
        skip: int32, the number of both in `HALVING`; 0 where no input is read.
        halves: bool, whether the operation has stride 2.
        first: int32, the operation; in a reduction cell those of stride 2 follow the others.
        second: int32, what comes after it: 0 nothing, else the second half of a `SEPARABLE`.
        is_rectified: bool, whether the operation begins with a ReLU.
        can_drop: bool, whether it is no identity.
        is_fed: bool, whether there is a path from an input of the cell to what is read.
    """

    source: Any
    target: Any
    edge: Any
    skip: Any
    halves: Any
    first: Any
    second: Any
    is_rectified: Any
    can_drop: Any
    is_fed: Any


class Cell(NamedTuple):
    """Cell of one kind: its slots, and `[2]` bool, which inputs have a path to its output."""

    slots: Slots
    is_read: Any


def cells_of(arch: Arch | np.ndarray, family: Family) -> tuple[Cell, Cell]:
    """Normal and reduction cell; with arrays of NumPy where the architecture is of NumPy."""
    if not isinstance(arch, np.ndarray):
        return _cell(arch, family, NORMAL), _cell(arch, family, REDUCTION)
    # Within a function that is traced, too, they are computed now and not put into its program.
    with jax.ensure_compile_time_eval():
        found = tuple(_cell(jnp.asarray(arch), family, kind) for kind in (NORMAL, REDUCTION))
        numbers: tuple[Cell, Cell] = jax.tree.map(np.asarray, found)
        return numbers


def _cell(arch: Arch, family: Family, kind: int) -> Cell:
    """Cell of one kind."""
    both = slots(family, arch)
    source, op = both.sources[kind].ravel(), both.ops[kind].ravel()
    edge = edge_numbers(both.sources[kind]).ravel()
    halves = (source < NUM_INPUTS) & (kind == REDUCTION)
    names = family.operations
    adds = _of_operations(names, {*names} - {"none"})[op]
    is_identity = _of_operations(names, {"skip_connect"})[op] & ~halves
    is_layer = _of_operations(names, {*SEPARABLE, *DILATED})[op]
    halving = np.zeros(len(EDGES), np.int32)
    halving[[*HALVING]] = np.arange(len(HALVING))
    seconds = [[*SEPARABLE].index(name) + 1 if name in SEPARABLE else 0 for name in names]
    is_fed = _fed(source, adds)
    found = Slots(
        source=source,
        # A constant, so that it is one number for a whole population.
        target=jnp.repeat(jnp.arange(2, 2 + NUM_NODES, dtype=jnp.int32), 2),
        edge=edge,
        skip=jnp.asarray(halving)[edge],
        halves=halves,
        first=op + len(names) * halves.astype(jnp.int32),
        second=jnp.asarray(seconds, jnp.int32)[op],
        is_rectified=is_layer | (halves & _of_operations(names, {"skip_connect"})[op]),
        can_drop=~is_identity,
        is_fed=is_fed,
    )
    # All nodes are part of the output: what a node adds up has a path to it.
    is_read = [jnp.any(adds & (source == number)) for number in range(NUM_INPUTS)]
    return Cell(found, jnp.stack(is_read))


def _of_operations(names: tuple[str, ...], chosen: set[str]) -> jax.Array:
    """`[O]` bool, which operations are among the chosen."""
    return jnp.asarray([name in chosen for name in names])


def _fed(source: jax.Array, adds: jax.Array) -> jax.Array:
    """`[8]` bool, whether what each slot reads has a path from an input; `adds` is no "none"."""
    is_fed = jnp.asarray([True] * NUM_INPUTS + [False] * NUM_NODES)
    for node in range(NUM_NODES):
        pair = slice(2 * node, 2 * node + 2)
        is_fed = is_fed.at[NUM_INPUTS + node].set(jnp.any(adds[pair] & is_fed[source[pair]]))
    return is_fed[source]


def live_cells(cells: tuple[Cell, Cell], kinds: list[int]) -> list[Any]:
    """Whether each cell has a path to the logits, `[]` bool each, for the kinds of all cells."""
    is_live: list[Any] = [np.True_]
    # Backwards: a cell is the second input of the next one and the first of the one after that.
    for number in reversed(range(len(kinds) - 1)):
        live = is_live[0] & cells[kinds[number + 1]].is_read[1]
        if number + 2 < len(kinds):
            live |= is_live[1] & cells[kinds[number + 2]].is_read[0]
        is_live.insert(0, live)
    return is_live
