"""Metrics of how well predicted scores rank architectures: arrays in, one number out.

Every metric takes `(scores [N], targets [N])`, predicted scores and true accuracies, higher being
better in both, and returns `[]` float (`best_rank_at_k`: int32). NumPy and JAX arrays of real
numbers of any width will do, and lists. All are pure, work under `jit` and `vmap` and cost
O(N log N); `ratio` and `k` are static.

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
    Precision: pairs are counted in exact integers and rounded once to the float width in use. NumPy
        arrays and lists are compared, and centred by `pearson`, in their own floats; arrays of JAX
        as programs do it, to which numbers below 1e-38 are 0.
    Errors: ValueError where inputs are not real numbers of rank 1 and equal length N, 2 ≤ N ≤ 2²².

Names of the literature: N@K and P@K after Ning et al. (GATES, ECCV 2020); P@topK, P@bottomK, BR@K,
WR@K, BestAcc@K, WorstAcc@K and RD (of each architecture: `[N]`) after Ning et al. (Evaluating
Efficient Performance Estimators of Neural Architectures, NeurIPS 2021).
"""

import operator

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jnas import _renamed, _shown
from jnas.metrics import _programs
from jnas.metrics._inputs import Numbers, Pairs, correlatable, orderable, rankable

__all__ = [
    "average_ranks",
    "best_accuracy_at",
    "best_rank_at",
    "best_rank_at_k",
    "kendall_tau",
    "kendall_tau_a",
    "kendall_tau_at_bottom",
    "kendall_tau_at_top",
    "pearson",
    "precision_at_bottom",
    "precision_at_top",
    "rank_difference",
    "ranks",
    "spearman",
    "worst_accuracy_at",
    "worst_rank_at",
]


def kendall_tau(scores: Numbers, targets: Numbers, *, where: ArrayLike | None = None) -> jax.Array:
    """Kendall's tau-b (KD, KTau), corrected for ties: `[]` float in −1 … 1 (Kendall 1945).

    τ_b = (C − D) / √((C + D + T_s)(C + D + T_t)) over C concordant and D discordant pairs, T_s
    pairs tied in the scores alone and T_t pairs tied in the targets alone.
    """
    difference, a, b, _ = _programs.count_pairs(*rankable(scores, targets, where))
    # Unlike a product under the root, this form is exactly ±1 for equal and for opposite rankings.
    return jnp.clip(difference / a * jnp.sqrt(a / b), -1.0, 1.0)


def kendall_tau_a(
    scores: Numbers, targets: Numbers, *, where: ArrayLike | None = None
) -> jax.Array:
    """Kendall's tau-a, (C − D) / (N (N − 1) / 2): `[]` float in −1 … 1 (Kendall 1938).

    Ties count for nothing, so it is 0 and not NaN for constant scores or targets.
    """
    difference, _, _, pairs = _programs.count_pairs(*rankable(scores, targets, where))
    tau: jax.Array = difference / pairs
    return tau


def spearman(scores: Numbers, targets: Numbers, *, where: ArrayLike | None = None) -> jax.Array:
    """Spearman's ρ (SpearmanR), the correlation of average ranks: `[]` float in −1 … 1.

    Spearman 1904.
    """
    rho: jax.Array = _programs.spearman(*rankable(scores, targets, where))
    return rho


def pearson(scores: Numbers, targets: Numbers, *, where: ArrayLike | None = None) -> jax.Array:
    """Pearson's linear correlation (LC) of the finite pairs: `[]` float in −1 … 1."""
    r: jax.Array = _programs.pearson(*correlatable(scores, targets, where))
    return r


def precision_at_top(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
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
    return _programs.float_if(finite, jnp.sum((predicted < k) & (true < k))) / k


def precision_at_bottom(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """P@bottomK: share of the predicted worst k = int(ratio · N) among the true worst k.

    Args and errors are those of `precision_at_top`; `[]` float in 0 … 1, higher is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    first = true.shape[0] - k
    return _programs.float_if(finite, jnp.sum((predicted >= first) & (true >= first))) / k


def best_rank_at(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """BR@K: best true rank, from 1, among the predicted best k = int(ratio · N), divided by N.

    Args and errors are those of `precision_at_top`; `[]` float in 1/N … 1, lower is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    return _programs.float_if(finite, _programs.best(predicted, true, k)) / true.shape[0]


def worst_rank_at(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """WR@K: worst true rank, from 1, among the predicted best k = int(ratio · N), divided by N.

    Args and errors are those of `precision_at_top`; `[]` float in k/N … 1, lower is better.
    """
    k, (predicted, true, finite) = _cut(scores, targets, ratio)
    worst = 1 + jnp.max(true, where=predicted < k, initial=-1)
    return _programs.float_if(finite, worst) / true.shape[0]


def best_accuracy_at(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """BestAcc@K: highest true accuracy among the predicted best k = int(ratio · N).

    Args and errors are those of `precision_at_top`; `[]` float in the unit of `targets`.
    """
    k, (predicted, _, finite) = _cut(scores, targets, ratio)
    values = jnp.asarray(targets, float)
    best: jax.Array = jnp.max(values, where=predicted < k, initial=-jnp.inf)
    return _programs.float_if(finite, best)


def worst_accuracy_at(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """WorstAcc@K: lowest true accuracy among the predicted best k = int(ratio · N).

    Args and errors are those of `precision_at_top`; `[]` float in the unit of `targets`.
    """
    k, (predicted, _, finite) = _cut(scores, targets, ratio)
    values = jnp.asarray(targets, float)
    worst: jax.Array = jnp.min(values, where=predicted < k, initial=jnp.inf)
    return _programs.float_if(finite, worst)


def kendall_tau_at_top(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """Kendall's tau-b inside the predicted best k = int(ratio · N): `[]` float in −1 … 1.

    Args and errors are those of `precision_at_top`; NaN where k = 1.
    """
    k, (predicted, _, finite) = _cut(scores, targets, ratio)
    return _programs.float_if(finite, kendall_tau(scores, targets, where=predicted < k))


def kendall_tau_at_bottom(scores: Numbers, targets: Numbers, ratio: float) -> jax.Array:
    """Kendall's tau-b inside the predicted worst k = int(ratio · N): `[]` float in −1 … 1.

    Args and errors are those of `precision_at_top`; NaN where k = 1.
    """
    k, (predicted, _, finite) = _cut(scores, targets, ratio)
    last = predicted >= predicted.shape[0] - k
    return _programs.float_if(finite, kendall_tau(scores, targets, where=last))


def rank_difference(scores: Numbers, targets: Numbers) -> jax.Array:
    """Rank difference (RD): `[N]` float in −1 … 1, by how much each one is overestimated.

    (r_i − n_i) / N with the ascending ranks r_i of the scores and n_i of the true accuracies, ties
    sharing their mean rank; negative where an architecture is underestimated. Ning et al., NeurIPS
    2021.
    """
    score, target, valid = rankable(scores, targets, None)
    difference = (average_ranks(target) - average_ranks(score)) / target.shape[0]
    return _programs.float_if(_programs.both_ranks(score, target, valid)[2], difference)


def best_rank_at_k(scores: Numbers, targets: Numbers, k: int) -> jax.Array:
    """N@K: best true rank, from 1, among the k architectures with the highest scores.

    `[]` int32 in 1 … N, lower is better; ValueError also where k is outside 1 … N.
    """
    predicted, true, _ = _programs.both_ranks(*rankable(scores, targets, None))
    if not 1 <= operator.index(k) <= true.shape[0]:
        raise ValueError(f"k must be in 1 … N = {true.shape[0]}, got {k}.")
    return _programs.best(predicted, true, k)


def ranks(values: Numbers) -> jax.Array:
    """`[N]` int32, ranks of `values [N]`: 0 for the highest, ties in order of appearance.

    Raises:
        ValueError: `values` are not real numbers of rank 1, or more than 2²².
    """
    result: jax.Array = _programs.ranks(orderable("values", values))
    return result


def average_ranks(values: Numbers) -> jax.Array:
    """`[N]` float, ranks of `values [N]`: 0 for the highest, ties share their mean rank.

    Raises:
        ValueError: as for `ranks`.
    """
    array = orderable("values", values)
    first, last = _programs.tie_spans(array, jnp.ones(array.shape, bool))
    mean: jax.Array = array.shape[0] - 1 - (first + last).astype(float) / 2
    return mean


def _cut(scores: Numbers, targets: Numbers, ratio: float) -> tuple[int, Pairs]:
    """Cut-off k = int(ratio · N), and both ranks; ValueError where k is less than 1."""
    pairs = rankable(scores, targets, None)
    length = len(pairs[0])
    # Truncated in Python floats, as the published evaluations do.
    if not 0 < ratio <= 1 or int(ratio * length) < 1:
        allowed = f"0 < ratio ≤ 1 with k = int(ratio · N) ≥ 1 for N = {length}"
        raise ValueError(f"ratio must keep {allowed}, got {ratio}.")
    return int(ratio * length), _programs.both_ranks(*pairs)


_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
