"""How queries until a target are counted: against enumeration, simulation and order statistics."""

import itertools

import jax
import numpy as np
import pytest

import jnas
from experiments import queries


def test_first_hit_of_every_row() -> None:
    reached = np.array([[False, True, False], [False, False, False], [True, True, True]])
    np.testing.assert_array_equal(queries.first(reached), [2, np.inf, 1])


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.003])
def test_draws_until_a_success(probability) -> None:
    draws = np.random.default_rng(0).geometric(probability, 200_000)
    found = queries.geometric(probability)
    assert found["mean"] == pytest.approx(draws.mean(), rel=0.02)
    assert found["median"] == pytest.approx(np.median(draws), rel=0.02, abs=1e-9)


@pytest.mark.parametrize(("num", "wanted"), [(6, 1), (6, 2), (7, 3), (5, 5)])
def test_draws_without_repetition_are_those_of_all_orders(num, wanted) -> None:
    orders = np.array(list(itertools.permutations(range(num))))
    steps = 1 + np.argmax(orders < wanted, axis=1)
    found = queries.without_repetition(num, wanted)
    assert found["mean"] == pytest.approx(steps.mean())
    assert found["median"] == np.sort(steps)[(len(steps) - 1) // 2]


@pytest.mark.slow
def test_hit_probability_is_that_of_the_sampler() -> None:
    """In NAS-Bench-101, for a quarter of all draws; in NAS-Bench-201 draws are uniform."""
    space = jnas.spaces.nasbench101()
    drawn = np.asarray(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), 4000)))
    names = np.asarray(jax.jit(jax.vmap(space.identity))(drawn))
    common = [np.flatnonzero((names == name).all(axis=1)) for name in np.unique(names, axis=0)]
    wanted = max(common, key=len)
    table = jnas.benchmarks.make_table(space, drawn[wanted[:1]], {"top": np.zeros(1)})
    share = len(wanted) / len(drawn)
    found = queries.hit_probability(table, np.zeros(1, int))
    assert abs(found - share) < 4 * np.sqrt(share / len(drawn))
    uniform = jnas.benchmarks.nasbench201("cifar10")
    assert queries.hit_probability(uniform, np.arange(5)) == 5 / 15_625


def test_runs_that_end_early_count_as_infinitely_long() -> None:
    runs = np.array([3.0, np.inf, 1.0, 2.0, np.inf])
    found = queries.summary(runs)
    assert (found["median"], found["reached"], found["runs"]) == (3.0, 0.6, 5)
    assert found["high"] is None
    assert queries.summary(np.full(4, np.inf))["median"] is None
    assert queries.ratio(np.array([20.0, 30.0, 40.0]), np.array([2.0, 3.0, 4.0]))["ratio"] == 10
    assert queries.ratio(np.full(3, np.inf), np.array([2.0, 3.0, 4.0]))["ratio"] is None


@pytest.mark.slow
def test_counted_searches_are_those_of_the_loop() -> None:
    table = jnas.benchmarks.nasbench201("cifar10")
    least = queries.thresholds(table, "val_accuracy", (5000, 1))
    assert (table.column("val_accuracy").astype(np.float32) >= least[0]).sum() >= 5000
    searcher = jnas.search.random_search(table.space)
    options = {"num_runs": 3, "num_evaluations": 40, "num_shown": 40}
    counted, distinct, curves = queries.count(searcher, table, "val_accuracy", least, **options)
    assert counted.shape == distinct.shape == (3, 2)
    for steps, names, best in zip(counted, distinct, curves, strict=True):
        np.testing.assert_array_equal(steps, queries.first(best[None] >= least[:, None]))
        assert (names <= steps).all()
    key = jax.random.split(jax.random.split(jax.random.key(0), 1)[0], queries._TOGETHER)[0]
    alone = jnas.search.run(searcher, table.objective("val_accuracy"), key, num_evaluations=40)
    np.testing.assert_array_equal(curves[0], np.asarray(alone.scores)[np.asarray(alone.best)])
