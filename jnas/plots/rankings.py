"""Charts of criteria of rankings; see the package for what they share."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import COLOURS, GREY, INK, new_figure, set_note, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dashes of the horizontal lines, which are all grey.
_DASHES = ("--", ":", "-.")


def criterion_curves(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    lines: Mapping[str, Mapping[str, float]] | None = None,
    *,
    x_label: str = "epoch",
    log: bool = False,
    title: str = "",
) -> "Figure":
    """Curves of criteria by epoch, a panel for each criterion, with horizontal lines to compare.

    Args:
        panels: label of the panel → label of the curve → epochs `[E]` and values `[E]`, or
            `[E, S]` of S seeds: their mean, and a band from the lowest to the highest.
            A label has one colour in all panels.
        lines: label of the panel → label → height, such as those of #params and FLOPs as scores.
        x_label: below the last panel.
        log: whether the axis of epochs is logarithmic.
        title: heads the figure.

    Raises:
        ValueError: a curve is not `[E]` or `[E, S]`, or a panel of `lines` is not one of `panels`.
    """
    unknown = set(lines or {}) - set(panels)
    if unknown:
        raise ValueError(f"lines of no panel: {', '.join(sorted(unknown))}")
    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    figure, every = new_figure(x_label, *panels, width=8.0, height=3.4)
    seeds = 1
    for axes, (panel, curves) in zip(every, panels.items(), strict=True):
        # These panels are low: a longer line would run into the next one's.
        axes.set_ylabel(textwrap.fill(panel, 22))
        for label, (x, y) in curves.items():
            place = labels.index(label)
            seeds = max(seeds, _draw_curve(axes, label, x, y, COLOURS[place % len(COLOURS)]))
        for place, (label, height) in enumerate((lines or {}).get(panel, {}).items()):
            text = f"{label}: {height:.3f}"
            dashes = _DASHES[place % len(_DASHES)]
            axes.axhline(height, color=GREY, linestyle=dashes, linewidth=1.4, label=text, zorder=1)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.legend(
            frameon=False, fontsize=10, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
    set_title(figure, title)
    set_note(figure, (seeds, "seeds: mean, lowest and highest") if seeds > 1 else (0, ""))
    return figure


def mutation_matrix(
    values: ArrayLike,
    operations: Sequence[str],
    *,
    counts: ArrayLike | None = None,
    label: str = "",
    title: str = "",
) -> "Figure":
    """Matrix of `values [O, O]`: what replacing the operation of a row by a column's changes.

    Colours are symmetric around 0, and each field has its number, with that of its pairs below it
    where `counts [O, O]` says how many these are; a field that is NaN stays empty.

    Raises:
        ValueError: the matrix is not as large as there are operations, or all of it is NaN.
    """
    matrix = np.asarray(values, float)
    num = len(operations)
    if matrix.shape != (num, num) or not np.isfinite(matrix).any():
        raise ValueError(
            f"values must be [O, O] with numbers for {num} operations, got {matrix.shape}."
        )
    figure, (axes,) = new_figure("new operation", "old operation", width=max(6.4, 1.9 + 0.95 * num))
    figure.set_figheight(1.7 + 0.62 * num)
    limit = float(np.nanmax(np.abs(matrix)))
    image = axes.imshow(matrix, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(num), operations, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(num), operations)
    for row, column in zip(*np.nonzero(np.isfinite(matrix)), strict=True):
        value = matrix[row, column]
        text = f"{round(value, 2) + 0:+.2f}"  # no -0.00
        # Dark fields need light letters.
        colour = "white" if abs(value) > 0.6 * limit else INK
        above: dict[str, Any] = {
            "ha": "center",
            "va": "center" if counts is None else "bottom",
            "color": colour,
        }
        axes.text(column, row, text, fontsize=10, **above)
        if counts is not None:
            count = f"{int(np.asarray(counts)[row, column]):,}"
            axes.text(column, row + 0.08, count, fontsize=8, **above | {"va": "top"})
    bar = figure.colorbar(image, ax=axes)
    bar.set_label(textwrap.fill(label, 6 + 6 * num), fontsize=10, color=INK)
    bar.outline.set_visible(False)
    set_title(figure, title)
    if counts is not None:
        figure.supxlabel("small: number of pairs", fontsize=10, color=GREY, x=0.99, ha="right")
    return figure


def _draw_curve(axes: "Axes", label: str, x: ArrayLike, y: ArrayLike, colour: str) -> int:
    """Number of seeds of a curve `[E]` or `[E, S]` that is drawn: its mean, and its band."""
    epochs, values = np.asarray(x, float), np.asarray(y, float)
    if epochs.ndim != 1 or values.ndim not in (1, 2) or values.shape[:1] != epochs.shape:
        raise ValueError(
            f"{label!r} must be epochs [E] and values [E] or [E, S], got {epochs.shape} and "
            f"{values.shape}."
        )
    rows = values.reshape(len(epochs), -1)
    style = "o-" if len(epochs) <= 40 else "-"
    axes.plot(epochs, rows.mean(axis=1), style, color=colour, linewidth=1.8, ms=4, label=label)
    if rows.shape[1] > 1:
        band = rows.min(axis=1), rows.max(axis=1)
        axes.fill_between(epochs, *band, color=colour, alpha=0.18, linewidth=0)
    return rows.shape[1]
