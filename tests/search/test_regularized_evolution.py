"""Aging evolution against queues of plain Python, on a space whose members name their parent."""

import collections
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.search import _selection
from jnas.types import Outcome, Query, Searcher
from tests.oracles import searches
from tests.oracles.searches import compiled, family

SPACE = jnas.spaces.nasbench201()
P, T = 6, 120


def graded(key: jax.Array, query: Query) -> Outcome:
    """Nine grades, so that there are ties; a fifth of all evaluations fails."""
    names = query.archs[:, 0]
    scores = jnp.where(names // 16 % 5 == 0, jnp.nan, (names % 9).astype(jnp.float32))
    return Outcome(scores, jnp.zeros_like(scores))


def run(
    key: jax.Array, num_evaluations: int = T, **options
) -> tuple[list[int], list[int], list[float]]:
    """Names, parents and scores of everything that was evaluated."""
    searcher = jnas.search.regularized_evolution(family(), **{"population_size": P, **options})
    history = searches.run(searcher, Partial(graded), key, num_evaluations=num_evaluations)
    names, parents, *_ = np.asarray(history.archs).T.tolist()
    assert len(set(names)) == num_evaluations
    return (
        names,
        parents,
        [-math.inf if math.isnan(s) else s for s in np.asarray(history.scores).tolist()],
    )


def survivors(queue: list[tuple[int, float]], dies: str) -> list[tuple[int, float]]:
    """A queue, oldest first, that is one too long."""
    if dies == "oldest":
        return queue[1:]
    worst = min(range(len(queue)), key=lambda i: (queue[i][1], i))
    return [member for i, member in enumerate(queue) if i != worst]


QUICK = {("with_replacement", 1, "oldest"), ("without_replacement", 4, "worst")}
OPTIONS = itertools.product(
    ("with_replacement", "without_replacement"), (1, 4), ("oldest", "worst")
)


@pytest.mark.parametrize(
    ("kind", "batch_size", "dies"),
    [
        option if option in QUICK else pytest.param(*option, marks=pytest.mark.slow)
        for option in OPTIONS
    ],
)
def test_parents_are_living_members_that_did_not_fail(key, dies, batch_size, kind) -> None:
    names, parents, scores = run(key, dies=dies, batch_size=batch_size, tournament=kind)
    queue: list[tuple[int, float]] = []
    for start in range(0, T, batch_size):
        batch = range(start, start + batch_size)
        for i in batch:
            good = {name for name, score in queue if score > -math.inf}
            if i < P:
                assert parents[i] == 0
            elif good:
                assert parents[i] in good
            else:
                assert parents[i] in {name for name, _ in queue}
        for i in batch:
            queue.append((names[i], scores[i]))
            if len(queue) > P:
                queue = survivors(queue, dies)


@pytest.mark.parametrize("dies", ["oldest", "worst"])
def test_the_whole_population_as_sample_chooses_its_best(key, dies) -> None:
    """Nothing is left to chance then but the order of equals."""
    names, parents, scores = run(key, dies=dies, sample_size=P, tournament="without_replacement")
    queue = list(zip(names[:P], scores[:P], strict=True))
    for i in range(P, T):
        best = max(score for _, score in queue)
        assert parents[i] in {name for name, score in queue if score == best}
        queue = survivors([*queue, (names[i], scores[i])], dies)


def tournaments(
    scores: list[float], present: list[bool], size: int, kind: str, num: int = 40_000
) -> np.ndarray:
    """Share of `num` tournaments that each member wins."""
    keys = jax.random.split(jax.random.key(3), num)
    play = _tournaments(size, kind)
    winners = play(keys, np.array(scores, np.float32), np.array(present))
    return np.bincount(winners, minlength=len(scores)) / num


@functools.cache
def _tournaments(size: int, kind: str):
    play = Partial(_selection.tournament, size=size, kind=kind)
    return jax.jit(jax.vmap(play, (0, None, None)))


@pytest.mark.parametrize("kind", ["with_replacement", "without_replacement"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_chances_of_winning(kind, size) -> None:
    """Every sample is counted out; absent and failed members are in none."""
    scores, present = [3.0, 9.0, -math.inf, 1.0, 5.0, 7.0], [True, True, True, True, True, False]
    members = [i for i in range(6) if present[i] and scores[i] > -math.inf]
    samples = {
        "with_replacement": list(itertools.product(members, repeat=size)),
        "without_replacement": list(itertools.combinations(members, size)),
    }[kind]
    wins = collections.Counter(max(sample, key=lambda i: scores[i]) for sample in samples)
    expected = [wins[i] / len(samples) for i in range(6)]
    np.testing.assert_allclose(tournaments(scores, present, size, kind), expected, atol=0.01)


@pytest.mark.parametrize("kind", ["with_replacement", "without_replacement"])
def test_equals_win_equally_often(kind) -> None:
    np.testing.assert_allclose(tournaments([1.0] * 4, [True] * 4, 3, kind), [0.25] * 4, atol=0.01)


@pytest.mark.parametrize("kind", ["with_replacement", "without_replacement"])
def test_a_sample_larger_than_those_who_can_win(kind) -> None:
    scores = [-math.inf, 2.0, -math.inf, 4.0, 8.0]
    shares = tournaments(scores, [True, True, True, True, False], 4, kind)
    lowest = {"with_replacement": 0.5**4, "without_replacement": 0.0}[kind]
    np.testing.assert_allclose(shares, [0, lowest, 0, 1 - lowest, 0], atol=0.01)
    failed = [-math.inf] * 4
    np.testing.assert_allclose(
        tournaments(failed, [True, True, False, False], 2, kind), [0.5, 0.5, 0, 0], atol=0.01
    )
    np.testing.assert_allclose(tournaments(failed, [False] * 4, 2, kind), [0.25] * 4, atol=0.01)


def told(searcher: Searcher, state, query: Query, scores: list[float]):
    outcome = Outcome(np.array(scores, np.float32), np.zeros(len(scores), np.float32))
    return searcher.tell(state, query, outcome)


def test_tells_in_any_order_and_asks_without_tells(key) -> None:
    """The founders are proposed once each; members age in the order in which they are told."""
    searcher = compiled(
        jnas.search.regularized_evolution(family(), population_size=3, sample_size=3)
    )
    ask, state, queries = searcher.ask, searcher.init(key), []
    for i in range(8):
        query, state = ask(jax.random.key(i), state)
        queries.append(query)
    names, parents, *_ = np.concatenate([query.archs for query in queries]).T.tolist()
    assert len(set(names)) == 8
    assert parents[:3] == [0, 0, 0]
    assert set(parents[3:]) <= set(names[:3])
    for i in (6, 2, 0, 7):
        state = told(searcher, state, queries[i], [float(i)])
    assert sorted(np.asarray(state.archs)[:, 0].tolist()) == sorted([names[2], names[0], names[7]])
    np.testing.assert_array_equal(np.sort(state.scores), [0.0, 2.0, 7.0])
    children = [ask(jax.random.key(i), state)[0] for i in range(20)]
    assert {int(np.asarray(child.archs)[0, 1]) for child in children} <= {
        names[2],
        names[0],
        names[7],
    }
    assert int(children[0].ids[0]) == 8


def test_first_founder_told_is_the_only_parent(key) -> None:
    searcher = compiled(
        jnas.search.regularized_evolution(family(), population_size=2, sample_size=2)
    )

    def parents(state) -> set[int]:
        queries = (searcher.ask(jax.random.key(i), state)[0] for i in range(10))
        return {int(np.asarray(query.archs)[0, 1]) for query in queries}

    first, state = searcher.ask(key, searcher.init(key))
    second, state = searcher.ask(key, state)
    state = told(searcher, state, second, [math.nan])
    assert parents(state) == {int(second.archs[0, 0])}
    state = told(searcher, state, first, [-5.0])
    assert parents(state) == {int(first.archs[0, 0])}


def test_initial_population_of_ones_own(key) -> None:
    def rows(key: jax.Array, num: int) -> jax.Array:
        return jnp.tile(jnp.arange(num, dtype=jnp.int32)[:, None], (1, 6))

    searcher = jnas.search.regularized_evolution(SPACE, population_size=5, init=rows)
    evaluate = jnas.search.objective(Partial(total))
    history = searches.run(searcher, evaluate, key, num_evaluations=8)
    np.testing.assert_array_equal(history.archs[:5], rows(key, 5))
    wrong = jnas.search.regularized_evolution(
        SPACE, population_size=5, init=lambda key, num: rows(key, 4)
    )
    with pytest.raises(ValueError, match="init must return"):
        wrong.init(key)


def total(key: jax.Array, archs: jax.Array) -> jax.Array:
    return jnp.sum(archs, axis=1).astype(jnp.float32)


@pytest.mark.slow
def test_evolution_beats_random_search(key) -> None:
    """Mean over 32 seeds of the best of 150 evaluations; the optimum is 24."""

    def mean_best(searcher: Searcher) -> float:
        def search(key: jax.Array) -> jax.Array:
            return jnas.search.run(
                searcher, jnas.search.objective(Partial(total)), key, num_evaluations=150
            ).scores

        return float(
            np.asarray(jax.jit(jax.vmap(search))(jax.random.split(key, 32))).max(axis=1).mean()
        )

    evolution, random = jnas.search.regularized_evolution(SPACE), jnas.search.random_search(SPACE)
    assert mean_best(evolution) > mean_best(random) + 1


def test_bad_arguments(key) -> None:
    make = jnas.search.regularized_evolution
    for options, message in (
        ({"sample_size": 11}, "sample_size must be at most the population_size 10; got 11"),
        ({"batch_size": 11}, "batch_size must be at most the population_size 10; got 11"),
        ({"population_size": 0}, "population_size must be at least 1; got 0"),
        ({"sample_size": 0}, "sample_size must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        (
            {"tournament": "both"},
            "unknown tournament 'both'. Valid names: with_replacement, without_replacement",
        ),
        ({"dies": "none"}, "unknown dies 'none'. Valid names: oldest, worst"),
    ):
        with pytest.raises(ValueError, match=message):
            make(SPACE, **options)
    with pytest.raises(ValueError, match="needs at least 10 evaluations; got 9"):
        jnas.search.run(make(SPACE), jnas.search.objective(Partial(total)), key, num_evaluations=9)
