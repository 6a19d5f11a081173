"""Drawings of pairs of cells: both kinds, nodes in a row, joined by arcs above and below."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from jnas.plots._drawing import (
    ROUND,
    SPAN,
    arc,
    canvas,
    draw_edge,
    draw_node,
    edge_colours,
    middle,
    short,
)
from jnas.plots.style import INK, Point
from jnas.types import Graph, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: the box of an output, how much an arc rises a node, a letter and a line of a label and
# what is around them, and the distance of two kinds.
_OUTPUT, _RISE, _LETTER, _LINE, _PAD, _GAP = (1.0, 0.7), 0.55, 0.09, 0.17, 0.25, 0.9

_Edge: TypeAlias = tuple[int, int, int]  # source, target, which of parallel ones


class _Cell(NamedTuple):
    """One kind of cell: names of the operations by edge, nodes that its output joins, curves."""

    names: Mapping[_Edge, str]
    joined: Sequence[int]
    curves: Mapping[_Edge, Sequence[Point]]


def draw(space: Space, graph: Graph, title: str) -> "Figure":
    """Drawing of all kinds of cell in a graph of NumPy arrays with operations on edges."""
    num, inputs = graph.mask.shape[1], space.num_inputs
    cells = [_cell(space, graph, kind) for kind in range(len(space.cells))]
    # From the top, each below the lowest of the one before.
    heights, top = [], 0.0
    for one in cells:
        ys = [y for points in one.curves.values() for _, y in points]
        high, low = max([0.4, *(0.75 * y for y in ys)]), min([-0.4, *(0.75 * y for y in ys)])
        heights.append(top - high)
        top += low - high - _GAP
    places = [[(node * SPAN, height) for node in range(num)] for height in heights]
    curves = [
        {edge: [(x, y + height) for x, y in points] for edge, points in one.curves.items()}
        for one, height in zip(cells, heights, strict=True)
    ]
    boxes = [(at, ROUND) for row in places for at in row[:-1]]
    boxes += [(row[-1], _OUTPUT) for row in places]
    boxes += [((-0.5, height), (0.2, 0.9)) for height in heights]
    edges = [points for row in curves for points in row.values()]
    figure, axes = canvas(boxes, edges, title)
    colours = edge_colours(space)
    for kind, one in enumerate(cells):
        for edge, points in curves[kind].items():
            draw_edge(axes, points, one.names[edge], colours[one.names[edge]])
        for node, at in enumerate(places[kind][:-1]):
            draw_node(axes, at, ROUND, f"k-{inputs - node}" if node < inputs else str(node))
        joined = " ".join(map(str, one.joined))
        draw_node(axes, places[kind][-1], _OUTPUT, f"output\n{joined}")
        x, y, text = -0.5, heights[kind], space.cells[kind]
        axes.text(x, y, text, fontsize=11, rotation=90, color=INK, ha="center", va="center")
    return figure


def _cell(space: Space, graph: Graph, kind: int) -> _Cell:
    """Names, output and curves of one kind of cell."""
    last = graph.mask.shape[1] - 1
    names: dict[_Edge, str] = {}
    joined: list[int] = []
    for k, i, j in np.argwhere(graph.adjacency[kind]).tolist():
        if j == last:
            joined.append(i)
        else:
            # Numbered anew, for an edge on the second place may be alone.
            number = sum(edge[:2] == (i, j) for edge in names)
            names[i, j, number] = short(space.edge_operations[int(graph.edge_ops[kind, k, i, j])])
    return _Cell(names, joined, _curves(names))


def _curves(names: Mapping[_Edge, str]) -> dict[_Edge, Sequence[Point]]:
    """Curves of the edges, on the sides on which labels cover least and fewest arcs cross."""
    parallel = {(i, j) for i, j, k in names if k}
    # Neighbours are joined straight. Of parallel edges one is above and the other one below.
    free = [(i, j, k) for i, j, k in names if k == 0 and (j > i + 1 or (i, j) in parallel)]
    best: tuple[float, dict[_Edge, Sequence[Point]]] = (float("inf"), {})
    for choice in itertools.product((1, -1), repeat=len(free)):
        sides = {(i, j): side for (i, j, _), side in zip(free, choice, strict=True)}
        at = {(i, j, k): sides.get((i, j), 0) * (1 - 2 * k) for i, j, k in names}
        curves: dict[_Edge, Sequence[Point]] = {
            edge: arc(*edge[:2], side, _RISE) for edge, side in at.items()
        }
        cost = _num_crossed(at) + 2 * _num_covered(names, curves) + 0.01 * abs(sum(choice))
        if cost < best[0]:
            best = cost, curves
    return best[1]


def _num_crossed(sides: Mapping[_Edge, int]) -> int:
    """Number of pairs of arcs on one side that cross."""
    pairs = itertools.combinations(sorted(sides), 2)
    return sum(a[0] < b[0] < a[1] < b[1] and sides[a] == sides[b] != 0 for a, b in pairs)


def _num_covered(names: Mapping[_Edge, str], curves: Mapping[_Edge, Sequence[Point]]) -> int:
    """Number of pairs of labels of which one covers a part of the other."""
    boxes = []
    for edge, name in names.items():
        (x, y), lines = middle(curves[edge]), textwrap.wrap(name, 9)
        boxes.append((x, y, _PAD + _LETTER * max(map(len, lines)), _PAD + _LINE * len(lines)))
    return sum(
        abs(a[0] - b[0]) < (a[2] + b[2]) / 2 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2
        for a, b in itertools.combinations(boxes, 2)
    )
