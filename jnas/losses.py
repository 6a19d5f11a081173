"""What performance predictors are trained with: arrays in, arrays out, differentiable.

Shapes: `scores`, `logits` and `targets` are `[..., N]`, lists of N architectures along the last axis and a batch of
lists before it; `M` counts pairs or triplets. Higher is better in scores and in targets.

What all losses share:
    Numbers: real and of any width, computed in the float width in use. Targets that coincide in it are ties. What
        is not finite and not masked makes the loss NaN or infinite.
    `where`: `[..., N]` bool, False for padding. The loss is that of the lists without it; gradients stay finite.
    `reduce_fn`: called as `reduce_fn(terms, where=valid)`. The mean over all valid terms of all lists by default,
        `jnp.sum` for the sums of the ReNAS equations: `[]` float, 0 if no term is valid. None for the terms
        themselves, 0 where invalid, in the shape each function states.
    `phi`: φ, an elementwise penalty of a difference that should be positive: `hinge`, `logistic`, `exponential`, or
        any function of one array. Those made here are `jax.tree_util.Partial`, so a margin may be traced.
    `threshold`: targets that differ by no more than it are ties, and ties in the sign of an equation are left out.
        Below 0 they count, as the constant φ(0) that the equations give them.
    `pairs`, `triplets`: `[M, 2]` or `[M, 3]` integers in 0 … N − 1, the same for all lists; N or more makes the loss
        NaN. With them go `pair_mask`, `triplet_mask`: `[M]` bool, False for padding.
    Errors: ValueError where shapes, types or options do not fit.

ReNAS: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021 (arXiv 1910.01523).
GATES: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020.
"""

import functools
import itertools
import operator
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jax.typing import ArrayLike

Phi: TypeAlias = Callable[[jax.Array], jax.Array]
ReduceFn: TypeAlias = Callable[..., jax.Array]

_bind: Callable[..., Partial] = Partial  # its constructor has no annotations


def hinge(*, margin: ArrayLike = 0.1) -> Phi:
    """φ(a) = max(0, margin − a); the margin is that of GATES, ReNAS states none. Its slope at the kink is 0."""
    return _bind(_hinge, margin=margin)


def logistic() -> Phi:
    """φ(a) = log(1 + e^−a): the binary cross entropy of σ(s_2 − s_1) with the label y_2 > y_1 (GATES)."""
    return _bind(_logistic)


def exponential() -> Phi:
    """φ(a) = e^−a (ReNAS); infinite in 32 bits below a = −88."""
    return _bind(_exponential)


def _hinge(a: jax.Array, *, margin: ArrayLike) -> jax.Array:
    return jax.nn.relu(margin - a)


def _logistic(a: jax.Array) -> jax.Array:
    return jax.nn.softplus(-a)


def _exponential(a: jax.Array) -> jax.Array:
    return jnp.exp(-a)


_HINGE = hinge(margin=0.1)


def mean_squared_error(
    scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None, reduce_fn: ReduceFn | None = jnp.mean
) -> jax.Array:
    """ReNAS equation 1: the mean of (z_i − y_i)²; terms `[..., N]`."""
    scores, targets, valid = _lists(where, scores=scores, targets=targets)
    return _reduce(jnp.square(scores - targets), valid, reduce_fn)


def mean_absolute_error(
    scores: ArrayLike, targets: ArrayLike, *, where: ArrayLike | None = None, reduce_fn: ReduceFn | None = jnp.mean
) -> jax.Array:
    """ReNAS equation 2: the mean of |z_i − y_i|, with slope 0 at 0; terms `[..., N]`."""
    scores, targets, valid = _lists(where, scores=scores, targets=targets)
    difference = scores - targets
    return _reduce(difference * jnp.sign(difference), valid, reduce_fn)  # the slope of JAX's |x| at 0 is 1


def binary_classification(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    threshold: ArrayLike = 0.9,
    positive_weight: ArrayLike = 1.0,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """Binary cross entropy of "accuracy above `threshold`" (Alshubaily 2019); terms `[..., N]`.

    `threshold` is in the unit of the targets; `positive_weight`, a factor on the terms of those above it, makes up
    for their being rare.
    """
    logits, targets, valid = _lists(where, logits=logits, targets=targets)
    good = jax.nn.softplus(-logits) * positive_weight
    terms = jnp.where(targets > threshold, good, jax.nn.softplus(logits))
    return _reduce(jnp.where(jnp.isnan(targets), jnp.nan, terms), valid, reduce_fn)


def pairwise(
    scores: ArrayLike,
    targets: ArrayLike,
    pairs: ArrayLike | None = None,
    *,
    phi: Phi = _HINGE,
    threshold: ArrayLike = 0.0,
    pair_mask: ArrayLike | None = None,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """ReNAS equation 3, and GATES: φ((s_i − s_j) · sign(y_i − y_j)) over `pairs`, all i < j if None.

    ReNAS sums over all pairs; its released code takes the mean, with `phi=logistic()`. GATES takes the mean over
    `sample_pairs`, with the default `hinge`, or with `logistic()` as its pairwise cross entropy. Terms are `[..., M]`,
    or `[..., N, N]` with zeros on and below the diagonal for all pairs.
    """
    scores, targets, valid = _lists(where, scores=scores, targets=targets)
    s_i, s_j = _members(scores, pairs, 2)
    y_i, y_j = _members(targets, pairs, 2)
    a, used = _signed(s_i - s_j, y_i - y_j, _all_valid(valid, pairs, pair_mask, 2), threshold)
    return _reduce(phi(a), used, reduce_fn)


def comparator(
    outputs: ArrayLike,
    swapped: ArrayLike,
    targets: ArrayLike,
    pairs: ArrayLike,
    *,
    phi: Phi = _HINGE,
    threshold: ArrayLike = 0.0,
    pair_mask: ArrayLike | None = None,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """The loss of a comparator f on each pair and on the swapped pair with the opposite label (GATES).

    φ(f(i, j) · sign(y_j − y_i)) + φ(f(j, i) · sign(y_i − y_j)): a positive output says "the second is better". φ is a
    hinge on the raw outputs, or `logistic()` for binary cross entropy. `outputs [..., M]` are f(i, j) and
    `swapped [..., M]` f(j, i) of the pairs (i, j). Terms, each the sum of both, are `[..., M]`.
    """
    outputs, swapped, _ = _lists(None, outputs=outputs, swapped=swapped)
    targets, exists = _lists(where, targets=targets)
    y_i, y_j = _members(targets, pairs, 2)
    if outputs.shape != y_i.shape:
        raise ValueError(f"outputs must be [..., M] = {y_i.shape} for these targets and pairs, got {outputs.shape}.")
    valid = _all_valid(exists, pairs, pair_mask, 2)
    forward, used = _signed(outputs, y_j - y_i, valid, threshold)
    backward, _ = _signed(swapped, y_i - y_j, valid, threshold)
    return _reduce(phi(forward) + phi(backward), used, reduce_fn)


def list_mle(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    list_length: int | None = None,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """ListMLE (Xia et al., ICML 2008), as in GATES: −log P(the true order) of Plackett and Luce, a mean over places.

    With the best target first, ties in order of appearance, place k has the term log Σ_{l ≥ k} e^{s_l} − s_k. The
    published code clamps e^{s − max s} at 1e-12, so that scores more than 27 below the best one of their list have no
    gradient; here logarithms are accumulated and nothing is clamped. `list_length` keeps the terms of the first
    places only; all others still compete for them. Terms are `[..., min(N, list_length)]`, place by place.
    """
    if list_length is not None and list_length < 1:
        raise ValueError(f"list_length must be at least 1 or None, got {list_length}.")
    scores, targets, valid = _lists(where, scores=scores, targets=targets)
    scores = jnp.where(jnp.isnan(targets), jnp.nan, scores)
    padding, _, scores = lax.sort(((~valid).astype(jnp.int32), -targets, scores), num_keys=2)
    used = padding == 0
    rest = lax.cumlogsumexp(jnp.where(used, scores, -jnp.inf), axis=scores.ndim - 1, reverse=True)
    places = slice(0, list_length)
    return _reduce((jnp.where(used, rest, 0.0) - scores)[..., places], used[..., places], reduce_fn)


def triplet_continuity(
    features: ArrayLike,
    targets: ArrayLike,
    triplets: ArrayLike | None = None,
    *,
    phi: Phi = _HINGE,
    threshold: ArrayLike = 0.0,
    triplet_mask: ArrayLike | None = None,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """ReNAS equation 4: φ((d_ij − d_ik) · sign(l_ij − l_ik)), near features for near accuracies.

    `features [..., N, F]` are, in ReNAS, those before the last layer; d is their Euclidean distance, with slope 0 at
    distance 0, and l_ij = |y_i − y_j|. ReNAS states no margin. The sum is over `triplets` (i, j, k), all i < j < k if
    None, at O(N³) memory. A `threshold` above 0, of l_ij − l_ik, also keeps rounding from choosing a sign. Terms are
    `[..., M]`, or `[..., N, N, N]` with zeros unless i < j < k for all triplets.
    """
    targets, valid = _lists(where, targets=targets)
    features = _floats("features", features)
    if features.shape[:-1] != targets.shape:
        raise ValueError(f"features must be [..., N, F] for targets {targets.shape}, got {features.shape}.")
    f_i, f_j, f_k = _members(jnp.where(valid[..., None], features, 0.0), triplets, 3, axis=-2)
    y_i, y_j, y_k = _members(targets, triplets, 3)
    differences = jnp.abs(y_i - y_j) - jnp.abs(y_i - y_k)
    valid = _all_valid(valid, triplets, triplet_mask, 3)
    a, used = _signed(_distance(f_i, f_j) - _distance(f_i, f_k), differences, valid, threshold)
    return _reduce(phi(a), used, reduce_fn)


def renas(
    scores: ArrayLike,
    features: ArrayLike,
    targets: ArrayLike,
    triplets: ArrayLike | None = None,
    *,
    weight: ArrayLike,
    phi: Phi = _HINGE,
    continuity_phi: Phi = _HINGE,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn = jnp.mean,
) -> jax.Array:
    """ReNAS equation 5: `pairwise` over all pairs + `weight` · `triplet_continuity`, `[]` float.

    The paper states neither λ = `weight` nor the margins, and its released code has no second term. λ of the sums
    in the paper is `weight` with `reduce_fn=jnp.sum`; between means the scale is another.
    """
    ranking = pairwise(scores, targets, phi=phi, where=where, reduce_fn=reduce_fn)
    continuity = triplet_continuity(features, targets, triplets, phi=continuity_phi, where=where, reduce_fn=reduce_fn)
    return ranking + weight * continuity


def sample_pairs(
    key: jax.Array,
    targets: ArrayLike,
    *,
    num_pairs: int | None = None,
    max_ratio: float = 4.0,
    threshold: ArrayLike = 0.0,
    where: ArrayLike | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The pairs GATES trains a minibatch with: all i < j that are no ties, or a random part of them.

    Of more than int(max_ratio · n) such pairs among n `targets [N]`, not counting padding, exactly that many are
    drawn, uniformly and without replacement. `num_pairs` takes the place of int(max_ratio · n). Memory is O(N²).

    Returns:
        `[M, 2]` int32 and `[M]` bool, to be `pairs` and `pair_mask`; M = min(N (N − 1) / 2, int(max_ratio · N)), and
        the rest behind the pairs is (0, 0).
    """
    targets, exists = _lists(where, targets=targets)
    length = targets.size
    # The number of pairs for each possible n, truncated in Python floats as the published code does.
    limits = [int(max_ratio * n) if num_pairs is None else num_pairs for n in range(length + 1)]
    if targets.ndim != 1 or length < 2 or limits[-1] < 1:
        raise ValueError(f"pairs need targets [N], N ≥ 2, and at least one pair; got {targets.shape} and {limits[-1]}.")
    y_i, y_j = _members(targets, None, 2)
    candidates = (_all_valid(exists, None, None, 2) & _differ(y_i - y_j, threshold)).ravel()
    limit = jnp.asarray(np.minimum(limits, length**2), jnp.int32)[jnp.sum(exists)]
    num_drawn = jnp.minimum(limit, jnp.sum(candidates, dtype=jnp.int32))
    lots = jnp.where(candidates, (jax.random.bits(key, candidates.shape, jnp.uint32) >> 1).astype(jnp.int32), -1)
    num_up_to = jnp.cumsum(lots >= _nth_largest(lots, num_drawn), dtype=jnp.int32)
    number = lax.iota(jnp.int32, min(length * (length - 1) // 2, limits[-1]))
    places, valid = jnp.searchsorted(num_up_to, number + 1).astype(jnp.int32), number < num_drawn
    return jnp.where(valid[:, None], jnp.stack([places // length, places % length], axis=-1), 0), valid


def _nth_largest(values: jax.Array, n: jax.Array) -> jax.Array:
    """The n-th largest, `[]`, of `values` int32, of which n are ≥ 0; by bisection, many times faster than sorting."""

    def set_bit(bit: jax.Array, found: jax.Array) -> jax.Array:
        higher = found | (jnp.int32(1) << (30 - bit))
        return jnp.where(jnp.sum(values >= higher, dtype=jnp.int32) >= n, higher, found)

    result: jax.Array = lax.fori_loop(0, 31, set_bit, jnp.int32(0))
    return result


def sample_triplets(key: jax.Array, num_items: int, num_triplets: int) -> jax.Array:
    """`[num_triplets, 3]` int32, each drawn uniformly, with replacement, from all i < j < k < num_items."""
    if num_items < 3 or num_triplets < 1:
        raise ValueError(f"triplets need num_items ≥ 3 and num_triplets ≥ 1, got {num_items} and {num_triplets}.")
    keys = jax.random.split(key, 3)
    sizes = range(num_items, num_items - 3, -1)
    i, j, k = (jax.random.randint(key, (num_triplets,), 0, n, jnp.int32) for key, n in zip(keys, sizes, strict=True))
    # Each draw numbers only what the draws before it left over.
    j = jnp.where(j >= i, j + 1, j)
    for taken in (jnp.minimum(i, j), jnp.maximum(i, j)):
        k = jnp.where(k >= taken, k + 1, k)
    return jnp.sort(jnp.stack([i, j, k], axis=-1), axis=-1)


def _floats(name: str, values: ArrayLike) -> jax.Array:
    array = jnp.asarray(values)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be real numbers, got {array.dtype}.")
    return array.astype(float)


def _lists(where: ArrayLike | None, **named: ArrayLike) -> tuple[jax.Array, ...]:
    """The arrays as floats, 0 where masked, and which of their elements are valid: `[..., N]` each."""
    arrays = {name: _floats(name, values) for name, values in named.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    shape = next(iter(shapes.values()))
    if set(shapes.values()) != {shape} or 0 in shape or not shape:
        raise ValueError(f"expected equal shapes [..., N] with N ≥ 1, got {shapes}.")
    valid = jnp.ones(shape, bool) if where is None else _mask("where", where, shape)
    return *(jnp.where(valid, array, 0.0) for array in arrays.values()), valid


def _mask(name: str, mask: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    array = jnp.asarray(mask)
    if array.shape != shape or array.dtype != bool:
        raise ValueError(f"{name} must be bool of shape {shape}, got {array.dtype} {array.shape}.")
    return array


def _members(values: jax.Array, indices: ArrayLike | None, size: int, *, axis: int = -1) -> list[jax.Array]:
    """First, second, … members of each tuple along `axis`; without indices that axis N becomes N × … × N.

    Views that broadcast serve all tuples: a gather, and the scatter of its gradient, would cost much more.
    """
    if indices is None:
        after = range(axis - size + 1, axis + 1)
        return [jnp.expand_dims(values, [other for other in after if other != own]) for own in after]
    array = jnp.asarray(indices)
    if array.ndim != 2 or array.shape[1] != size or not array.size or not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"expected indices [M, {size}] of integers, M ≥ 1, got {array.dtype} {array.shape}.")
    fill = True if values.dtype == bool else jnp.nan
    return [jnp.take(values, array[:, own], axis=axis, mode="fill", fill_value=fill) for own in range(size)]


def _all_valid(valid: jax.Array, indices: ArrayLike | None, mask: ArrayLike | None, size: int) -> jax.Array:
    """Which tuples have only valid members, are not masked and, where all are meant, are ascending."""
    result = functools.reduce(operator.and_, _members(valid, indices, size))
    if indices is not None:
        mask = jnp.ones(result.shape[-1], bool) if mask is None else _mask("a mask of indices", mask, result.shape[-1:])
        return result & jnp.broadcast_to(mask, result.shape)
    if mask is not None:
        raise ValueError("a mask of indices needs the pairs or triplets that it masks.")
    places = _members(lax.broadcasted_iota(jnp.int32, valid.shape, valid.ndim - 1), None, size)
    return functools.reduce(operator.and_, (low < high for low, high in itertools.pairwise(places)), result)


def _differ(differences: jax.Array, threshold: ArrayLike) -> jax.Array:
    return ~(jnp.abs(differences) <= threshold)  # so that NaN differs, and shows in the loss


def _signed(
    differences: jax.Array, target_differences: jax.Array, valid: jax.Array, threshold: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """The differences, positive where they agree with the targets, and which of them count; the others are 0."""
    used = valid & _differ(target_differences, threshold)
    return jnp.where(used, differences, 0.0) * jnp.where(used, jnp.sign(target_differences), 0.0), used


def _distance(a: jax.Array, b: jax.Array) -> jax.Array:
    squares = jnp.sum(jnp.square(a - b), axis=-1)
    # The root's slope at 0 is infinite, and stays NaN behind a single `where`.
    return jnp.where(squares == 0, 0.0, jnp.sqrt(jnp.where(squares == 0, 1.0, squares)))


def _reduce(terms: jax.Array, valid: jax.Array, reduce_fn: ReduceFn | None) -> jax.Array:
    if jnp.shape(terms) != valid.shape:
        raise ValueError(f"phi must be elementwise: it made {jnp.shape(terms)} of {valid.shape}.")
    terms = jnp.where(valid, terms, 0.0)
    if reduce_fn is None:
        return terms
    # The mean of nothing is NaN, and so is its gradient: let it be that of the zeros.
    return reduce_fn(terms, where=valid | ~jnp.any(valid))
