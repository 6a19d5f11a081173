"""Random search and the loop, against plain Python."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import History, Outcome, Query, Searcher
from tests.oracles.searches import compiled, naswot, noise, run
from tests.oracles.spaces import toy

SPACE = jnas.spaces.nasbench201()
ONE = jnas.search.random_search(toy())


def total(key: jax.Array, archs: jax.Array) -> jax.Array:
    """An estimator with ties and, for architectures that start with 2, no rank."""
    return jnp.where(archs[:, 0] == 2, -jnp.inf, jnp.sum(archs, axis=1).astype(jnp.float32))


def priced(key: jax.Array, query: Query) -> Outcome:
    """An objective whose cost depends on the architecture, NaN for those that start with 3."""
    scores = jnp.where(query.archs[:, 0] == 3, jnp.nan, total(key, query.archs))
    return Outcome(scores, 10.0 + query.archs[:, 1].astype(jnp.float32))


def naive_best(scores: np.ndarray) -> list[int]:
    """Index of the best so far; the first one wins ties, NaN is worst."""
    best, indices = 0, []
    for i, score in enumerate(np.where(np.isnan(scores), -np.inf, scores)):
        if score > np.where(np.isnan(scores[best]), -np.inf, scores[best]):
            best = i
        indices.append(best)
    return indices


@pytest.mark.parametrize("batch_size", [1, 4])
def test_history_of_random_search(key, batch_size) -> None:
    space = toy()
    searcher = jnas.search.random_search(space, batch_size=batch_size)
    history = run(
        searcher, jnas.search.objective(Partial(total), seconds=2.0), key, num_evaluations=40
    )
    chex.assert_shape(history.archs, (40, 5))
    np.testing.assert_array_equal(history.scores, total(key, history.archs))
    np.testing.assert_array_equal(history.best, naive_best(np.asarray(history.scores)))
    np.testing.assert_array_equal(history.seconds, np.full(40, 2.0))
    assert (int(history.num_evaluations), bool(history.truncated)) == (40, False)
    assert jax.jit(jax.vmap(space.is_valid))(history.archs).all()


def test_random_search_draws_the_space_uniformly_with_replacement(key) -> None:
    searcher = compiled(jnas.search.random_search(SPACE, batch_size=20_000))
    query, state = searcher.ask(key, searcher.init(key))
    np.testing.assert_array_equal(query.ids, np.arange(20_000))
    share = [np.mean(np.asarray(query.archs) == op, axis=0) for op in range(5)]
    np.testing.assert_allclose(share, 0.2, atol=0.015)
    assert len(np.unique(query.archs, axis=0)) < 20_000
    assert int(state.num_asked) == 20_000


def test_two_asks_differ(key) -> None:
    searcher = compiled(jnas.search.random_search(toy(), batch_size=50))
    first, state = searcher.ask(jax.random.key(1), searcher.init(key))
    second, _ = searcher.ask(jax.random.key(2), state)
    assert not np.array_equal(first.archs, second.archs)
    assert int(second.ids[0]) == 50


@pytest.mark.parametrize(
    "make", [lambda key: Partial(noise), pytest.param(naswot, marks=pytest.mark.slow)]
)
def test_naswot_algorithm_1(make, key) -> None:
    """Best-so-far over N random architectures, as the paper's listing."""
    estimator = make(key)
    searcher = jnas.search.random_search(SPACE)
    history = run(searcher, jnas.search.objective(estimator), key, num_evaluations=12)
    best, best_score = None, -np.inf
    for arch, score in zip(np.asarray(history.archs), np.asarray(history.scores), strict=True):
        if score > best_score:
            best, best_score = arch, score
    np.testing.assert_array_equal(history.archs[history.best[-1]], best)
    # One run, one random state: every architecture is scored with the same key.
    eval_key = jax.random.split(key, 3)[1]
    again = jnas.population.score(estimator, history.archs, eval_key, progress=False)
    np.testing.assert_array_equal(again, history.scores)


def test_budget_in_seconds(key) -> None:
    def search(limit: float) -> History:
        return run(ONE, Partial(priced), key, num_evaluations=60, max_seconds=float(limit))

    free = search(1e9)
    spent = np.cumsum(np.asarray(free.seconds))
    for limit in (spent[9] - 0.5, spent[9], 1e9, 1.0):
        history = search(limit)
        num = int(np.sum(spent <= limit))
        assert int(history.num_evaluations) == num
        assert bool(history.truncated) == (num == 60)
        np.testing.assert_array_equal(history.scores[:num], free.scores[:num])
        assert np.isnan(np.asarray(history.scores[num:])).all()
        assert not np.asarray(history.seconds[num:]).any()
        np.testing.assert_array_equal(history.best, naive_best(np.asarray(history.scores)))


def counting_searcher() -> Searcher:
    """Proposes zeros; its state counts what it was told."""

    def ask(key: jax.Array, state: jax.Array) -> tuple[Query, jax.Array]:
        return Query(
            jnp.zeros(1, jnp.int32), jnp.zeros((1, 5), jnp.int32), jnp.full(1, 12, jnp.int32)
        ), state

    return Searcher(
        lambda key: jnp.zeros((), jnp.int32), ask, lambda state, query, outcome: state + 1
    )


def test_tells_every_outcome_and_keeps_epochs(key) -> None:
    told = []

    def tell(state: jax.Array, query: Query, outcome: Outcome) -> jax.Array:
        jax.debug.callback(lambda score: told.append(float(score[0])), outcome.scores, ordered=True)
        return state

    searcher = counting_searcher()._replace(tell=tell)
    history = run(searcher, jnas.search.objective(Partial(total)), key, num_evaluations=5)
    jax.effects_barrier()
    assert told == [0.0] * 5
    np.testing.assert_array_equal(history.epochs, np.full(5, 12))


def test_seeds_are_a_vmap_and_one_trace(key) -> None:
    @jax.jit
    @chex.assert_max_traces(n=1)
    def search(keys: jax.Array) -> History:
        return jax.vmap(
            lambda k: jnas.search.run(
                ONE, Partial(priced), k, num_evaluations=60, max_seconds=150.0
            )
        )(keys)

    keys = jax.random.split(key, 8)
    many = search(keys)
    search(jax.random.split(jax.random.key(9), 8))
    for i in (0, 5):
        one = run(ONE, Partial(priced), keys[i], num_evaluations=60, max_seconds=150.0)
        chex.assert_trees_all_equal(jax.tree.map(lambda x, i=i: x[i], many), one)


def test_bad_arguments(key) -> None:
    searcher = jnas.search.random_search(SPACE, batch_size=4)
    for num_evaluations in (0, 6, -4):
        with pytest.raises(ValueError, match="positive multiple of the batch size 4"):
            jnas.search.run(
                searcher,
                jnas.search.objective(Partial(total)),
                key,
                num_evaluations=num_evaluations,
            )
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        jnas.search.random_search(SPACE, batch_size=0)


def test_optimal_rows_of_the_naswot_paper(key) -> None:
    """Table 2a, "Optimal (N)": best CIFAR-10 validation accuracy of N cells, mean over 500 runs."""
    table = jnas.benchmarks.nasbench201("cifar10")
    searcher, objective = jnas.search.random_search(table.space), table.objective("val_accuracy")
    search = jax.jit(
        jax.vmap(lambda key: jnas.search.run(searcher, objective, key, num_evaluations=100))
    )
    history = search(jax.random.split(key, 500))
    best = np.take_along_axis(np.asarray(history.scores), np.asarray(history.best), axis=1)
    for num, mean, deviation in ((10, 89.92, 0.75), (100, 91.05, 0.28)):
        assert best[:, num - 1].mean() == pytest.approx(mean, abs=0.1)
        assert best[:, num - 1].std() == pytest.approx(deviation, abs=0.1)
