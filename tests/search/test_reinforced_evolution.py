"""Aging evolution with learned mutations: its draws counted out, its gradients by hand in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Outcome, Query, Searcher, Space
from tests.oracles.searches import compiled, run

SPACE = jnas.spaces.nasbench201()
CARDINALITIES = (2, 3, 2)
PARENT = (1, 0, 1)


def small_space(is_valid=lambda arch: jnp.asarray(True)) -> Space:
    """12 vectors; founders are PARENT, and (0, 2, 0) stands in for a child that cannot be drawn."""
    return SPACE._replace(
        cardinalities=CARDINALITIES,
        sample=lambda key: jnp.asarray(PARENT, jnp.int32),
        mutate=lambda key, arch: jnp.asarray([0, 2, 0], jnp.int32),
        is_valid=is_valid,
    )


def probabilities(logits: np.ndarray, parent: tuple[int, ...]) -> dict[tuple[int, int], float]:
    """Of every modification (position, new choice)."""
    powers = {
        (d, k): math.exp(logits[d, parent[d], k])
        for d, num in enumerate(CARDINALITIES)
        for k in range(num)
    }
    changes = {move: power for move, power in powers.items() if move[1] != parent[move[0]]}
    return {move: power / sum(changes.values()) for move, power in changes.items()}


def outcome_of(scores: list[float]) -> Outcome:
    return Outcome(np.array(scores, np.float32), np.zeros(len(scores), np.float32))


def grown_up(searcher: Searcher, score: float = 0.5):
    """A state whose founders are told, with one score for all."""
    state = searcher.init(jax.random.key(0))
    for _ in range(searcher.min_evaluations):
        query, state = searcher.ask(jax.random.key(1), state)
        state = searcher.tell(state, query, outcome_of([score] * len(query.ids)))
    return state


def children(searcher: Searcher, state, num: int = 8000) -> np.ndarray:
    ask = jax.jit(jax.vmap(searcher.ask, (0, None)))
    query, _ = ask(jax.random.split(jax.random.key(2), num), state)
    return np.asarray(query.archs).reshape(-1, 3)


def make(space: Space | None = None, **options) -> Searcher:
    defaults = {"population_size": 2, "sample_size": 1, "optimiser": optax.sgd(1.0)}
    searcher = jnas.search.reinforced_evolution(
        small_space() if space is None else space, **{**defaults, **options}
    )
    return compiled(searcher)


def assert_shares(archs: np.ndarray, shares: dict[tuple[int, int], float]) -> None:
    assert ((archs != PARENT).sum(axis=1) == 1).all()
    for (d, k), share in shares.items():
        assert (archs[:, d] == k).mean() == pytest.approx(
            share + (1 if PARENT[d] == k else 0), abs=0.02
        )


@pytest.mark.slow
def test_first_mutations_are_uniform_and_later_ones_a_softmax() -> None:
    searcher = make()
    state = grown_up(searcher)
    np.testing.assert_array_equal(state.logits, np.zeros((3, 3, 3)))
    assert_shares(children(searcher, state), dict.fromkeys([(0, 0), (1, 1), (1, 2), (2, 0)], 0.25))
    logits = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)
    archs = children(searcher, state._replace(logits=jnp.asarray(logits)))
    assert_shares(archs, probabilities(logits, PARENT))


def test_two_batches_by_hand() -> None:
    """Plain gradient descent with rate 1; one evaluation of three fails, the baseline moves on."""
    searcher = make(batch_size=3, population_size=3, momentum=0.8)
    query, state = searcher.ask(jax.random.key(0), searcher.init(jax.random.key(0)))
    state = searcher.tell(state, query, outcome_of([0.5, 0.5, 0.5]))
    logits, total, weight = np.zeros((3, 3, 3)), 0.0, 0.0
    for i, scores in enumerate([[0.9, 0.4, math.nan], [0.1, 0.6, 0.8]]):
        # Parents are taken before the tell, all from the same population.
        query, state = searcher.ask(jax.random.key(i + 5), state)
        slots = np.asarray(query.ids) % 64
        parents, before = (
            np.asarray(state.pending.parents)[slots],
            np.asarray(state.pending.scores)[slots],
        )
        effects = {
            j: scores[j] - float(before[j])
            for j in range(3)
            if math.isfinite(scores[j] - float(before[j]))
        }
        total = 0.8 * total + 0.2 * sum(effects.values()) / len(effects)
        weight = 0.8 * weight + 0.2
        gradient = np.zeros_like(logits)
        for j, effect in effects.items():
            parent, child = tuple(parents[j].tolist()), np.asarray(query.archs)[j]
            (position,) = np.flatnonzero(child != parents[j])
            for (d, k), p in probabilities(logits, parent).items():
                onehot = float((d, k) == (position, child[position]))
                gradient[d, parent[d], k] -= (onehot - p) * (effect - total / weight) / len(effects)
        logits = logits - gradient
        state = searcher.tell(state, query, outcome_of(scores))
        np.testing.assert_allclose(state.logits, logits, atol=1e-6)
        assert np.abs(logits).max() > 0.01
        assert state.baseline == pytest.approx(total / weight, rel=1e-5)


@pytest.mark.slow
def test_what_teaches_nothing() -> None:
    """Founders, failures, their children, forgotten ones; yet the population learns of them all."""
    searcher = make(num_pending=2, momentum=0.0)
    state = grown_up(searcher)
    queries = []
    for i in range(4):
        query, state = searcher.ask(jax.random.key(i), state)
        queries.append(query)

    def tell(state, query: Query, score: float):
        after = searcher.tell(state, query, outcome_of([score]))
        assert int(after.evolution.num_told) == int(state.evolution.num_told) + 1
        return after

    for query, score in (
        (queries[0], 0.9),
        (queries[1], 0.9),
        (queries[2], math.nan),
        (queries[3], -math.inf),
    ):
        after = tell(state, query, score)
        assert float(after.weight) == float(state.weight) == 0
    assert float(tell(state, queries[3], 0.9).weight) == 1
    failed = grown_up(searcher, math.nan)
    query, failed = searcher.ask(jax.random.key(0), failed)
    assert float(tell(failed, query, 0.9).weight) == 0


def test_invalid_children_are_drawn_again_and_then_the_space_steps_in() -> None:
    searcher = make(small_space(lambda arch: arch[1] == 0))
    assert_shares(
        children(searcher, grown_up(searcher), 2000), {(0, 0): 0.5, (2, 0): 0.5, (1, 1): 0.0}
    )
    searcher = make(small_space(lambda arch: jnp.asarray(False)), max_draws=2)
    state = grown_up(searcher)
    query, state = searcher.ask(jax.random.key(0), state)
    np.testing.assert_array_equal(query.archs, [[0, 2, 0]])
    state = searcher.tell(state, query, outcome_of([0.9]))
    assert float(state.weight) == 0, "three changes at once are none of the controller's"


@pytest.mark.slow
def test_the_population_is_that_of_regularized_evolution(key) -> None:
    """Same founders, and every child differs from a living member in one position."""
    searcher = jnas.search.reinforced_evolution(SPACE, population_size=6)
    score = Partial(lambda key, archs: jnp.sum(archs, axis=1).astype(jnp.float32))
    history = run(searcher, jnas.search.objective(score), key, num_evaluations=80)
    archs = np.asarray(history.archs)
    plain = jnas.search.regularized_evolution(SPACE, population_size=6)
    other = run(plain, jnas.search.objective(score), key, num_evaluations=6)
    np.testing.assert_array_equal(archs[:6], other.archs)
    for i in range(6, 80):
        assert ((archs[i - 6 : i] != archs[i]).sum(axis=1) == 1).any()


@pytest.mark.slow
def test_learns_which_choice_is_good(key) -> None:
    """Only 3x3 convolutions count: in the end most mutations of other operations put one in."""
    score = Partial(lambda key, archs: jnp.sum(archs == 3, axis=1).astype(jnp.float32))
    searcher = jnas.search.reinforced_evolution(SPACE, optimiser=optax.adam(0.05))

    def search(key: jax.Array) -> jax.Array:
        def step(state, key: jax.Array):
            query, state = searcher.ask(key, state)
            state = searcher.tell(state, query, Outcome(score(key, query.archs), jnp.zeros(1)))
            return state, None

        return jax.lax.scan(step, searcher.init(key), jax.random.split(key, 400))[0].logits

    logits = np.asarray(jax.jit(jax.vmap(search))(jax.random.split(key, 8))).mean(
        axis=0
    )  # [6, 5, 5]
    others = [0, 1, 2, 4]
    good = logits[:, others, 3].mean()
    bad = logits[:, 3][:, others].mean()
    neutral = logits[:, others][:, :, others].mean()
    assert good > neutral + 0.2 > bad + 0.4


def test_bad_arguments() -> None:
    for options, message in (
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\); got 1.0"),
        ({"max_draws": 0}, "max_draws must be at least 1; got 0"),
        (
            {"batch_size": 8, "num_pending": 7},
            "num_pending must be at least the batch_size 8; got 7",
        ),
        ({"sample_size": 11}, "sample_size must be at most the population_size 10; got 11"),
        ({"tournament": "both"}, "unknown tournament 'both'"),
    ):
        with pytest.raises(ValueError, match=message):
            jnas.search.reinforced_evolution(SPACE, **options)
