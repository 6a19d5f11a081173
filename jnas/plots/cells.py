"""Drawings of cells: nodes in a row joined by arcs, or boxes in layers."""

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.plots.style import (
    COLOURS,
    GREY,
    INK,
    Point,
    load_matplotlib,
    set_title,
    wrapped,
)
from jnas.spaces import simple_graph
from jnas.types import Arch, Graph, Space

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

# Inches: a box, a round node, the distance of neighbouring depths, and of neighbours at one depth.
_BOX, _ROUND, _STEP, _SLOT = (0.84, 0.5), (0.6, 0.6), 1.6, 0.72
# Round nodes are further apart for the labels of the edges, which end at this radius.
_SPAN, _RADIUS = 1.8, 0.32

_Edge: TypeAlias = tuple[int, int]
# A node, or the place at a depth where the edge (source, target, depth) passes the nodes.
_Stop: TypeAlias = int | tuple[int, int, int]
_Link: TypeAlias = tuple[_Stop, _Stop]


class _Layout(NamedTuple):
    """Layout of a drawing in inches: size and centres of nodes, cubic Bézier points of edges."""

    size: Point
    nodes: Mapping[int, Point]
    edges: Mapping[_Edge, Sequence[Point]]


def cell(space: Space, arch: Arch | np.ndarray, title: str = "") -> "Figure":
    """Drawing of what `space.graph(arch)` computes, from the input at the left to the output.

    `arch` is `[D]` int32. It may be a JAX or a NumPy array.

    A space with several edge operations besides the first, "no edge", is drawn as numbered nodes
    joined by labelled arcs, every pair of nodes at the same place in every cell. Any other space is
    drawn as boxes that are named after their operation and placed by the length of the longest path
    from the input.

    Raises:
        ValueError: there are several kinds of cell, several inputs, or parallel edges.
    """
    graph: Graph = jax.tree.map(np.asarray, simple_graph(space, "a drawing")(jnp.asarray(arch)))
    # Two edge operations are "no edge" and "edge": then names are on the nodes.
    on_edges = len(space.edge_operations) > 2
    layout = _arcs(graph) if on_edges else _layers(graph)
    colours = _edge_colours(space) if on_edges else {}
    figure, axes = _canvas(layout, title)
    for (i, j), points in layout.edges.items():
        name = _short(space.edge_operations[int(graph.edge_ops[i, j])])
        _draw_edge(axes, points, name if on_edges else "", colours.get(name, GREY))
    for node, centre in layout.nodes.items():
        name = _short(space.node_operations[int(graph.node_ops[node])])
        inner = on_edges and 0 < node < len(graph.mask) - 1
        _draw_node(axes, centre, layout.size, str(node) if inner else name)
    return figure


def _edge_colours(space: Space) -> dict[str, str]:
    """Colours of the edge operations of a space; one by which nothing flows has none."""
    # Those without a colour of their own get what is left, in the order of the space.
    names = [_short(name) for name in space.edge_operations[1:]]
    used = {_COLOURS.get(name) for name in names}
    left = itertools.cycle(colour for colour in reversed(COLOURS[:6]) if colour not in used)
    return {name: _COLOURS.get(name) or next(left) for name in names}


def _short(name: str) -> str:
    """Name of an operation as drawings have it."""
    return _SHORT.get(name, name.replace("_", " "))


def _arcs(graph: Graph) -> _Layout:
    """Layout of nodes in a row: neighbours are joined straight, others by arcs above or below.

    An arc is on the side where it crosses fewer arcs.
    """
    # Sides are chosen for all pairs, missing ones too: each has its place in every cell.
    sides: dict[_Edge, int] = {}
    pairs = itertools.combinations(range(len(graph.mask)), 2)
    for i, j in sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair)):
        crossed = [side for (a, b), side in sides.items() if a < i < b < j or i < a < j < b]
        sides[i, j] = 0 if j == i + 1 else 1 if crossed.count(1) <= crossed.count(-1) else -1
    edges = {edge: _arc(*edge, side) for edge, side in sides.items() if graph.adjacency[edge]}
    return _Layout(_ROUND, {node: (node * _SPAN, 0.0) for node in range(len(graph.mask))}, edges)


def _arc(i: int, j: int, side: int) -> list[Point]:
    # The longer, the steeper it leaves and the higher it goes, so arcs on one side nest.
    """Points `[4]` of a cubic curve between two nodes.

    It is straight for `side` 0, above the nodes for 1 and below them for -1.
    """
    angle, reach = math.radians(min(25 * (j - i), 85)) * abs(side), 0.85 * (j - i - 1) + 0.15
    across, up = _RADIUS * math.cos(angle), _RADIUS * side * math.sin(angle)
    bend, top = (reach / math.tan(angle), up + side * reach) if side else (0.3, 0.0)
    (x, y), end = (i * _SPAN + across, up), j * _SPAN - across
    return [(x, y), (x + bend, top), (end - bend, top), (end, y)]


def _layers(graph: Graph) -> _Layout:
    """Layout of nodes by their longest path from the input.

    Edges that skip a depth pass between its nodes.
    """
    num, depth = len(graph.mask), {0: 0}
    for j in range(1, num):
        # The output has its place in a cell without any path, too.
        if graph.mask[j] or j == num - 1:
            depth[j] = 1 + max((depth[i] for i in depth if graph.adjacency[i, j]), default=0)
    edges = [(i, j) for i, j in itertools.combinations(depth, 2) if graph.adjacency[i, j]]
    chains: dict[_Edge, list[_Stop]] = {
        (i, j): [i, *((i, j, d) for d in range(depth[i] + 1, depth[j])), j] for i, j in edges
    }
    layers: list[list[_Stop]] = [[] for _ in range(max(depth.values()) + 1)]
    # A dict and not a set: layers begin in the order of the nodes.
    for stop in dict.fromkeys(itertools.chain(depth, *chains.values())):
        layers[depth[stop] if isinstance(stop, int) else stop[2]].append(stop)
    links = [link for chain in chains.values() for link in itertools.pairwise(chain)]
    at = _arranged(layers, links)
    routes = {edge: _route(itertools.pairwise(chain), at, links) for edge, chain in chains.items()}
    return _Layout(_BOX, {node: at[node] for node in depth}, routes)


def _arranged(layers: Sequence[Sequence[_Stop]], links: Sequence[_Link]) -> dict[_Stop, Point]:
    """Places of the stops, in an order of each layer that makes few crossings and short links."""

    def column(d: int, order: Sequence[_Stop]) -> dict[_Stop, Point]:
        """Places of the stops of depth `d` in this order, centred on the axis."""
        return {
            stop: (d * _STEP, (k - (len(order) - 1) / 2) * _SLOT) for k, stop in enumerate(order)
        }

    def cost(at: Mapping[_Stop, Point]) -> float:
        """Crossings of the links placed so far, each counted twice, and a penalty of steep ones."""
        ends = np.array([(*at[a], at[b][1]) for a, b in links if a in at and b in at]).reshape(
            -1, 3
        )
        # Differences of all pairs of links: these cross where they begin at one
        # depth and change order.
        x, start, end = (ends[:, None] - ends[None, :]).transpose(2, 0, 1)
        return float(
            np.sum((x == 0) & (start * end < 0)) + 0.1 * np.sum((ends[:, 1] - ends[:, 2]) ** 2)
        )

    at: dict[_Stop, Point] = {}
    # At first each layer sees only those before it, lest a crossing just move to another layer.
    for d in [*range(len(layers)), *range(len(layers)), *reversed(range(len(layers)))]:
        # 720 are all orders of six stops, and enough of more.
        columns = [
            column(d, order) for order in itertools.islice(itertools.permutations(layers[d]), 720)
        ]
        costs = [cost(at | places) for places in columns]
        at |= columns[costs.index(min(costs))]
    return at


def _route(
    chain: Iterable[_Link], at: Mapping[_Stop, Point], links: Sequence[_Link]
) -> list[Point]:
    """Points of an edge: level past the boxes, bent between the depths.

    Edges that share a box end beside each other.
    """

    def port(stop: _Stop, y: float, others: Iterable[_Stop]) -> float:
        """Height at which an edge ends at a stop, by the place of its other end among `others`."""
        ends = sorted(at[other][1] for other in others)
        return at[stop][1] + (ends.index(y) - (len(ends) - 1) / 2) * min(
            0.13, 0.42 / max(len(ends) - 1, 1)
        )

    points: list[Point] = []
    for a, b in chain:
        x, end = at[a][0] + _BOX[0] / 2, at[b][0] - _BOX[0] / 2
        out = port(a, at[b][1], (t for s, t in links if s == a))
        into = port(b, at[a][1], (s for s, t in links if t == b))
        points += [(x, out), ((x + end) / 2, out), ((x + end) / 2, into), (end, into)]
    return points


def _canvas(layout: _Layout, title: str) -> tuple["Figure", "Axes"]:
    """Figure and axes in inches, as large as the drawing and its title."""
    load_matplotlib()
    from jnas.plots._figure import Figure

    nodes, half = np.array(list(layout.nodes.values())), np.array([layout.size]) / 2
    extents = [_path(points).get_extents().get_points() for points in layout.edges.values()]
    corners = np.concatenate([nodes - half, nodes + half, *extents])
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


def _draw_edge(axes: "Axes", points: Sequence[Point], name: str, colour: str) -> None:
    """Arrow along the points, labelled at its middle if it has a name."""
    from matplotlib.patches import FancyArrowPatch

    arrow = FancyArrowPatch(path=_path(points), arrowstyle="-|>", mutation_scale=13, color=colour)
    arrow.set_linewidth(1.8)
    axes.add_patch(arrow)
    if name:
        # The middle of a cubic Bézier curve: its points weigh 1, 3, 3 and 1 eighths.
        x, y = np.array([1, 3, 3, 1]) @ np.array(points[:4]) / 8
        box = {
            "boxstyle": "round,pad=0.25",
            "facecolor": "white",
            "edgecolor": colour,
            "linewidth": 1.2,
        }
        text = textwrap.fill(name, 9)
        axes.text(x, y, text, fontsize=10, color=INK, ha="center", va="center", bbox=box)


def _draw_node(axes: "Axes", centre: Point, size: Point, name: str) -> None:
    """Box, or circle where nodes are round, with its name in it."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    colour = _COLOURS.get(name, _COLOURS["sum"] if size == _ROUND else "#56B4E9")
    corner = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    shape = "circle,pad=0" if size == _ROUND else "round,pad=0,rounding_size=0.1"
    box = FancyBboxPatch(
        corner, *size, boxstyle=shape, facecolor=to_rgba(colour, 0.18), edgecolor=colour
    )
    axes.add_patch(box)
    axes.text(*centre, textwrap.fill(name, 9), fontsize=10, color=INK, ha="center", va="center")
