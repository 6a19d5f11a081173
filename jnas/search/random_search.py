"""Random search: the baseline of every paper, and on a zero-shot estimator NASWOT's algorithm 1.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021,
https://arxiv.org/abs/2006.04647.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search._memory import num_words
from jnas.search._query import numbered
from jnas.search._redraw import draw_until
from jnas.types import Key, Outcome, Query, Searcher, Space


class RandomSearchState(NamedTuple):
    """State: proposals that random search remembers.

    Attributes:
        num_asked: `[]` int32, evaluations proposed so far.
        seen: `[capacity, W]` uint32, identities of the last proposals, a ring buffer; `[0, 0]` with
            replacement.
    """

    num_asked: jax.Array
    seen: jax.Array


@pickled_by_call
def random_search(
    space: Space,
    *,
    batch_size: int = 1,
    with_replacement: bool = True,
    capacity: int | None = None,
    max_draws: int = 100,
) -> Searcher:
    """Strategy of independent draws of `space.sample`.

    Without replacement no proposal is isomorphic (`space.identity`) to one of the last `capacity`
    proposals, as far as `max_draws` draws can tell: where all of them are known, the last of them
    is proposed again.

    Args:
        space: where to draw from.
        batch_size: architectures proposed by one `ask`.
        with_replacement: whether isomorphic architectures may be proposed again.
        capacity: proposals to remember without replacement, usually the evaluations of the run.
        max_draws: draws at most for one proposal without replacement.

    Returns:
        A `Searcher`; it learns nothing from what it is told.

    Raises:
        ValueError: a number is less than 1, `capacity` is missing or has no use.
    """
    if with_replacement != (capacity is None):
        raise ValueError(
            f"capacity goes with with_replacement=False, and only with it; got {capacity}"
        )
    # No rows where nothing is remembered: the state has the same structure, and a loop carries
    # less.
    memory = 0 if capacity is None else capacity
    check_at_least_one(
        batch_size=batch_size, max_draws=max_draws, capacity=1 if capacity is None else capacity
    )

    def init(key: Key) -> RandomSearchState:
        del key
        words = num_words(space) if memory else 0
        return RandomSearchState(jnp.zeros((), jnp.int32), jnp.zeros((memory, words), jnp.uint32))

    def draw_new(state: RandomSearchState, key: Key) -> tuple[RandomSearchState, jax.Array]:
        # Unused slots hold zeros, which may be the identity of an architecture.
        used = jnp.arange(memory, dtype=jnp.int32) < state.num_asked

        def is_new(arch: jax.Array) -> jax.Array:
            return ~jnp.any(used & jnp.all(state.seen == space.identity(arch)[None], axis=1))

        arch, _ = draw_until(
            key, space.sample, is_new, size=len(space.cardinalities), max_draws=max_draws
        )
        # Over the oldest one, whether or not the proposal is new: a repeat is remembered twice.
        seen = state.seen.at[state.num_asked % memory].set(space.identity(arch))
        return RandomSearchState(state.num_asked + 1, seen), arch

    def ask(key: Key, state: RandomSearchState) -> tuple[Query, RandomSearchState]:
        keys = jax.random.split(key, batch_size)
        if with_replacement:
            archs, after = (
                jax.vmap(space.sample)(keys),
                state._replace(num_asked=state.num_asked + batch_size),
            )
        else:
            # One after the other, for a batch must not repeat itself either.
            after, archs = lax.scan(draw_new, state, keys)
        return numbered(state.num_asked, archs), after

    def tell(state: RandomSearchState, query: Query, outcome: Outcome) -> RandomSearchState:
        del query, outcome
        return state

    return Searcher(init, ask, tell)
