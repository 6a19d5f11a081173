"""Random search: the baseline of every paper, and with a zero-shot estimator NASWOT's algorithm 1."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jnas.types import Key, Outcome, Query, Searcher, Space


class RandomSearchState(NamedTuple):
    """`num_asked` `[]` int32, evaluations proposed so far."""

    num_asked: jax.Array


def random_search(space: Space, *, batch_size: int = 1) -> Searcher:
    """Independent draws of `space.sample`, with replacement.

    Args:
        space: where to draw from.
        batch_size: architectures proposed by one `ask`.

    Returns:
        A `Searcher`; it learns nothing from what it is told.

    Raises:
        ValueError: `batch_size` is less than 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")

    def init(key: Key) -> RandomSearchState:
        del key
        return RandomSearchState(jnp.zeros((), jnp.int32))

    def ask(key: Key, state: RandomSearchState) -> tuple[Query, RandomSearchState]:
        archs = jax.vmap(space.sample)(jax.random.split(key, batch_size))
        ids = state.num_asked + jnp.arange(batch_size, dtype=jnp.int32)
        query = Query(ids, archs, jnp.zeros(batch_size, jnp.int32))
        return query, RandomSearchState(state.num_asked + batch_size)

    def tell(state: RandomSearchState, query: Query, outcome: Outcome) -> RandomSearchState:
        del query, outcome
        return state

    return Searcher(init, ask, tell)
