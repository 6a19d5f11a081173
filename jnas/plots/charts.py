"""Charts of scores, accuracies and searches; see the package for what they share."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from jnas import metrics
from jnas.plots.style import (
    ACCENT,
    GREY,
    INK,
    POINTS,
    Point,
    begin_late,
    fenced_scatter,
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


def score_against_accuracy(
    scores: ArrayLike,
    accuracy: ArrayLike,
    *,
    chosen: int | None = None,
    score_label: str = "score",
    accuracy_label: str = "accuracy",
    title: str = "",
    minimize: bool = False,
    minimize_accuracy: bool = False,
) -> "Figure":
    """Scatter of `scores` against `accuracy`, `[B]` each, `B >= 2`; Kendall's τ-b is in the title.

    τ-b is over all architectures of known accuracy, those that cannot be ranked being last
    together. Points below the axis are triangles at its edge. The one of index `chosen` is a star.
    Where `minimize` or `minimize_accuracy` is True, lower scores or accuracies are the better ones.
    """
    x, y = vectors(scores=scores, accuracy=accuracy)
    sign_x, sign = (-1 if minimize else 1), (-1 if minimize_accuracy else 1)
    # Over all of known accuracy, not over those shown: what cannot be ranked is last, not absent.
    tau = float(metrics.kendall_tau(sign_x * x, sign * y, where=np.isfinite(y)))
    figure, (axes,) = new_figure(score_label, accuracy_label)
    # Many points are small and faint, so that where they crowd is seen.
    size, alpha = (26.0, 0.6) if len(x) <= 2000 else (8.0, 0.3)
    fence, beyond = fenced_scatter(
        axes, x, y, minimize=minimize_accuracy, s=size, color=POINTS, alpha=alpha
    )
    axes.margins(y=0.09)
    if chosen is not None:
        _mark(axes, x, y, sign * np.maximum(sign * y, sign * fence), chosen)
    set_title(
        figure, title, f"Kendall τ-b = {tau:.3f}" if math.isfinite(tau) else "Kendall τ-b undefined"
    )
    unknown, infinite = int((~np.isfinite(y)).sum()), int(np.isposinf(sign_x * x).sum())
    set_note(
        figure,
        (num_unrankable(sign_x * x), "that cannot be ranked"),
        beyond,
        (unknown, "without accuracy"),
        (infinite, f"of score {'-' if minimize else '+'}∞ not shown"),
    )
    return figure


def best_so_far(
    scores: ArrayLike,
    accuracy: ArrayLike | None = None,
    *,
    score_label: str = "score",
    accuracy_label: str = "accuracy",
    title: str = "",
    minimize: bool = False,
    minimize_accuracy: bool = False,
) -> "Figure":
    """Curve of the best of `scores` `[T]` by number of evaluations; of equals the first counts.

    True accuracies `[T]` add a panel: that of the architecture chosen so far, and dashed the best
    so far. Its axis begins at the lowest value after a fiftieth of the evaluations. Where
    `minimize` or `minimize_accuracy` is True, lower scores or accuracies are the better ones.
    """
    x, y = vectors(scores=scores, accuracy=scores if accuracy is None else accuracy)
    best = _first_best(-x if minimize else x)
    labels = [f"best {score_label} so far"] + ([] if accuracy is None else [accuracy_label])
    figure, axes = new_figure("evaluations", *labels)
    # A step curve of a single evaluation has no length.
    style: dict[str, Any] = {
        "where": "post",
        "linewidth": 1.8,
        "marker": "o" if len(x) <= 20 else "",
        "markersize": 4,
    }
    # Nothing is drawn before the first score that can be ranked.
    steps, score, reached = (
        np.arange(1, len(x) + 1),
        *(np.where(best < 0, np.nan, v[best]) for v in (x, y)),
    )
    axes[0].step(steps, score, color=POINTS, **style)
    axes[0].locator_params(axis="x", integer=True)
    for panel in axes[1:]:
        # `fmax` passes over NaN, an unknown accuracy, where `maximum` would keep it to the end.
        possible = (np.fmin if minimize_accuracy else np.fmax).accumulate(y)
        label = f"best possible so far: {possible[-1]:.4g}"
        panel.step(steps, possible, color=GREY, linestyle="--", label=label, **style)
        panel.step(steps, reached, color=ACCENT, label=f"chosen so far: {reached[-1]:.4g}", **style)
        panel.legend(fontsize=10, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        begin_late(panel, reached, possible)
    set_title(figure, title)
    set_note(figure, (num_unrankable(-x if minimize else x), "evaluations that cannot be ranked"))
    return figure


def accuracy_histogram(
    all_accuracy: ArrayLike,
    chosen_accuracy: float,
    *,
    num_bins: int = 60,
    accuracy_label: str = "accuracy",
    title: str = "",
    minimize: bool = False,
) -> "Figure":
    """Histogram of all accuracies `[A]`, with the chosen one and its rank in it.

    The rank is 1 plus the number of better ones, lower ones where `minimize` is True.

    Raises:
        ValueError: also where no accuracy, or not the chosen one, is finite.
    """
    (everything,) = vectors(all_accuracy=all_accuracy)
    y, chosen = everything[np.isfinite(everything)], float(chosen_accuracy)
    if not len(y) or not math.isfinite(chosen):
        raise ValueError(
            f"need finite accuracies, got {len(y)} of them and chosen_accuracy={chosen}"
        )
    # From here on higher is better; what is drawn has its sign again.
    sign = -1 if minimize else 1
    y, good = sign * y, sign * chosen
    # The chosen one is always on the axis, an outlier or not.
    low, high = min(outer_fence(y), good), max(float(y.max()), good)
    ends = sorted((sign * low, sign * high))
    figure, (axes,) = new_figure(accuracy_label, "architectures")
    # The range holds the chosen one, which need not be among all.
    shown = sign * y[y >= low]
    counts, _, _ = axes.hist(shown, num_bins, range=(ends[0], ends[1]), color=POINTS, alpha=0.75)
    top = 1.2 * float(np.max(counts))
    axes.set_ylim(0, top)
    axes.axvline(chosen, color=ACCENT, linewidth=2)
    _annotate(axes, f"chosen: {chosen:.4g}", (chosen, 0.88 * top))
    rank, num = 1 + int((y > good).sum()), len(y)
    # Two significant digits, as the share of a large space may be far below a percent.
    share = np.format_float_positional(100 * rank / num, precision=2, fractional=False, trim="-")
    set_title(figure, title, f"rank {rank:,} of {num:,}, top {share} %")
    side = "above" if minimize else "below"
    below = (int((y < low).sum()), f"{side} {sign * low:.4g} not shown")
    set_note(figure, below, (len(everything) - num, "without accuracy"))
    return figure


def kernel(matrix: ArrayLike, *, low: float | None = None, title: str = "") -> "Figure":
    """Image of a Hamming kernel `[N, N]` normalised by its diagonal, K_ij / √(K_ii K_jj).

    Mellor et al., "Neural Architecture Search without Training", ICML 2021, Figure 1. The colours
    go from `low` to 1, by default from the smallest entry; to be compared, kernels need one `low`.

    Raises:
        ValueError: the matrix is not square, or its diagonal not positive.
    """
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.all(np.diag(values) > 0):
        raise ValueError(f"a kernel is [N, N] with a positive diagonal, got shape {values.shape}")
    # The diagonal counts all codes of an image, so that entries become shares of them.
    scale = np.sqrt(np.diag(values))
    figure, (axes,) = new_figure("image", "image", width=5.4, height=4.6)
    axes.grid(False)
    image = axes.imshow(values / np.outer(scale, scale), vmin=low, vmax=1.0, cmap="viridis")
    bar = figure.colorbar(image, ax=axes)
    bar.ax.tick_params(labelsize=10)
    bar.set_label("share of equal codes", fontsize=11, color=INK)
    set_title(figure, title)
    return figure


def _first_best(scores: np.ndarray) -> np.ndarray:
    """Index `[T]` of the first of the best among the first `t + 1` scores.

    It is -1 while none of them can be ranked.
    """
    rankable = np.where(np.isnan(scores), -np.inf, scores)
    # Only what beats all before it is a new best: of equals the first stays.
    before = np.maximum.accumulate(np.concatenate([[-np.inf], rankable[:-1]]))
    return np.maximum.accumulate(np.where(rankable > before, np.arange(len(scores)), -1))


def _mark(axes: "Axes", x: np.ndarray, y: np.ndarray, heights: np.ndarray, chosen: int) -> None:
    """Star at the chosen point, with its accuracy above the corner of the axes."""
    if not 0 <= chosen < len(x) or not np.isfinite([x[chosen], y[chosen]]).all():
        raise ValueError(
            f"chosen must be in 0 … {len(x) - 1}, its score and accuracy finite; got {chosen}"
        )
    at = float(x[chosen]), float(heights[chosen])
    axes.scatter(*at, s=190, color=ACCENT, marker="*", edgecolors="white", zorder=4)
    # In the corner: beside the star a text would cover other points.
    axes.set_title(f"★ chosen: {y[chosen]:.4g}", loc="right", fontsize=11, color=ACCENT)


def _annotate(axes: "Axes", text: str, at: Point) -> None:
    """Text above a point, towards the middle of the axes, with a halo that hides little."""
    from matplotlib.patheffects import withStroke

    shift, side = (6, "left") if 2 * at[0] < sum(axes.get_xlim()) else (-6, "right")
    halo = [withStroke(linewidth=3, foreground="white")]
    style: dict[str, Any] = {
        "fontsize": 11,
        "color": ACCENT,
        "ha": side,
        "path_effects": halo,
        "zorder": 5,
    }
    axes.annotate(text, at, (shift, 9), textcoords="offset points", **style)
