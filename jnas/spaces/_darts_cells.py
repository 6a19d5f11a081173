"""Cells of two inputs whose nodes add up two operations: vectors, graphs.

Nodes 0 and 1 are the outputs of the two cells before, the others are numbered from 2. Each of them
adds up two operations, which stand in its two slots; each slot reads an earlier node. The output is
the concatenation of all of them ("all"), or of those that no other one reads ("loose"). There are a
normal cell and a reduction cell, which know nothing of each other.

A vector has the normal cell first, then the reduction cell, then the channels and the layers of the
network where an architecture chooses them. Where the inputs of a node differ, a cell is

    the two inputs of each node but the first, as a number; then the two operations of each node

and the numbers are those of (0, 1), (0, 2), (1, 2), (0, 3), …; the first operation belongs to the
smaller input. Where a node may read one twice, a cell is (input, operation, input, operation) for
each node. Both ways every vector is valid.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas.spaces import _common
from jnas.types import Arch, Graph

KINDS = ("normal", "reduction")


class Family(NamedTuple):
    """Settings of a space of such cells: all that tells one from another.

    Attributes:
        name: of the space.
        operations: names, in the order of the vector.
        num_nodes: nodes of a cell that add up operations, `M`.
        repeats: whether a node may read one input twice.
        loose: whether only nodes that no other one reads are part of the output.
        channels: of the first cell; of several, an architecture chooses one.
        layers: numbers of cells, likewise.
    """

    name: str
    operations: tuple[str, ...]
    num_nodes: int
    repeats: bool
    loose: bool
    channels: tuple[int, ...]
    layers: tuple[int, ...]

    @property
    def free(self) -> tuple[tuple[int, ...], ...]:
        """Choices of the last positions of the vector."""
        return tuple(values for values in (self.channels, self.layers) if len(values) > 1)


class Slots(NamedTuple):
    """Inputs and operations of the slots, `[2, M, 2]` int32 each: cell, node, slot."""

    sources: jax.Array
    ops: jax.Array


@functools.cache
def cardinalities(family: Family) -> tuple[int, ...]:
    """`D` ints, the number of choices at each position."""
    num_ops, inputs = len(family.operations), range(2, family.num_nodes + 2)
    if family.repeats:
        # Slot by slot, where inputs are free; pairs of different ones have one number for both.
        cell = [size for num in inputs for size in (num, num_ops) * 2]
    else:
        cell = [math.comb(num, 2) for num in inputs[1:]] + [num_ops] * (2 * family.num_nodes)
    return (*cell * len(KINDS), *map(len, family.free))


def split(family: Family, arch: Arch) -> tuple[jax.Array, jax.Array]:
    """`[2, D']` int32, the vector of each cell, and the rest of the vector."""
    sizes = cardinalities(family)
    _common.check_arch(arch, sizes)
    end = len(sizes) - len(family.free)
    wide = arch.astype(jnp.int32)
    return wide[:end].reshape(len(KINDS), -1), wide[end:]


def slots(family: Family, arch: Arch) -> Slots:
    """`Slots` of a vector."""
    cells, num = split(family, arch)[0], family.num_nodes
    if family.repeats:
        table = cells.reshape(len(KINDS), num, 2, 2)
        return Slots(table[..., 0], table[..., 1])
    # The first node has no choice: it reads the inputs of the cell, which are number 0.
    pairs = jnp.pad(cells[:, : num - 1], ((0, 0), (1, 0)))
    # Numbers of pairs with the second input `k` begin at `k (k - 1) / 2`.
    starts = np.array([math.comb(k, 2) for k in range(2, num + 1)], np.int32)
    second = 1 + jnp.sum(pairs[..., None] >= starts[None, None], axis=-1, dtype=jnp.int32)
    sources = jnp.stack([pairs - second * (second - 1) // 2, second], axis=-1)
    return Slots(sources, cells[:, num - 1 :].reshape(len(KINDS), num, 2))


_slots_compiled = jax.jit(slots, static_argnums=0)


def checked_vector(family: Family, arch: ArrayLike) -> np.ndarray:
    """Vector `[D]` int32; ValueError for an invalid one. Host only."""
    sizes = cardinalities(family)
    needs = f"{len(sizes)} integers from 0, below {', '.join(map(str, sizes))}"
    return _common.checked_vector(arch, sizes, f"{family.name} vector", needs)


def checked_slots(family: Family, arch: ArrayLike) -> tuple[np.ndarray, Slots]:
    """Vector `[D]` int32 and its `Slots`; ValueError for an invalid vector. Host only."""
    choices = checked_vector(family, arch)
    # Compiled, for it takes many small operations.
    return choices, _slots_compiled(family, choices)


def chosen_sizes(family: Family, arch: ArrayLike) -> tuple[int, int]:
    """Channels and layers of a vector; ValueError for an invalid one. Host only."""
    # A vector has a position only for a size that it chooses.
    chosen = checked_vector(family, arch).tolist()[len(cardinalities(family)) - len(family.free) :]
    channels, layers = (
        values[chosen.pop(0)] if len(values) > 1 else values[0]
        for values in (family.channels, family.layers)
    )
    return channels, layers


def vector(family: Family, cells: Slots, free: jax.Array) -> Arch:
    """`[D]` int32, the inverse of `slots` and `split`; slots of a node may come in any order."""
    if family.repeats:
        table = jnp.stack(cells, axis=-1)
    else:
        sources, ops = in_order(family, cells)
        pairs = sources[..., 1] * (sources[..., 1] - 1) // 2 + sources[..., 0]
        table = jnp.concatenate([pairs[:, 1:], ops.reshape(len(KINDS), -1)], axis=1)
    return jnp.concatenate([table.ravel(), free])


def in_order(family: Family, cells: Slots) -> Slots:
    """Slots of each node in ascending order of the input, and of the operation where it is one."""
    num_ops = len(family.operations)
    # One number for each slot, whose order is that of both parts.
    terms = jnp.sort(cells.sources * num_ops + cells.ops, axis=-1)
    return Slots(terms // num_ops, terms % num_ops)


def in_output(family: Family, cells: Slots) -> jax.Array:
    """`[2, M]` bool, the nodes that the output is the concatenation of."""
    nodes = np.arange(2, family.num_nodes + 2, dtype=np.int32)[None, None, None]
    is_read = jnp.any(cells.sources[..., None] == nodes, axis=(1, 2))
    return ~is_read if family.loose else jnp.ones_like(is_read)


def edge_operations(family: Family) -> tuple[str, ...]:
    """Names that `graph` counts operations in: "none" for no edge, and "concat" to the output."""
    return "none", *(name for name in family.operations if name != "none"), "concat"


def graph(arch: Arch, *, family: Family) -> Graph:
    """`Graph` of both cells, with operations on edges: two inputs, `M` sums and the output.

    Where a node reads one input twice, the operation with the higher number is on the second edge.
    """
    cells = slots(family, arch)
    sources, ops = in_order(family, cells)
    num = family.num_nodes + 3
    # No edge and the operation "none" are one: number 0.
    shown = ops if family.operations[0] == "none" else ops + 1
    # A second axis of edges holds what reads the same input again.
    kind, node, slot = np.indices(sources.shape)
    parallel = jnp.where((slot == 1) & (sources[..., :1] == sources), 1, 0)
    edge_ops = jnp.zeros((len(KINDS), 2 if family.repeats else 1, num, num), jnp.int32)
    edge_ops = edge_ops.at[kind, parallel, sources, node + 2].set(shown)
    last = len(edge_operations(family)) - 1
    joined = jnp.where(in_output(family, cells), last, 0)
    edge_ops = edge_ops.at[:, 0, 2:-1, -1].set(joined)
    nodes = jnp.asarray([0, 0, *[1] * family.num_nodes, 2], jnp.int32)
    node_ops = jnp.broadcast_to(nodes, (len(KINDS), num))
    return Graph(node_ops, edge_ops, edge_ops != 0, jnp.ones((len(KINDS), num), bool))
