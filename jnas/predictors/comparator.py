"""Ranks of a set from pairwise comparisons: the quicksort of GATES, all its partitions at once.

Ning et al., ECCV 2020, section 3.3. A shuffled set is split around its middle element, and so are
its parts, sorted by their comparison with the last pivot; those of at most `leaf_size` members stay
in that order. Here one round splits all parts together: N comparisons a round, O(N log N) in all,
and no table of N² of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Key


class _Parts(NamedTuple):
    """Partition of a set: elements by place, and of each element its part's first place and end.

    All arrays are `[N]` int32; `ends` is the place behind the last of the part.
    """

    elements: jax.Array
    starts: jax.Array
    ends: jax.Array


def ranks_by_comparison(
    key: Key,
    is_better: Callable[[jax.Array, jax.Array], jax.Array],
    num: int,
    *,
    leaf_size: int = 100,
) -> jax.Array:
    """Ranks of `num` elements, 0 is best.

    Args:
        key: shuffles the set.
        is_better: `(i [N], j [N]) -> [N]`, the probability that element `j` is better than element
            `i`; it need not be transitive.
        num: N, the number of elements.
        leaf_size: parts of at most so many members are not split; 1 sorts to the end.
            GATES has 100. The whole set is always split.

    Returns:
        `[N]` int32.

    Raises:
        ValueError: `num` or `leaf_size` is less than 1.
    """
    if num < 1 or leaf_size < 1:
        raise ValueError(f"num and leaf_size must be at least 1; got {num} and {leaf_size}")
    # The whole set is split at least once: it comes shuffled, and only a comparison with a pivot
    # puts a part in order.
    leaf_size = max(min(leaf_size, num - 1), 1)
    places = lax.iota(jnp.int32, num)

    def split(parts: _Parts) -> _Parts:
        # Parts are in order by probability, so that their first member would split off only itself.
        middles = (parts.starts + parts.ends - 1) // 2
        probability = is_better(parts.elements[middles], parts.elements)
        large = parts.ends - parts.starts > leaf_size
        # 0: better than the pivot, 1: the pivot, 2: the others; small parts keep their order.
        # The pivot is a part of its own, so that every round shrinks a part whatever is compared.
        # Ties go behind the pivot, as the published partition has it.
        side = jnp.where(
            large, jnp.where(places == middles, 1, jnp.where(probability > 0.5, 0, 2)), 0
        )
        order = jnp.where(large & (side != 1), -probability, 0.0)
        # The first place leads, so that one sort of all N elements cannot mix parts. Stability
        # keeps small parts, and what compares alike, in the order they had.
        starts, side, _, elements = lax.sort(
            (parts.starts, side, order, parts.elements), num_keys=3, is_stable=True
        )
        changes = (starts[1:] != starts[:-1]) | (side[1:] != side[:-1])
        return _Parts(elements, *_spans(changes, places))

    first = _Parts(
        jax.random.permutation(key, places), jnp.zeros_like(places), jnp.full_like(places, num)
    )
    parts = lax.while_loop(
        lambda parts: jnp.any(parts.ends - parts.starts > leaf_size), split, first
    )
    return jnp.zeros_like(places).at[parts.elements].set(places, unique_indices=True)


def _spans(changes: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ends of the runs of equals: `[N]` first places and `[N]` places behind the last.

    `changes` `[N - 1]` is True where the next place begins a new run.
    """
    begins = jnp.pad(changes, (1, 0), constant_values=True)
    starts = lax.cummax(jnp.where(begins, places, 0))
    last = jnp.pad(changes, (0, 1), constant_values=True)
    ends = lax.cummin(jnp.where(last, places + 1, places.shape[0]), reverse=True)
    return starts, ends
