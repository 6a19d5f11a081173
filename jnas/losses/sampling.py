"""Samples of pairs and of triplets of a minibatch, for losses over a part of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jnas.losses import shared


def sample_pairs(
    key: jax.Array,
    targets: ArrayLike,
    *,
    num_pairs: int | None = None,
    max_ratio: float = 4.0,
    threshold: ArrayLike = 0.0,
    where: ArrayLike | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Pairs that GATES trains a minibatch with: all i < j that are no ties, or a random part.

    Of more than int(max_ratio · n) such pairs among n `targets [N]`, not counting padding, exactly
    that many are drawn, uniformly and without replacement. `num_pairs` takes the place of
    int(max_ratio · n). Memory is O(M); O(N²) where few pairs are left out, and where too many of
    the pairs drawn are ties.

    Returns:
        `[M, 2]` int32 and `[M]` bool, to be `pairs` and `pair_mask`; M = min(N (N − 1) / 2,
        int(max_ratio · N)), and the rest behind the pairs is (0, 0). Their order has no meaning.
    """
    targets, exists = shared.as_lists(where, targets=targets)
    length = targets.size
    # Numbers of pairs for each possible n, truncated in Python floats as in the published code.
    limits = [int(max_ratio * n) if num_pairs is None else num_pairs for n in range(length + 1)]
    if targets.ndim != 1 or length < 2 or limits[-1] < 1:
        raise ValueError(
            "pairs need targets [N], N ≥ 2, and at least one pair; "
            f"got {targets.shape} and {limits[-1]}."
        )
    size = min(length * (length - 1) // 2, limits[-1])
    limit = jnp.asarray(np.minimum(limits, length**2), jnp.int32)[jnp.sum(exists)]
    # Shapes must not depend on how many pairs are tied: the rest of `size` rows is masked.
    exact = functools.partial(_among_all, key, targets, exists, threshold, limit, size)
    if _NUM_LOTS * size >= length * (length - 1) // 2:
        return exact()
    pairs, number = _by_lot(key, targets, exists, threshold, limit, size)
    mask = lax.iota(jnp.int32, size) < number
    # Too many ties and repetitions among the lots: all pairs are looked at after all. Under `vmap`
    # the condition is a selection, and both are computed.
    few: tuple[jax.Array, jax.Array] = lax.cond(
        number < limit, exact, lambda: (jnp.where(mask[:, None], pairs, 0), mask)
    )
    return few


_NUM_LOTS = 4  # draws for each pair wanted


def _by_lot(
    key: jax.Array,
    targets: jax.Array,
    exists: jax.Array,
    threshold: ArrayLike,
    limit: jax.Array,
    size: int,
) -> tuple[jax.Array, jax.Array]:
    """First `limit` different, untied pairs of a random sequence, `[size, 2]`, and their number.

    A uniform sample without replacement like `_among_all`, if there are enough; it never looks at
    all N² pairs.
    """
    # At least 2, for lots are drawn from 0 … `num_exist` − 2; `exists` drops what that invents.
    num_exist = jnp.maximum(jnp.sum(exists, dtype=jnp.int32), 2)
    order = jnp.argsort(~exists, stable=True)
    first_key, second_key = jax.random.split(key)
    i = jax.random.randint(first_key, (_NUM_LOTS * size,), 0, num_exist, jnp.int32)
    j = jax.random.randint(second_key, (_NUM_LOTS * size,), 0, num_exist - 1, jnp.int32)
    # Uniform over all but `i`, without drawing again.
    j = jnp.where(j >= i, j + 1, j)
    i, j = order[jnp.minimum(i, j)].astype(jnp.int32), order[jnp.maximum(i, j)].astype(jnp.int32)
    # Sorted by pair and then by draw, so that of equal pairs the one drawn first stays. Up to N =
    # 65,536 an int32 that wraps around still tells pairs apart.
    code, draw = lax.sort((i * targets.shape[0] + j, lax.iota(jnp.int32, i.shape[0])), num_keys=2)
    repeated = jnp.pad(code[1:] == code[:-1], (1, 0))
    is_new = jnp.zeros(i.shape, bool).at[draw].set(~repeated, unique_indices=True)
    used = is_new & exists[i] & exists[j] & shared.differ(targets[i] - targets[j], threshold)
    number = jnp.minimum(jnp.sum(used, dtype=jnp.int32), limit)
    # The k-th pair is where the count reaches k; places behind the last are masked by the caller.
    places = jnp.searchsorted(jnp.cumsum(used, dtype=jnp.int32), lax.iota(jnp.int32, size) + 1)
    return jnp.stack([i, j], axis=-1)[places], number


def _among_all(
    key: jax.Array,
    targets: jax.Array,
    exists: jax.Array,
    threshold: ArrayLike,
    limit: jax.Array,
    size: int,
) -> tuple[jax.Array, jax.Array]:
    """`[size, 2]` untied pairs with the `limit` highest lots, or all of them, and `[size]` mask."""
    length = targets.shape[0]
    y_i, y_j = shared.members(targets, None, 2)
    candidates = (
        shared.all_valid(exists, None, None, 2) & shared.differ(y_i - y_j, threshold)
    ).ravel()
    num_drawn = jnp.minimum(limit, jnp.sum(candidates, dtype=jnp.int32))
    # 31 bits, for −1 to be below every lot. Equal lots at the limit are taken in order.
    lots = jnp.where(
        candidates, (jax.random.bits(key, candidates.shape, jnp.uint32) >> 1).astype(jnp.int32), -1
    )
    num_up_to = jnp.cumsum(lots >= _nth_largest(lots, num_drawn), dtype=jnp.int32)
    number = lax.iota(jnp.int32, size)
    places, valid = jnp.searchsorted(num_up_to, number + 1).astype(jnp.int32), number < num_drawn
    return jnp.where(
        valid[:, None], jnp.stack([places // length, places % length], axis=-1), 0
    ), valid


def _nth_largest(values: jax.Array, n: jax.Array) -> jax.Array:
    """`[]` int32, the n-th largest of `values` int32, of which n are ≥ 0.

    By bisection of its bits, which is many times faster than sorting.
    """

    def set_bit(bit: jax.Array, found: jax.Array) -> jax.Array:
        """Lower bound `[]` with one more bit, set where n values still reach it."""
        higher = found | (jnp.int32(1) << (30 - bit))
        return jnp.where(jnp.sum(values >= higher, dtype=jnp.int32) >= n, higher, found)

    result: jax.Array = lax.fori_loop(0, 31, set_bit, jnp.int32(0))
    return result


def sample_triplets(key: jax.Array, num_items: int, num_triplets: int) -> jax.Array:
    """`[num_triplets, 3]` int32, uniform and with replacement, from all i < j < k < num_items.

    Raises:
        ValueError: there are fewer than 3 items or no triplets.
    """
    if num_items < 3 or num_triplets < 1:
        raise ValueError(
            f"triplets need num_items ≥ 3 and num_triplets ≥ 1, got {num_items} and {num_triplets}."
        )
    keys = jax.random.split(key, 3)
    sizes = range(num_items, num_items - 3, -1)
    i, j, k = (
        jax.random.randint(key, (num_triplets,), 0, n, jnp.int32)
        for key, n in zip(keys, sizes, strict=True)
    )
    # Each draw numbers only what the draws before it left over.
    j = jnp.where(j >= i, j + 1, j)
    for taken in (jnp.minimum(i, j), jnp.maximum(i, j)):
        k = jnp.where(k >= taken, k + 1, k)
    return jnp.sort(jnp.stack([i, j, k], axis=-1), axis=-1)
