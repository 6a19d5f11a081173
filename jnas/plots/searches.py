"""Charts of many runs of searches side by side; see the package for what they share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import COLOURS, GREY, INK, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def quantile_curves(
    curves: Mapping[str, ArrayLike],
    x: ArrayLike | None = None,
    *,
    lines: Mapping[str, float] | None = None,
    x_label: str = "evaluations",
    y_label: str = "best accuracy so far",
    title: str = "",
) -> "Figure":
    """Median of the runs `[S, T]` of each label, a band for the middle half of them, thin lines around nine tenths.

    What is not finite belongs to no quantile; where nothing is finite there is no curve. The axis of accuracies begins
    at the lowest line after a twentieth of the way.

    Args:
        curves: label → `[S, T]`, the best so far of `S` runs.
        x: `[T]`, ascending; by default the number of evaluations.
        lines: label → height of a dashed line, such as the best there is.
        x_label: what `x` is, with its unit.
        y_label: what the curves are, with their unit.
        title: heads the figure.
    """
    runs = {label: np.asarray(values, np.float64) for label, values in curves.items()}
    shapes = {values.shape for values in runs.values()}
    shape = next(iter(shapes), ())
    steps = np.arange(1, 1 + shape[-1]) if x is None and shape else np.asarray(x, np.float64)
    if len(shapes) != 1 or len(shape) != 2 or 0 in shape or steps.shape != shape[1:]:
        raise ValueError(f"curves must be [S, T] of one shape, and x [T]; got {sorted(shapes)} and {steps.shape}")
    figure, (axes,) = new_figure(x_label, y_label, width=8.0)
    late = steps >= steps[0] + (steps[-1] - steps[0]) / 20
    floors, tops = [], list((lines or {}).values())
    for place, (label, values) in enumerate(runs.items()):
        levels, colour = _quantiles(values), COLOURS[place % len(COLOURS)]
        axes.plot(steps, levels[2], color=colour, linewidth=2.2, label=f"{label}\n{levels[2, -1]:.4g} at the end")
        axes.fill_between(steps, levels[1], levels[3], color=colour, alpha=0.25, linewidth=0)
        axes.plot(steps, levels[[0, -1]].T, color=colour, alpha=0.6, linewidth=0.8)
        floors += list(levels[0, late])
        tops += list(levels[-1])
    for label, height in (lines or {}).items():
        axes.axhline(height, color=GREY, linestyle="--", linewidth=1.2, label=f"{label}\n{height:.4g}")
    _limit(figure, floors, tops)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    set_title(figure, title)
    set_note(figure, (shape[0], "runs each: median, half of the runs (band), 90 % (thin lines)"))
    return figure


def _quantiles(values: np.ndarray) -> np.ndarray:
    """`[5, T]` of `[S, T]`; NaN where nothing is finite."""
    levels = np.full((len(_QUANTILES), values.shape[1]), np.nan)
    known = np.isfinite(values)
    some = known.any(axis=0)
    levels[:, some] = np.nanquantile(np.where(known, values, np.nan)[:, some], _QUANTILES, axis=0)
    return levels


def _limit(figure: "Figure", floors: list[float], tops: list[float]) -> None:
    """Let the axis reach from the lowest of the floors to the highest of the tops, with some room."""
    low, high = np.fmin.reduce(floors), np.fmax.reduce(tops)
    if low < high:
        figure.axes[0].set_ylim(low - 0.04 * (high - low), high + 0.06 * (high - low))
