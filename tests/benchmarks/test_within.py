"""The space of the rows of a table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, spaces
from jnas.types import Space

SPACE = spaces.nasbench201()
ROWS = np.random.default_rng(0).permutation(SPACE.enumerate())[:60]
VALUES = np.where(np.arange(60) % 3, np.arange(60.0), np.nan)
TABLE = benchmarks.make_table(SPACE, ROWS, {"acc": VALUES})


def distances(archs: np.ndarray) -> np.ndarray:
    """`[B, A]`, choices in which architectures differ from the rows that have a value."""
    return (archs[:, None] != ROWS[np.isfinite(VALUES)][None]).sum(axis=-1)


@pytest.fixture(scope="module")
def space() -> Space:
    return benchmarks.within(TABLE, "acc")


def test_moves_stay_among_the_rows_with_a_value(space: Space) -> None:
    keys = jax.random.split(jax.random.key(0), 300)
    parents = np.asarray(jax.jit(jax.vmap(space.sample))(keys))
    assert (distances(parents).min(axis=1) == 0).all()
    assert len(np.unique(parents, axis=0)) == 40  # all of them
    children = np.asarray(jax.jit(jax.vmap(space.mutate))(keys, parents))
    assert (distances(children).min(axis=1) == 0).all()
    assert (children != parents).any(axis=1).all()
    crossed = np.asarray(jax.jit(jax.vmap(space.crossover))(keys, parents, parents[::-1]))
    assert (distances(crossed).min(axis=1) == 0).all()
    valid = np.asarray(jax.jit(jax.vmap(space.is_valid))(jnp.asarray(ROWS)))
    np.testing.assert_array_equal(valid, np.isfinite(VALUES))
    every = space.enumerate()
    np.testing.assert_array_equal(every, np.unique(ROWS[np.isfinite(VALUES)], axis=0))


def test_a_mutation_goes_to_a_row_nearby(space: Space) -> None:
    """At most two choices farther than the nearest one: the child is one from its parent."""
    parents = ROWS[np.isfinite(VALUES)]
    keys = jax.random.split(jax.random.key(1), len(parents))
    children = np.asarray(jax.jit(jax.vmap(space.mutate))(keys, parents))
    gone = (children != parents).sum(axis=1)
    others = np.where(distances(parents) == 0, 9, distances(parents)).min(axis=1)
    assert (gone <= others + 2).all()


@pytest.mark.slow
def test_a_single_row_and_none() -> None:
    one = benchmarks.within(benchmarks.make_table(SPACE, ROWS[:1], {"x": np.ones(1)}))
    np.testing.assert_array_equal(one.mutate(jax.random.key(0), jnp.asarray(ROWS[0])), ROWS[0])
    # Of bytes, as result files have them, as well.
    shape = jax.eval_shape(one.mutate, jax.random.key(0), jnp.asarray(ROWS[0], jnp.uint8))
    assert shape.dtype == jnp.uint8
    empty = benchmarks.make_table(SPACE, ROWS[:1], {"x": np.full(1, np.nan)})
    with pytest.raises(ValueError, match="column 'x' of arrays has no value to search for"):
        benchmarks.within(empty, "x")
