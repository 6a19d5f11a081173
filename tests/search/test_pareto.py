"""Fronts, crowding and hypervolume against their definitions in NumPy, on data full of ties."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.search import pareto
from tests.oracles.pareto import history_of, naive_crowding, naive_fronts
from tests.oracles.spaces import toy

SPACE = toy()
PARAMS = jax.jit(SPACE.params)


def with_ties(seed: int, num: int, num_objectives: int) -> tuple[np.ndarray, np.ndarray]:
    """Small integers, so that values and whole rows repeat; a fifth of the rows is not counted."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 6, (num, num_objectives)).astype(np.float32), rng.random(num) > 0.2


FRONTS, CROWDING = jax.jit(jax.vmap(pareto.fronts)), jax.jit(jax.vmap(pareto.crowding))


def stacked(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Populations of one length; the shorter ones get copies that are not counted."""
    num = max(len(where) for _, where in pairs)
    values = [np.resize(values, (num, values.shape[1])) for values, _ in pairs]
    counted = [np.pad(where, (0, num - len(where))) for _, where in pairs]
    return np.stack(values), np.stack(counted)


@pytest.mark.parametrize(
    ("nums", "num_objectives"), [((1,), 2), ((2,), 2), *(((1, 2, 40), m) for m in (1, 2, 3))]
)
def test_fronts_and_crowding_are_the_definitions(nums, num_objectives) -> None:
    values, where = stacked(
        [with_ties(seed, num, num_objectives) for num in nums for seed in range(8)]
    )
    ranks = np.asarray(FRONTS(values, where))
    distances = np.asarray(CROWDING(values, ranks))
    for i in range(len(values)):
        assert ranks[i].tolist() == naive_fronts(values[i], where[i])
        np.testing.assert_allclose(distances[i], naive_crowding(values[i], ranks[i]), rtol=1e-6)


def test_fronts_by_hand() -> None:
    """Two steps of a staircase, a copy, and one that everybody dominates."""
    values = jnp.asarray([[0.0, 3.0], [1.0, 1.0], [3.0, 0.0], [1.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    ranks = FRONTS(values[None], jnp.ones((1, 6), bool))
    assert ranks[0].tolist() == [0, 0, 0, 0, 1, 2]
    assert CROWDING(values[None], ranks)[0].tolist() == pytest.approx(
        [math.inf, 1 / 3 + 1 / 3, math.inf, 2 / 3 + 2 / 3, math.inf, math.inf]
    )


def test_many_populations_are_each_alone() -> None:
    values, where = stacked([with_ties(seed, 40, 2) for seed in range(24)])
    ranks = FRONTS(values, where)
    distances = CROWDING(values, ranks)
    fronts, crowding = jax.jit(pareto.fronts), jax.jit(pareto.crowding)
    for i in range(24):
        np.testing.assert_array_equal(ranks[i], fronts(values[i], where[i]))
        np.testing.assert_allclose(distances[i], crowding(values[i], ranks[i]), rtol=1e-6)


# --------------------------------------------------------------------------------------------------
# Of a history


def first(arch: jax.Array) -> jax.Array:
    return arch[0]


def by_table(values: list[float]):
    """A cost that looks up the first choice."""
    return lambda arch: jnp.asarray(values)[arch[0]]


@pytest.mark.parametrize(
    "space", [SPACE, pytest.param(jnas.spaces.nasbench201(), marks=pytest.mark.slow)]
)
def test_front_of_a_whole_space(space) -> None:
    """Two costs: everything in the front is undominated, everything else is not."""
    archs = space.enumerate()
    scores = np.round(
        np.random.default_rng(0).normal(size=len(archs)) + (archs == 2).sum(axis=1), 1
    )
    costs = [jax.jit(cost) for cost in (space.params, lambda arch: jnp.sum(arch == 1))]
    front = jnas.search.pareto_front(history_of(archs, scores), costs)
    every = np.stack(
        [-scores.astype(np.float32), *(np.asarray(jax.vmap(cost)(archs)) for cost in costs)], axis=1
    )
    rows, which = np.unique(every, axis=0, return_inverse=True)
    is_worse = [((rows <= row).all(1) & (rows < row).any(1)).any() for row in rows]
    expected = np.flatnonzero(~np.array(is_worse)[which]).tolist()
    assert sorted(front.evaluations.tolist()) == expected
    assert 5 < len(expected) < len(archs) // 10
    np.testing.assert_array_equal(front.archs, archs[front.evaluations])
    np.testing.assert_array_equal(front.scores, -every[front.evaluations, 0])
    np.testing.assert_array_equal(front.costs, every[front.evaluations, 1:])
    assert (np.diff(front.costs[:, 0]) >= 0).all()


IS_ON_FRONT = jax.jit(
    lambda history, values: jnas.search.is_on_front(history, [lambda arch: values[arch[0]]])
)


@pytest.mark.parametrize(("num", "length"), [(1, 1), (1, 400), (2, 400), (50, 400), (400, 400)])
def test_front_with_one_cost_is_the_definition(num, length) -> None:
    """With ties in both objectives, failures among them, and unused slots behind them."""
    rng = np.random.default_rng(num)
    scores, cost = rng.integers(0, 9, (2, length)).astype(float)
    scores[rng.random(length) < 0.1], cost[rng.random(length) < 0.1] = np.nan, np.inf
    history = history_of(np.arange(length)[:, None] * [1, 0], scores, num_used=num)
    counted = np.isfinite(scores) & np.isfinite(cost) & (np.arange(length) < num)
    every = np.stack([-scores, cost], axis=1)
    expected = [
        bool(counted[i]) and not (counted & (every <= row).all(1) & (every < row).any(1)).any()
        for i, row in enumerate(every)
    ]
    np.testing.assert_array_equal(IS_ON_FRONT(history, cost.astype(np.float32)), expected)


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
    """Its first evaluation is; others with equal scores are, too, unless the identity says no."""
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
    search = Partial(jnas.search.run, searcher, jnas.search.objective(score), num_evaluations=50)
    histories = jax.jit(jax.vmap(search))(jax.random.split(key, 3))
    masks = jax.jit(jax.vmap(lambda history: jnas.search.is_on_front(history, [PARAMS])))(histories)
    histories, masks = jax.tree.map(np.asarray, (histories, masks))
    for i in range(3):
        history = jax.tree.map(lambda leaf, i=i: leaf[i], histories)
        front = jnas.search.pareto_front(history, [PARAMS])
        assert set(front.evaluations.tolist()) <= set(np.flatnonzero(masks[i]).tolist())
        chosen = {tuple(row) for row in history.archs[masks[i]].tolist()}
        assert chosen == {tuple(row) for row in front.archs.tolist()}
    with pytest.raises(
        ValueError, match=r"the history of one search, scores \[T\]; got scores \[3, 50\]"
    ):
        jnas.search.pareto_front(histories, [PARAMS])


def test_bad_costs() -> None:
    history = history_of(np.zeros((3, 2)), [1.0, 2.0, 3.0])
    table = jnas.benchmarks.make_table(SPACE, SPACE.enumerate(), {"latency": np.ones(576)})
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


# --------------------------------------------------------------------------------------------------
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
    assert np.isnan(jax.jit(cost)(SPACE.enumerate()[1]))
    with pytest.raises(ValueError, match="Did you mean 'latency'"):
        jnas.benchmarks.make_table(SPACE, archs, {"latency": column}).cost("latncy")
