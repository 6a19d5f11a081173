"""Charts of one trained network: how it learnt, what it confuses; see the package.

Accuracies here are fractions, 0 to 1.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jax.typing import ArrayLike

from jnas.plots.style import COLOURS, INK, load_matplotlib, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PARTS = ("train", "validation", "test")
_MOST_NAMED, _MOST_COUNTED = 40, 25  # classes whose names, or counts, have room
_LONGEST = 18  # letters of a name
_COLUMNS, _TILE = 6, 1.35  # of pictures side by side, and inches of one


def learning_curves(curves: Mapping[str, ArrayLike], *, title: str = "") -> "Figure":
    """Curves of loss and, below, of accuracy in percent by epoch, a line for each part.

    Args:
        curves: "train_loss", "train_accuracy", and so on for "validation" and "test", `[epochs]`
            each, as `training.Trained.curves` has them; NaN where a part has no images, and where
            a training has diverged.
        title: of the figure.

    Raises:
        ValueError: no curve is known, or their lengths differ.
    """
    from matplotlib.ticker import MaxNLocator

    rows = {name: np.asarray(values, float) for name, values in curves.items()}
    known = [part for part in _PARTS if f"{part}_loss" in rows]
    if not known or len({values.shape for values in rows.values()}) > 1:
        raise ValueError(
            f"curves must have train_loss, train_accuracy or likewise, of one length; got "
            f"{ {name: values.shape for name, values in rows.items()} }"
        )
    figure, panels = new_figure("epoch", "loss", "accuracy (%)")
    for place, part in enumerate(_PARTS):
        for axes, name, factor in zip(panels, ("loss", "accuracy"), (1, 100), strict=True):
            values = rows.get(f"{part}_{name}", np.full(1, np.nan)) * factor
            # A part without images has no entry in the legend.
            if np.isfinite(values).any():
                epochs, style = np.arange(1, len(values) + 1), "-" if len(values) > 1 else "o"
                axes.plot(epochs, values, style, color=COLOURS[place], linewidth=1.8, label=part)
    _end_at_the_better(panels[0])
    _begin_at_the_better(panels[1])
    # A training that diverged at once has no line, and Matplotlib warns of an empty legend.
    if panels[0].lines:
        panels[0].legend(frameon=False, fontsize=10, labelcolor=INK)
    panels[1].xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    set_title(figure, title)
    return figure


def _end_at_the_better(axes: "Axes") -> None:
    """Limits of an axis of losses that a few large ones of the first epochs do not squash."""
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    late = np.concatenate([line[-(-len(line) // 10) :] for line in drawn] or [np.zeros(0)])
    late = late[np.isfinite(late)]
    if len(late) and late.max() > 0:
        axes.set_ylim(0, 1.15 * late.max())


def _begin_at_the_better(axes: "Axes") -> None:
    """Limits of an axis of accuracies that show differences at its upper end."""
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    late = [line[len(line) // 5 :] for line in drawn]
    values = np.concatenate(late) if late else np.zeros(0)
    values = values[np.isfinite(values)]
    if len(values):
        low = min(float(values.min()), 99.0)
        axes.set_ylim(max(low - 2, 0), 100 + 0.04 * (100 - low))


def confusion_matrix(counts: ArrayLike, classes: Sequence[str], *, title: str = "") -> "Figure":
    """Table of true classes (rows) by answers (columns), each cell its share of the row.

    Args:
        counts: `[K, K]`, images.
        classes: `K` names.
        title: of the figure.

    Raises:
        ValueError: the shapes do not go together.
    """
    table, num = np.asarray(counts), len(classes)
    if table.shape != (num, num):
        raise ValueError(f"counts must be [{num}, {num}], as many classes; got {table.shape}")
    side = min(max(3.2 + 0.38 * num, 4.2), 11.0)
    figure, (axes,) = new_figure("answer", "true class", width=side + 0.6, height=side)
    total = table.sum(axis=1, keepdims=True)
    share = np.where(total > 0, table / np.maximum(total, 1), 0.0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.grid(visible=False)
    step = math.ceil(num / _MOST_NAMED)
    names = [textwrap.shorten(name, _LONGEST, placeholder="…") for name in classes]
    ticks = np.arange(0, num, step)
    is_long = max(map(len, names)) > 2
    axes.set_xticks(ticks, names[::step], rotation=90 if is_long and num > 4 else 0)
    axes.set_yticks(ticks, names[::step])
    if num <= _MOST_COUNTED:
        _write_counts(axes, table, share)
    right = int(np.trace(table))
    set_title(figure, title, f"{right:,} of {int(table.sum()):,} right")
    return figure


def _write_counts(axes: "Axes", table: np.ndarray, share: np.ndarray) -> None:
    """Numbers of images in the cells that have any."""
    size = 10 if len(table) <= 12 else 7
    for row, column in np.argwhere(table > 0):
        colour = "white" if share[row, column] > 0.55 else INK
        text = f"{table[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def examples(images: ArrayLike, texts: Sequence[str]) -> "Figure":
    """Images side by side, each with a text above it.

    Args:
        images: `[N, H, W, C]` floats in 0 … 1, C 1 or 3, `N >= 1`.
        texts: `N`.

    Raises:
        ValueError: another shape, or another number of texts.
    """
    pixels = np.clip(np.asarray(images, float), 0, 1)
    if pixels.ndim != 4 or not len(pixels) or len(pixels) != len(texts):
        raise ValueError(
            f"images must be [N, H, W, C] with a text each; got {pixels.shape} and {len(texts)}"
        )
    load_matplotlib()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from jnas.plots._figure import Figure

    columns = min(_COLUMNS, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    wrapped = [textwrap.fill(text, 16) for text in texts]
    lines = max(text.count("\n") + 1 for text in wrapped)
    size = max(columns * _TILE, 2.6), rows * (_TILE + 0.17 * lines)
    engine = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05)
    figure = Figure(size, dpi=100, facecolor="white", layout=engine)
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if place < len(pixels):
            grey = pixels.shape[-1] == 1
            shown = pixels[place, ..., 0] if grey else pixels[place]
            # Pixels as they are: an interpolated digit of 8 x 8 looks like what nobody has seen.
            axes.imshow(shown, cmap="gray" if grey else None, vmin=0, vmax=1, interpolation="none")
            axes.set_title(wrapped[place], fontsize=8, color=INK)
    return figure
