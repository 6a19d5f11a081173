"""Selection in populations: comparable scores, and the tournament that picks a parent."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Key

Tournament: TypeAlias = Literal["with_replacement", "without_replacement"]


def comparable(scores: jax.Array) -> jax.Array:
    """Scores `[P]` with -inf, the score of what cannot be ranked, for failed evaluations (NaN)."""
    return jnp.where(jnp.isnan(scores), -jnp.inf, scores)


def unknown(shape: int | tuple[int, ...]) -> jax.Array:
    """Scores of what has not been told yet: -inf, as for failed evaluations."""
    # With a type of their own: weakly typed ones are others to `jit` than those that `tell`
    # returns, so that a loop on the host would compile every function twice.
    return jnp.full(shape, -jnp.inf, float)


def tournament(
    key: Key, scores: jax.Array, present: jax.Array, *, size: int, kind: Tournament
) -> jax.Array:
    """Winner of a tournament: the best of a random sample; the one drawn first wins ties.

    Only members that are present and have a rank (a score above -inf) are drawn. Where there is
    none, all that are present are, and where nobody is, everybody is.

    Args:
        key: consumed.
        scores: `[P]` float, no NaN.
        present: `[P]` bool.
        size: how many are drawn, at most `P`. A sample without replacement is as large as those to
            draw from if they are fewer.
        kind: whether one member can be drawn twice.

    Returns:
        `[]` int32, index of the winner.
    """
    ranked = present & (scores > -jnp.inf)
    eligible = jnp.where(jnp.any(ranked), ranked, present | ~jnp.any(present))
    drawn = _DRAWS[kind](key, eligible, size)
    # A sample without replacement ends with others where fewer than `size` are eligible.
    return drawn[jnp.argmax(jnp.where(eligible, scores, -jnp.inf)[drawn])]


def _with_replacement(key: Key, eligible: jax.Array, size: int) -> jax.Array:
    """Members `[size]` int32, each uniform over the eligible, with a bias of less than P/2^23."""
    counts = jnp.cumsum(eligible, dtype=jnp.int32)
    # One word a draw, where `randint` takes two. Rounding cannot reach the count: the largest draw
    # is 1 - 2^-23, and products with it stay below.
    nth = (jax.random.uniform(key, (size, 1), jnp.float32) * counts[-1].astype(jnp.float32)).astype(
        jnp.int32
    )
    return jnp.sum(counts[None] <= nth, axis=1, dtype=jnp.int32)


def _without_replacement(key: Key, eligible: jax.Array, size: int) -> jax.Array:
    """Members `[size]` int32: the start of a random order of the population, the eligible first."""
    # Below every uniform number, so that members who are not eligible come last.
    return lax.top_k(
        jnp.where(eligible, jax.random.uniform(key, eligible.shape, jnp.float32), -1.0), size
    )[1]


_DRAWS: dict[str, Callable[[Key, jax.Array, int], jax.Array]] = {
    "with_replacement": _with_replacement,
    "without_replacement": _without_replacement,
}
