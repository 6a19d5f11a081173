"""Study of estimators: the criteria of many scores side by side, always beside those of their size.

A score that ranks no better than the number of parameters says nothing that could not be counted
(Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021).
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas.oneshot.analysis.criteria import average, criteria
from jnas.oneshot.analysis.rows import floats, known
from jnas.types import Space

COSTS = ("params", "flops")
"""Names of the rows that every table of a study ends with."""

Row = dict[str, tuple[float, float]]
"""Name of a criterion → its mean and standard deviation over seeds."""


def study_table(
    scores: Mapping[str, ArrayLike],
    truth: ArrayLike,
    costs: Mapping[str, ArrayLike],
    *,
    ratios: Sequence[float] | None = None,
) -> dict[str, Row]:
    """Criteria of each score, and in the last rows those of #params and FLOPs as scores.

    All rows are of the same architectures: one that lacks a truth or any of the scores (NaN) is
    left out of all of them.

    Args:
        scores: name → `[N]`, or `[S, N]` of several seeds; higher is better.
        truth: `[N]`, true accuracies.
        costs: those of `costs(space, archs)`, or other numbers "params" and "flops", `[N]` each.
        ratios: as for `criteria`.

    Returns:
        Name → `Row`; the deviation over seeds is NaN where there is one. "num" is how many are
        ranked, "left_out" how many are not.

    Raises:
        ValueError: the costs are not "params" and "flops", a score is called like a cost, and as
            for `criteria`.
    """
    if set(costs) != set(COSTS):
        raise ValueError(f"costs must be {' and '.join(COSTS)}, got {', '.join(costs) or 'none'}.")
    taken = [name for name in scores if name in COSTS]
    if taken:
        raise ValueError(f"a score must not be called {taken[0]!r}, which is the row of a cost.")
    rows = {name: floats(name, values) for name, values in {**scores, **costs}.items()}
    true = floats("truth", truth)
    for name, values in rows.items():
        if values.ndim not in (1, 2) or values.shape[-1:] != true.shape:
            raise ValueError(
                f"{name!r} must be [N] or [S, N] with truth [N], got {values.shape} and "
                f"{true.shape}."
            )
    used = np.logical_and.reduce([known(values) for values in (*rows.values(), true)])
    # What is left out of one is left out of all, and `criteria` counts it.
    held = np.where(used, true, np.nan)
    return {name: _row(np.atleast_2d(values), held, ratios) for name, values in rows.items()}


def costs(space: Space, archs: ArrayLike) -> dict[str, np.ndarray]:
    """Rows of #params and of FLOPs, `[N]` each, of `archs [N, D]` in the reference network."""
    vectors = jnp.asarray(archs, jnp.int32)
    return {
        "params": np.asarray(jax.jit(jax.vmap(space.params))(vectors)),
        "flops": np.asarray(jax.jit(jax.vmap(space.flops))(vectors)),
    }


def _row(scores: np.ndarray, truth: np.ndarray, ratios: Sequence[float] | None) -> Row:
    """Mean and deviation of the criteria of `scores [S, N]`."""
    found = average(criteria(scores, truth, ratios=ratios))
    return {name: (float(mean), float(spread)) for name, (mean, spread) in found.items()}
