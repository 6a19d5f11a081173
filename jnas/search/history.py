"""Histories of searches: how they are put together, and how many cells they evaluated."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jnas.search._selection import comparable
from jnas.types import Arch, History


def num_distinct(history: History, identity: Callable[[Arch], jax.Array]) -> jax.Array:
    """Number of different cells that a search evaluated. Pure: works under `jit` and `vmap`.

    Args:
        history: of one search.
        identity: `[D] -> [2]` uint32, equal for isomorphic cells: `space.identity`.

    Returns:
        `[]` int32, classes of isomorphic architectures among the evaluations.
    """
    unused = jnp.arange(len(history.scores), dtype=jnp.int32) >= history.num_evaluations
    # Two words of 32 bits: without `jax_enable_x64` there are no integers of 64.
    high, low = jax.vmap(identity)(history.archs).T
    # Sorted, a class is a run of neighbours; slots that are not in use go last.
    unused, high, low = lax.sort((unused, high, low), num_keys=3)
    differs = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return jnp.sum(jnp.concatenate([jnp.ones(1, bool), differs]) & ~unused, dtype=jnp.int32)


def make_history(
    archs: jax.Array,
    scores: jax.Array,
    seconds: jax.Array,
    epochs: jax.Array,
    used: jax.Array,
    *,
    truncated: jax.Array,
    num_repeats: jax.Array,
    stalled: jax.Array,
) -> History:
    """History with the best so far, masked from the first slot on that is not `used` `[T]`."""
    # A search is over with its first unused slot, whatever a loop has computed behind it.
    used = jnp.cumprod(used.astype(jnp.int32)) == 1
    scores = jnp.where(used, scores, jnp.nan)
    order = comparable(scores)
    # Slot 0 always counts, failed or not, so that every entry of `best` is a slot.
    improves = jnp.concatenate([jnp.ones(1, bool), order[1:] > lax.cummax(order)[:-1]])
    return History(
        archs=archs,
        scores=scores,
        seconds=jnp.where(used, seconds, 0),
        epochs=epochs,
        best=lax.cummax(jnp.where(improves, jnp.arange(len(scores), dtype=jnp.int32), 0)),
        num_evaluations=jnp.sum(used, dtype=jnp.int32),
        truncated=jnp.all(used) & truncated,
        num_repeats=num_repeats,
        stalled=stalled,
    )
