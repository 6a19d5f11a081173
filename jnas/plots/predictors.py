"""Charts of trained predictors; see the package for what they share."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from jnas import metrics
from jnas.plots.style import GREY, POINTS, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's, the two darkest last.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_MAX_POINTS = 1000


def tau_by_size(
    curves: Mapping[str, Sequence[tuple[int, float, float]]],
    paper: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    *,
    x_label: str = "training architectures",
    y_label: str = "Kendall τ-b on the test set",
    title: str = "",
) -> "Figure":
    """A line for each label through (size, value, standard deviation); dashed, the values of a paper."""
    figure, (axes,) = new_figure(x_label, y_label)
    for colour, (label, points) in zip(_COLOURS * len(curves), curves.items(), strict=False):
        x, y, deviation = np.array(points, float).T
        axes.plot(x, y, "o-", color=colour, label=label, linewidth=1.8, markersize=4.5)
        axes.fill_between(x, y - deviation, y + deviation, color=colour, alpha=0.15, linewidth=0)
        if paper and label in paper:
            axes.plot(*np.array(paper[label], float).T, "--", color=colour, linewidth=1, alpha=0.8)
    if paper:
        axes.plot([], [], "--", color=GREY, linewidth=1, label="paper")
    axes.set_xscale("log")
    sizes = sorted({point[0] for points in curves.values() for point in points})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30 if len(sizes) > 6 else 0)
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    set_title(figure, title)
    return figure


def predicted_ranks(
    scores: ArrayLike, targets: ArrayLike, *, num: int = _MAX_POINTS, seed: int = 0, title: str = ""
) -> "Figure":
    """Predicted against true rank, 1 is best, of `num` random architectures of `[N]` (ReNAS figure 3)."""
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.ndim != 1 or scores.shape != targets.shape:
        raise ValueError(f"scores and targets must be [N]; got {scores.shape} and {targets.shape}")
    shown = np.random.default_rng(seed).permutation(len(scores))[:num]
    predicted, true = (1 + np.asarray(metrics.ranks(values[shown])) for values in (scores, targets))
    figure, (axes,) = new_figure("true rank", "predicted rank", width=5.2, height=5.0)
    axes.plot([1, len(shown)], [1, len(shown)], color=GREY, linewidth=1)
    axes.scatter(true, predicted, s=12, color=POINTS, alpha=0.5, linewidths=0)
    axes.set_aspect("equal")
    set_title(figure, title, f"Kendall τ-b = {float(metrics.kendall_tau(scores, targets)):.3f}")
    set_note(figure, (len(scores) - len(shown), "more not shown"))
    return figure


def training_curves(losses: ArrayLike, taus: ArrayLike | None = None, *, title: str = "") -> "Figure":
    """Training loss `[S, epochs]` of each seed (thin) and their mean; below, test τ-b by epoch where it was taken."""
    rows = np.asarray(losses, float)
    labels = ["training loss"] + ([] if taus is None else ["Kendall τ-b on the test set"])
    figure, axes = new_figure("epoch", *labels)
    for panel, values in zip(axes, [rows, *([] if taus is None else [np.asarray(taus, float)])], strict=True):
        epochs = np.arange(1, values.shape[1] + 1)
        taken = np.isfinite(values).all(axis=0)
        style = "-" if taken.sum() > 20 else "o-"
        panel.plot(epochs[taken], values[:, taken].T, color=POINTS, alpha=0.25, linewidth=1)
        panel.plot(epochs[taken], values[:, taken].mean(axis=0), style, color=POINTS, linewidth=2, markersize=4)
    set_title(figure, title)
    set_note(figure, (len(rows), "seeds, thick: their mean" if len(rows) > 1 else "seed"))
    return figure


def precision_by_share(curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str = "") -> "Figure":
    """P@K of each label by the share K (GATES figure 3): how many of the predicted best are among the true best."""
    figure, (axes,) = new_figure("K, share of the test architectures", "P@K")
    for colour, (label, points) in zip(_COLOURS * len(curves), curves.items(), strict=False):
        axes.plot(*np.array(points, float).T, "o-", color=colour, label=label, linewidth=1.8, markersize=4.5)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    set_title(figure, title)
    return figure
