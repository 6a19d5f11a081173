"""AREA: who starts, against sorting by hand; afterwards it is regularized evolution."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from tests.oracles.searches import compiled, naswot, noise, run

SPACE = jnas.spaces.nasbench201()


def convolutions(key: jax.Array, archs: jax.Array) -> jax.Array:
    """Number of 3x3 convolutions; no rank where the first edge is one, failed where the last is."""
    scores = jnp.sum(archs == 3, axis=1).astype(jnp.float32)
    scores = jnp.where(archs[:, 0] == 3, -jnp.inf, scores)
    return jnp.where(archs[:, -1] == 3, jnp.nan, scores)


def seen_by(searcher_of, *keys: jax.Array) -> list[tuple[np.ndarray, np.ndarray]]:
    """Candidates that a searcher scored as it started, and its initial population, for each key."""

    @jax.jit
    def init(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        scored = []

        def spy(key: jax.Array, archs: jax.Array) -> jax.Array:
            scored.append(archs)
            return convolutions(key, archs)

        initial = searcher_of(Partial(spy)).init(key).initial
        (candidates,) = scored
        return candidates, initial

    return [tuple(map(np.asarray, init(key))) for key in keys]


@pytest.mark.parametrize(("size", "num"), [(10, None), (4, 30), (5, 5)])
def test_starts_with_the_best_scored(size, num) -> None:
    starts = seen_by(
        lambda spy: jnas.search.area(
            SPACE, spy, population_size=size, num_candidates=num, sample_size=min(size, 3)
        ),
        *(jax.random.key(seed) for seed in range(5)),
    )
    for candidates, initial in starts:
        assert len(candidates) == (2 * size if num is None else num)
        ranked = []
        for row in candidates.tolist():
            failed = row[0] == 3 or row[-1] == 3
            ranked.append((-math.inf if failed else row.count(3), row))
        ranked.sort(key=lambda pair: -pair[0])  # stable: of equals, those drawn first
        assert initial.tolist() == [row for _, row in ranked[:size]]


@pytest.mark.slow
def test_afterwards_it_is_regularized_evolution(key) -> None:
    """With the same initial population the two are one program."""
    evaluate = jnas.search.objective(
        Partial(lambda key, archs: jnp.sum(archs, axis=1).astype(jnp.float32))
    )
    assisted = jnas.search.area(SPACE, Partial(convolutions), population_size=6, sample_size=4)
    start = compiled(assisted).init(jax.random.split(key, 3)[0]).initial
    plain = jnas.search.regularized_evolution(
        SPACE,
        population_size=6,
        sample_size=4,
        tournament="without_replacement",
        init=lambda key, num: start,
    )
    one, two = (run(searcher, evaluate, key, num_evaluations=40) for searcher in (assisted, plain))
    jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize(
    "make", [lambda key: Partial(noise), pytest.param(naswot, marks=pytest.mark.slow)]
)
def test_naswot_assists(make, key) -> None:
    estimator = make(key)
    searcher = jnas.search.area(SPACE, estimator, population_size=4)
    chosen = jax.jit(lambda key: searcher.init(key).initial)(key)
    ((candidates, _),) = seen_by(lambda spy: jnas.search.area(SPACE, spy, population_size=4), key)
    scores = jnas.population.score(estimator, candidates, jax.random.split(key)[1], progress=False)
    np.testing.assert_array_equal(chosen, candidates[np.argsort(-scores, kind="stable")[:4]])


def test_candidates_are_allowed(key) -> None:
    tight = jnas.search.constrained(SPACE, lambda arch: arch[0] == 2)
    ((candidates, _),) = seen_by(lambda spy: jnas.search.area(tight, spy), key)
    assert (candidates[:, 0] == 2).all()


def test_bad_arguments(key) -> None:
    score = Partial(convolutions)
    with pytest.raises(
        ValueError, match="num_candidates must be at least the population_size 10; got 9"
    ):
        jnas.search.area(SPACE, score, num_candidates=9)
    with pytest.raises(
        ValueError, match="sample_size must be at most the population_size 10; got 11"
    ):
        jnas.search.area(SPACE, score, sample_size=11)
    with pytest.raises(ValueError, match="needs at least 10 evaluations; got 5"):
        jnas.search.run(
            jnas.search.area(SPACE, score), jnas.search.objective(score), key, num_evaluations=5
        )
