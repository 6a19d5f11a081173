"""Programs of the metrics: ranks, ties, counts of pairs, correlations. All work under `jit`."""

import jax
import jax.numpy as jnp
from jax import lax

from jnas.metrics._inputs import Pairs


@jax.jit
def both_ranks(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> Pairs:
    """Predicted ranks and true ranks, `[N]` int32, and `[]` bool: all valid targets are finite."""
    return ranks(scores), ranks(targets), _all_finite(targets, valid)


@jax.jit
def ranks(values: jax.Array) -> jax.Array:
    """`[N]` int32, 0 for the highest, ties in order of appearance."""
    # The inverse of a permutation by one scatter: a second sort would cost as much as the first.
    order = jnp.argsort(_lowest_for_nan(values), stable=True, descending=True)
    return jnp.zeros(values.shape, jnp.int32).at[order].set(_places(values), unique_indices=True)


def best(predicted: jax.Array, true: jax.Array, k: int) -> jax.Array:
    """`[]` int32, the best true rank, from 1, among the predicted best k."""
    return 1 + jnp.min(true, where=predicted < k, initial=true.shape[0])


def float_if(finite: jax.Array, value: jax.Array) -> jax.Array:
    """Floats of `value`, all of them NaN unless `finite`."""
    return jnp.where(finite, value.astype(float), jnp.nan)


def _all_finite(targets: jax.Array, valid: jax.Array) -> jax.Array:
    """`[]` bool: every valid target is finite."""
    return jnp.all(jnp.isfinite(targets) | ~valid)


def _lowest_for_nan(values: jax.Array) -> jax.Array:
    """`[N]` values with −∞ in place of NaN, which would be sorted above all numbers."""
    # Integers have no NaN, and those beyond 2^24 are no float32.
    if not jnp.issubdtype(values.dtype, jnp.floating):
        return values
    return jnp.where(jnp.isnan(values), -jnp.inf, values)


def _places(values: jax.Array) -> jax.Array:
    """`[N]` int32, 0 … N − 1."""
    return lax.iota(jnp.int32, values.shape[0])


def _run_starts(changes: jax.Array) -> jax.Array:
    """`[N]` int32, first place of each place's run of equals.

    `changes [N - 1]` bool: place i + 1 differs from i.
    """
    starts = jnp.pad(changes, (1, 0), constant_values=True)
    return lax.cummax(jnp.where(starts, _places(starts), 0))


@jax.jit
def tie_spans(values: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`[N]` int32 twice, first and last place of each value's ties; invalid ones come last.

    Places are those of the values in ascending order.
    """
    places = _places(values)
    keys = ((~valid).astype(jnp.int32), _lowest_for_nan(values))
    invalid, ordered, origin = lax.sort((*keys, places), num_keys=2)
    changes = (ordered[1:] != ordered[:-1]) | (invalid[1:] != invalid[:-1])
    # The last place of a run is the first one from behind.
    first, last = _run_starts(changes), places[-1] - _run_starts(changes[::-1])[::-1]
    spans = jnp.zeros((values.shape[0], 2), jnp.int32)
    spans = spans.at[origin].set(jnp.stack([first, last], axis=-1), unique_indices=True)
    return spans[:, 0], spans[:, 1]


@jax.jit
def count_pairs(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> tuple[jax.Array, ...]:
    """Numbers of pairs, `[]` float: C − D, untied in scores, untied in targets, and all.

    C − D is NaN for targets that are not finite.
    """
    # A count of pairs is summed over architectures, since each one's share fits 32 bits and the sum
    # does not: C − D = untied in scores + untied in targets − all + tied in both − 2 D.
    places = _places(scores)
    # From here on, a value is the number of values below it; padding ties with itself, on top.
    score, target = (
        jnp.where(valid, tie_spans(values, valid)[0], places.shape[0])
        for values in (scores, targets)
    )
    # Sorted by score, a discordant pair is an inversion of the targets. Where scores tie, targets
    # are ascending and have none.
    score, target = lax.sort((score, target), num_keys=2)
    tied_in_both = places - _run_starts((score[1:] != score[:-1]) | (target[1:] != target[:-1]))
    used = places < jnp.sum(valid, dtype=jnp.int32)
    agreement = jnp.where(used, score + target - places + tied_in_both, 0)
    difference = exact_sum(jnp.concatenate([agreement, -2 * inversions(target)]))
    a, b, pairs = (exact_sum(jnp.where(used, term, 0)) for term in (score, target, places))
    return jnp.where(_all_finite(targets, valid), difference, jnp.nan), a, b, pairs


def inversions(values: jax.Array) -> jax.Array:
    """`[2^L ≥ N]` int32 that add up to the number of pairs i < j with values[i] > values[j].

    A radix sort from the highest bit (the levels of a wavelet tree): elements that agree in all
    higher bits lie together in their first order, and each 0 bit is inverted with the 1 bits before
    it in its group. On a permutation of 0 … 2^L − 1 the groups are aligned blocks, half 0 bits and
    half 1 bits.
    """
    num_levels = (values.shape[0] - 1).bit_length()
    places = lax.iota(jnp.int32, 2**num_levels)
    # Equal values are numbered in their order, which makes no inversion of them. So are the missing
    # ones up to 2^L, which are the largest and come last.
    order = jnp.argsort(values, stable=True)
    permutation = places.at[order].set(_places(values), unique_indices=True)

    def split(level: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Permutation grouped by one more bit, and inversions with those that this bit decides."""
        permutation, inversions = carry
        bit = num_levels - 1 - jnp.asarray(level, jnp.int32)
        half, block = jnp.int32(1) << bit, places >> (bit + 1)
        is_one = (permutation >> bit) & 1
        ones_before = lax.cumsum(is_one) - is_one - block * half
        # A 1 moves behind its block's zeros, a 0 ahead of the ones before it.
        moved = jnp.where(is_one == 1, (2 * block + 1) * half + ones_before, places - ones_before)
        inversions += jnp.where(is_one == 1, 0, ones_before)
        return permutation.at[moved].set(permutation, unique_indices=True), inversions

    inversions: jax.Array = lax.fori_loop(
        0, num_levels, split, (permutation, jnp.zeros_like(places))
    )[1]
    return inversions


def exact_sum(values: jax.Array) -> jax.Array:
    """`[]` float sum of `[M]` int32, exact in bytes and rounded once."""
    # JAX has no 64-bit integers in its 32-bit mode, and 9e10 pairs of NAS-Bench-101 exceed int32.
    carry = low = jnp.zeros((), jnp.int32)
    for shift in (0, 8, 16):
        lane = carry + jnp.sum((values >> shift) & 255, dtype=jnp.int32)
        low, carry = low + ((lane & 255) << shift), lane >> 8
    # Shifted with its sign: only the highest byte of a term is negative.
    high = carry + jnp.sum(values >> 24, dtype=jnp.int32)
    return high.astype(float) * 2**24 + low.astype(float)


# Twice the average rank is an integer, which float32 holds up to the longest ranking.
@jax.jit
def spearman(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> jax.Array:
    """`[]` float, Spearman's ρ."""
    spans = (tie_spans(values, valid) for values in (scores, targets))
    doubled_ranks = ((first + last).astype(float) for first, last in spans)
    return jnp.where(_all_finite(targets, valid), pearson(*doubled_ranks, valid), jnp.nan)


@jax.jit
def pearson(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> jax.Array:
    """`[]` float, Pearson's correlation of the valid and finite pairs."""
    valid = valid & jnp.isfinite(scores) & jnp.isfinite(targets)
    x, y = _centred(scores, valid), _centred(targets, valid)
    # Rounding may leave −1 … 1 by a little.
    return jnp.clip(jnp.sum(x * y) / jnp.sqrt(jnp.sum(x * x) * jnp.sum(y * y)), -1.0, 1.0)


def _centred(values: jax.Array, valid: jax.Array) -> jax.Array:
    """`[N]` valid values shifted to mean 0 and scaled to range 1 (NaN if constant), 0 elsewhere."""
    # Shifted by the minimum first: the mean of large numbers is too coarse to tell small
    # differences. Scaled, for squares of costs of 1e20 overflow float32 and those of 1e-30 vanish.
    values = jnp.where(valid, values - jnp.min(values, where=valid, initial=jnp.inf), 0.0)
    values = values / jnp.max(values)
    mean = jnp.sum(values) / jnp.sum(valid).astype(values.dtype)
    return jnp.where(valid, values - mean, 0.0)
