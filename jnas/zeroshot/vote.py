"""Rankings by several scores: votes on pairs, means of ranks.

Abdelfattah et al., ICLR 2021, section 3.2 ("vote": synflow, jacob_cov and snip decide each pair by
majority), and the estimator study (on NAS-Bench-201 with relu_logdet, jacob_cov and synflow).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jnas.engine.estimators import estimator
from jnas.engine.inputs import as_estimator
from jnas.types import Estimator, Key


def majority(scores: jax.Array) -> jax.Array:
    """Number of others that each architecture beats in a vote of the experts; a draw is a half.

    Which of two a majority prefers is not transitive; the number of won pairs (Copeland's rule)
    makes it an order that does not depend on a sorting algorithm.

    Args:
        scores: `[K, B]`, higher is better; -inf loses against all others, NaN counts as -inf.

    Returns:
        `[B]` float32, 0 to B - 1. Needs `K·B` numbers of memory at a time and `K·B²` comparisons.

    Raises:
        ValueError: not `[K, B]`.
    """
    if scores.ndim != 2 or not scores.shape[0]:
        raise ValueError(f"scores must be [K, B], one row an expert; got shape {scores.shape}")
    scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)

    # Compared and not subtracted: -inf less -inf would be NaN.
    def wins(own: jax.Array) -> jax.Array:
        votes = jnp.sum(own[:, None] > scores, axis=0) - jnp.sum(own[:, None] < scores, axis=0)
        # One draw less: that with itself.
        return (
            jnp.sum(votes > 0, dtype=jnp.float32) + (jnp.sum(votes == 0, dtype=jnp.float32) - 1) / 2
        )

    # One architecture at a time, so that no array has B² entries.
    result: jax.Array = lax.map(wins, scores.T)
    return result.astype(jnp.float32)


def mean_rank(scores: jax.Array) -> jax.Array:
    """Mean over experts of an architecture's rank among all, times -1; the best rank is 0.

    Ties share their mean rank.

    Args:
        scores: `[K, B]`, higher is better; NaN counts as -inf.

    Returns:
        `[B]` float32, higher is better.

    Raises:
        ValueError: not `[K, B]`.
    """
    if scores.ndim != 2 or not scores.shape[0]:
        raise ValueError(f"scores must be [K, B], one row an expert; got shape {scores.shape}")

    def ranks(row: jax.Array) -> jax.Array:
        row = jnp.where(jnp.isnan(row), -jnp.inf, row)
        ordered = jnp.sort(row)
        below, upto = (
            jnp.searchsorted(ordered, row, side="left"),
            jnp.searchsorted(ordered, row, side="right"),
        )
        # Ties hold the places below to upto - 1 from the bottom; ranks count from the top.
        return len(row) - 1 - (below + upto - 1) / 2

    return -jnp.mean(jax.vmap(ranks)(scores), axis=0).astype(jnp.float32)


def vote(estimators: Sequence[Estimator]) -> Callable[[Key, jax.Array], jax.Array]:
    """Ranking by majority of the signs of all pairs (Abdelfattah et al., ICLR 2021, section 3.2).

    Args:
        estimators: the experts, for example synflow, jacob_cov and snip of one network.

    Returns:
        `(key, archs [B, D]) -> ranks [B]` int32, 0 is best; a `Partial`. It judges a set as a
        whole: equal numbers of won pairs are ranked in the order of the population.

    Raises:
        ValueError: no estimator.
    """
    if not estimators:
        raise ValueError("a vote needs at least one estimator")
    experts = tuple(map(as_estimator, estimators))
    return estimator(f"Vote of {len(experts)} estimators", _vote, experts)


def _vote(estimators: Sequence[Estimator], key: Key, archs: jax.Array) -> jax.Array:
    """Ranks `[B]` int32 by the experts, 0 is best."""
    wins = majority(jnp.stack([estimator(key, archs) for estimator in estimators]))
    # Stable, so that ties keep the order of the population on every backend.
    order = jnp.argsort(-wins, stable=True)
    return jnp.zeros(len(wins), jnp.int32).at[order].set(jnp.arange(len(wins), dtype=jnp.int32))
