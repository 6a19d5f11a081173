"""Criteria of rankings, for scores of several epochs and seeds at once.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
section 3. Scores are arrays; where they come from is not known here. Host only.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jnas import metrics
from jnas.oneshot.analysis.rows import Rows, complete

RATIOS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares K at which the study looks at the predicted best and worst."""


def criteria(
    scores: ArrayLike, truth: ArrayLike, *, ratios: Sequence[float] | None = None
) -> dict[str, np.ndarray]:
    """All criteria of the rankings by `scores`, each `[...]` float32.

    "mean" of the scores; "pearson", "kendall" (tau-b), "spearman"; for each share K, as in
    "p_top@0.05": "p_top", "p_bottom", "kendall_top", "kendall_bottom" (tau inside the predicted
    best and worst), "best_rank", "worst_rank" (divided by N), "best_accuracy", "worst_accuracy"
    (the two of the predicted best). `jnas.metrics` defines them.

    Args:
        scores: `[..., N]`, higher is better; leading axes are epochs, seeds or anything else. −inf
            ranks last.
        truth: `[N]` or `[..., N]`, true accuracies or another ranking to compare with.
        ratios: the shares K; those of `RATIOS` that keep an architecture where it is None.

    Returns:
        Name → values, and besides "num", `[]` int32, the architectures that are ranked, and
        "left_out", `[]` int32, those with a NaN in any score or truth, which no criterion sees.

    Raises:
        ValueError: other shapes, scores or truths that are NaN throughout, fewer than 2
            architectures left, true accuracies that are all equal, or a share that keeps none.
    """
    rows = complete(scores, truth)
    num = rows.truth.shape[-1]
    shares = _shares(ratios, num)
    shape = rows.scores.shape[:-1]
    true = np.broadcast_to(rows.truth, rows.scores.shape)
    forms = comparable(rows.scores), _standardised(rows.scores), comparable(true), true
    flat = tuple(jnp.asarray(values.reshape(-1, num), jnp.float32) for values in forms)
    found = _every_row(flat, jnp.asarray([int(ratio * num) for ratio in shares], jnp.int32))
    named = {"mean": rows.scores.mean(axis=-1)} | _named(found, shares)
    return {name: value.reshape(shape) for name, value in named.items()} | _counts(rows)


def average(
    found: Mapping[str, np.ndarray], axis: int = -1
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation of each of the `criteria` over an axis, that of the seeds.

    The deviation is that of a sample (divided by S − 1), NaN for one seed and 0 for the counts.
    """
    averages = {}
    for name, value in found.items():
        if np.ndim(value) == 0:
            # Counts are those of all seeds together and cannot vary.
            spread = 0.0 if name in ("num", "left_out") else np.nan
            averages[name] = (np.asarray(value), np.asarray(spread))
            continue
        mean, num = np.mean(value, axis=axis), value.shape[axis]
        # NumPy would warn of the deviation of one seed.
        spread = np.std(value, axis=axis, ddof=1) if num > 1 else np.full_like(mean, np.nan)
        averages[name] = (mean, spread)
    return averages


def stability(scores: ArrayLike, *, ratios: Sequence[float] | None = None) -> dict[str, np.ndarray]:
    """Ranking stability: `criteria` of each checkpoint against the next one, `[E - 1, ...]`.

    "kendall" is the relative Kendall tau of figure 14, "p_top@K" the relative P@K: the scores
    of the later checkpoint are the truth.

    Raises:
        ValueError: `scores` are not `[E, ..., N]`, E ≥ 2; or as for `criteria`.
    """
    values = np.asarray(scores)
    if values.ndim < 2 or len(values) < 2:
        raise ValueError(
            f"stability needs scores [E, ..., N] of at least 2 checkpoints, got {values.shape}."
        )
    return criteria(values[:-1], values[1:], ratios=ratios)


def agreement(scores: ArrayLike) -> np.ndarray:
    """`[S, S]` float32, Kendall's tau-b between the scores `[S, N]` of every two seeds.

    Raises:
        ValueError: as for `criteria`.
    """
    values = np.asarray(scores)
    if values.ndim != 2:
        raise ValueError(f"agreement needs scores [S, N], one row a seed, got {values.shape}.")
    # Every pair twice and each seed with itself: one program of all, and the diagonal, 1, is a
    # check.
    pairs = np.broadcast_to(values, (len(values), *values.shape))
    return criteria(pairs, pairs.swapaxes(0, 1), ratios=())["kendall"]


def _shares(ratios: Sequence[float] | None, num: int) -> tuple[float, ...]:
    """Shares that keep an architecture; ValueError names the first given one that keeps none."""
    if ratios is None:
        # Of few architectures the small shares keep none: left out by default, an error if asked
        # for.
        return tuple(ratio for ratio in RATIOS if int(ratio * num) >= 1)
    for ratio in ratios:
        if not 0 < ratio <= 1 or int(ratio * num) < 1:
            raise ValueError(
                f"a share K must be in 0 < K ≤ 1 and keep int(K · N) ≥ 1 of the N = {num} "
                f"architectures, got {ratio}."
            )
    return tuple(ratios)


def _named(found: dict[str, jax.Array], shares: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Criteria by name, `[R]` each: those at a share K are called as in "p_top@0.05"."""
    arrays = {name: np.asarray(value) for name, value in found.items()}
    whole = {name: value for name, value in arrays.items() if value.ndim == 1}
    return whole | {
        f"{name}@{share:g}": value[:, place]
        for place, share in enumerate(shares)
        for name, value in arrays.items()
        if value.ndim == 2
    }


def _counts(rows: Rows) -> dict[str, np.ndarray]:
    """The numbers of architectures that are ranked and that are left out."""
    num, total = int(rows.kept.sum()), rows.kept.size
    return {"num": np.asarray(num, np.int32), "left_out": np.asarray(total - num, np.int32)}


def comparable(values: np.ndarray) -> np.ndarray:
    """`[..., N]` float32 that compare as `values` do in their own width; −inf stays."""
    flat = values.reshape(-1, values.shape[-1])
    # Dense ranks are exact in float32, where narrowing would invent ties.
    dense = np.stack([np.unique(row, return_inverse=True)[1].reshape(-1) for row in flat])
    return np.where(np.isneginf(values), -np.inf, dense.reshape(values.shape)).astype(np.float32)


def _standardised(values: np.ndarray) -> np.ndarray:
    """`[..., N]` float32 of mean 0 and deviation 1, up to what is infinite."""
    finite = np.isfinite(values)
    # Standardised in float64 before they are narrowed: accuracies that lie close together have few
    # digits left in float32 after their mean is subtracted.
    wide = np.where(finite, values, 0).astype(np.float64)
    num = np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    # −inf, of what has diverged, would make the mean and every correlation NaN.
    centred = np.where(finite, wide - wide.sum(axis=-1, keepdims=True) / num, 0)
    scale = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / num)
    standard = centred / np.where(scale > 0, scale, 1)
    return np.where(finite, standard, values).astype(np.float32)


@jax.jit
def _every_row(rows: tuple[jax.Array, ...], cuts: jax.Array) -> dict[str, jax.Array]:
    """Criteria of R rankings, `[R]` each and `[R, K]` those at the K cuts."""
    # One after the other: all epochs and seeds of a large space together would not fit into memory.
    found: dict[str, jax.Array] = lax.map(lambda row: _one_row(row, cuts), rows)
    return found


def _one_row(row: tuple[jax.Array, ...], cuts: jax.Array) -> dict[str, jax.Array]:
    """Criteria of one ranking, `[]` each and `[K]` those at the cuts; see `jnas.metrics`.

    The row has the scores to compare and to correlate, and the truths to compare and as they are,
    `[N]` each.
    """
    order, scores, true_order, truth = row
    num = len(order)
    # Ranks are sorted once for all cuts, and a tau is compiled once for all masks.
    predicted, true, k = metrics.ranks(order), metrics.ranks(true_order), cuts[:, None]
    # Masks and no slices: the cuts are traced, so that one program serves all shares of a size.
    top, bottom = predicted[None] < k, predicted[None] >= num - k
    masks = jnp.concatenate([jnp.ones((1, num), bool), top, bottom])
    taus = lax.map(lambda mask: metrics.kendall_tau(order, true_order, where=mask), masks)
    return {
        "pearson": metrics.pearson(scores, truth),
        "kendall": taus[0],
        "spearman": metrics.spearman(order, true_order),
        "p_top": jnp.sum(top & (true[None] < k), axis=1) / cuts,
        "p_bottom": jnp.sum(bottom & (true[None] >= num - k), axis=1) / cuts,
        "kendall_top": taus[1 : 1 + len(cuts)],
        "kendall_bottom": taus[1 + len(cuts) :],
        # Ranks count from 0 in jnas and from 1 in the publication, whose 1 / N is the best.
        "best_rank": (1 + jnp.min(jnp.where(top, true[None], num), axis=1)) / num,
        "worst_rank": (1 + jnp.max(jnp.where(top, true[None], -1), axis=1)) / num,
        "best_accuracy": jnp.max(jnp.where(top, truth[None], -jnp.inf), axis=1),
        "worst_accuracy": jnp.min(jnp.where(top, truth[None], jnp.inf), axis=1),
    }
