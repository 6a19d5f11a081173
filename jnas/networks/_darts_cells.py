"""Cells of networks of pairs of them: what each slot reads and does, and whether it counts."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks._darts_weights import (
    DILATED,
    FACTORED,
    FULL,
    NORMAL,
    NUM_INPUTS,
    REDUCTION,
    SEPARABLE,
    edge_slots,
    edges,
    halving,
)
from jnas.spaces._darts_cells import Family, in_output
from jnas.types import Arch

_T = TypeVar("_T")


class Slots(NamedTuple):
    """What the `2M` slots of a cell do, `[2M]` each, node by node; of NumPy where that is known.

    Attributes:
        source: int32, what is read: 0 and 1 are the inputs, nodes begin at 2.
        target: int32, the node that adds it up.
        edge: int32, the number of its edge in `edges`.
        skip: int32, the number of that in `halving`; 0 where no input is read.
        halves: bool, whether the operation has stride 2.
        first: int32, the operation; in a reduction cell those of stride 2 follow the others.
        second: int32, what comes after it: 0 nothing, else the second half of one of `separable`.
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
    """Cell of one kind.

    Attributes:
        slots: what its slots do.
        is_read: `[2]` bool, which inputs have a path to its output.
        is_joined: `[M]` bool, which nodes are part of its output.
    """

    slots: Slots
    is_read: Any
    is_joined: Any


def cells_of(arch: Arch | np.ndarray, family: Family) -> tuple[Cell, Cell]:
    """Normal and reduction cell; with arrays of NumPy where the architecture is of NumPy."""
    normal, reduction = (computed(_cell, arch, family, kind) for kind in (NORMAL, REDUCTION))
    return normal, reduction


def computed(function: Callable[..., _T], arch: Arch | np.ndarray, *static: Any) -> _T:
    """Value of `function(arch, *static)`; with arrays of NumPy where `arch` is of NumPy."""
    if not isinstance(arch, np.ndarray):
        return function(arch, *static)
    # Within a function that is traced, too, it is computed now and not put into its program.
    with jax.ensure_compile_time_eval():
        numbers: _T = jax.tree.map(np.asarray, _compiled(function, len(static))(arch, *static))
        return numbers


# Of hundreds of small operations, each of which takes its time where they are no program.
@functools.cache
def _compiled(function: Callable[..., Any], num_static: int) -> Callable[..., Any]:
    """Program of a function whose last arguments are static."""
    return jax.jit(function, static_argnums=tuple(range(1, 1 + num_static)))


def _cell(arch: Arch, family: Family, kind: int) -> Cell:
    """Cell of one kind."""
    cells, numbers = edge_slots(family, arch)
    source, op, edge = (part[kind].ravel() for part in (*cells, numbers))
    halves = (source < NUM_INPUTS) & (kind == REDUCTION)
    names = family.operations
    adds = _of_operations(names, {*names} - {"none"})[op]
    is_identity = _of_operations(names, {"skip_connect"})[op] & ~halves
    is_layer = _of_operations(names, {*SEPARABLE, *DILATED, *FULL, *FACTORED})[op]
    of_halving = np.zeros(len(edges(family)), np.int32)
    of_halving[[*halving(family)]] = np.arange(len(halving(family)))
    split = separable(names)
    seconds = [split.index(name) + 1 if name in split else 0 for name in names]
    nodes = NUM_INPUTS + jnp.arange(family.num_nodes, dtype=jnp.int32)
    found = Slots(
        source=source,
        # A constant, so that it is one number for a whole population.
        target=jnp.repeat(nodes, 2),
        edge=edge,
        skip=jnp.asarray(of_halving)[edge],
        halves=halves,
        first=op + len(names) * halves.astype(jnp.int32),
        second=jnp.asarray(seconds, jnp.int32)[op],
        is_rectified=is_layer | (halves & _of_operations(names, {"skip_connect"})[op]),
        can_drop=~is_identity,
        is_fed=_fed(source, adds),
    )
    # All nodes are part of the output or read by one that is, and "none" is an operation of spaces
    # with all nodes in it: what a node adds up has a path to the output.
    is_read = [jnp.any(adds & (source == number)) for number in range(NUM_INPUTS)]
    return Cell(found, jnp.stack(is_read), in_output(family, cells)[kind])


def separable(names: tuple[str, ...]) -> list[str]:
    """Those of the operations that have a second half."""
    return [name for name in names if name in SEPARABLE]


def _of_operations(names: tuple[str, ...], chosen: set[str]) -> jax.Array:
    """`[O]` bool, which operations are among the chosen."""
    return jnp.asarray([name in chosen for name in names])


def _fed(source: jax.Array, adds: jax.Array) -> jax.Array:
    """`[2M]` bool, whether what each slot reads has a path from an input; `adds` is no "none"."""
    num_nodes = len(source) // 2
    is_fed = jnp.asarray([True] * NUM_INPUTS + [False] * num_nodes)
    for node in range(num_nodes):
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
