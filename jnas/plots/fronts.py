"""Charts of scores against costs; see the package for what figures share."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import (
    ACCENT,
    GREY,
    INK,
    new_figure,
    num_unrankable,
    outer_fence,
    set_note,
    set_title,
    vectors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto_front(
    scores: ArrayLike,
    costs: ArrayLike,
    *,
    true_scores: ArrayLike | None = None,
    true_costs: ArrayLike | None = None,
    score_label: str = "score",
    cost_label: str = "cost",
    title: str = "",
    minimize: bool = False,
) -> "Figure":
    """Scatter of what a search evaluated, scores and costs `[T]`, and its front.

    The front is the best score for at most a cost, the lowest one where `minimize` is True.

    Scores and costs `[A]` of a whole space, or of its front alone, add the true front, dashed.
    Points below the axis are triangles at its edge, and a front may come from below it. Evaluations
    without a finite score and cost are on no axis.

    Raises:
        ValueError: also where only one of `true_scores` and `true_costs` is given.
    """
    if (true_scores is None) != (true_costs is None):
        raise ValueError("true_scores and true_costs go together; got only one of them")
    sign = -1 if minimize else 1
    y, x = vectors(scores=scores, costs=costs)
    y = sign * y  # from here on higher is better; what is drawn has its sign again
    shown = np.isfinite(y) & np.isfinite(x)
    floor = outer_fence(y[shown])
    low = shown & (y < floor)
    figure, (axes,) = new_figure(cost_label, score_label)
    size, alpha = (20.0, 0.45) if len(x) <= 500 else (9.0, 0.35)
    for points, marker in ((shown & ~low, "o"), (low, "^" if minimize else "v")):
        style: dict[str, Any] = {"s": size, "color": GREY, "alpha": alpha, "linewidths": 0}
        axes.scatter(x[points], sign * np.maximum(y[points], floor), marker=marker, **style)
    # Both staircases end at the dearest evaluation, so that their ends can be compared.
    right = float(np.max(x[shown], initial=-np.inf))
    found = _front(y[shown], x[shown])
    _step(
        axes,
        sign * found[0],
        found[1],
        right,
        color=ACCENT,
        label=f"front found: {len(found[0])}",
        linewidth=2.2,
        marker="o",
    )
    if true_scores is not None and true_costs is not None:
        every = vectors(true_scores=true_scores, true_costs=true_costs)
        finite = np.isfinite(every[0]) & np.isfinite(every[1])
        best = _front(sign * every[0][finite], every[1][finite])
        label = f"true front: {len(best[0])}"
        # Thin and on top, so that both are seen where they are one.
        _step(
            axes,
            sign * best[0],
            best[1],
            right,
            color=INK,
            label=label,
            linewidth=1.1,
            linestyle="--",
            zorder=4,
        )
    # From the floor and not from the data: a front may come from below it, and would pull it down.
    height = (-axes.dataLim.y0 if minimize else axes.dataLim.y1) - floor
    if np.isfinite(height) and height > 0:
        axes.set_ylim(*sorted((sign * (floor - 0.09 * height), sign * (floor + 1.09 * height))))
    if axes.lines:
        # Where a score is bad and costly, few points are.
        place: Literal["upper right", "lower right"] = "upper right" if minimize else "lower right"
        axes.legend(fontsize=10, framealpha=0.85, edgecolor="none", loc=place)
    set_title(figure, title)
    unpriced = int((np.isfinite(y) & ~np.isfinite(x)).sum())
    side = "above" if minimize else "below"
    below = (int(low.sum()), f"{side} {sign * floor:.4g} (triangles)")
    set_note(
        figure,
        (num_unrankable(y), "evaluations that cannot be ranked"),
        below,
        (unpriced, "without cost"),
    )
    return figure


def _front(scores: np.ndarray, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and costs of the points that no other dominates, by ascending cost, equals once."""
    # By cost, and the best first among equal costs: a point is on the front if it beats all before.
    order = np.lexsort([-scores, costs])
    y, x = scores[order], costs[order]
    before = np.maximum.accumulate(np.append(-np.inf, y[:-1])) if len(y) else y
    return y[y > before], x[y > before]


def _step(axes: "Axes", scores: np.ndarray, costs: np.ndarray, right: float, **style: Any) -> None:
    """Staircase through a front, up to the cost `right`: what costs more need not score less."""
    if len(scores):
        y, x = np.append(scores, scores[-1]), np.append(costs, max(right, costs[-1]))
        points = list(range(len(scores)))
        axes.step(x, y, where="post", markersize=4, markevery=points, **style)
