"""The genetic algorithm on a space whose architectures name their parents."""

import itertools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Outcome, Query
from tests.oracles.searches import CHILD, FOUNDER, MUTANT, compiled, family, run

SPACE = jnas.spaces.nasbench201()
P, GENERATIONS = 20, 30


def graded(key: jax.Array, query: Query) -> Outcome:
    """Grades 0 to 8, a fifth failed."""
    names = query.archs[:, 0]
    scores = jnp.where(names // 16 % 5 == 0, jnp.nan, (names % 9).astype(jnp.float32))
    return Outcome(scores, jnp.zeros_like(scores))


def generations(key: jax.Array, **options) -> tuple[np.ndarray, np.ndarray]:
    """`[GENERATIONS, P, 4]` and the scores `[GENERATIONS, P]`, -inf where failed."""
    searcher = jnas.search.genetic(family(), population_size=P, **options)
    history = run(searcher, Partial(graded), key, num_evaluations=P * GENERATIONS)
    scores = np.asarray(history.scores).reshape(GENERATIONS, P)
    return np.asarray(history.archs).reshape(GENERATIONS, P, 4), np.where(
        np.isnan(scores), -np.inf, scores
    )


def test_every_member_comes_from_the_generation_before(key) -> None:
    archs, scores = generations(key, selection=0.2, crossover=0.5, mutation=0.3)
    assert (archs[0, :, 3] == FOUNDER).all()
    kinds: Counter[str] = Counter()
    for old, old_scores, new in zip(archs, scores, archs[1:], strict=False):
        good = {
            int(row[0]) for row, score in zip(old, old_scores, strict=True) if score > -math.inf
        }
        rows = {tuple(row) for row in old.tolist()}
        for row in new.tolist():
            if tuple(row) in rows:
                kinds["survivor"] += 1
                assert row[0] in good
            else:
                kinds["child" if row[3] == CHILD else "mutant"] += 1
                assert row[1] in good
                assert row[3] == MUTANT or row[2] in good
    total = P * (GENERATIONS - 1)
    for kind, share in (("survivor", 0.2), ("child", 0.5), ("mutant", 0.3)):
        assert kinds[kind] / total == pytest.approx(share, abs=0.06)


def test_chances_of_parents(key) -> None:
    """Winners of tournaments of 3 among 4 members, one of them failed; all samples are counted."""
    searcher = compiled(jnas.search.genetic(family(), population_size=4, tournament_size=3))
    query, state = searcher.ask(key, searcher.init(key))
    scores = [2.0, math.nan, 1.0, 3.0]
    state = searcher.tell(state, query, Outcome(jnp.asarray(scores), jnp.zeros(4)))
    many, _ = jax.jit(jax.vmap(searcher.ask, (0, None)))(jax.random.split(key, 10_000), state)
    archs = np.asarray(many.archs).reshape(-1, 4)
    samples = list(itertools.product((0, 2, 3), repeat=3))
    wins = Counter(max(sample, key=lambda i: scores[i]) for sample in samples)
    for kind, column in ((MUTANT, 1), (CHILD, 1), (CHILD, 2), (FOUNDER, 0)):
        names = archs[archs[:, 3] == kind, column]
        for i, founder in enumerate(np.asarray(query.archs)[:, 0]):
            assert (names == founder).mean() == pytest.approx(wins[i] / len(samples), abs=0.015)
    both = archs[archs[:, 3] == CHILD]
    assert (both[:, 1] == both[:, 2]).mean() == pytest.approx(
        sum((n / 27) ** 2 for n in wins.values()), abs=0.015
    )


@pytest.mark.parametrize("chances", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_one_operator_alone(key, chances) -> None:
    archs, _ = generations(
        key, **dict(zip(("selection", "crossover", "mutation"), chances, strict=True))
    )
    assert set(archs[1:, :, 3].ravel().tolist()) == {chances.index(1)}


@pytest.mark.slow
def test_an_old_generation_that_comes_late_is_history(key) -> None:
    searcher = compiled(jnas.search.genetic(family(), population_size=3, tournament_size=3))
    first, state = searcher.ask(jax.random.key(1), searcher.init(key))
    second, state = searcher.ask(jax.random.key(2), state)
    np.testing.assert_array_equal(first.archs, searcher.init(key).archs)
    new, old = (Outcome(jnp.full(3, score), jnp.zeros(3)) for score in (1.0, 2.0))
    in_order = searcher.tell(searcher.tell(state, first, old), second, new)
    swapped = searcher.tell(searcher.tell(state, second, new), first, old)
    jax.tree.map(np.testing.assert_array_equal, in_order, swapped)
    np.testing.assert_array_equal(swapped.archs, second.archs)
    np.testing.assert_array_equal(swapped.scores, [1.0] * 3)


@pytest.mark.slow
def test_climbs(key) -> None:
    """Mean score of the generations on a smooth objective, 64 members as in the paper."""
    score = Partial(lambda key, archs: jnp.sum(archs, axis=1).astype(jnp.float32))
    searcher = jnas.search.genetic(SPACE)
    history = run(searcher, jnas.search.objective(score), key, num_evaluations=64 * 30)
    means = np.asarray(history.scores).reshape(30, 64).mean(axis=1)
    assert means[0] == pytest.approx(12, abs=1.5)
    assert means[-5:].mean() > 20


def test_initial_population_of_ones_own(key) -> None:
    searcher = compiled(
        jnas.search.genetic(
            SPACE, population_size=4, init=lambda key, num: jnp.ones((num, 6), jnp.int32)
        )
    )
    np.testing.assert_array_equal(searcher.ask(key, searcher.init(key))[0].archs, np.ones((4, 6)))
    with pytest.raises(ValueError, match=r"init must return \[4, 6\] arch.* got \[3, 6\]"):
        jnas.search.genetic(
            SPACE, population_size=4, init=lambda key, num: jnp.ones((3, 6), jnp.int32)
        ).init(key)


def test_bad_arguments(key) -> None:
    make = jnas.search.genetic
    for options, message in (
        ({"population_size": 0}, "population_size must be at least 1; got 0"),
        ({"tournament_size": 0}, "tournament_size must be at least 1; got 0"),
        ({"tournament_size": 65}, "tournament_size must be at most the population_size 64; got 65"),
        ({"selection": 0.6}, r"must be probabilities that sum to 1; got \(0.6, 0.3, 0.2\)"),
        (
            {"selection": -0.1, "crossover": 0.9},
            r"must be probabilities that sum to 1; got \(-0.1, 0.9, 0.2\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make(SPACE, **options)
