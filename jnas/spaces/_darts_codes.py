"""Codes of pairs of cells, and the smallest one of all that are isomorphic: their identity."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import _common
from jnas.spaces._darts_cells import KINDS, Family, Slots, in_order, slots, split, vector
from jnas.types import Arch, Key


def _radices(family: Family) -> list[int]:
    """Number of different slots that each node of a cell may have, their order aside."""
    num_ops, inputs = len(family.operations), range(2, family.num_nodes + 2)
    if family.repeats:
        # Two of all slots, which may be one and the same.
        return [math.comb(num * num_ops + 1, 2) for num in inputs]
    # Different inputs are in order, so that the two operations are no longer alike.
    return [math.comb(num, 2) * num_ops**2 for num in inputs]


def _digits(family: Family, cells: Slots) -> jax.Array:
    """`[..., M]` int32, the number of the slots of each node, below its radix."""
    (low, high), (first, second) = (jnp.moveaxis(part, -1, 0) for part in in_order(family, cells))
    num_ops = len(family.operations)
    if family.repeats:
        small, large = low * num_ops + first, high * num_ops + second
        # Pairs whose larger slot is number `k` begin at `k (k + 1) / 2`.
        number: jax.Array = large * (large + 1) // 2 + small
    else:
        number = ((high * (high - 1) // 2 + low) * num_ops + first) * num_ops + second
    return number


def _words(family: Family, digits: jax.Array) -> jax.Array:
    """Codes `[P, W']` uint32 of cells with `_digits` `[P, M]`."""
    radices = _radices(family)
    words: jax.Array = jax.vmap(lambda cell: _common.mixed_radix_words(cell, radices))(digits)
    return words


def code(arch: Arch, *, family: Family) -> jax.Array:
    """`[W]` uint32, mixed-radix numbers of the slots of each node: words of the normal cell first.

    The order of the two slots of a node does not count. The choices after the cells have a word of
    their own, the last.
    """
    words = _words(family, _digits(family, slots(family, arch)))
    return jnp.concatenate([words.ravel(), _free_word(family, arch)])


def sample(key: Key, *, family: Family) -> Arch:
    """`[D]` int32, uniform over codes, of cells whose nodes may read an input twice.

    Uniform vectors are not: all nodes but those with two equal slots have two vectors.
    """
    cells_key, free_key = jax.random.split(key)
    radices = jnp.asarray([_radices(family)], jnp.int32)
    number = jax.random.randint(cells_key, (len(KINDS), family.num_nodes), 0, radices, jnp.int32)
    # The inverse of `_digits`: the larger slot is the last whose pairs do not begin later.
    num_ops = len(family.operations)
    most = (family.num_nodes + 1) * num_ops
    starts = np.array([math.comb(k + 1, 2) for k in range(most)], np.int32)
    large = jnp.sum(number[..., None] >= starts[None, None], axis=-1, dtype=jnp.int32) - 1
    terms = jnp.stack([number - large * (large + 1) // 2, large], axis=-1)
    free = _common.uniform_sample(tuple(map(len, family.free)), free_key)
    return vector(family, Slots(terms // num_ops, terms % num_ops), free)


def identity(arch: Arch, *, family: Family) -> jax.Array:
    """`[W]` uint32, the smallest code of the same cells with their nodes in another order.

    It is exact: the cells of two vectors have one identity if and only if they are isomorphic.
    """
    words = jax.vmap(functools.partial(_smallest, family))(slots(family, arch))
    return jnp.concatenate([words.ravel(), _free_word(family, arch)])


def _smallest(family: Family, cell: Slots) -> jax.Array:
    """Words of the smallest code of a cell, of slots `[M, 2]`."""
    orders, places = (jnp.asarray(each) for each in _orders(family.num_nodes))
    sources = places[:, cell.sources]
    # An order that puts a node before one that it reads makes no cell: its code must not be least.
    is_topological = jnp.all(sources < places[:, 2:, None], axis=(1, 2))
    digits = _digits(family, Slots(sources, jnp.broadcast_to(cell.ops, sources.shape)))
    digits = jnp.take_along_axis(digits, orders, axis=1)
    words = jnp.where(is_topological[:, None], _words(family, digits), jnp.uint32(2**32 - 1))
    return _lowest(words)


@functools.cache
def _orders(num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Every order of the nodes, and where it puts each of them: `[P, M]` and `[P, M + 2]` int32.

    The two inputs of the cell stay where they are.
    """
    orders = np.array(list(itertools.permutations(range(num_nodes))), np.int32)
    # The inverse of each permutation.
    places = np.argsort(orders, axis=1).astype(np.int32) + 2
    inputs = np.broadcast_to(np.arange(2, dtype=np.int32), (len(orders), 2))
    return orders, np.concatenate([inputs, places], axis=1)


def _lowest(rows: jax.Array) -> jax.Array:
    """`[W]`, the smallest of rows `[P, W]` uint32, the first word the highest."""
    # Word by word, among the rows that are still lowest: there may be no integers of 64 bits.
    words, is_low = [], jnp.ones(len(rows), bool)
    for column in rows.T:
        words.append(jnp.min(jnp.where(is_low, column, jnp.uint32(2**32 - 1))))
        is_low &= column == words[-1]
    return jnp.stack(words)


def _free_word(family: Family, arch: Arch) -> jax.Array:
    """`[1]` uint32, the number of the choices after the cells; `[0]` where there are none."""
    sizes = [len(values) for values in family.free]
    return _common.mixed_radix_words(split(family, arch)[1], sizes)
