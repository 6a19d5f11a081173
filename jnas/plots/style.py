"""Style of all figures: colours, axes, titles, notes, and how they become files."""

import contextlib
import io
import os
import pathlib
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jax.typing import ArrayLike

from jnas.engine.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind can tell apart.
ACCENT, POINTS, INK, GREY = "#D55E00", "#0072B2", "#222222", "#6B6B6B"
# For lines side by side, the two darkest last.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")

Point: TypeAlias = tuple[float, float]


def figure_png(figure: "Figure", dpi: int = 150) -> bytes:
    """PNG file of a figure. The same call on the same data gives the same bytes."""
    stream = io.BytesIO()
    # Matplotlib would write its version into the file.
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def save(figure: "Figure", path: str | os.PathLike[str], dpi: int = 150) -> None:
    """PNG file of a figure, written whole or not at all; missing folders are made.

    Raises:
        ValueError: the suffix is not `.png`.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    if pathlib.Path(path).suffix.lower() != ".png":
        raise ValueError(f"figures are saved as .png files, got {pathlib.Path(path).name!r}")
    with replacing(path, "figure") as file:
        file.write(figure_png(figure, dpi))


def load_matplotlib() -> None:
    """Import of Matplotlib, whatever backend the variable `MPLBACKEND` names.

    Figures here need none, but the name of one that is not there, such as that of a notebook whose
    environment a command has inherited, would make the import fail.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend is not None:
        os.environ["MPLBACKEND"] = backend
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


def new_figure(
    x: str, *y: str, width: float = 6.4, height: float = 4.2
) -> tuple["Figure", list["Axes"]]:
    """Figure and panels in the house style: a panel for each label of `y`, one above the other."""
    load_matplotlib()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from jnas.plots._figure import Figure

    size = width, height * (0.4 + 0.6 * len(y))
    # Not by pyplot, which keeps every figure it has made, and chooses a backend for the process.
    figure = Figure(
        size, dpi=100, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    )
    panels = list(figure.subplots(len(y), 1, sharex=True, squeeze=False)[:, 0])
    for axes, label in zip(panels, y, strict=True):
        axes.set_ylabel(textwrap.fill(label, 40), fontsize=11, color=INK)
        axes.grid(color="#E4E4E4", linewidth=0.8)
        # Grid lines would else run over the points.
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=10, labelcolor=INK)
    panels[-1].set_xlabel(x, fontsize=11, color=INK)
    return figure, panels


def wrapped(text: str, width: float) -> list[str]:
    """Lines of 12 points that fit into `width` inches.

    The long names of NAS-Bench-201 break at a plus.
    """
    return textwrap.wrap(text.replace("+|", "+ |"), max(int(9.5 * width), 1))


def set_title(figure: "Figure", *parts: str, x: float = 0.0) -> None:
    """Title of the figure, at the left edge `x` of its first axes; long parts are wrapped."""
    lines = [line for part in parts for line in wrapped(part, figure.get_figwidth())]
    figure.axes[0].set_title("\n".join(lines), fontsize=12, color=INK, loc="left", x=x)


def set_note(figure: "Figure", *counts: tuple[int, str]) -> None:
    """Note at the lower right of what the axes leave out; counts of 0 are not mentioned."""
    text = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if text:
        figure.supxlabel(text, fontsize=10, color=GREY, x=0.99, ha="right")


def begin_late(axes: "Axes", *curves: np.ndarray) -> None:
    """Limits of an axis that holds what the curves are after a fiftieth of the steps."""
    late = np.concatenate([curve[len(curve) // 50 :] for curve in curves])
    late = late[np.isfinite(late)]
    # Limits that are equal would be no axis.
    if len(set(late)) > 1:
        low, high = late.min(), late.max()
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def vectors(**arrays: ArrayLike) -> list[np.ndarray]:
    """Vectors in float64, all of one length; ValueError names those of other shapes."""
    # float64 on the host, whatever JAX is set to: titles quote what was given.
    rows = [np.asarray(values, np.float64) for values in arrays.values()]
    shapes = [row.shape for row in rows]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ValueError(
            f"{' and '.join(arrays)} must be vectors of one length, at least 1; got {shapes}"
        )
    return rows


def fenced_scatter(
    axes: "Axes", x: np.ndarray, y: np.ndarray, *, minimize: bool, **style: Any
) -> tuple[float, tuple[int, str]]:
    """Scatter of the finite points of `[B]`, those beyond the outer fence as triangles at its edge.

    Where `minimize` is True lower is better, and the fence is above the points.

    Returns:
        The height of the fence, and what `set_note` tells of the points beyond it.
    """
    # Higher is better from here on; what is drawn has its sign again.
    sign = -1 if minimize else 1
    shown, good = np.isfinite(x) & np.isfinite(y), sign * y
    floor = outer_fence(good[shown])
    low = shown & (good < floor)
    # What lies beyond is drawn at the edge, so that every architecture is seen.
    for points, marker in ((shown & ~low, "o"), (low, "^" if minimize else "v")):
        height = sign * np.maximum(good[points], floor)
        axes.scatter(x[points], height, marker=marker, linewidths=0, **style)
    fence, side = sign * floor, "above" if minimize else "below"
    return fence, (int(low.sum()), f"{side} {fence:.4g} (triangles)")


def num_unrankable(scores: np.ndarray) -> int:
    """Number of scores that are NaN or -inf."""
    return int((np.isnan(scores) | np.isneginf(scores)).sum())


def outer_fence(accuracy: np.ndarray) -> float:
    """Lower end of an axis of finite accuracies: Tukey's outer fence, or else the lowest of them.

    The higher of the two is taken.
    """
    first, third = np.percentile(accuracy, [25, 75]) if len(accuracy) else (0.0, 0.0)
    # Accuracies that are mostly equal have no spread to measure outliers by.
    fence = first - 3 * (third - first) if third > first else -np.inf
    return float(max(fence, np.min(accuracy, initial=np.inf)))
