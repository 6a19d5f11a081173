"""Parts of drawings: nodes, arrows and labels in inches, and names and colours of operations."""

import itertools
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jnas.plots.style import COLOURS, INK, Point, load_matplotlib, set_title, wrapped
from jnas.types import Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

_SHORT = {
    "nor_conv_3x3": "conv 3x3",
    "nor_conv_1x1": "conv 1x1",
    "skip_connect": "skip",
    "conv3x3-bn-relu": "conv 3x3",
    "conv1x1-bn-relu": "conv 1x1",
    "maxpool3x3": "max pool 3x3",
}
# Okabe and Ito's colours, by short name, so that an operation looks alike in all spaces.
_COLOURS = {
    "conv 3x3": "#0072B2",
    "conv 1x1": "#E69F00",
    "skip": "#009E73",
    "avg pool 3x3": "#CC79A7",
}
_COLOURS |= {"max pool 3x3": "#CC79A7", "input": "#8C8C8C", "output": "#8C8C8C", "sum": "#8C8C8C"}

# Inches: a round node, the distance of neighbours in a row, and where arrows end at them.
ROUND, SPAN, _RADIUS = (0.6, 0.6), 1.8, 0.32


def edge_colours(space: Space) -> dict[str, str]:
    """Colours of the edge operations of a space; one by which nothing flows has none."""
    # Those without a colour of their own get what is left, in the order of the space.
    names = [short(name) for name in space.edge_operations[1:]]
    used = {_COLOURS.get(name) for name in names}
    left = itertools.cycle(colour for colour in reversed(COLOURS[:6]) if colour not in used)
    return {name: _COLOURS.get(name) or next(left) for name in names}


def short(name: str) -> str:
    """Name of an operation as drawings have it."""
    return _SHORT.get(name, name.replace("_", " "))


def arc(i: int, j: int, side: int, rise: float = 0.85) -> list[Point]:
    """Points `[4]` of a cubic curve between two nodes of a row.

    It is straight for `side` 0, above the nodes for 1 and below them for -1; the longer, the
    steeper it leaves and the higher it goes, by `rise` a node, so that arcs on one side nest.
    """
    reach = rise * (j - i - 1) + 0.15 if j > i + 1 else 0.6
    angle = math.radians(min(25 * (j - i), 85)) * abs(side)
    across, up = _RADIUS * math.cos(angle), _RADIUS * side * math.sin(angle)
    bend, top = (reach / math.tan(angle), up + side * reach) if side else (0.3, 0.0)
    (x, y), end = (i * SPAN + across, up), j * SPAN - across
    return [(x, y), (x + bend, top), (end - bend, top), (end, y)]


def middle(points: Sequence[Point]) -> Point:
    """Middle of the first of cubic curves."""
    # Points of a Bézier curve weigh 1, 3, 3 and 1 eighths there.
    x, y = np.array([1, 3, 3, 1]) @ np.array(points[:4]) / 8
    return float(x), float(y)


def canvas(
    boxes: Iterable[tuple[Point, Point]], edges: Iterable[Sequence[Point]], title: str
) -> tuple["Figure", "Axes"]:
    """Figure and axes in inches, as large as a drawing and its title.

    Args:
        boxes: centre and size of each.
        edges: points of each.
        title: heads the figure.
    """
    load_matplotlib()
    from jnas.plots._figure import Figure

    centres, sizes = (np.array(part) for part in zip(*boxes, strict=True))
    extents = [_path(points).get_extents().get_points() for points in edges]
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2, *extents])
    (left, bottom), (right, top) = corners.min(0) - 0.3, corners.max(0) + 0.3
    # One unit of the axes is one inch, so that sizes of text and of boxes fit each other.
    width, height = right - left, top - bottom
    head = 0.1 + 0.2 * len(wrapped(title, width))
    figure = Figure((width, height + head), dpi=100, facecolor="white")
    axes = figure.add_axes(
        (0, 0, 1, height / (height + head)), xlim=(left, right), ylim=(bottom, top)
    )
    axes.set_axis_off()
    set_title(figure, title, x=0.1 / width)
    return figure, axes


def _path(points: Sequence[Point]) -> "Path":
    """Path of Matplotlib through cubic curves of four points each, joined by lines."""
    from matplotlib.path import Path

    # The first point of the first curve is where the path begins; later ones are lined to.
    curve = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path(points, [Path.MOVETO, *(curve * (len(points) // 4))[1:]])


def draw_edge(axes: "Axes", points: Sequence[Point], name: str, colour: str) -> None:
    """Arrow along the points, labelled at its middle if it has a name."""
    from matplotlib.patches import FancyArrowPatch

    arrow = FancyArrowPatch(path=_path(points), arrowstyle="-|>", mutation_scale=13, color=colour)
    arrow.set_linewidth(1.8)
    axes.add_patch(arrow)
    if name:
        x, y = middle(points)
        box = {
            "boxstyle": "round,pad=0.25",
            "facecolor": "white",
            "edgecolor": colour,
            "linewidth": 1.2,
        }
        text = textwrap.fill(name, 9)
        axes.text(x, y, text, fontsize=10, color=INK, ha="center", va="center", bbox=box)


def draw_node(axes: "Axes", centre: Point, size: Point, name: str) -> None:
    """Box, or circle where nodes are round, with its name in it."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    colour = _COLOURS.get(name.partition("\n")[0], _COLOURS["sum"] if size == ROUND else "#56B4E9")
    corner = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    shape = "circle,pad=0" if size == ROUND else "round,pad=0,rounding_size=0.1"
    box = FancyBboxPatch(
        corner, *size, boxstyle=shape, facecolor=to_rgba(colour, 0.18), edgecolor=colour
    )
    axes.add_patch(box)
    text = name if "\n" in name else textwrap.fill(name, 9)
    axes.text(*centre, text, fontsize=10, color=INK, ha="center", va="center")
