"""Drawings of architectures: nodes in a row joined by arcs, boxes in layers, or pairs of cells."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.plots import _pairs
from jnas.plots._drawing import ROUND, SPAN, arc, canvas, draw_edge, draw_node, edge_colours, short
from jnas.plots.style import GREY, Point
from jnas.spaces import simple_graph
from jnas.types import Arch, Graph, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: a box, a line of one with several, the distance of depths, and of neighbours at one depth.
_BOX, _LINE, _STEP, _SLOT = (0.84, 0.5), 0.19, 1.6, 0.72

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
    joined by labelled arcs, every pair of nodes at the same place in every cell. One of pairs of
    cells has both, one above the other, each from the outputs of the cell before last (k-2) and of
    the last one (k-1) to the nodes that its output joins. A chain of sizes is drawn as a box a
    stage. Any other space is drawn as boxes that are named after their operation and placed by the
    length of the longest path from the input.

    Raises:
        ValueError: `arch` is no vector of the space. One that is not valid otherwise is drawn.
    """
    vector, sizes = np.asarray(arch), np.array(space.cardinalities)
    # A graph would have the nearest operation in place of one that does not exist.
    if vector.shape != sizes.shape or np.any((vector < 0) | (vector >= sizes)):
        raise ValueError(
            f"no vector of {space.name}: {vector.tolist()}; choices are below {sizes.tolist()}"
        )
    # Two edge operations are "no edge" and "edge": then names are on the nodes.
    on_edges = len(space.edge_operations) > 2
    if on_edges and (len(space.cells), space.num_inputs) != (1, 1):
        return _pairs.draw(space, jax.tree.map(np.asarray, space.graph(jnp.asarray(arch))), title)
    graph: Graph = jax.tree.map(np.asarray, simple_graph(space, "a drawing")(jnp.asarray(arch)))
    stages = [] if on_edges else _stages(space, graph)
    if stages:
        return _chain(["input", *stages, "output"], title)
    layout = _arcs(graph) if on_edges else _layers(graph)
    colours = edge_colours(space) if on_edges else {}
    boxes = [(centre, layout.size) for centre in layout.nodes.values()]
    figure, axes = canvas(boxes, layout.edges.values(), title)
    for (i, j), points in layout.edges.items():
        name = short(space.edge_operations[int(graph.edge_ops[i, j])])
        draw_edge(axes, points, name if on_edges else "", colours.get(name, GREY))
    for node, centre in layout.nodes.items():
        name = short(space.node_operations[int(graph.node_ops[node])])
        inner = on_edges and 0 < node < len(graph.mask) - 1
        draw_node(axes, centre, layout.size, str(node) if inner else name)
    return figure


def _stages(space: Space, graph: Graph) -> list[str]:
    """Text of each stage of a chain whose sizes repeat, such as depth, width, depth, width.

    Empty where there are none.
    """
    inner = np.flatnonzero(graph.mask)[1:-1]
    names = [short(space.node_operations[int(graph.node_ops[node])]) for node in inner]
    words = [name.partition(" ")[0] for name in names]
    are_sizes = all(name.rpartition(" ")[2].replace(".", "").isdigit() for name in names)
    if not are_sizes or len(set(words)) == len(words):
        return []
    period = words.index(words[0], 1) if words[0] in words[1:] else 1
    if period == 1 or words != words[:period] * (len(words) // period):
        return []
    return ["\n".join(names[at : at + period]) for at in range(0, len(names), period)]


def _chain(texts: Sequence[str], title: str) -> "Figure":
    """Drawing of boxes in a row, of texts with one or several lines."""
    sizes = [(_BOX[0], max(_BOX[1], _LINE * (2 + text.count("\n")))) for text in texts]
    places = [(at * _STEP, 0.0) for at in range(len(texts))]
    edges: list[list[Point]] = []
    for (x, y), (end, _) in itertools.pairwise(places):
        left, right = x + _BOX[0] / 2, end - _BOX[0] / 2
        between = (left + right) / 2
        edges.append([(left, y), (between, y), (between, y), (right, y)])
    figure, axes = canvas(zip(places, sizes, strict=True), edges, title)
    for points in edges:
        draw_edge(axes, points, "", GREY)
    for place, size, text in zip(places, sizes, texts, strict=True):
        draw_node(axes, place, size, text)
    return figure


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
    edges = {edge: arc(*edge, side) for edge, side in sides.items() if graph.adjacency[edge]}
    return _Layout(ROUND, {node: (node * SPAN, 0.0) for node in range(len(graph.mask))}, edges)


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
