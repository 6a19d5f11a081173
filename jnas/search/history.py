"""Histories of searches: how they are put together, and what is read from them."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jnas.search._selection import comparable
from jnas.types import Arch, History

_Ranked: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]  # epochs, scores and their places


def num_distinct(history: History, identity: Callable[[Arch], jax.Array]) -> jax.Array:
    """Number of different cells that a search evaluated. Pure: works under `jit` and `vmap`.

    Args:
        history: of one search.
        identity: `[D] -> [W]` uint32, equal for isomorphic cells: `space.identity`.

    Returns:
        `[]` int32, classes of isomorphic architectures among the evaluations.
    """
    unused = jnp.arange(len(history.scores), dtype=jnp.int32) >= history.num_evaluations
    # Words of 32 bits: without `jax_enable_x64` there are no integers of 64.
    words = jax.vmap(identity)(history.archs).T
    # Sorted, a class is a run of neighbours; slots that are not in use go last.
    unused, *columns = lax.sort((unused, *words), num_keys=1 + len(words))
    words = jnp.stack(columns)
    differs = jnp.any(words[:, 1:] != words[:, :-1], axis=0)
    return jnp.sum(jnp.concatenate([jnp.ones(1, bool), differs]) & ~unused, dtype=jnp.int32)


# One program, also where it is called outside of one: a scan by hand is a hundred small ones.
@jax.jit
def incumbents(history: History) -> jax.Array:
    """Best evaluations so far of those with the most epochs. Pure: works under `jit` and `vmap`.

    `History.best` compares scores whatever the epochs. After few epochs these are no accuracies of
    a trained network, and of a curve that falls again the earlier score is larger. So the answer of
    a search with short and long trainings is the incumbent, as BOHB's authors call it (Falkner et
    al., ICML 2018): the best of the longest trainings. Where all have as many epochs, it is `best`.

    Args:
        history: of one search.

    Returns:
        `[T]` int32, index of the best among the first `t + 1` evaluations that did not fail; 0
        while all have failed. It may fall, when the first longer training comes back.
    """
    scores = comparable(jnp.asarray(history.scores))
    numbers = jnp.arange(len(scores), dtype=jnp.int32)
    levels = jnp.where(scores > -jnp.inf, jnp.asarray(history.epochs), -1)

    def better(one: _Ranked, other: _Ranked) -> _Ranked:
        longer = (other[0] > one[0]) | ((other[0] == one[0]) & (other[1] > one[1]))
        found: _Ranked = jax.tree.map(lambda a, b: jnp.where(longer, b, a), one, other)
        return found

    places: jax.Array = lax.associative_scan(better, (levels, scores, numbers))[2]
    return places


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
