"""Local search against the published loop in Python, on a space whose members name their parent."""

import itertools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Outcome, Query
from tests.oracles.searches import compiled, family, run

SPACE = jnas.spaces.nasbench201()


def graded(key: jax.Array, query: Query) -> Outcome:
    """Grades 0 to 14, a sixth failed."""
    names = query.archs[:, 0]
    scores = jnp.where(names // 16 % 6 == 0, jnp.nan, (names % 15).astype(jnp.float32))
    return Outcome(scores, jnp.zeros_like(scores))


def published(
    evaluations: Iterator[tuple[int, float]], num_neighbors: int, num_initial: int, first: bool
) -> Iterator:
    """Centre of each evaluation, one at a time: the loop of algorithm 1, started again for ever."""
    while True:
        starts = []
        for _ in range(num_initial):
            yield 0
            starts.append(next(evaluations))
        center, score = max(starts, key=lambda pair: pair[1])
        climbs = score > -math.inf
        while climbs:
            climbs = False
            neighbors = []
            for _ in range(num_neighbors):
                yield center
                neighbors.append(next(evaluations))
                if first and neighbors[-1][1] > score:
                    break
            best = max(neighbors, key=lambda pair: pair[1])
            if best[1] > score:
                (center, score), climbs = best, True


@pytest.mark.parametrize("move", ["best", "first"])
@pytest.mark.parametrize(("num_neighbors", "num_initial"), [(5, 1), (3, 4), (1, 2)])
def test_centres_are_those_of_the_published_loop(key, move, num_neighbors, num_initial) -> None:
    searcher = jnas.search.local_search(
        family(), num_neighbors=num_neighbors, num_initial=num_initial, move=move
    )
    history = run(searcher, Partial(graded), key, num_evaluations=200)
    names, centers, *_ = np.asarray(history.archs).T.tolist()
    scores = [-math.inf if math.isnan(s) else s for s in np.asarray(history.scores).tolist()]
    loop = published(
        iter(zip(names, scores, strict=True)), num_neighbors, num_initial, first=move == "first"
    )
    assert centers == list(itertools.islice(loop, 200))
    assert centers.count(0) > 1
    assert len(set(names)) == 200


@pytest.mark.parametrize("batch_size", [2, 3])
def test_batches_that_divide_the_neighbourhood(key, batch_size) -> None:
    """Batches are single evaluations one after the other, while nothing is decided within them."""
    searcher = jnas.search.local_search(
        family(), num_neighbors=6, num_initial=6, batch_size=batch_size
    )
    history = run(searcher, Partial(graded), key, num_evaluations=180)
    names, centers, *_ = np.asarray(history.archs).T.tolist()
    scores = [-math.inf if math.isnan(s) else s for s in np.asarray(history.scores).tolist()]
    assert centers == list(
        itertools.islice(published(iter(zip(names, scores, strict=True)), 6, 6, False), 180)
    )


def test_what_was_asked_before_a_move_is_history(key) -> None:
    searcher = compiled(jnas.search.local_search(family(), num_neighbors=2, num_initial=2))
    state, queries = searcher.init(key), []
    for i in range(4):
        query, state = searcher.ask(jax.random.key(i), state)
        queries.append(query)

    def tell(state, query: Query, score: float):
        outcome = Outcome(np.full(1, score, np.float32), np.zeros(1, np.float32))
        return searcher.tell(state, query, outcome)

    state = tell(state, queries[1], 3.0)
    assert state.center_score == -math.inf
    state = tell(state, queries[3], 5.0)  # enough to start from
    np.testing.assert_array_equal(state.center, queries[3].archs[0])
    late = tell(tell(state, queries[0], 9.0), queries[2], 9.0)
    assert (float(late.center_score), int(late.num_tried)) == (5.0, 0)
    neighbor, late = searcher.ask(jax.random.key(9), late)
    assert int(neighbor.archs[0, 1]) == int(queries[3].archs[0, 0])
    assert int(tell(late, neighbor, 1.0).num_tried) == 1


@pytest.mark.slow
def test_default_neighbourhoods() -> None:
    """As many failures as there are vectors one choice away, then a new start."""
    for space, num in ((SPACE, 24), (jnas.spaces.nats_size(), 35)):
        searcher = compiled(jnas.search.local_search(space))
        query, state = searcher.ask(jax.random.key(0), searcher.init(jax.random.key(1)))
        ask, tell, equal = searcher.ask, searcher.tell, Outcome(jnp.ones(1), jnp.zeros(1))
        state = tell(state, query, equal)
        for i in range(num):
            assert (float(state.center_score), int(state.num_tried)) == (1.0, i)
            query, state = ask(jax.random.key(i), state)
            state = tell(state, query, equal)
        assert state.center_score == -math.inf


def test_finds_the_top_of_a_hill(key) -> None:
    score = Partial(lambda key, archs: jnp.sum(archs, axis=1).astype(jnp.float32))
    for move in ("best", "first"):
        searcher = jnas.search.local_search(SPACE, move=move)

        def search(key: jax.Array, searcher=searcher) -> jax.Array:
            return jnas.search.run(
                searcher, jnas.search.objective(score), key, num_evaluations=300
            ).scores

        scores = jax.jit(jax.vmap(search))(jax.random.split(key, 16))
        assert np.asarray(scores).max(axis=1).mean() > 23.5, move


def test_bad_arguments() -> None:
    for name in ("num_neighbors", "num_initial", "batch_size"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            jnas.search.local_search(SPACE, **{name: 0})
    with pytest.raises(ValueError, match=r"unknown move 'last'\. Valid names: best, first"):
        jnas.search.local_search(SPACE, move="last")
