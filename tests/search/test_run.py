"""The loop at the end of a budget and with isomorphic architectures, against plain Python."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import History, Outcome, Query, Searcher
from tests.oracles.searches import run
from tests.oracles.spaces import toy

SPACE = toy()
DISTINCT = jax.jit(lambda history: jnas.search.num_distinct(history, SPACE.identity))
RULES = pytest.mark.parametrize("overrun", ["discarded", "counted"])


def priced(key: jax.Array, query: Query) -> Outcome:
    """Scores that tell isomorphic vectors apart, NaN where they start with 3; costs 10 to 12 s."""
    weights = 5 ** jnp.arange(5, dtype=jnp.int32)
    scores = jnp.sum(query.archs * weights[None], axis=1).astype(jnp.float32)
    return Outcome(
        jnp.where(query.archs[:, 0] == 3, jnp.nan, scores),
        10 + query.archs[:, 1].astype(jnp.float32),
    )


def few(key: jax.Array) -> jax.Array:
    """Samples with many isomorphic vectors: the last position is not drawn."""
    return SPACE.sample(key).at[4].set(1)


def searchers() -> dict[str, Searcher]:
    space = SPACE._replace(sample=few)
    return {
        "one": jnas.search.random_search(space),
        "batch": jnas.search.random_search(space, batch_size=4),
        "evolution": jnas.search.regularized_evolution(SPACE, population_size=6),
        "evolution-batch": jnas.search.regularized_evolution(
            SPACE, population_size=6, batch_size=3
        ),
    }


SEARCHERS = searchers()
ON_SEARCHERS = pytest.mark.parametrize(
    "name",
    [
        name if name in ("one", "evolution-batch") else pytest.param(name, marks=pytest.mark.slow)
        for name in SEARCHERS
    ],
)
"""One at a time, and batches with a memory: the others are between the two."""


class Naive(NamedTuple):
    rows: list[tuple[tuple[int, ...], float, float]]  # architecture, score, seconds
    num_repeats: int
    truncated: bool
    stalled: bool


@functools.cache
def compiled(function: Callable) -> Callable:
    return jax.jit(function)


def queries(
    searcher: Searcher, key: jax.Array, told: Callable[[Query, Outcome], Outcome], num: int
) -> Iterator[Query]:
    """Ask, and tell what `told` makes of the objective's answers."""
    init_key, eval_key, ask_key = jax.random.split(key, 3)
    init, ask, tell, evaluate = map(compiled, (searcher.init, searcher.ask, searcher.tell, priced))
    state = init(init_key)
    for step_key in jax.random.split(ask_key, num):
        query, state = ask(step_key, state)
        answer = told(query, evaluate(eval_key, query))
        yield query
        state = tell(state, query, answer)


def name_of(arch: np.ndarray) -> tuple[int, ...]:
    """The isomorphism class of an architecture of the toy space."""
    first, second, *rest = np.asarray(arch).tolist()
    return first, max(second, 1), *rest


def naive(
    searcher: Searcher,
    key: jax.Array,
    *,
    num_evaluations: int,
    limit: float,
    overrun: str,
    memory: bool,
    max_repeats: int,
) -> Naive:
    """The loop as a list and a dictionary."""
    known: dict[tuple[int, ...], float] = {}
    rows: list[tuple[tuple[int, ...], float, float]] = []
    spent, repeats, over = 0.0, 0, False

    def answer(query: Query, outcome: Outcome) -> Outcome:
        nonlocal spent, repeats, over
        scores, seconds = [], []
        for arch, score, cost in zip(
            *(np.asarray(x) for x in (query.archs, *outcome)), strict=True
        ):
            name = name_of(arch)
            if memory and name in known:
                repeats += not over
                scores.append(known[name])
                seconds.append(0.0)
                continue
            fits = spent + cost <= limit if overrun == "discarded" else spent < limit
            over = over or not fits or len(rows) == num_evaluations
            if not over:
                rows.append((tuple(arch.tolist()), float(score), float(cost)))
                known[name] = float(score)
                spent += float(cost)
            scores.append(float(score))
            seconds.append(float(cost))
        return Outcome(np.array(scores, np.float32), np.array(seconds, np.float32))

    def is_open() -> bool:
        return (
            not over and len(rows) < num_evaluations and (spent < limit or overrun == "discarded")
        )

    for _ in queries(searcher, key, answer, num_evaluations + max_repeats):
        if not is_open() or repeats >= max_repeats:
            break
    truncated = len(rows) == num_evaluations and (overrun == "discarded" or spent < limit)
    return Naive(rows, repeats, truncated, is_open() and repeats >= max_repeats)


def assert_equal(history: History, expected: Naive, *, budget: bool = True) -> None:
    num = int(history.num_evaluations)
    found = zip(*(np.asarray(x)[:num].tolist() for x in history[:3]), strict=True)
    assert [repr((tuple(arch), score, cost)) for arch, score, cost in found] == [
        repr(row) for row in expected.rows
    ]
    assert int(history.num_repeats) == expected.num_repeats
    assert (bool(history.truncated), bool(history.stalled)) == (
        expected.truncated and budget,
        expected.stalled,
    )
    assert np.isnan(np.asarray(history.scores)[num:]).all()
    assert not np.asarray(history.seconds)[num:].any()


@RULES
@ON_SEARCHERS
@pytest.mark.parametrize(
    "memory", [pytest.param(False, marks=pytest.mark.slow), True], ids=["", "memory"]
)
def test_a_budget_in_seconds(name, overrun, memory, key) -> None:
    searcher, identity = SEARCHERS[name], SPACE.identity if memory else None

    def search(limit: float) -> History:
        options = {"num_evaluations": 24, "overrun": overrun, "identity": identity}
        return run(searcher, Partial(priced), key, max_seconds=float(limit), **options)

    spent = np.cumsum(np.asarray(search(1e6).seconds))
    for limit in (spent[8], spent[8] - 1, spent[8] + 1, spent[-1], 1e6, 0.0):
        expected = naive(
            searcher,
            key,
            num_evaluations=24,
            limit=limit,
            overrun=overrun,
            memory=memory,
            max_repeats=240 if memory else 1,
        )
        assert_equal(search(limit), expected)


@pytest.mark.slow
def test_the_evaluation_that_crosses_the_limit(key) -> None:
    """By hand: evaluations of 10 s, a budget of 25 s."""
    searcher, objective = (
        SEARCHERS["one"],
        jnas.search.objective(Partial(lambda key, archs: jnp.ones(1)), seconds=10.0),
    )
    for overrun, num in (("discarded", 2), ("counted", 3)):
        history = run(
            searcher, objective, key, num_evaluations=9, max_seconds=25.0, overrun=overrun
        )
        assert (int(history.num_evaluations), bool(history.truncated)) == (num, False)
    for overrun, truncated in (("discarded", True), ("counted", False)):
        history = run(
            searcher, objective, key, num_evaluations=3, max_seconds=30.0, overrun=overrun
        )
        assert (int(history.num_evaluations), bool(history.truncated)) == (3, truncated)


@pytest.mark.slow
@ON_SEARCHERS
def test_isomorphic_architectures_cost_nothing(name, key) -> None:
    searcher = SEARCHERS[name]
    history = run(searcher, Partial(priced), key, num_evaluations=60, identity=SPACE.identity)
    expected = naive(
        searcher,
        key,
        num_evaluations=60,
        limit=np.inf,
        overrun="discarded",
        memory=True,
        max_repeats=600,
    )
    assert_equal(history, expected, budget=False)
    assert int(history.num_repeats) > 0
    num = int(history.num_evaluations)
    assert num == 60
    assert len({name_of(arch) for arch in np.asarray(history.archs)}) == num
    assert int(DISTINCT(history)) == num


def test_no_repeat_no_difference(key) -> None:
    searcher = jnas.search.random_search(SPACE, batch_size=5, with_replacement=False, capacity=30)
    plain = run(searcher, Partial(priced), key, num_evaluations=30, max_seconds=200.0)
    aware = run(
        searcher,
        Partial(priced),
        key,
        num_evaluations=30,
        max_seconds=200.0,
        identity=SPACE.identity,
    )
    used = np.arange(30) < int(plain.num_evaluations)
    chex.assert_trees_all_equal(
        aware._replace(archs=aware.archs[used]), plain._replace(archs=plain.archs[used])
    )


@pytest.mark.parametrize("batch_size", [1, 4])
def test_gives_up_after_too_many_repeats(batch_size, key) -> None:
    some = np.array([0, 0, 0, 1, 1], np.int32)
    space = SPACE._replace(sample=lambda key: jnp.where(some == 1, some, SPACE.sample(key)))
    searcher = jnas.search.random_search(space, batch_size=batch_size)
    everything = SPACE.enumerate()
    everything = everything[(everything[:, 3:] == 1).all(axis=1)]
    history = run(
        searcher, Partial(priced), key, num_evaluations=40, identity=SPACE.identity, max_repeats=400
    )
    assert int(history.num_evaluations) == len({name_of(arch) for arch in everything}) < 40
    assert bool(history.stalled)
    assert not bool(history.truncated)
    assert 400 <= int(history.num_repeats) < 400 + batch_size
    chex.assert_trees_all_equal(DISTINCT(history), history.num_evaluations)


def test_another_number_of_epochs_is_no_repeat(key) -> None:
    def ask(key: jax.Array, state: jax.Array) -> tuple[Query, jax.Array]:
        return Query(state[None], jnp.zeros((1, 5), jnp.int32), state[None] // 3), state + 1

    searcher = Searcher(
        lambda key: jnp.zeros((), jnp.int32), ask, lambda state, query, outcome: state
    )
    history = run(searcher, Partial(priced), key, num_evaluations=4, identity=SPACE.identity)
    np.testing.assert_array_equal(history.epochs, [0, 1, 2, 3])
    assert int(history.num_repeats) == 6
    assert int(DISTINCT(history)) == 1


def test_seeds_together_are_seeds_alone(key) -> None:
    keys = jax.random.split(key, 4)

    def search(key: jax.Array) -> History:
        return run(
            SEARCHERS["evolution"],
            Partial(priced),
            key,
            num_evaluations=20,
            max_seconds=150.0,
            identity=SPACE.identity,
        )

    together = jax.jit(jax.vmap(search))(keys)
    alone = jax.jit(search)
    for i in range(4):
        chex.assert_trees_all_equal(jax.tree.map(lambda x, i=i: x[i], together), alone(keys[i]))


def test_num_distinct_counts_classes_of_the_evaluated(key) -> None:
    searcher, limits = SEARCHERS["one"], np.array([0, 130, 1e6], np.float32)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, None))
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def search(key: jax.Array, limit: jax.Array) -> tuple[History, jax.Array]:
        history = jnas.search.run(
            searcher, Partial(priced), key, num_evaluations=50, max_seconds=limit
        )
        return history, jnas.search.num_distinct(history, SPACE.identity)

    histories, counts = search(jax.random.split(key, 3), limits)
    chex.assert_type(counts, jnp.int32)
    archs, nums, counts = map(np.asarray, (histories.archs, histories.num_evaluations, counts))
    assert (nums[:, 0] == 0).all()
    assert (nums[:, 2] == 50).all()
    for seed, limit in np.ndindex(3, 3):
        evaluated = archs[seed, limit, : nums[seed, limit]]
        assert int(counts[seed, limit]) == len({name_of(arch) for arch in evaluated})
    assert (counts[:, 2] < 50).all()


def test_bad_arguments(key) -> None:
    searcher = SEARCHERS["one"]
    with pytest.raises(ValueError, match=r"unknown overrun 'discard'\. Did you mean 'disc.*ed'\?"):
        jnas.search.run(searcher, Partial(priced), key, num_evaluations=4, overrun="discard")
    with pytest.raises(ValueError, match="max_repeats goes with identity"):
        jnas.search.run(searcher, Partial(priced), key, num_evaluations=4, max_repeats=4)
    with pytest.raises(ValueError, match="max_repeats must be at least 1; got 0"):
        run(
            searcher,
            Partial(priced),
            key,
            num_evaluations=4,
            identity=SPACE.identity,
            max_repeats=0,
        )
