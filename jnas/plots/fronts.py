"""Charts of scores against costs; see the package for what figures share."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import (
    ACCENT,
    GREY,
    INK,
    fenced_scatter,
    new_figure,
    num_unrankable,
    set_note,
    set_title,
    vectors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the front found and of the true one: thin and on top, so that both are seen where they are one.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": ACCENT, "linewidth": 2.2, "marker": "o"},
    {"color": INK, "linewidth": 1.1, "linestyle": "--", "zorder": 4},
)


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
    y, x = vectors(scores=scores, costs=costs)
    fronts = {"front found": _front(y, x, minimize)}
    if true_scores is not None and true_costs is not None:
        true_y, true_x = vectors(true_scores=true_scores, true_costs=true_costs)
        fronts["true front"] = _front(true_y, true_x, minimize)
    figure, (axes,) = new_figure(cost_label, score_label)
    size, alpha = (20.0, 0.45) if len(x) <= 500 else (9.0, 0.35)
    fence, beyond = fenced_scatter(axes, x, y, minimize=minimize, s=size, color=GREY, alpha=alpha)
    is_priced = np.isfinite(x)
    # All staircases end at the dearest evaluation, so that their ends can be compared.
    right = float(np.max(x[is_priced & np.isfinite(y)], initial=-np.inf))
    for (name, front), style in zip(fronts.items(), _STYLES, strict=False):
        _step(axes, *front, right, label=f"{name}: {len(front[0])}", **style)
    _set_limits(axes, fence, minimize)
    if axes.lines:
        # Where a score is bad and costly, few points are.
        place: Literal["upper right", "lower right"] = "upper right" if minimize else "lower right"
        axes.legend(fontsize=10, framealpha=0.85, edgecolor="none", loc=place)
    set_title(figure, title)
    set_note(
        figure,
        (num_unrankable(-y if minimize else y), "evaluations that cannot be ranked"),
        beyond,
        (int((np.isfinite(y) & ~is_priced).sum()), "without cost"),
    )
    return figure


def _front(scores: np.ndarray, costs: np.ndarray, minimize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores and costs of the points that no other dominates, by ascending cost, equals once."""
    sign, shown = (-1 if minimize else 1), np.isfinite(scores) & np.isfinite(costs)
    y, x = sign * scores[shown], costs[shown]
    # By cost, and the best first among equal costs: a point is on the front if it beats all before.
    order = np.lexsort([-y, x])
    y, x = y[order], x[order]
    before = np.maximum.accumulate(np.append(-np.inf, y[:-1])) if len(y) else y
    return sign * y[y > before], x[y > before]


def _set_limits(axes: "Axes", fence: float, minimize: bool) -> None:
    """Limits of the scores that are drawn, from the fence to the best."""
    # Not from the worst of them: a front may come from beyond the fence, and would stretch it.
    height = (axes.dataLim.y0 if minimize else axes.dataLim.y1) - fence
    if np.isfinite(height) and height != 0:
        axes.set_ylim(*sorted((fence - 0.09 * height, fence + 1.09 * height)))


def _step(axes: "Axes", scores: np.ndarray, costs: np.ndarray, right: float, **style: Any) -> None:
    """Staircase through a front, up to the cost `right`: what costs more need not score less."""
    if len(scores):
        y, x = np.append(scores, scores[-1]), np.append(costs, max(right, costs[-1]))
        points = list(range(len(scores)))
        axes.step(x, y, where="post", markersize=4, markevery=points, **style)
