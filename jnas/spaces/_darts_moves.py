"""Published moves from one pair of cells to a neighbour, in which one choice differs."""

import functools
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import _common
from jnas.spaces._darts_cells import KINDS, Family, Slots, slots, split, vector
from jnas.types import Arch, Key

Mutation: TypeAlias = Literal["aw_nas", "naslib"]
"""Published move to a neighbour; see `mutate`."""
_SOURCE, _OP, _FREE = range(3)


class Neighbours(NamedTuple):
    """Changes of one choice of a cell, or of one position after the cells.

    Attributes:
        changes: `[K, 5]` int32 each: cell, node and slot; what of it changes, source or operation;
            and by how much. Of a position after the cells, its number stands for the node.
        chances: `[K]` float32, which sum to 1.
    """

    changes: np.ndarray
    chances: np.ndarray


@functools.cache
def neighbours(family: Family, mutation: Mutation = "aw_nas") -> Neighbours:
    """`Neighbours` of every vector, 120 in NAS-Bench-301, and the chances of a published move."""
    num_ops, num_parts = len(family.operations), len(KINDS) + len(family.free)
    # How many other inputs a slot of each node could read: one that its sibling does not read.
    others = [num - 1 if family.repeats else num - 2 for num in range(2, family.num_nodes + 2)]
    num_movable = 2 * sum(num > 0 for num in others)
    rows, chances = [], []
    for cell, node, slot in np.ndindex(len(KINDS), family.num_nodes, 2):
        for field, num, inputs, places in (
            (_SOURCE, others[node], node + 2, num_movable),
            (_OP, num_ops - 1, num_ops, 2 * family.num_nodes),
        ):
            rows += [(cell, node, slot, field, shift) for shift in range(1, num + 1)]
            # "aw_nas" draws another choice; "naslib" any, and all again where nothing changes.
            chances += [1 / (inputs if mutation == "naslib" else places * max(num, 1))] * num
    # Each of the two cells and of the free positions changes with the same probability.
    per_part = [chance * len(KINDS) / (num_parts * sum(chances)) for chance in chances]
    for place, values in enumerate(family.free):
        rows += [(0, place, 0, _FREE, shift) for shift in range(1, len(values))]
        per_part += [1 / (num_parts * (len(values) - 1))] * (len(values) - 1)
    return Neighbours(np.array(rows, np.int32), np.array(per_part, np.float32))


@_common.keeps_dtype
def mutate(key: Key, arch: Arch, *, family: Family, mutation: Mutation) -> Arch:
    """`[D]` neighbour, in which one input or one operation differs.

    "aw_nas" draws the cell, then with equal probability another input of a slot that has a choice,
    or another operation of any slot, all uniformly. "naslib" (and BANANAS) draws cell, slot and
    which of the two uniformly, then a value uniformly from all, and again where nothing changes.
    """
    changes, chances = neighbours(family, mutation)
    drawn = jax.random.choice(key, len(changes), p=jnp.asarray(chances))
    cell, node, slot, field, shift = jnp.asarray(changes)[drawn]
    old, free = slots(family, arch), split(family, arch)[1]
    place = cell, jnp.minimum(node, family.num_nodes - 1), slot
    source, sibling = old.sources[place], old.sources[cell, place[1], 1 - slot]
    if family.repeats:
        moved = (source + shift) % (node + 2)
    else:
        # Counted over the inputs that neither this slot nor its sibling reads.
        moved = shift - 1
        for known in (jnp.minimum(source, sibling), jnp.maximum(source, sibling)):
            moved = jnp.where(moved >= known, moved + 1, moved)
    op = (old.ops[place] + shift) % len(family.operations)
    new = Slots(
        old.sources.at[place].set(jnp.where(field == _SOURCE, moved, source)),
        old.ops.at[place].set(jnp.where(field == _OP, op, old.ops[place])),
    )
    if family.free:
        sizes = jnp.asarray([len(values) for values in family.free], jnp.int32)
        chosen = (jnp.arange(len(sizes), dtype=jnp.int32) == node) & (field == _FREE)
        free = jnp.where(chosen, (free + shift) % sizes, free)
    return vector(family, new, free)
