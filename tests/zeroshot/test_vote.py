"""Votes of experts against plain loops, and what a ranking by majority does not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jnas.zeroshot import vote
from jnas.zeroshot.vote import majority as majority_of
from jnas.zeroshot.vote import mean_rank as mean_rank_of

majority, mean_rank = jax.jit(majority_of), jax.jit(mean_rank_of)
NUM_EXPERTS, NUM_ARCHS = 3, 12
ARCHS = np.arange(NUM_ARCHS * 2, dtype=np.int32).reshape(NUM_ARCHS, 2)


def experts(seed, num_experts=NUM_EXPERTS, num_archs=NUM_ARCHS):
    """Few different scores, so that there are ties; some NaN and -inf."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 4, (num_experts, num_archs)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    scores[rng.random(scores.shape) < 0.1] = np.nan
    return scores


def worst_for_nan(scores):
    return [[-float("inf") if value != value else float(value) for value in row] for row in scores]


def majority_by_loops(scores):
    rows, wins = worst_for_nan(scores), []
    for own in range(len(rows[0])):
        won = 0.0
        for other in range(len(rows[0])):
            if other != own:
                votes = sum((row[own] > row[other]) - (row[own] < row[other]) for row in rows)
                won += 1.0 if votes > 0 else 0.5 if votes == 0 else 0.0
        wins.append(won)
    return wins


def mean_rank_by_loops(scores):
    rows, ranks = worst_for_nan(scores), []
    for own in range(len(rows[0])):
        of_experts = []
        for row in rows:
            better = sum(value > row[own] for value in row)
            equal = sum(value == row[own] for value in row) - 1
            of_experts.append(better + equal / 2)
        ranks.append(-sum(of_experts) / len(rows))
    return ranks


def column(row, key, archs):
    """The expert whose score of an architecture is looked up by its first choice."""
    del key
    return row[archs[:, 0] // 2]


@jax.jit
def rank(ranker, key, archs):
    return ranker(key, archs)


def as_estimators(scores):
    return [Partial(column, jnp.asarray(row)) for row in scores]


@pytest.mark.parametrize(
    ("rule", "by_loops"), [(majority, majority_by_loops), (mean_rank, mean_rank_by_loops)]
)
@pytest.mark.parametrize("shape", [(3, 12), (1, 7), (4, 9), (2, 1)])
def test_rules_are_those_of_plain_loops(rule, by_loops, shape):
    for seed in range(5):
        scores = experts(seed, *shape)
        got = rule(scores)
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, by_loops(scores), rtol=1e-6)


def test_majority_by_hand():
    """Two of three experts decide; a cycle is a draw of all three."""
    scores = jnp.asarray([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(majority(scores), [2, 1, 0])
    cycle = jnp.asarray([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]])
    np.testing.assert_array_equal(majority(cycle), [1, 1, 1])


def test_mean_rank_by_hand():
    scores = np.array([[5, 5, -np.inf, np.nan], [1, 2, 3, 4]], np.float32)
    np.testing.assert_array_equal(
        mean_rank(scores), [-(0.5 + 3) / 2, -(0.5 + 2) / 2, -(2.5 + 1) / 2, -(2.5 + 0) / 2]
    )


@pytest.mark.parametrize("rule", [majority, mean_rank])
def test_rules_permute_with_the_population(rule):
    for seed in range(5):
        scores, order = experts(seed), np.random.default_rng(seed).permutation(NUM_ARCHS)
        np.testing.assert_array_equal(rule(scores[:, order]), np.asarray(rule(scores))[order])


@pytest.mark.parametrize("rule", [majority, mean_rank])
def test_monotone_changes_of_each_expert_change_nothing(rule):
    scores = experts(0)
    changed = np.array([2 * scores[0] + 5, np.arctan(scores[1]), scores[2] ** 3])
    changed[np.isneginf(scores)] = -np.inf
    np.testing.assert_array_equal(rule(changed), rule(scores))


@pytest.mark.parametrize("rule", [majority, mean_rank])
def test_orders_of_the_experts_are_irrelevant(rule):
    np.testing.assert_allclose(rule(experts(1)[::-1]), rule(experts(1)), rtol=1e-6)


@pytest.mark.parametrize("rule", [majority, mean_rank])
@pytest.mark.parametrize("shape", [(0, 5), (5,), (2, 3, 4)])
def test_scores_of_another_shape_are_refused(rule, shape):
    with pytest.raises(ValueError, match=r"scores must be \[K, B\]"):
        rule(np.zeros(shape, np.float32))


def test_vote_ranks_by_won_pairs(key):
    for seed in range(5):
        scores = experts(seed)
        ranks = np.asarray(rank(vote(as_estimators(scores)), key, ARCHS))
        assert ranks.dtype == np.int32
        wins = majority_by_loops(scores)
        np.testing.assert_array_equal(
            np.argsort(ranks), sorted(range(NUM_ARCHS), key=lambda i: -wins[i])
        )


def test_vote_permutes_with_the_population(key):
    """Where no two have won equally many pairs: ties are broken by the order of the population."""
    scores = (
        np.argsort(np.random.default_rng(0).random((1, NUM_ARCHS)))
        .astype(np.float32)
        .repeat(3, axis=0)
    )
    scores[2] = -scores[2]
    ranker, order = vote(as_estimators(scores)), np.random.default_rng(1).permutation(NUM_ARCHS)
    ranks = np.asarray(rank(ranker, key, ARCHS))
    np.testing.assert_array_equal(rank(ranker, key, ARCHS[order]), ranks[order])


def test_one_expert_ranks_in_its_own_order(key):
    scores = np.random.default_rng(2).permutation(NUM_ARCHS).astype(np.float32)
    ranks = rank(vote(as_estimators(scores[None])), key, ARCHS)
    np.testing.assert_array_equal(ranks, np.argsort(np.argsort(-scores)))


def test_experts_see_the_key(key):
    def draw(key, archs):
        return jax.random.normal(key, archs.shape[:1])

    ranker = vote([Partial(draw)])
    ranks = [np.asarray(rank(ranker, k, ARCHS)) for k in (key, jax.random.key(9))]
    np.testing.assert_array_equal(ranks[0], np.argsort(np.argsort(-np.asarray(draw(key, ARCHS)))))
    assert np.any(ranks[0] != ranks[1])


def test_a_vote_of_nobody_is_refused():
    with pytest.raises(ValueError, match="at least one estimator"):
        vote([])
