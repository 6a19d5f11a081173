"""Calibration: scores of a fitted predictor in the unit of the targets, by isotonic regression.

Scores of a ranking loss have no unit. The calibration is the non-decreasing function of the score
that is nearest to known targets in squares (Barlow, Bartholomew, Bremner and Brunk, "Statistical
Inference under Order Restrictions", 1972), linear between its steps; so it never contradicts the
ranking.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jnas.engine.inputs import as_archs
from jnas.predictors import checks
from jnas.types import Predictor


class _Block(NamedTuple):
    """Block of neighbouring scores with one value: their mean, weight and number."""

    mean: float
    weight: float
    size: int


def calibrate(
    predictor: Predictor, state: Any, archs: ArrayLike, targets: ArrayLike
) -> Callable[[jax.Array], jax.Array]:
    """Function `scores [...] -> [...]` from scores of a fitted predictor to the unit of targets.

        in_percent = calibrate(predictor, state, archs, accuracy)
        in_percent(predictor.predict(state, others))

    On the training set itself, predictions are nearer to the targets than elsewhere; architectures
    that were held out make a fairer calibration.

    Args:
        predictor: of any kind.
        state: of its `fit`.
        archs: `[B, D]` integers.
        targets: `[B]`, higher is better.

    Returns:
        A `Partial`, pure and non-decreasing, constant beyond the scores it was made from. NaN stays
        NaN.

    Raises:
        ValueError: shapes do not fit, a target is not finite or beyond float32, or fewer than two
            architectures have a finite score.
    """
    _, scores, values = known_scores(predictor, state, archs, targets)
    knots = isotonic(scores, values)
    return Partial(_interpolate, *(jnp.asarray(x, float) for x in knots))


def known_scores(
    predictor: Predictor, state: Any, archs: ArrayLike, targets: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Architectures `[B, D]` of finite scores, these `[B]` and targets `[B]`, as of `calibrate`."""
    rows, values = as_archs(np.asarray(archs)), np.asarray(targets, np.float64)
    if values.shape != rows.shape[:1]:
        raise ValueError(f"targets must be {rows.shape[:1]} like archs; got {values.shape}")
    values = checks.narrowed(values[None], np.ones((1, len(values)), bool))[0]
    scores = np.asarray(predictor.predict(state, jnp.asarray(rows)))
    # What cannot be ranked has no place on the axis of scores.
    known = np.isfinite(scores)
    if known.sum() < 2:
        raise ValueError(
            f"a calibration needs at least two architectures with a finite score; got {known.sum()}"
        )
    return np.asarray(rows)[known], scores[known], values[known]


def isotonic(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Isotonic regression of `targets [B]` on `scores [B]`: distinct scores `[K]` and values `[K]`.

    Scores ascend, and values do not descend. By pooling adjacent violators.
    """
    # Equal scores must get one value: they are one point, as heavy as they are many.
    places, groups = np.unique(scores, return_inverse=True)
    weights = np.bincount(groups)
    means = np.bincount(groups, targets) / weights
    # Each mean is above the one before it.
    blocks: list[_Block] = []
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        block = _Block(mean, weight, 1)
        while blocks and blocks[-1].mean >= block.mean:
            block = _pooled(blocks.pop(), block)
        blocks.append(block)
    # A value for each score and not for each block, so that a block is level between its ends.
    return places, np.repeat([b.mean for b in blocks], [b.size for b in blocks])


def _pooled(one: _Block, two: _Block) -> _Block:
    """Block of two neighbours, with their weighted mean."""
    weight = one.weight + two.weight
    mean = (one.mean * one.weight + two.mean * two.weight) / weight
    return _Block(mean, weight, one.size + two.size)


def _interpolate(places: jax.Array, values: jax.Array, scores: jax.Array) -> jax.Array:
    """Values `[...]` at `scores [...]`, linear between the places `[K]`."""
    return jnp.interp(scores.astype(values.dtype), places, values)
