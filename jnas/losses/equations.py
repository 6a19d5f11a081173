"""Losses of ReNAS and GATES by their equations; see the package for what is common to them."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jnas.losses import shared
from jnas.losses.shared import ReduceFn

Phi: TypeAlias = Callable[[jax.Array], jax.Array]


def hinge(*, margin: ArrayLike = 0.1) -> Phi:
    """φ(a) = max(0, margin − a), with slope 0 at the kink.

    The margin is that of GATES, whose published settings have 0.1; ReNAS states none.
    """
    return Partial(_hinge, margin=margin)


def logistic() -> Phi:
    """φ(a) = log(1 + e^−a), the pairwise cross entropy of GATES: σ(s_2 − s_1) against y_2 > y_1."""
    return Partial(_logistic)


def exponential() -> Phi:
    """φ(a) = e^−a (ReNAS); infinite in 32 bits below a = −88."""
    return Partial(_exponential)


# Functions of the module, so that the `Partial` of one φ is the same pytree at every call.
def _hinge(a: jax.Array, *, margin: ArrayLike) -> jax.Array:
    """φ of `hinge`, elementwise."""
    # The slope of `jnp.maximum` at a tie is ½.
    return jax.nn.relu(margin - a)


def _logistic(a: jax.Array) -> jax.Array:
    """φ of `logistic`, elementwise."""
    # e^−a overflows in float32 below a = −88, the soft plus does not.
    return jax.nn.softplus(-a)


def _exponential(a: jax.Array) -> jax.Array:
    """φ of `exponential`, elementwise."""
    return jnp.exp(-a)


_HINGE = hinge(margin=0.1)


def mean_squared_error(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """Mean of (z_i − y_i)², ReNAS equation 1; terms `[..., N]`."""
    scores, targets, valid = shared.as_lists(where, scores=scores, targets=targets)
    return shared.reduced(jnp.square(scores - targets), valid, reduce_fn)


def mean_absolute_error(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """Mean of |z_i − y_i|, ReNAS equation 2, with slope 0 at 0; terms `[..., N]`."""
    scores, targets, valid = shared.as_lists(where, scores=scores, targets=targets)
    difference = scores - targets
    # The slope of JAX's |x| at 0 is 1.
    return shared.reduced(difference * jnp.sign(difference), valid, reduce_fn)


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

    `threshold` is in the unit of the targets, by default the paper's 90 %. `positive_weight` is a
    factor on the terms of those above it, to make up for their being rare.
    """
    logits, targets, valid = shared.as_lists(where, logits=logits, targets=targets)
    good = jax.nn.softplus(-logits) * positive_weight
    terms = jnp.where(targets > threshold, good, jax.nn.softplus(logits))
    # A comparison with NaN is false: a failed training would quietly count as a bad architecture.
    return shared.reduced(jnp.where(jnp.isnan(targets), jnp.nan, terms), valid, reduce_fn)


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
    """Pairwise ranking loss φ((s_i − s_j) · sign(y_i − y_j)), ReNAS equation 3 and GATES.

    It is over `pairs`, or all i < j if None. ReNAS sums over all pairs; its released code takes the
    mean, with `phi=logistic()`. GATES takes the mean over `sample_pairs`, with the default `hinge`,
    or with `logistic()` as its pairwise cross entropy. Terms are `[..., M]`, or for all pairs
    `[..., N, N]` with zeros on and below the diagonal.
    """
    scores, targets, valid = shared.as_lists(where, scores=scores, targets=targets)
    # The term of (j, i) is that of (i, j): the mean over i < j is that over all i ≠ j, which the
    # released code of ReNAS takes.
    s_i, s_j = shared.members(scores, pairs, 2)
    y_i, y_j = shared.members(targets, pairs, 2)
    a, used = shared.signed(
        s_i - s_j, y_i - y_j, shared.all_valid(valid, pairs, pair_mask, 2), threshold
    )
    return shared.reduced(phi(a), used, reduce_fn)


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
    """Loss of a comparator f on pairs and on the swapped pairs with the opposite label (GATES).

    φ(f(i, j) · sign(y_j − y_i)) + φ(f(j, i) · sign(y_i − y_j)): a positive output says "the second
    is better". φ is a hinge on the raw outputs, or `logistic()` for binary cross entropy.
    `outputs [..., M]` are f(i, j) and `swapped [..., M]` f(j, i) of the pairs (i, j). Terms, each
    the sum of both, are `[..., M]`.
    """
    outputs, swapped, _ = shared.as_lists(None, outputs=outputs, swapped=swapped)
    targets, exists = shared.as_lists(where, targets=targets)
    y_i, y_j = shared.members(targets, pairs, 2)
    if outputs.shape != y_i.shape:
        raise ValueError(
            f"outputs must be [..., M] = {y_i.shape} for these targets and pairs, "
            f"got {outputs.shape}."
        )
    valid = shared.all_valid(exists, pairs, pair_mask, 2)
    forward, used = shared.signed(outputs, y_j - y_i, valid, threshold)
    # The same ties as forward, so that one mask serves both.
    backward, _ = shared.signed(swapped, y_i - y_j, valid, threshold)
    return shared.reduced(phi(forward) + phi(backward), used, reduce_fn)


def list_mle(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    list_length: int | None = None,
    where: ArrayLike | None = None,
    reduce_fn: ReduceFn | None = jnp.mean,
) -> jax.Array:
    """ListMLE, −log P(the true order) of Plackett and Luce, as a mean over places.

    Xia et al., ICML 2008, as GATES uses it. With the best target first, ties in order of
    appearance, place k has the term log Σ_{l ≥ k} e^{s_l} − s_k. The published code clamps
    e^{s − max s} at 1e-12, so that scores more than 27 below the best one of their list have no
    gradient; here logarithms are accumulated and nothing is clamped. `list_length` keeps the terms
    of the first places only; all others still compete for them. Terms are
    `[..., min(N, list_length)]`, place by place.
    """
    if list_length is not None and list_length < 1:
        raise ValueError(f"list_length must be at least 1 or None, got {list_length}.")
    scores, targets, valid = shared.as_lists(where, scores=scores, targets=targets)
    # The sort below would put a NaN target at one end, and nothing of it would show in the loss.
    scores = jnp.where(jnp.isnan(targets), jnp.nan, scores)
    # Padding comes last, whatever its targets are; the sort is stable.
    padding, _, scores = lax.sort(((~valid).astype(jnp.int32), -targets, scores), num_keys=2)
    used = padding == 0
    rest = lax.cumlogsumexp(jnp.where(used, scores, -jnp.inf), axis=scores.ndim - 1, reverse=True)
    # In the places of padding `rest` is −∞, which must not reach the difference.
    places = slice(0, list_length)
    return shared.reduced(
        (jnp.where(used, rest, 0.0) - scores)[..., places], used[..., places], reduce_fn
    )


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
    """Continuity loss φ((d_ij − d_ik) · sign(l_ij − l_ik)), ReNAS equation 4.

    Near accuracies shall have near features.

    `features [..., N, F]` are, in ReNAS, those before the last layer; d is their Euclidean
    distance, with slope 0 at distance 0, and l_ij = |y_i − y_j|. ReNAS states no margin. The sum is
    over `triplets` (i, j, k), all i < j < k if None, at O(N³) memory. A `threshold` above 0, of
    l_ij − l_ik, also keeps rounding from choosing a sign. Terms are `[..., M]`, or `[..., N, N, N]`
    with zeros unless i < j < k for all triplets.
    """
    targets, valid = shared.as_lists(where, targets=targets)
    features = shared.as_floats("features", features)
    if features.shape[:-1] != targets.shape:
        raise ValueError(
            f"features must be [..., N, F] for targets {targets.shape}, got {features.shape}."
        )
    # Features of padding may be anything, NaN included, and 0 times the gradient of NaN is NaN.
    f_i, f_j, f_k = shared.members(jnp.where(valid[..., None], features, 0.0), triplets, 3, axis=-2)
    y_i, y_j, y_k = shared.members(targets, triplets, 3)
    differences = jnp.abs(y_i - y_j) - jnp.abs(y_i - y_k)
    valid = shared.all_valid(valid, triplets, triplet_mask, 3)
    a, used = shared.signed(
        shared.distance(f_i, f_j) - shared.distance(f_i, f_k), differences, valid, threshold
    )
    return shared.reduced(phi(a), used, reduce_fn)


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
    """Sum of `pairwise` and `weight` · `triplet_continuity`, ReNAS equation 5: `[]` float.

    The paper states neither λ = `weight` nor the margins, and its released code has no second term.
    λ of the sums in the paper is `weight` with `reduce_fn=jnp.sum`; means have another scale.
    """
    ranking = pairwise(scores, targets, phi=phi, where=where, reduce_fn=reduce_fn)
    continuity = triplet_continuity(
        features, targets, triplets, phi=continuity_phi, where=where, reduce_fn=reduce_fn
    )
    return ranking + weight * continuity
