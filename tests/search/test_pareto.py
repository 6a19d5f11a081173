"""Fronts, crowding and hypervolume against definitions spelled out in NumPy, on data full of ties."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.search import pareto
from jnas.types import History

SPACE = jnas.spaces.nasbench201()


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def naive_fronts(values: np.ndarray, where: np.ndarray) -> list[int]:
    """Take away whom nobody left dominates, again and again."""
    ranks, left, rank = [len(values)] * len(values), {i for i in range(len(values)) if where[i]}, 0
    while left:
        front = {j for j in left if not any(dominates(values[i], values[j]) for i in left)}
        for j in front:
            ranks[j] = rank
        left, rank = left - front, rank + 1
    return ranks


def naive_crowding(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The algorithm of section III-B, front by front."""
    distances = np.zeros(len(values))
    for rank in set(ranks.tolist()):
        members = np.flatnonzero(ranks == rank)
        for column in values.T:
            order = members[np.argsort(column[members], kind="stable")]
            span = column[order[-1]] - column[order[0]]
            distances[order[0]] = distances[order[-1]] = math.inf
            for before, at, after in zip(order, order[1:], order[2:], strict=False):
                distances[at] += (column[after] - column[before]) / span if span else 0.0
    return distances


def with_ties(seed: int, num: int, num_objectives: int) -> tuple[np.ndarray, np.ndarray]:
    """Small integers, so that values and whole rows repeat; a fifth of the rows is not counted."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 6, (num, num_objectives)).astype(np.float32), rng.random(num) > 0.2


@pytest.mark.parametrize("num_objectives", [1, 2, 3])
@pytest.mark.parametrize("num", [1, 2, 40])
def test_fronts_and_crowding_are_the_definitions(num, num_objectives) -> None:
    for seed in range(8):
        values, where = with_ties(seed, num, num_objectives)
        ranks = np.asarray(pareto.fronts(jnp.asarray(values), jnp.asarray(where)))
        assert ranks.tolist() == naive_fronts(values, where)
        distances = pareto.crowding(jnp.asarray(values), jnp.asarray(ranks))
        np.testing.assert_allclose(distances, naive_crowding(values, ranks), rtol=1e-6)


def test_fronts_by_hand() -> None:
    """Two steps of a staircase, a copy, and one that everybody dominates."""
    values = jnp.asarray([[0.0, 3.0], [1.0, 1.0], [3.0, 0.0], [1.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    ranks = pareto.fronts(values, jnp.ones(6, bool))
    assert ranks.tolist() == [0, 0, 0, 0, 1, 2]
    assert pareto.crowding(values, ranks).tolist() == pytest.approx(
        [math.inf, 1 / 3 + 1 / 3, math.inf, 2 / 3 + 2 / 3, math.inf, math.inf]
    )


def test_many_populations_are_each_alone() -> None:
    pairs = [with_ties(seed, 20, 2) for seed in range(5)]
    values, where = (jnp.asarray(np.stack(leaf)) for leaf in zip(*pairs, strict=True))
    ranks = jax.jit(jax.vmap(pareto.fronts))(values, where)
    distances = jax.jit(jax.vmap(pareto.crowding))(values, ranks)
    for i in range(5):
        np.testing.assert_array_equal(ranks[i], pareto.fronts(values[i], where[i]))
        np.testing.assert_allclose(distances[i], pareto.crowding(values[i], ranks[i]), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------
# Of a history


def history_of(
    archs: np.ndarray, scores: list[float] | np.ndarray, num_used: int | None = None
) -> History:
    used = np.arange(len(archs)) < (len(archs) if num_used is None else num_used)
    zeros = jnp.zeros(len(archs))
    no = jnp.asarray(False)
    return jnas.search.history.make_history(
        jnp.asarray(archs, jnp.int32),
        jnp.asarray(scores, jnp.float32),
        zeros,
        zeros.astype(jnp.int32),
        jnp.asarray(used),
        truncated=no,
        num_repeats=jnp.zeros((), jnp.int32),
        stalled=no,
    )


def first(arch: jax.Array) -> jax.Array:
    return arch[0]


def by_table(values: list[float]):
    """A cost that looks up the first choice."""
    return lambda arch: jnp.asarray(values)[arch[0]]


def test_front_of_a_whole_space(key) -> None:
    """All 15,625 cells, two costs: everything in the front is undominated, everything else is not."""
    archs = SPACE.enumerate()
    scores = np.round(
        np.random.default_rng(0).normal(size=len(archs)) + (archs == 3).sum(axis=1), 1
    )
    costs = [SPACE.params, lambda arch: jnp.sum(arch == 4)]
    front = jnas.search.pareto_front(history_of(archs, scores), costs)
    every = np.stack(
        [-scores.astype(np.float32), *(np.asarray(jax.vmap(cost)(archs)) for cost in costs)], axis=1
    )
    expected = [
        i for i, row in enumerate(every) if not ((every <= row).all(1) & (every < row).any(1)).any()
    ]
    assert sorted(front.evaluations.tolist()) == expected
    assert 5 < len(expected) < 1000
    np.testing.assert_array_equal(front.archs, archs[front.evaluations])
    np.testing.assert_array_equal(front.scores, -every[front.evaluations, 0])
    np.testing.assert_array_equal(front.costs, every[front.evaluations, 1:])
    assert (np.diff(front.costs[:, 0]) >= 0).all()


@pytest.mark.parametrize("num", [1, 2, 50, 400])
def test_front_with_one_cost_is_the_definition(num) -> None:
    """With ties in both objectives, and failures among them."""
    rng = np.random.default_rng(num)
    scores, cost = rng.integers(0, 9, num).astype(float), rng.integers(0, 9, num).astype(float)
    scores[rng.random(num) < 0.1], cost[rng.random(num) < 0.1] = np.nan, np.inf
    archs = np.arange(num)[:, None] * [1, 0]
    history = history_of(archs, scores)
    counted = np.isfinite(scores) & np.isfinite(cost)
    every = np.stack([-scores, cost], axis=1)
    expected = [
        bool(counted[i]) and not (counted & (every <= row).all(1) & (every < row).any(1)).any()
        for i, row in enumerate(every)
    ]
    np.testing.assert_array_equal(
        jnas.search.is_on_front(history, [by_table(cost.tolist())]), expected
    )


def test_failures_unused_slots_and_dominated_ones_stay_out() -> None:
    archs = np.arange(8)[:, None] * [1, 0]
    scores = [1.0, 5.0, math.nan, 4.0, -math.inf, 7.0, 99.0, 99.0]
    front = jnas.search.pareto_front(
        history_of(archs, scores, num_used=7), [by_table([1, 2, 0, 3, 0, 4, math.nan, 0])]
    )
    assert front.evaluations.tolist() == [0, 1, 5]
    assert front.scores.tolist() == [1, 5, 7]
    assert front.costs.tolist() == [[1], [2], [4]]
    nothing = jnas.search.pareto_front(history_of(archs, [math.nan] * 8), [first])
    assert nothing.archs.shape == (0, 2)
    assert nothing.costs.shape == (0, 1)


def test_an_architecture_is_in_the_front_once() -> None:
    """The first evaluation of it; equals with another vector are others, unless the identity says no."""
    archs = np.array([[1, 0], [0, 0], [1, 0], [1, 1], [0, 0]])
    history = history_of(archs, [2.0, 1.0, 2.0, 2.0, 1.0])
    assert jnas.search.pareto_front(history, [first]).evaluations.tolist() == [1, 0, 3]
    same = jnas.search.pareto_front(
        history, [first], identity=lambda arch: arch[:1].repeat(2).astype(jnp.uint32)
    )
    assert same.evaluations.tolist() == [1, 0]
    assert jnas.search.is_on_front(history, [first]).all()


def test_mask_compiled_for_many_histories(key) -> None:
    searcher = jnas.search.random_search(SPACE)
    score = Partial(
        lambda key, archs: jnp.where(
            archs[:, 1] == 0, jnp.nan, jnp.sum(archs, axis=1).astype(jnp.float32)
        )
    )
    run = Partial(jnas.search.run, searcher, jnas.search.objective(score), num_evaluations=50)
    histories = jax.jit(jax.vmap(run))(jax.random.split(key, 3))
    masks = jax.jit(jax.vmap(lambda history: jnas.search.is_on_front(history, [SPACE.flops])))(
        histories
    )
    for i in range(3):
        history = jax.tree.map(lambda leaf, i=i: leaf[i], histories)
        front = jnas.search.pareto_front(history, [SPACE.flops])
        assert set(front.evaluations.tolist()) <= set(np.flatnonzero(masks[i]).tolist())
        chosen = {tuple(row) for row in np.asarray(history.archs)[np.asarray(masks[i])].tolist()}
        assert chosen == {tuple(row) for row in front.archs.tolist()}
    with pytest.raises(
        ValueError, match=r"the history of one search, scores \[T\]; got scores \[3, 50\]"
    ):
        jnas.search.pareto_front(histories, [SPACE.flops])


def test_bad_costs() -> None:
    history = history_of(np.zeros((3, 2)), [1.0, 2.0, 3.0])
    table = jnas.benchmarks.make_table(SPACE, SPACE.enumerate(), {"latency": np.ones(15_625)})
    for costs, message in (
        ([], "at least one function"),
        (first, r"sequence of at least one function \[D\] -> \[\], such as \[space.params\]"),
        (
            [first, lambda arch: arch],
            r"cost 1 must be a function of .*, \[D\] -> \[\]; got the shape \[2\]",
        ),
        (
            [table.estimator("latency")],
            r"cost 0 must be .* a column of a table is table.cost\(name\)",
        ),
        (["params"], r"cost 0 must be a function of one architecture"),
        ([first, by_table([math.nan])], "cost 1 is not finite for any of the evaluations"),
    ):
        with pytest.raises(ValueError, match=message):
            jnas.search.pareto_front(history, costs)


# ------------------------------------------------------------------------------------------------------
# Hypervolume


def test_hypervolume_counts_squares() -> None:
    """Of integer fronts: unit squares below and to the right of a point."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        archs, scores = rng.integers(0, 9, (6, 2)), rng.integers(0, 9, 6).astype(np.float32)
        front = jnas.search.pareto_front(history_of(archs, scores), [first])
        low, high = 2, 7
        squares = sum(
            any(s >= score + 1 and c <= cost for s, c in zip(scores, archs[:, 0], strict=True))
            for score in range(low, 9)
            for cost in range(high)
        )
        assert jnas.search.hypervolume(front, reference=(low, high)) == squares


def test_hypervolume_of_nothing_and_bad_arguments() -> None:
    nothing = jnas.search.pareto_front(history_of(np.zeros((2, 2)), [math.nan] * 2), [first])
    assert jnas.search.hypervolume(nothing, reference=(0.0, 1.0)) == 0
    two = jnas.search.pareto_front(history_of(np.zeros((2, 2)), [1.0, 2.0]), [first, first])
    with pytest.raises(ValueError, match="a front with one cost and a finite reference; got 2"):
        jnas.search.hypervolume(two, reference=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"finite reference; got 1 and \(nan"):
        jnas.search.hypervolume(nothing, reference=(math.nan, 1.0))


def test_cost_of_a_table_is_its_column() -> None:
    archs = SPACE.enumerate()[::7]
    column = np.arange(len(archs)) / 3
    cost = jnas.benchmarks.make_table(SPACE, archs, {"latency": column}).cost("latency")
    values = jax.jit(jax.vmap(cost))(archs)
    np.testing.assert_array_equal(values, column.astype(np.float32))
    chex.assert_type(values, jnp.float32)
    assert np.isnan(cost(jnp.asarray(SPACE.enumerate()[1])))
    with pytest.raises(ValueError, match="Did you mean 'latency'"):
        jnas.benchmarks.make_table(SPACE, archs, {"latency": column}).cost("latncy")
