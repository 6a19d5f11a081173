"""One contract for every strategy: shapes, validity, purity, asks and tells in any order.

It holds in any space: here in a toy space, and with `-m slow` in both benchmark spaces of cells,
for strategies that together use all functions of a space, each in its own way.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import History, Outcome, Query, Searcher, Space
from tests.oracles.spaces import toy

NUM_STEPS, NUM_SEEDS = 24, 3

SPACES: dict[str, Callable[[], Space]] = {
    "toy": toy,
    "nasbench101": jnas.spaces.nasbench101,
    "nasbench201": jnas.spaces.nasbench201,
}


LIMITS = {"toy": 80_000, "nasbench101": 400_000, "nasbench201": 400_000}
"""Parameters; about half of the toy space has fewer."""


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
    "halving": functools.partial(jnas.search.successive_halving, min_epochs=1, max_epochs=3),
    "hyperband": functools.partial(
        jnas.search.successive_halving, min_epochs=1, max_epochs=3, brackets="hyperband"
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


# All functions of a space, each by one strategy: those of the same kind differ in what they keep,
# which a toy space tells. The first three draw vectors themselves.
WAYS = ("reinforced", "reinforce", "bohb", "random-new", "genetic")
CELLS = {"nasbench101": WAYS, "nasbench201": WAYS[3:]}  # where every vector is valid


def cases(*quick: str) -> list[object]:
    """Every strategy on the toy space, of which those named are quick."""
    marks = {name: [] if name in quick else [pytest.mark.slow] for name in STRATEGIES}
    return [pytest.param(("toy", name), marks=marks[name]) for name in STRATEGIES]


def slow(space: str, names: Sequence[str]) -> list[object]:
    return [pytest.param((space, name), marks=pytest.mark.slow) for name in names]


DEAR = {"evolution-worst", "evolution-batch", "area", "random-new", "reinforce-lstm", "reinforced"}
CASES = cases(*(set(STRATEGIES) - DEAR))
CASES += [case for space, names in CELLS.items() for case in slow(space, names)]
EAGER = cases("random", "local")  # of spaces alone, their own tests tell it
# Constraints of moves have tests of their own; this strategy draws vectors itself, too.
ALLOWED = [*cases("reinforce"), *slow("nasbench101", WAYS[:1])]


class Case(NamedTuple):
    name: str
    space: Space
    searcher: Searcher
    batch_size: int
    search: Callable[[jax.Array], History]
    init: Callable[..., object]  # compiled, like those that follow
    ask: Callable[..., tuple[Query, object]]
    tell: Callable[..., object]
    traces: list[str]  # of `ask` and `tell`
    together: History  # [S, ...], of seeds 0 to S - 1 under one `vmap`


def keys() -> jax.Array:
    return jax.random.split(jax.random.key(7), NUM_SEEDS)


def search_of(searcher: Searcher) -> Callable[[jax.Array], History]:
    return lambda key: jnas.search.run(searcher, Partial(weighed), key, num_evaluations=NUM_STEPS)


# The last one: tests of one case follow each other, whatever list it is from.
@functools.lru_cache(maxsize=1)
def make_case(space_name: str, name: str) -> Case:
    space = SPACES[space_name]()
    searcher = STRATEGIES[name](space)
    state = jax.eval_shape(searcher.init, keys()[0])
    query, _ = jax.eval_shape(searcher.ask, keys()[0], state)
    traces: list[str] = []

    def ask(key: jax.Array, state) -> tuple[Query, object]:
        traces.append("ask")
        return searcher.ask(key, state)

    def tell(state, query: Query, outcome: Outcome) -> object:
        traces.append("tell")
        return searcher.tell(state, query, outcome)

    search, steps = search_of(searcher), map(jax.jit, (searcher.init, ask, tell))
    together = jax.tree.map(np.asarray, jax.jit(jax.vmap(search))(keys()))
    return Case(name, space, searcher, len(query.ids), search, *steps, traces, together)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request) -> Case:
    return make_case(*request.param)


@functools.cache
def batched(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(jax.vmap(function))


def all_of(condition: Callable[[jax.Array], jax.Array], archs: jax.Array) -> bool:
    """Whether a condition holds for every row of `[..., D]`; one program for up to 128 rows."""
    flat = np.asarray(archs).reshape(-1, archs.shape[-1])
    rows = np.minimum(np.arange(128 * (1 + len(flat) // 128)), len(flat) - 1)
    return all(
        batched(condition)(part).all() for part in flat[rows].reshape(-1, 128, flat.shape[1])
    )


def assert_valid(case: Case, archs: jax.Array) -> None:
    assert archs.shape[-1] == len(case.space.cardinalities)
    assert all_of(case.space.is_valid, archs)


def test_only_valid_architectures_and_not_always_the_same(case) -> None:
    assert_proposals(case)


def assert_proposals(case: Case) -> None:
    assert_valid(case, case.together.archs)
    assert case.together.archs.dtype == np.int32
    for archs in case.together.archs:
        assert len(np.unique(archs, axis=0)) > NUM_STEPS // 3
    assert not np.array_equal(case.together.archs[0], case.together.archs[1])


def test_on_cells() -> None:
    """In the space whose vectors are the fewest valid."""
    assert_proposals(make_case("nasbench101", "random"))


def played(
    case: Case, key: jax.Array, evaluate: Callable[[jax.Array, Query], Outcome]
) -> tuple[np.ndarray, ...]:
    """Architectures, scores and epochs of a search: the loop of `run` in Python."""
    init_key, eval_key, ask_key = jax.random.split(key, 3)
    state, rows = case.init(init_key), []
    for step_key in jax.random.split(ask_key, NUM_STEPS // case.batch_size):
        query, state = case.ask(step_key, state)
        outcome = evaluate(eval_key, query)
        state = case.tell(state, query, outcome)
        rows.append((query.archs, outcome.scores, query.epochs))
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


def test_seeds_together_are_asks_and_tells_one_after_the_other(case) -> None:
    num_traces = []
    for i, key in enumerate(keys()):
        history = jax.tree.map(lambda leaf, i=i: leaf[i], case.together)
        expected = played(case, key, outcome_of)
        chex.assert_trees_all_equal((history.archs, history.scores, history.epochs), expected)
        num_traces.append(len(case.traces))
    assert len(set(num_traces)) == 1, "one seed has compiled what all of them need"


@pytest.mark.slow
def test_seeds_together_are_seeds_alone_in_one_trace(case) -> None:
    traces = []

    def counted(key: jax.Array) -> History:
        traces.append(None)
        return case.search(key)

    alone = jax.jit(counted)
    for i, key in enumerate(keys()):
        chex.assert_trees_all_equal(
            jax.tree.map(lambda leaf, i=i: leaf[i], case.together), alone(key)
        )
    assert len(traces) == 1


def test_survives_an_objective_that_always_fails(case) -> None:
    def fails(key: jax.Array, query: Query) -> Outcome:
        num = len(query.ids)
        return Outcome(np.full(num, np.nan, np.float32), np.zeros(num, np.float32))

    archs, _, _ = played(case, keys()[0], fails)
    assert_valid(case, archs)


def step(case: Case, key: jax.Array, state) -> tuple[Query, object]:
    query, state = case.searcher.ask(key, state)
    return query, case.searcher.tell(state, query, weighed(key, query))


@pytest.mark.parametrize("case", EAGER, indirect=True, ids="-".join)
def test_compiled_is_eager(case) -> None:
    first, second, third = keys()
    state = case.searcher.init(first)
    compiled_state = case.init(first)
    chex.assert_trees_all_close(state, compiled_state, rtol=1e-5, atol=1e-6)
    for key in (second, third):
        query, state = step(case, key, state)
        compiled_query, compiled_state = case.ask(key, compiled_state)
        chex.assert_trees_all_equal(query, compiled_query)
        compiled_state = case.tell(compiled_state, query, outcome_of(key, query))
        chex.assert_trees_all_close(state, compiled_state, rtol=1e-5, atol=1e-6)


outcome_of = jax.jit(weighed)


def test_shapes_and_types(case) -> None:
    """A state keeps its own, as `scan` asks for."""
    state = jax.eval_shape(case.searcher.init, keys()[0])
    query, after = jax.eval_shape(functools.partial(step, case), keys()[1], state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    # Weak types are others to `jit`: a loop on the host would compile `ask` and `tell` twice.
    assert [leaf.weak_type for leaf in jax.tree.leaves((state, after)) if leaf.weak_type] == []
    num = case.batch_size
    chex.assert_shape(query, [(num,), (num, len(case.space.cardinalities)), (num,)])
    chex.assert_type(query, jnp.int32)


def test_traces_in_64_bits(case) -> None:
    with jax.enable_x64(True):
        history = jax.eval_shape(case.search, keys()[0])
    chex.assert_type([history.archs, history.scores], [jnp.int32, jnp.float32])


def test_asks_before_a_tell_differ_and_tells_come_in_any_order(case) -> None:
    state, queries = case.init(keys()[0]), []
    for key in jax.random.split(keys()[1], 6):
        query, state = case.ask(key, state)
        queries.append(query)
    archs = np.concatenate([query.archs for query in queries])
    assert_valid(case, archs)
    assert len(np.unique(archs, axis=0)) > len(archs) // 2
    ids = np.concatenate([query.ids for query in queries])
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    epochs = np.concatenate([query.epochs for query in queries])
    assert set(epochs.tolist()) == set(case.searcher.epochs or (0,))
    for i in (4, 0, 5, 1, 3, 2):
        state = case.tell(state, queries[i], outcome_of(keys()[2], queries[i]))
    query, _ = case.ask(keys()[2], state)
    assert_valid(case, query.archs)
    assert int(query.ids[0]) == len(ids)


@pytest.mark.parametrize("case", ALLOWED, indirect=True, ids="-".join)
def test_only_allowed_architectures(case) -> None:
    def is_allowed(arch: jax.Array) -> jax.Array:
        return case.space.params(arch) < LIMITS[case.space.name]

    searcher = STRATEGIES[case.name](jnas.search.constrained(case.space, is_allowed))
    history = jax.jit(search_of(searcher))(keys()[0])
    assert_valid(case, history.archs)
    assert all_of(is_allowed, history.archs)
    assert not all_of(is_allowed, case.together.archs[0])
