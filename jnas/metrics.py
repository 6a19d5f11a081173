"""Metrics of how well predicted scores rank architectures: arrays in, one number out.

Every metric takes `(scores [N], targets [N])`, predicted scores and true accuracies, higher being
better in both, and returns `[]` float (`best_rank_at_k`: int32). NumPy and JAX arrays of real
numbers of any width will do. All are pure, work under `jit` and `vmap` and cost O(N log N); `ratio`
and `k` are static.

Common to all of them:
    Scores: only comparisons matter (but for `pearson`). `-inf` means "cannot be ranked" and ranks
        last, NaN is read as `-inf`, and all of these tie with each other.
    Targets: must be finite, or the result is NaN. `pearson` instead drops every pair that is not
        finite, and `best_rank_at_k`, an integer, ranks such targets by the rules for scores.
    Undefined: a correlation of under two pairs is NaN, and one of constant scores or targets (tau-a
        is 0).
    `where`: `[N]` bool, False for padding, which then has no influence. It also restricts a
        correlation to part of the ranking: `kendall_tau(scores, targets, where=ranks(scores) < k)`
        is KD in the top k.
    Ties: correlations treat them alike; metrics at a cut-off rank them in order of appearance.
    Precision: pairs are counted in exact integers and rounded once to the float width in use.
        64-bit NumPy arrays are compared in 64 bits in any case, but not by `pearson`.
    Errors: ValueError where inputs are not real numbers of rank 1 and equal length N, 2 ≤ N ≤ 2²².

Names of the literature: N@K and P@K after Ning et al. (GATES, ECCV 2020); P@topK, P@bottomK, BR@K
and WR@K after Ning et al. (Evaluating Efficient Performance Estimators of Neural Architectures,
NeurIPS 2021).
"""

import operator
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

# Up to here byte-wise sums of 2 N terms fit int32, and sums of two ranks are exact in float32.
_MAX_LENGTH = 2**22

_Three: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]


def kendall_tau(
    scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None
) -> jax.Array:
    """Kendall's tau-b (KD, KTau), corrected for ties: `[]` float in −1 … 1 (Kendall 1945).

    τ_b = (C − D) / √((C + D + T_s)(C + D + T_t)) over C concordant and D discordant pairs, T_s
    pairs tied in the scores alone and T_t pairs tied in the targets alone.
    """
    difference, a, b, _ = _count_pairs(*_rankable(scores, targets, where))
    # Unlike a product under the root, this form is exactly ±1 for equal and for opposite rankings.
    return jnp.clip(difference / a * jnp.sqrt(a / b), -1.0, 1.0)


def kendall_tau_a(
    scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None
) -> jax.Array:
    """Kendall's tau-a, (C − D) / (N (N − 1) / 2): `[]` float in −1 … 1 (Kendall 1938).

    Ties count for nothing, so it is 0 and not NaN for constant scores or targets.
    """
    difference, _, _, pairs = _count_pairs(*_rankable(scores, targets, where))
    tau: jax.Array = difference / pairs
    return tau


def spearman(scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """Spearman's ρ (SpearmanR), the correlation of average ranks: `[]` float in −1 … 1.

    Spearman 1904.
    """
    rho: jax.Array = _spearman(*_rankable(scores, targets, where))
    return rho


def pearson(scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None) -> jax.Array:
    """Pearson's linear correlation (LC) of the finite pairs: `[]` float in −1 … 1.

    Raises:
        ValueError: also where a finite 64-bit number is beyond the float width in use.
    """
    valid = _check_pairs(scores, targets, where)
    r: jax.Array = _pearson(_floats("scores", scores), _floats("targets", targets), valid)
    return r


def precision_at_top(scores: ArrayLike, targets: ArrayLike, ratio: float) -> jax.Array:
    """P@topK (P@K): share of the predicted best k = int(ratio · N) among the true best k.

    P@topK of Ning et al., NeurIPS 2021, and P@K of GATES.

    Args:
        scores: `[N]` predicted scores.
        targets: `[N]` true accuracies.
        ratio: the K of the name, 0 < ratio ≤ 1.

    Returns:
        `[]` float in 0 … 1, higher is better.

    Raises:
        ValueError: also where k < 1.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    return _float_if(finite, jnp.sum((predicted < k) & (true < k))) / k


def precision_at_bottom(scores: ArrayLike, targets: ArrayLike, ratio: float) -> jax.Array:
    """P@bottomK: share of the predicted worst k = int(ratio · N) among the true worst k.

    Args and errors are those of `precision_at_top`; `[]` float in 0 … 1, higher is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    first = true.shape[0] - k
    return _float_if(finite, jnp.sum((predicted >= first) & (true >= first))) / k


def best_rank_at(scores: ArrayLike, targets: ArrayLike, ratio: float) -> jax.Array:
    """BR@K: best true rank, from 1, among the predicted best k = int(ratio · N), divided by N.

    Args and errors are those of `precision_at_top`; `[]` float in 1/N … 1, lower is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    return _float_if(finite, _best(predicted, true, k)) / true.shape[0]


def worst_rank_at(scores: ArrayLike, targets: ArrayLike, ratio: float) -> jax.Array:
    """WR@K: worst true rank, from 1, among the predicted best k = int(ratio · N), divided by N.

    Args and errors are those of `precision_at_top`; `[]` float in k/N … 1, lower is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    worst = 1 + jnp.max(true, where=predicted < k, initial=-1)
    return _float_if(finite, worst) / true.shape[0]


def best_rank_at_k(scores: ArrayLike, targets: ArrayLike, k: int) -> jax.Array:
    """N@K: best true rank, from 1, among the k architectures with the highest scores.

    `[]` int32 in 1 … N, lower is better; ValueError also where k is outside 1 … N.
    """
    predicted, true, _ = _both_ranks(*_rankable(scores, targets, None))
    if not 1 <= operator.index(k) <= true.shape[0]:
        raise ValueError(f"k must be in 1 … N = {true.shape[0]}, got {k}.")
    return _best(predicted, true, k)


def ranks(values: ArrayLike) -> jax.Array:
    """`[N]` int32, ranks of `values [N]`: 0 for the highest, ties in order of appearance.

    Raises:
        ValueError: `values` are not real numbers of rank 1, or more than 2²².
    """
    result: jax.Array = _ranks(_orderable("values", values))
    return result


def average_ranks(values: ArrayLike) -> jax.Array:
    """`[N]` float, ranks of `values [N]`: 0 for the highest, ties share their mean rank.

    Raises:
        ValueError: as for `ranks`.
    """
    array = _orderable("values", values)
    first, last = _tie_spans(array, jnp.ones(array.shape, bool))
    mean: jax.Array = array.shape[0] - 1 - (first + last).astype(float) / 2
    return mean


def _check_numbers(name: str, values: ArrayLike) -> None:
    """ValueError where `values` are not real numbers `[N]`, N ≤ 2²²."""
    # Shape and type alone: under `jit` there are no values to look at.
    shape, dtype = jnp.shape(values), jnp.result_type(values)
    if len(shape) != 1:
        raise ValueError(f"{name} must have rank 1, [N], got shape {shape}; batch with jax.vmap.")
    if shape[0] > _MAX_LENGTH:
        raise ValueError(f"{name} may hold at most {_MAX_LENGTH} numbers, got {shape[0]}.")
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be real numbers, got {dtype}.")


def _check_pairs(scores: ArrayLike, targets: ArrayLike, where: ArrayLike | None) -> jax.Array:
    """`[N]` bool mask of the pairs to use, of inputs that fit together; ValueError otherwise."""
    _check_numbers("scores", scores)
    _check_numbers("targets", targets)
    shape = jnp.shape(scores)
    if shape != jnp.shape(targets):
        raise ValueError(
            f"scores and targets must be equally long, got {shape} and {jnp.shape(targets)}."
        )
    if shape[0] < 2:
        raise ValueError(f"a ranking needs at least 2 architectures, got {shape[0]}.")
    if where is None:
        return jnp.ones(shape, bool)
    if jnp.shape(where) != shape or jnp.result_type(where) != np.dtype(bool):
        found = f"{jnp.result_type(where)} {jnp.shape(where)}"
        raise ValueError(f"where must be bool and shaped like scores, {shape}, got {found}.")
    return jnp.asarray(where)


def _rankable(scores: ArrayLike, targets: ArrayLike, where: ArrayLike | None) -> _Three:
    """Scores, targets and the mask of pairs to use, `[N]` each and checked."""
    valid = _check_pairs(scores, targets, where)
    return _orderable("scores", scores), _orderable("targets", targets), valid


def _cut(scores: ArrayLike, targets: ArrayLike, ratio: float) -> tuple[int, _Three]:
    """Cut-off k = int(ratio · N), and `_both_ranks`; ValueError where k is less than 1.

    It is truncated in Python floats, as the published evaluations do.
    """
    rankable = _rankable(scores, targets, None)
    length = jnp.size(scores)
    if not 0 < ratio <= 1 or int(ratio * length) < 1:
        allowed = f"0 < ratio ≤ 1 with k = int(ratio · N) ≥ 1 for N = {length}"
        raise ValueError(f"ratio must keep {allowed}, got {ratio}.")
    return int(ratio * length), _both_ranks(*rankable)


def _orderable(name: str, values: ArrayLike) -> jax.Array:
    """`[N]` numbers that JAX can hold and that compare as `values` do.

    What is not finite stays as it is.
    """
    _check_numbers(name, values)
    if not _would_narrow(values):
        return jnp.asarray(values)
    # Narrowing invents ties, overflows floats and wraps integers around. Dense ranks do not, and
    # are exact in float32.
    wide = np.asarray(values)
    dense = np.unique(wide, return_inverse=True)[1]
    return jnp.asarray(np.where(np.isfinite(wide), dense, wide).astype(np.float32))


def _floats(name: str, values: ArrayLike) -> jax.Array:
    """`[N]` floats of the width in use; ValueError where a finite number overflows it."""
    dtype = jnp.result_type(float)
    if not _would_narrow(values):
        return jnp.asarray(values).astype(dtype)
    wide = np.asarray(values)
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype)
    if np.any(np.isinf(narrow) & np.isfinite(wide)):
        raise ValueError(f"{name} overflow {dtype}: rescale them or correlate their logarithms.")
    return jnp.asarray(narrow)


def _would_narrow(values: ArrayLike) -> bool:
    """True for 64-bit NumPy arrays while JAX is in its 32-bit mode."""
    return isinstance(values, np.ndarray) and values.dtype != jax.dtypes.canonicalize_dtype(
        values.dtype
    )


@jax.jit
def _both_ranks(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> _Three:
    """Predicted ranks and true ranks, `[N]` int32, and `[]` bool: all valid targets are finite."""
    return _ranks(scores), _ranks(targets), _all_finite(targets, valid)


@jax.jit
def _ranks(values: jax.Array) -> jax.Array:
    """`[N]` int32, what `ranks` returns."""
    # The inverse of a permutation by one scatter: a second sort would cost as much as the first.
    order = jnp.argsort(_lowest_for_nan(values), stable=True, descending=True)
    return jnp.zeros(values.shape, jnp.int32).at[order].set(_places(values), unique_indices=True)


def _best(predicted: jax.Array, true: jax.Array, k: int) -> jax.Array:
    """`[]` int32, the best true rank, from 1, among the predicted best k."""
    return 1 + jnp.min(true, where=predicted < k, initial=true.shape[0])


def _float_if(finite: jax.Array, value: jax.Array) -> jax.Array:
    """`[]` float of `value`, NaN unless `finite`."""
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
def _tie_spans(values: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
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
def _count_pairs(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> tuple[jax.Array, ...]:
    """Numbers of pairs, `[]` float: C − D, untied in scores, untied in targets, and all.

    C − D is NaN for targets that are not finite.
    """
    # A count of pairs is summed over architectures, since each one's share fits 32 bits and the sum
    # does not: C − D = untied in scores + untied in targets − all + tied in both − 2 D.
    places = _places(scores)
    # From here on, a value is the number of values below it; padding ties with itself, on top.
    score, target = (
        jnp.where(valid, _tie_spans(values, valid)[0], places.shape[0])
        for values in (scores, targets)
    )
    # Sorted by score, a discordant pair is an inversion of the targets. Where scores tie, targets
    # are ascending and have none.
    score, target = lax.sort((score, target), num_keys=2)
    tied_in_both = places - _run_starts((score[1:] != score[:-1]) | (target[1:] != target[:-1]))
    used = places < jnp.sum(valid, dtype=jnp.int32)
    agreement = jnp.where(used, score + target - places + tied_in_both, 0)
    difference = _exact_sum(jnp.concatenate([agreement, -2 * _inversions(target)]))
    a, b, pairs = (_exact_sum(jnp.where(used, term, 0)) for term in (score, target, places))
    return jnp.where(_all_finite(targets, valid), difference, jnp.nan), a, b, pairs


def _inversions(values: jax.Array) -> jax.Array:
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


def _exact_sum(values: jax.Array) -> jax.Array:
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
def _spearman(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> jax.Array:
    """`[]` float, what `spearman` returns."""
    spans = (_tie_spans(values, valid) for values in (scores, targets))
    doubled_ranks = ((first + last).astype(float) for first, last in spans)
    return jnp.where(_all_finite(targets, valid), _pearson(*doubled_ranks, valid), jnp.nan)


@jax.jit
def _pearson(scores: jax.Array, targets: jax.Array, valid: jax.Array) -> jax.Array:
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
