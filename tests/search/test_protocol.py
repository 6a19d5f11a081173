"""One contract for every strategy on both benchmark spaces: shapes, validity, purity, asks and tells in any order."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import History, Outcome, Query, Searcher, Space

NUM_STEPS, NUM_SEEDS = 24, 3

SPACES: dict[str, Callable[[], Space]] = {
    "nasbench101": jnas.spaces.nasbench101,
    "nasbench201": jnas.spaces.nasbench201,
}


def last_choice(key: jax.Array, archs: jax.Array) -> jax.Array:
    """An estimator with ties and failures."""
    scores = archs[:, -1].astype(jnp.float32)
    return jnp.where(scores == 1, jnp.nan, scores)


STRATEGIES: dict[str, Callable[..., Searcher]] = {
    "random": functools.partial(jnas.search.random_search, batch_size=2),
    "random-new": functools.partial(
        jnas.search.random_search, batch_size=3, with_replacement=False, capacity=20
    ),
    "evolution": functools.partial(
        jnas.search.regularized_evolution,
        population_size=4,
        sample_size=2,
        tournament="without_replacement",
    ),
    "evolution-batch": functools.partial(
        jnas.search.regularized_evolution, population_size=5, batch_size=4
    ),
    "evolution-worst": functools.partial(
        jnas.search.regularized_evolution, population_size=4, dies="worst"
    ),
    "area": lambda space, **options: jnas.search.area(
        space, Partial(last_choice), population_size=5, **options
    ),
    "genetic": functools.partial(
        jnas.search.genetic,
        population_size=8,
        selection=0.2,
        crossover=0.4,
        mutation=0.4,
        tournament_size=3,
    ),
    "bohb": functools.partial(
        jnas.search.bohb, min_epochs=1, max_epochs=3, min_points=3, capacity=20, random_fraction=0.2
    ),
    "nsga2": lambda space, **options: jnas.search.nsga2(
        space, [space.params, space.flops], population_size=8, **{"mutation": 0.9, **options}
    ),
    "local": functools.partial(jnas.search.local_search, num_neighbors=4, batch_size=2),
    "reinforced": functools.partial(
        jnas.search.reinforced_evolution, population_size=5, batch_size=2
    ),
    "reinforce": jnas.search.reinforce,
    "reinforce-lstm": functools.partial(
        jnas.search.reinforce, policy="lstm", batch_size=2, entropy_weight=0.1
    ),
}


def weighed(key: jax.Array, query: Query) -> Outcome:
    """An objective without structure; a quarter of the evaluations fails."""
    weights = jnp.arange(1, query.archs.shape[1] + 1, dtype=jnp.int32)
    totals = jnp.sum(query.archs * weights[None] ** 2, axis=1) * 37 % 101
    scores = jnp.where(totals % 4 == 0, jnp.nan, totals.astype(jnp.float32) / 100)
    return Outcome(scores, jnp.ones_like(scores))


ON_SMALL_CELLS = pytest.mark.parametrize(
    "case", [("nasbench201", name) for name in STRATEGIES], indirect=True, ids="-".join
)
"""For what costs many compilations."""


class Case(NamedTuple):
    name: str
    space: Space
    searcher: Searcher
    batch_size: int
    search: Callable[[jax.Array], History]
    together: History  # [S, ...], of seeds 0 to S - 1 under one `vmap`


def keys() -> jax.Array:
    return jax.random.split(jax.random.key(7), NUM_SEEDS)


@pytest.fixture(
    scope="module", params=[(space, name) for space in SPACES for name in STRATEGIES], ids="-".join
)
def case(request) -> Case:
    space_name, name = request.param
    space = SPACES[space_name]()
    searcher = STRATEGIES[name](space)
    batch_size = jax.eval_shape(searcher.ask, keys()[0], jax.eval_shape(searcher.init, keys()[0]))[
        0
    ].ids.shape[0]

    def search(key: jax.Array) -> History:
        return jnas.search.run(searcher, Partial(weighed), key, num_evaluations=NUM_STEPS)

    together = jax.tree.map(np.asarray, jax.jit(jax.vmap(search))(keys()))
    return Case(name, space, searcher, batch_size, search, together)


def assert_valid(case: Case, archs: jax.Array) -> None:
    flat = jnp.asarray(archs).reshape(-1, archs.shape[-1])
    assert flat.shape[1] == len(case.space.cardinalities)
    assert jax.jit(jax.vmap(case.space.is_valid))(flat).all()


def test_only_valid_architectures_and_not_always_the_same(case) -> None:
    assert_valid(case, case.together.archs)
    assert case.together.archs.dtype == np.int32
    for archs in case.together.archs:
        assert len(np.unique(archs, axis=0)) > NUM_STEPS // 3
    assert not np.array_equal(case.together.archs[0], case.together.archs[1])


def test_seeds_together_are_seeds_alone_in_one_trace(case) -> None:
    traces = []

    def counted(key: jax.Array) -> History:
        traces.append(1)
        return case.search(key)

    search = jax.jit(counted)
    for i, key in enumerate(keys()):
        chex.assert_trees_all_equal(
            jax.tree.map(lambda leaf, i=i: leaf[i], case.together), search(key)
        )
    assert len(traces) == 1


def step(case: Case, key: jax.Array, state) -> tuple[Query, object]:
    query, state = case.searcher.ask(key, state)
    return query, case.searcher.tell(state, query, weighed(key, query))


@ON_SMALL_CELLS
def test_compiled_is_eager(case) -> None:
    first, second, third = keys()
    state = case.searcher.init(first)
    compiled_state = jax.jit(case.searcher.init)(first)
    chex.assert_trees_all_close(state, compiled_state, rtol=1e-5, atol=1e-6)
    compiled = jax.jit(functools.partial(step, case))
    for key in (second, third):
        query, state = step(case, key, state)
        compiled_query, compiled_state = compiled(key, compiled_state)
        chex.assert_trees_all_equal(query, compiled_query)
        chex.assert_trees_all_close(state, compiled_state, rtol=1e-5, atol=1e-6)


def test_shapes_and_types(case) -> None:
    """A state keeps its own, as `scan` asks for."""
    state = jax.eval_shape(case.searcher.init, keys()[0])
    query, after = jax.eval_shape(functools.partial(step, case), keys()[1], state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    num = case.batch_size
    chex.assert_shape(query, [(num,), (num, len(case.space.cardinalities)), (num,)])
    chex.assert_type(query, jnp.int32)


@ON_SMALL_CELLS
def test_traces_in_64_bits(case) -> None:
    with jax.enable_x64(True):
        history = jax.eval_shape(case.search, keys()[0])
    chex.assert_type([history.archs, history.scores], [jnp.int32, jnp.float32])


def test_asks_before_a_tell_differ_and_tells_come_in_any_order(case) -> None:
    ask, tell = jax.jit(case.searcher.ask), jax.jit(case.searcher.tell)
    state, queries = jax.jit(case.searcher.init)(keys()[0]), []
    for key in jax.random.split(keys()[1], 6):
        query, state = ask(key, state)
        queries.append(query)
    archs = np.concatenate([query.archs for query in queries])
    assert_valid(case, archs)
    assert len(np.unique(archs, axis=0)) > len(archs) // 2
    ids = np.concatenate([query.ids for query in queries])
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    assert {int(number) for query in queries for number in query.epochs} == set(
        case.searcher.epochs or (0,)
    )
    for i in (4, 0, 5, 1, 3, 2):
        state = tell(state, queries[i], weighed(keys()[2], queries[i]))
    query, _ = ask(keys()[2], state)
    assert_valid(case, query.archs)
    assert int(query.ids[0]) == len(ids)


@ON_SMALL_CELLS
def test_only_allowed_architectures(case) -> None:
    def is_allowed(arch: jax.Array) -> jax.Array:
        return case.space.params(arch) < 400_000

    searcher = STRATEGIES[case.name](case.space, is_allowed=is_allowed)
    search = jax.jit(
        lambda key: jnas.search.run(searcher, Partial(weighed), key, num_evaluations=NUM_STEPS)
    )
    history = search(keys()[0])
    assert_valid(case, history.archs)
    assert jax.jit(jax.vmap(is_allowed))(history.archs).all()
    assert not jax.jit(jax.vmap(is_allowed))(case.together.archs[0]).all()


def test_survives_an_objective_that_always_fails(case) -> None:
    def fails(key: jax.Array, query: Query) -> Outcome:
        return Outcome(jnp.full(query.ids.shape, jnp.nan), jnp.zeros(query.ids.shape))

    search = jax.jit(
        lambda key: jnas.search.run(case.searcher, Partial(fails), key, num_evaluations=NUM_STEPS)
    )
    history = search(keys()[0])
    assert_valid(case, history.archs)
    assert np.isnan(np.asarray(history.scores)).all()
