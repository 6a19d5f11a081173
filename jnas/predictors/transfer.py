"""Transfer of a predicted cost to another device, from a few measurements there.

Latencies of one device mostly rise with those of another one, so that one device can stand for
others, but for a correction (Lu, Yang, Jiang, Shi and Ren, "One Proxy Device Is Enough for
Hardware-Aware Neural Architecture Search", SIGMETRICS 2022, https://arxiv.org/abs/2111.01203).
Here the correction is linear in the network's FLOPs and in its operations, with a ridge penalty on
the operations (Hoerl and Kennard, 1970), whose weight leaving one measurement out chooses.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jnas import encodings
from jnas.engine.messages import nearest
from jnas.predictors.calibration import known_scores
from jnas.predictors.cells import cached
from jnas.types import Predictor

Form: TypeAlias = Literal["ridge", "line"]

_PENALTIES = np.geomspace(1e-4, 1e6, 21)
_FREE = 3  # features that have no penalty: 1, the predicted cost and the FLOPs
_LEAST: dict[str, int] = {"ridge": 5, "line": 2}  # measurements


def transfer(
    predictor: Predictor,
    state: Any,
    archs: ArrayLike,
    measured: ArrayLike,
    *,
    form: Form = "ridge",
) -> Callable[[jax.Array], jax.Array]:
    """Cost `[..., D] -> [...]` on another device than that of a fitted predictor.

        training = predictors.Training(loss="mse", scaling="standard")
        source = predictors.mlp(space, one_hot=True, training=training)
        state = source.fit(key, archs, latencies)              # of a device that is at hand
        latency = predictors.transfer(source, state, archs[:20], measured)
        searcher = search.nsga2(space, [latency])

    Both forms minimise squared relative errors, and results are never below 0.

    Args:
        predictor: of costs, fitted by a regression, or of another score that rises with the cost.
        state: of its `fit`.
        archs: `[B, D]` integers, those that were measured on the other device.
        measured: `[B]`, their costs, above 0; lower is better.
        form: "ridge" is linear in the predicted cost, the network's FLOPs and the operations
            (`encodings.adjacency`); "line" in the predicted cost alone, with a slope of at least 0,
            so that its ranking is that of the predictor.

    Returns:
        A `Partial`, pure, of one architecture or of several, in the unit of `measured`.

    Raises:
        ValueError: an unknown form, a cost that is not above 0, as for `calibrate`, or fewer than 5
            architectures with a finite score for "ridge".
    """
    if form not in get_args(Form):
        raise ValueError(f"unknown form {form!r}. {nearest(str(form), get_args(Form))}")
    rows, scores, costs = known_scores(predictor, state, archs, measured)
    if not (costs > 0).all():
        raise ValueError(f"costs must be above 0; got {costs.min():g}")
    if len(costs) < _LEAST[form]:
        raise ValueError(f"form {form!r} needs {_LEAST[form]} measurements; got {len(costs)}")
    if form == "line":
        weights = np.array(line(scores, costs))
        return Partial(_on_line, Partial(predictor.predict), state, jnp.asarray(weights, float))
    operations = Partial(cached(encodings.adjacency, predictor.space))
    flops = Partial(predictor.space.flops)
    known = np.stack([scores, np.asarray(_each(flops, jnp.asarray(rows)))], axis=1).astype(float)
    deviation = known.std(axis=0) + 1e-6 * np.abs(known).max(axis=0)
    # All are 0 where a space knows no FLOPs, as those of `spaces.product`.
    unit = np.stack([known.mean(axis=0), np.where(deviation > 0, deviation, 1)])
    bits = np.asarray(operations(jnp.asarray(rows)), np.float64)
    weights = ridge(_features((known - unit[0]) / unit[1], bits), costs)
    arrays = (jnp.asarray(x, float) for x in (unit, weights))
    return Partial(_on_plane, Partial(predictor.predict), state, flops, operations, *arrays)


def line(scores: np.ndarray, costs: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the line with the least squared relative errors, not falling.

    It minimises `Σ ((slope · score + intercept − cost) / cost)²` over slopes of at least 0, for
    `[B]` finite scores and costs above 0. Equal scores have a line of slope 0.
    """
    weights = 1 / np.square(costs.astype(np.float64))
    weights /= weights.sum()
    # Centred, so that scores far from 0 lose no digits.
    middle, mean = weights @ scores, weights @ costs
    deviations = scores - middle
    variance = weights @ np.square(deviations)
    covariance = weights @ (deviations * (costs - mean))
    # A line that falls would turn the ranking around: measurements of noise may ask for one.
    slope = max(covariance / variance, 0.0) if variance > 0 else 0.0
    return float(slope), float(mean - slope * middle)


def ridge(features: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Weights `[F]` of `features` `[B, F]`, of which the first three have no penalty.

    They minimise `Σ ((x · w − cost) / cost)² + λ Σ w²`, and λ, of 21 from 1e-4 to 1e6 in units of
    the mean cost, the squared relative error of each cost when the others are fitted.
    """
    # In relative units every cost is 1; the mean keeps weights of order 1, too.
    mean = costs.astype(np.float64).mean()
    rows, ones = features * (mean / costs)[:, None], np.ones(len(costs))
    is_free = np.arange(rows.shape[1]) < _FREE
    best, found = np.inf, np.zeros(rows.shape[1])
    for penalty in _PENALTIES:
        # Not quite free: of few measurements even three features may say the same.
        square = rows.T @ rows + np.diag(np.where(is_free, 1e-9, penalty))
        solved = np.linalg.solve(square, rows.T)
        # Leaving one out without fitting anew: its residual grows by its own share in its fit.
        left = (ones - rows @ (solved @ ones)) / (1 - np.sum(rows * solved.T, axis=1))
        if (error := float(np.mean(np.square(left)))) < best:
            best, found = error, solved @ ones * mean
    return found


def _features(known: Any, bits: Any) -> Any:
    """Features `[B, 3 + F]` from standardised costs `[B, 2]` and operations `[B, F]`."""
    numpy = np if isinstance(known, np.ndarray) else jnp
    return numpy.concatenate([numpy.ones_like(known[:, :1]), known, bits], axis=1)


def _each(flops: Any, rows: jax.Array) -> jax.Array:
    """FLOPs `[B]` of architectures `[B, D]`."""
    counts: jax.Array = jax.vmap(flops)(rows)
    return counts.astype(float)


def _on_line(predict: Any, state: Any, weights: jax.Array, archs: jax.Array) -> jax.Array:
    """Costs `[...]` of architectures `[..., D]` by slope and intercept."""
    scores = predict(state, archs.reshape(-1, archs.shape[-1])).astype(weights.dtype)
    return jnp.maximum(weights[0] * scores + weights[1], 0).reshape(archs.shape[:-1])


def _on_plane(
    predict: Any,
    state: Any,
    flops: Any,
    operations: Any,
    unit: jax.Array,
    weights: jax.Array,
    archs: jax.Array,
) -> jax.Array:
    """Costs `[...]` of architectures `[..., D]` by the weights of their features."""
    rows = archs.reshape(-1, archs.shape[-1])
    known = jnp.stack([predict(state, rows).astype(unit.dtype), _each(flops, rows)], axis=1)
    features = _features((known - unit[:1]) / unit[1:], operations(rows).astype(unit.dtype))
    return jnp.maximum(features @ weights, 0).reshape(archs.shape[:-1])
