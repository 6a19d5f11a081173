"""Sorting by comparisons against a recursive quicksort that follows the same rule."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.predictors import ranks_by_comparison


def quicksort(order: list[int], better: np.ndarray, leaf_size: int) -> list[int]:
    """The order, best first, by splits around the middle one.

    `better[i, j]` is the probability that `j` is better than `i`.
    """
    if len(order) < 2:
        return order
    pivot = order[(len(order) - 1) // 2]
    others = sorted((j for j in order if j != pivot), key=lambda j: -better[pivot, j])
    parts = (
        [j for j in others if better[pivot, j] > 0.5],
        [j for j in others if better[pivot, j] <= 0.5],
    )
    best, worst = (
        part if len(part) <= leaf_size else quicksort(part, better, leaf_size) for part in parts
    )
    return [*best, pivot, *worst]


def shuffled(key: jax.Array, num: int) -> list[int]:
    return np.asarray(jax.random.permutation(key, jnp.arange(num, dtype=jnp.int32))).tolist()


@functools.partial(jax.jit, static_argnames="leaf_size")
def ranks_of_table(key: jax.Array, table: jax.Array, *, leaf_size: int) -> jax.Array:
    return ranks_by_comparison(key, lambda i, j: table[i, j], table.shape[0], leaf_size=leaf_size)


def probabilities(scores: np.ndarray, certain: bool = False) -> np.ndarray:
    """`[N, N]`, of `j` being better than `i`."""
    differences = scores[None] - scores[:, None]
    if certain:
        return (differences > 0).astype(np.float32)
    return (1 / (1 + np.exp(-differences))).astype(np.float32)


def true_ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(-scores))


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("num", [2, 37])
def test_a_transitive_comparison_sorts(key, num, certain) -> None:
    scores = np.random.default_rng(num).permutation(num).astype(np.float32) / 7
    ranks = ranks_of_table(key, probabilities(scores, certain), leaf_size=1)
    assert ranks.dtype == jnp.int32
    np.testing.assert_array_equal(ranks, true_ranks(scores))


@pytest.mark.parametrize(("num", "leaf_size"), [(37, 100), (150, 100), (150, 20)])
def test_parts_that_are_not_split_stay_in_order_of_probability(num, leaf_size) -> None:
    """With exact probabilities that order is the true one, even where the whole set is one part."""
    scores = np.random.default_rng(num).permutation(num).astype(np.float32) / num
    for seed in range(2):
        table = probabilities(scores)
        ranks = ranks_of_table(jax.random.key(seed), table, leaf_size=leaf_size)
        np.testing.assert_array_equal(ranks, true_ranks(scores))


@pytest.mark.parametrize(("num", "leaf_size"), [(150, 1), (150, 7), (150, 100), (37, 100)])
def test_any_comparison_sorts_like_the_recursive_quicksort(num, leaf_size) -> None:
    rng = np.random.default_rng(leaf_size)
    for seed, table in enumerate((rng.random((num, num)), rng.integers(0, 11, (num, num)) / 10)):
        key, better = jax.random.key(seed), table.astype(np.float32)
        expected = quicksort(shuffled(key, num), better, leaf_size)
        ranks = np.asarray(ranks_of_table(key, better, leaf_size=leaf_size))
        np.testing.assert_array_equal(np.argsort(ranks), expected)


def test_one_element_and_none() -> None:
    def never(i, j):
        raise AssertionError("nothing to compare")

    one = jax.jit(lambda key: ranks_by_comparison(key, lambda i, j: jnp.full(1, jnp.nan), 1))
    assert one(jax.random.key(0)).tolist() == [0]
    for num, leaf_size in ((0, 100), (-1, 100), (5, 0)):
        with pytest.raises(ValueError, match=rf"at least 1; got {num} and {leaf_size}"):
            ranks_by_comparison(jax.random.key(0), never, num, leaf_size=leaf_size)


@pytest.mark.parametrize("value", [0.5, 0.0, 1.0, math.nan])
def test_ties_give_every_rank_once(value) -> None:
    table = np.full((37, 37), value, np.float32)
    for leaf_size in (1, 100):
        ranks = np.asarray(ranks_of_table(jax.random.key(1), table, leaf_size=leaf_size))
        np.testing.assert_array_equal(np.sort(ranks), np.arange(37))


def test_the_key_breaks_ties() -> None:
    equal = np.full((37, 37), 0.5, np.float32)
    one, two = (
        np.asarray(ranks_of_table(jax.random.key(seed), equal, leaf_size=100)) for seed in range(2)
    )
    assert (one != two).any()
    groups = np.repeat(np.arange(3, dtype=np.float32), (10, 10, 17))
    ranks = np.asarray(ranks_of_table(jax.random.key(0), probabilities(groups), leaf_size=1))
    for group, places in enumerate((range(27, 37), range(17, 27), range(17))):
        np.testing.assert_array_equal(np.sort(ranks[groups == group]), places)


def test_jit_equals_eager_and_vmap(key) -> None:
    rng = np.random.default_rng(5)
    tables = rng.random((3, 37, 37)).astype(np.float32)
    keys = jax.random.split(key, 3)
    together = jax.vmap(functools.partial(ranks_of_table, leaf_size=1))(keys, tables)
    for row in range(3):
        np.testing.assert_array_equal(
            ranks_of_table(keys[row], tables[row], leaf_size=1), together[row]
        )
    table = jnp.asarray(tables[0])
    eager = ranks_by_comparison(keys[0], lambda i, j: table[i, j], 37, leaf_size=1)
    np.testing.assert_array_equal(eager, together[0])


NUM = 1024
KINDS = ("graded", "certain", "not transitive")


@functools.cache
def counted(leaf_size: int):
    """Ranks of scores by a kind of comparison, compiled, and a list of what each round compares."""
    compared: list[int] = []

    def count(size):
        compared.append(int(size))
        return np.zeros((), np.float32)

    @jax.jit
    def ranks(key: jax.Array, scores: jax.Array, kind: jax.Array) -> jax.Array:
        def is_better(i: jax.Array, j: jax.Array) -> jax.Array:
            assert i.shape == j.shape == (NUM,)
            difference = scores[j] - scores[i]
            kinds = [difference, jnp.sign(difference) * 1e3, jnp.sin(1000 * difference)]
            shape = jax.ShapeDtypeStruct((), jnp.float32)
            nothing = jax.pure_callback(count, shape, jnp.sum(j >= 0))
            return jax.nn.sigmoid(jnp.stack(kinds)[kind] + nothing)

        return ranks_by_comparison(key, is_better, NUM, leaf_size=leaf_size)

    return ranks, compared


# A round compares N pairs, so that O(log N) rounds are O(N log N) comparisons.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("leaf_size", [1, 100])
def test_number_of_rounds(key, kind, leaf_size) -> None:
    scores = np.random.default_rng(2).normal(size=NUM).astype(np.float32)
    program, compared = counted(leaf_size)
    compared.clear()
    ranks = np.asarray(program(key, scores, np.int32(KINDS.index(kind))))
    np.testing.assert_array_equal(np.sort(ranks), np.arange(NUM))
    # Halving takes log2(N / leaf_size) rounds, random pivots about 4.3 ln(N) at the very worst.
    most = math.ceil(math.log2(NUM / leaf_size)) + 2 if kind == "graded" else 5 * math.log(NUM)
    assert math.log2(NUM / leaf_size) - 1 <= len(compared) <= most
    assert set(compared) == {NUM}


def sizes_in(jaxpr) -> set[int]:
    """Of every array of a program, inner programs included."""
    sizes = {math.prod(var.aval.shape) for eqn in jaxpr.eqns for var in eqn.outvars}
    for eqn in jaxpr.eqns:
        for value in jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                sizes |= sizes_in(inner)
    return sizes


def test_no_table_of_all_pairs(key) -> None:
    num = 1000
    scores = jnp.arange(num, dtype=jnp.float32)
    program = jax.make_jaxpr(
        lambda key: ranks_by_comparison(key, lambda i, j: scores[j] - scores[i], num)
    )(key)
    sizes = sizes_in(program.jaxpr)
    assert num in sizes
    assert max(sizes) <= 4 * num
