"""Charts of trained predictors; see the package for what they share."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from jnas import metrics
from jnas.plots.style import COLOURS, GREY, INK, POINTS, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As many as figure 3 of ReNAS shows.
_MAX_POINTS = 1000
_ROOM = 0.07  # of the axis, for a label of a tick at 30 degrees


def tau_by_size(
    curves: Mapping[str, Sequence[tuple[int, float, float]]],
    paper: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    *,
    x_label: str = "training architectures",
    y_label: str = "Kendall τ-b on the test set",
    title: str = "",
) -> "Figure":
    """Curve for each label through (size, value, standard deviation); a paper's are dashed.

    Ticks are all sizes of the curves, and those that only the paper has where their labels have
    room beside these. What the paper has of other labels is not drawn.
    """
    figure, (axes,) = new_figure(x_label, y_label)
    for label, (x, y, deviation), style in _styled(curves, 3):
        axes.plot(x, y, label=label, **style)
        axes.fill_between(
            x, y - deviation, y + deviation, color=style["color"], alpha=0.15, linewidth=0
        )
        if paper and label in paper:
            axes.plot(
                *_columns(label, paper[label], 2),
                "--",
                color=style["color"],
                linewidth=1,
                alpha=0.8,
            )
    if paper:
        # One entry of the legend for the dashed lines of all labels.
        axes.plot([], [], "--", color=GREY, linewidth=1, label="paper")
    axes.set_xscale("log")
    dashed = [point for label in curves for point in (paper or {}).get(label, ())]
    # What is measured comes first; a tick of the paper alone must not cover its label.
    sizes = _with_room(
        {point[0] for points in curves.values() for point in points}, {point[0] for point in dashed}
    )
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30 if len(sizes) > 5 else 0)
    # A log axis would put its own labels between the sizes.
    axes.minorticks_off()
    _legend(axes)
    set_title(figure, title)
    return figure


def predicted_ranks(
    scores: ArrayLike, targets: ArrayLike, *, num: int = _MAX_POINTS, seed: int = 0, title: str = ""
) -> "Figure":
    """Scatter of predicted against true rank, 1 is best, of `num` random ones of `[N]`.

    ReNAS (Xu et al., CVPR 2021) has it as figure 3.

    τ-b is over all architectures of known target, those that cannot be ranked being last together.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.ndim != 1 or scores.shape != targets.shape or len(scores) < 2:
        raise ValueError(
            f"scores and targets must be [N], N ≥ 2; got {scores.shape} and {targets.shape}"
        )
    known, rankable = np.isfinite(targets), scores > -np.inf
    places = np.random.default_rng(seed).permutation(len(scores))
    usable = places[(known & rankable)[places]]
    # Ranks are among those shown, as in figure 3 of ReNAS.
    shown = usable[:num]
    predicted, true = (1 + np.asarray(metrics.ranks(values[shown])) for values in (scores, targets))
    # A rank among some is not one among all, and the axes say which it is.
    among = " among those shown" if len(shown) < len(scores) else ""
    figure, (axes,) = new_figure(
        f"true rank{among}", f"predicted rank{among}", width=5.2, height=5.0
    )
    axes.plot([1, len(shown)], [1, len(shown)], color=GREY, linewidth=1)
    axes.scatter(true, predicted, s=12, color=POINTS, alpha=0.5, linewidths=0)
    # Ranks are on one scale, so that the diagonal is at 45 degrees.
    axes.set_aspect("equal")
    tau = float(metrics.kendall_tau(scores, targets, where=known))
    set_title(
        figure, title, f"Kendall τ-b = {tau:.3f}" if math.isfinite(tau) else "Kendall τ-b undefined"
    )
    lost = (
        (int((~rankable).sum()), "that cannot be ranked"),
        (int((rankable & ~known).sum()), "without target"),
    )
    set_note(figure, *lost, (len(usable) - len(shown), "more not shown"))
    return figure


def training_curves(
    losses: ArrayLike, taus: ArrayLike | None = None, *, title: str = ""
) -> "Figure":
    """Curves of the training loss `[S, epochs]` of each seed (thin) and of their mean.

    The test τ-b `[S, epochs]` has a panel below.

    Epochs at which a value is not finite (none was taken, or a seed diverged) are in neither line.
    """
    from matplotlib.ticker import MaxNLocator

    rows = np.asarray(losses, float)
    panels = [rows] if taus is None else [rows, np.asarray(taus, float)]
    shapes = [values.shape for values in panels]
    if len(set(shapes)) > 1 or rows.ndim != 2 or not rows.size:
        raise ValueError(f"losses and taus must be [S, epochs], S ≥ 1, of one shape; got {shapes}")
    figure, axes = new_figure(
        "epoch", *["training loss", "Kendall τ-b on the test set"][: len(panels)]
    )
    for panel, values in zip(axes, panels, strict=True):
        epochs = np.arange(1, values.shape[1] + 1)
        # An epoch counts if all seeds have it: the mean must not jump where one of them drops out.
        taken = np.isfinite(values).all(axis=0)
        # A few values far apart, as those of the last epochs, need markers.
        style = "-" if taken.sum() > 20 else "o-"
        panel.plot(epochs[taken], values[:, taken].T, color=POINTS, alpha=0.25, linewidth=1)
        panel.plot(
            epochs[taken],
            values[:, taken].mean(axis=0),
            style,
            color=POINTS,
            linewidth=2,
            markersize=4,
        )
    axes[-1].xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    set_title(figure, title)
    set_note(figure, (len(rows), "seeds, thick: their mean" if len(rows) > 1 else "seed"))
    return figure


def precision_by_share(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str = ""
) -> "Figure":
    """Curve for each label of P@K by the share K (GATES figure 3).

    P@K is the share of the K predicted best that are among the K true best.
    """
    figure, (axes,) = new_figure("K, share of the test architectures", "P@K")
    for label, columns, style in _styled(curves, 2):
        axes.plot(*columns, label=label, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.02)
    _legend(axes)
    set_title(figure, title)
    return figure


def _styled(
    curves: Mapping[str, Sequence[tuple[float, ...]]], width: int
) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Label, columns and style of each curve; markers change where colours begin anew."""
    for place, (label, points) in enumerate(curves.items()):
        marker = "os^D"[place // len(COLOURS) % 4]
        style = {
            "color": COLOURS[place % len(COLOURS)],
            "marker": marker,
            "linewidth": 1.8,
            "markersize": 4.5,
        }
        yield label, _columns(label, points, width), style


def _columns(label: str, points: Sequence[tuple[float, ...]], width: int) -> np.ndarray:
    """Columns `[width, n]` of n points, n ≥ 1; ValueError names the curve that has others."""
    if {len(point) for point in points} != {width}:
        raise ValueError(
            f"{label!r} needs points of {width} numbers each, at least one; got {points}"
        )
    return np.array(points, float).T


def _with_room(sizes: Set[int], others: Set[int]) -> list[int]:
    """Ticks: all of `sizes`, and those of `others`, smallest first, that lie apart on a log axis.

    The axis is through all of them.
    """
    shown, every = set(sizes), sizes | others
    span = math.log(max(every) / min(every)) if every else 0.0
    for size in sorted(others - sizes):
        if min(abs(math.log(size / tick)) for tick in shown) >= _ROOM * span:
            shown.add(size)
    return sorted(shown)


def _legend(axes: "Axes") -> None:
    """Legend right of the axes, where no curve is."""
    if axes.lines:
        axes.legend(
            frameon=False, fontsize=10, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
