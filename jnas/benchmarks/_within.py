"""Space of the rows of a table, for searches of a table that has not all architectures."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jnas.benchmarks import _lookup
from jnas.benchmarks.table import Table
from jnas.types import Arch, Key, Space


def within(table: Table, column: str | None = None) -> Space:
    """`Space` whose moves stay among the rows of a table, so that no evaluation is a miss.

    Sampling draws a row. Mutation and crossover take the row that differs least, in number of
    choices, from what the table's space proposes, one of the equally near at random; mutation never
    the parent itself, where there is another row. An architecture that the table lacks is not
    valid. All else is as in the space of the table.

    Args:
        table: whose rows.
        column: keeps to the rows that have a value in it; all rows by default.

    Returns:
        A `Space` with `sample`, `mutate`, `crossover`, `is_valid` and `enumerate` of its own.

    Raises:
        ValueError: there is no such column, or nothing in it.
    """
    known = np.ones(len(table), bool) if column is None else np.isfinite(table.column(column))
    if not known.any():
        raise ValueError(f"column {column!r} of {table.source} has no value to search for")
    space, chosen = table.space, table.archs[known]
    # A part of ascending codes is ascending, so that `find` can search it.
    codes = np.asarray(table._codes)[known[table._order]]

    def nearest(key: Key, arch: Arch, is_out: jax.Array) -> Arch:
        """Row that differs least from `arch`; those that are out come last."""
        # In the type of the parents, as moves of all spaces are.
        rows = jnp.asarray(chosen, arch.dtype)
        differs = jnp.sum(rows != arch[None], axis=1, dtype=jnp.int32)
        differs = jnp.where(is_out, len(arch) + 1, differs)
        # Below 1, so that it decides between equals only.
        lot = jax.random.uniform(key, differs.shape, jnp.float32)
        return rows[jnp.argmin(differs.astype(jnp.float32) + lot)]

    def sample(key: Key) -> Arch:
        return jnp.asarray(chosen)[jax.random.randint(key, (), 0, len(chosen))]

    def mutate(key: Key, arch: Arch) -> Arch:
        move_key, row_key = jax.random.split(key)
        # A child that the table lacks is often nearer to its parent than to any other row.
        is_parent = jnp.all(jnp.asarray(chosen, arch.dtype) == arch[None], axis=1)
        return nearest(row_key, space.mutate(move_key, arch), is_parent)

    def crossover(key: Key, one: Arch, two: Arch) -> Arch:
        move_key, row_key = jax.random.split(key)
        child = space.crossover(move_key, one, two)
        return nearest(row_key, child, jnp.zeros(len(chosen), bool))

    def is_valid(arch: Arch) -> jax.Array:
        # By code, so that a relabelled cell is the row that it is equal to.
        identify = Partial(space.code), Partial(space.is_valid)
        found: jax.Array = _lookup.find(*identify, jnp.asarray(codes), arch[None])[0] >= 0
        return found

    def enumerate_rows() -> np.ndarray:
        # In the order that `Space.enumerate` has; `lexsort` takes its last key first.
        ascending: np.ndarray = chosen[np.lexsort(chosen.T[::-1])]
        return ascending

    return space._replace(
        sample=sample,
        mutate=mutate,
        crossover=crossover,
        is_valid=is_valid,
        enumerate=enumerate_rows,
    )
