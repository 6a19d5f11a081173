"""Figures of architectures, rankings and searches: nouns and plain arrays in, a Matplotlib `Figure` out.

Nothing is shown and no global state of Matplotlib is touched, and it is imported by the first call; write a
figure with `save`, or gather several into one page with `jnas.report`.

What all of them share:
    Numbers: accuracies in the unit of the caller, higher is better; NaN where unknown.
    Scores: `-inf` and NaN mean "cannot be ranked"; they are on no axis, but counted in the note below.
    Outliers: an axis of accuracies begins at Tukey's outer fence, Q1 − 3 (Q3 − Q1), lest a few untrainable
        networks squash the others; the note counts what lies below.
    Texts: `title` heads the figure; `score_label` and `accuracy_label` name the axes, with their unit.
    Colours: Okabe and Ito's, which the colour-blind can tell apart; vermilion marks the chosen architecture.
    Errors: ValueError where an array has another rank or length than its shape here says.
"""

import io
import itertools
import math
import os
import pathlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas import metrics
from jnas.types import Arch, Graph, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

_ACCENT, _POINTS, _INK, _GREY = "#D55E00", "#0072B2", "#222222", "#6B6B6B"

_Point: TypeAlias = tuple[float, float]


def score_against_accuracy(
    scores: ArrayLike,
    accuracy: ArrayLike,
    *,
    chosen: int | None = None,
    score_label: str = "score",
    accuracy_label: str = "accuracy",
    title: str = "",
) -> "Figure":
    """Scatter what an estimator said against the truth, `[B]` each, `B >= 2`; Kendall's τ-b in the title.

    τ-b is over all architectures of known accuracy, those that cannot be ranked being last together. Points
    below the axis are triangles at its edge; the architecture of index `chosen` is a star.
    """
    x, y = _vectors(scores=scores, accuracy=accuracy)
    tau = float(metrics.kendall_tau(x, y, where=np.isfinite(y)))
    shown = np.isfinite(x) & np.isfinite(y)
    floor = _floor(y[shown])
    low = shown & (y < floor)
    figure, (axes,) = _figure(score_label, accuracy_label)
    size, alpha = (26.0, 0.6) if len(x) <= 2000 else (8.0, 0.3)
    for points, marker in ((shown & ~low, "o"), (low, "v")):
        height = np.maximum(y[points], floor)
        style: dict[str, Any] = {"s": size, "color": _POINTS, "alpha": alpha, "linewidths": 0}
        axes.scatter(x[points], height, marker=marker, **style)
    axes.margins(y=0.09)
    if chosen is not None:
        _mark(axes, x, y, floor, chosen)
    _title(figure, title, f"Kendall τ-b = {tau:.3f}" if math.isfinite(tau) else "Kendall τ-b undefined")
    unknown, infinite = int((~np.isfinite(y)).sum()), int(np.isposinf(x).sum())
    below = (int(low.sum()), f"below {floor:.4g} (triangles)")
    lost = (_num_unrankable(x), "not rankable")
    _note(figure, lost, below, (unknown, "without accuracy"), (infinite, "of score +∞ not shown"))
    return figure


def best_so_far(
    scores: ArrayLike,
    accuracy: ArrayLike | None = None,
    *,
    score_label: str = "score",
    accuracy_label: str = "accuracy",
    title: str = "",
) -> "Figure":
    """Best of `scores` `[T]` by number of evaluations; of equal scores the first is chosen.

    True accuracies `[T]` add a panel: that of the architecture chosen so far, and dashed the best so far. Its
    axis begins at the lowest value after a fiftieth of the evaluations.
    """
    x, y = _vectors(scores=scores, accuracy=scores if accuracy is None else accuracy)
    best = _first_best(x)
    labels = [f"best {score_label} so far"] + ([] if accuracy is None else [accuracy_label])
    figure, axes = _figure("evaluations", *labels)
    # A step curve of a single evaluation has no length.
    style: dict[str, Any] = {
        "where": "post",
        "linewidth": 1.8,
        "marker": "o" if len(x) <= 20 else "",
        "markersize": 4,
    }
    steps, score, reached = np.arange(1, len(x) + 1), *(np.where(best < 0, np.nan, v[best]) for v in (x, y))
    axes[0].step(steps, score, color=_POINTS, **style)
    axes[0].locator_params(axis="x", integer=True)
    for panel in axes[1:]:
        possible = np.fmax.accumulate(y)
        label = f"best possible so far: {possible[-1]:.4g}"
        panel.step(steps, possible, color=_GREY, linestyle="--", label=label, **style)
        panel.step(steps, reached, color=_ACCENT, label=f"chosen so far: {reached[-1]:.4g}", **style)
        panel.legend(fontsize=10, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        _begin_late(panel, reached, possible)
    _title(figure, title)
    _note(figure, (_num_unrankable(x), "evaluations not rankable"))
    return figure


def accuracy_histogram(
    all_accuracy: ArrayLike,
    chosen_accuracy: float,
    *,
    num_bins: int = 60,
    accuracy_label: str = "accuracy",
    title: str = "",
) -> "Figure":
    """Where the chosen architecture stands among all, `[A]`: its rank is 1 plus the number of better ones.

    Raises:
        ValueError: also where no accuracy, or not the chosen one, is finite.
    """
    (everything,) = _vectors(all_accuracy=all_accuracy)
    y, chosen = everything[np.isfinite(everything)], float(chosen_accuracy)
    if not len(y) or not math.isfinite(chosen):
        raise ValueError(f"need finite accuracies, got {len(y)} of them and chosen_accuracy={chosen}")
    low, high = min(_floor(y), chosen), max(float(y.max()), chosen)
    figure, (axes,) = _figure(accuracy_label, "architectures")
    counts, _, _ = axes.hist(y[y >= low], num_bins, range=(low, high), color=_POINTS, alpha=0.75)
    top = 1.2 * float(np.max(counts))
    axes.set_ylim(0, top)
    axes.axvline(chosen, color=_ACCENT, linewidth=2)
    _annotate(axes, f"chosen: {chosen:.4g}", (chosen, 0.88 * top))
    rank, num = 1 + int((y > chosen).sum()), len(y)
    share = np.format_float_positional(100 * rank / num, precision=2, fractional=False, trim="-")
    _title(figure, title, f"rank {rank:,} of {num:,}, top {share} %")
    below = (int((y < low).sum()), f"below {low:.4g} not shown")
    _note(figure, below, (len(everything) - num, "without accuracy"))
    return figure


def kernel(matrix: ArrayLike, *, low: float | None = None, title: str = "") -> "Figure":
    """Image of a Hamming kernel `[N, N]` normalised by its diagonal, K_ij / √(K_ii K_jj).

    Mellor et al., "Neural Architecture Search without Training", ICML 2021, Figure 1. The colours go from
    `low` to 1, by default from the smallest entry; kernels that are to be compared need the same `low`.

    Raises:
        ValueError: the matrix is not square, or its diagonal not positive.
    """
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.all(np.diag(values) > 0):
        raise ValueError(f"a kernel is [N, N] with a positive diagonal, got shape {values.shape}")
    scale = np.sqrt(np.diag(values))
    figure, (axes,) = _figure("image", "image", width=5.4, height=4.6)
    axes.grid(False)
    image = axes.imshow(values / np.outer(scale, scale), vmin=low, vmax=1.0, cmap="viridis")
    bar = figure.colorbar(image, ax=axes)
    bar.ax.tick_params(labelsize=10)
    bar.set_label("share of equal codes", fontsize=11, color=_INK)
    _title(figure, title)
    return figure


def figure_png(figure: "Figure", dpi: int = 150) -> bytes:
    """The figure as a PNG file. The same call on the same data draws the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def save(figure: "Figure", path: str | os.PathLike[str], dpi: int = 150) -> None:
    """Write a `.png` file (ValueError for another suffix), whole or not at all; missing folders are made."""
    if pathlib.Path(path).suffix.lower() != ".png":
        raise ValueError(f"figures are saved as .png files, got {pathlib.Path(path).name!r}")
    write_whole(path, figure_png(figure, dpi))


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that no reader ever sees half of it; missing folders are made."""
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _vectors(**arrays: ArrayLike) -> list[np.ndarray]:
    """The arrays as float64 vectors of one length."""
    vectors = [np.asarray(values, np.float64) for values in arrays.values()]
    shapes = [vector.shape for vector in vectors]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ValueError(f"{' and '.join(arrays)} must be vectors of one length, at least 1; got {shapes}")
    return vectors


def _num_unrankable(scores: np.ndarray) -> int:
    return int((np.isnan(scores) | np.isneginf(scores)).sum())


def _floor(accuracy: np.ndarray) -> float:
    """Where the axis of finite accuracies begins."""
    first, third = np.percentile(accuracy, [25, 75]) if len(accuracy) else (0.0, 0.0)
    # Accuracies that are mostly equal have no spread to measure outliers by.
    fence = first - 3 * (third - first) if third > first else -np.inf
    return float(max(fence, np.min(accuracy, initial=np.inf)))


def _first_best(scores: np.ndarray) -> np.ndarray:
    """`[T]`, index of the first of the best among the first `t + 1` scores; -1 while none can be ranked."""
    rankable = np.where(np.isnan(scores), -np.inf, scores)
    before = np.maximum.accumulate(np.concatenate([[-np.inf], rankable[:-1]]))
    return np.maximum.accumulate(np.where(rankable > before, np.arange(len(scores)), -1))


def _begin_late(axes: "Axes", *curves: np.ndarray) -> None:
    """Let the axis begin at the lowest point after a fiftieth of the steps."""
    late = np.concatenate([curve[len(curve) // 50 :] for curve in curves])
    late = late[np.isfinite(late)]
    if len(set(late)) > 1:
        low, high = late.min(), late.max()
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _figure(x: str, *y: str, width: float = 6.4, height: float = 4.2) -> tuple["Figure", list["Axes"]]:
    """A figure in the house style with a panel for each label of a y axis, one above the other."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = width, height * (0.4 + 0.6 * len(y))
    figure = Figure(size, dpi=100, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    panels = list(figure.subplots(len(y), 1, sharex=True, squeeze=False)[:, 0])
    for axes, label in zip(panels, y, strict=True):
        axes.set_ylabel(textwrap.fill(label, 40), fontsize=11, color=_INK)
        axes.grid(color="#E4E4E4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=10, labelcolor=_INK)
    panels[-1].set_xlabel(x, fontsize=11, color=_INK)
    return figure, panels


def _wrapped(text: str, width: float) -> list[str]:
    """Lines of 12 points that fit into so many inches; the long names of NAS-Bench-201 break at a plus."""
    return textwrap.wrap(text.replace("+|", "+ |"), max(int(9.5 * width), 1))


def _title(figure: "Figure", *parts: str, x: float = 0.0) -> None:
    lines = [line for part in parts for line in _wrapped(part, figure.get_figwidth())]
    figure.axes[0].set_title("\n".join(lines), fontsize=12, color=_INK, loc="left", x=x)


def _note(figure: "Figure", *counts: tuple[int, str]) -> None:
    text = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if text:
        figure.supxlabel(text, fontsize=10, color=_GREY, x=0.99, ha="right")


def _mark(axes: "Axes", x: np.ndarray, y: np.ndarray, floor: float, chosen: int) -> None:
    """A star at the chosen point."""
    if not 0 <= chosen < len(x) or not np.isfinite([x[chosen], y[chosen]]).all():
        raise ValueError(f"chosen must be in 0 … {len(x) - 1}, its score and accuracy finite; got {chosen}")
    at = float(x[chosen]), float(max(y[chosen], floor))
    axes.scatter(*at, s=190, color=_ACCENT, marker="*", edgecolors="white", zorder=4)
    _annotate(axes, f"chosen: {y[chosen]:.4g}", at)


def _annotate(axes: "Axes", text: str, at: _Point) -> None:
    """Write above a point, towards the middle of the axes, with a halo that hides little."""
    from matplotlib.patheffects import withStroke

    shift, side = (6, "left") if 2 * at[0] < sum(axes.get_xlim()) else (-6, "right")
    halo = [withStroke(linewidth=3, foreground="white")]
    style: dict[str, Any] = {"fontsize": 11, "color": _ACCENT, "ha": side, "path_effects": halo, "zorder": 5}
    axes.annotate(text, at, (shift, 9), textcoords="offset points", **style)


_SHORT = {
    "nor_conv_3x3": "conv 3x3",
    "nor_conv_1x1": "conv 1x1",
    "skip_connect": "skip",
    "conv3x3-bn-relu": "conv 3x3",
    "conv1x1-bn-relu": "conv 1x1",
    "maxpool3x3": "max pool 3x3",
}
_COLOURS = {"conv 3x3": "#0072B2", "conv 1x1": "#E69F00", "skip": "#009E73", "avg pool 3x3": "#CC79A7"}
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
    """A drawing in inches: size and centres of nodes, cubic Bézier points of edges."""

    size: _Point
    nodes: Mapping[int, _Point]
    edges: Mapping[_Edge, Sequence[_Point]]


def cell(space: Space, arch: Arch | np.ndarray, title: str = "") -> "Figure":
    """Draw what `space.graph(arch)` computes, `arch` `[D]`, from the input at the left to the output.

    A space with several edge operations besides the first, "no edge", is drawn as numbered nodes joined by
    labelled arcs, every pair of nodes at the same place in every cell. Any other space is drawn as boxes that
    are named after their operation and placed by the length of the longest path from the input.
    """
    graph: Graph = jax.tree.map(np.asarray, space.graph(jnp.asarray(arch)))
    on_edges = len(space.edge_operations) > 2
    layout = _arcs(graph) if on_edges else _layers(graph)
    figure, axes = _canvas(layout, title)
    for (i, j), points in layout.edges.items():
        name = _short(space.edge_operations[int(graph.edge_ops[i, j])])
        _draw_edge(axes, points, name if on_edges else "")
    for node, centre in layout.nodes.items():
        name = _short(space.node_operations[int(graph.node_ops[node])])
        inner = on_edges and 0 < node < len(graph.mask) - 1
        _draw_node(axes, centre, layout.size, str(node) if inner else name)
    return figure


def _short(name: str) -> str:
    return _SHORT.get(name, name.replace("_", " "))


def _arcs(graph: Graph) -> _Layout:
    """Nodes in a row, neighbours joined straight, others by arcs above or below, whichever crosses less."""
    sides: dict[_Edge, int] = {}
    pairs = itertools.combinations(range(len(graph.mask)), 2)
    for i, j in sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair)):
        crossed = [side for (a, b), side in sides.items() if a < i < b < j or i < a < j < b]
        sides[i, j] = 0 if j == i + 1 else 1 if crossed.count(1) <= crossed.count(-1) else -1
    edges = {edge: _arc(*edge, side) for edge, side in sides.items() if graph.adjacency[edge]}
    return _Layout(_ROUND, {node: (node * _SPAN, 0.0) for node in range(len(graph.mask))}, edges)


def _arc(i: int, j: int, side: int) -> list[_Point]:
    # The longer, the steeper it leaves and the higher it goes, so arcs on one side nest.
    angle, reach = math.radians(min(25 * (j - i), 85)) * abs(side), 0.85 * (j - i - 1) + 0.15
    across, up = _RADIUS * math.cos(angle), _RADIUS * side * math.sin(angle)
    bend, top = (reach / math.tan(angle), up + side * reach) if side else (0.3, 0.0)
    (x, y), end = (i * _SPAN + across, up), j * _SPAN - across
    return [(x, y), (x + bend, top), (end - bend, top), (end, y)]


def _layers(graph: Graph) -> _Layout:
    """Nodes by their longest path from the input; edges that skip a depth pass between its nodes."""
    num, depth = len(graph.mask), {0: 0}
    for j in range(1, num):
        if graph.mask[j] or j == num - 1:
            depth[j] = 1 + max((depth[i] for i in depth if graph.adjacency[i, j]), default=0)
    edges = [(i, j) for i, j in itertools.combinations(depth, 2) if graph.adjacency[i, j]]
    chains: dict[_Edge, list[_Stop]] = {
        (i, j): [i, *((i, j, d) for d in range(depth[i] + 1, depth[j])), j] for i, j in edges
    }
    layers: list[list[_Stop]] = [[] for _ in range(max(depth.values()) + 1)]
    for stop in dict.fromkeys(itertools.chain(depth, *chains.values())):
        layers[depth[stop] if isinstance(stop, int) else stop[2]].append(stop)
    links = [link for chain in chains.values() for link in itertools.pairwise(chain)]
    at = _arranged(layers, links)
    routes = {edge: _route(itertools.pairwise(chain), at, links) for edge, chain in chains.items()}
    return _Layout(_BOX, {node: at[node] for node in depth}, routes)


def _arranged(layers: Sequence[Sequence[_Stop]], links: Sequence[_Link]) -> dict[_Stop, _Point]:
    """Places of the stops; the order of each layer in turn makes the fewest crossings and shortest links."""

    def column(d: int, order: Sequence[_Stop]) -> dict[_Stop, _Point]:
        return {stop: (d * _STEP, (k - (len(order) - 1) / 2) * _SLOT) for k, stop in enumerate(order)}

    def cost(at: Mapping[_Stop, _Point]) -> float:
        ends = np.array([(*at[a], at[b][1]) for a, b in links if a in at and b in at]).reshape(-1, 3)
        x, start, end = (ends[:, None] - ends[None, :]).transpose(2, 0, 1)
        return float(np.sum((x == 0) & (start * end < 0)) + 0.1 * np.sum((ends[:, 1] - ends[:, 2]) ** 2))

    at: dict[_Stop, _Point] = {}
    # At first each layer sees only those before it: a crossing would else just move from layer to layer.
    for d in [*range(len(layers)), *range(len(layers)), *reversed(range(len(layers)))]:
        # 720 are all orders of six stops, and enough of more.
        columns = [column(d, order) for order in itertools.islice(itertools.permutations(layers[d]), 720)]
        costs = [cost(at | places) for places in columns]
        at |= columns[costs.index(min(costs))]
    return at


def _route(chain: Iterable[_Link], at: Mapping[_Stop, _Point], links: Sequence[_Link]) -> list[_Point]:
    """Level past the boxes, bent between the depths; edges that share a box end beside each other."""

    def port(stop: _Stop, y: float, others: Iterable[_Stop]) -> float:
        ends = sorted(at[other][1] for other in others)
        return at[stop][1] + (ends.index(y) - (len(ends) - 1) / 2) * min(0.13, 0.42 / max(len(ends) - 1, 1))

    points: list[_Point] = []
    for a, b in chain:
        x, end = at[a][0] + _BOX[0] / 2, at[b][0] - _BOX[0] / 2
        out = port(a, at[b][1], (t for s, t in links if s == a))
        into = port(b, at[a][1], (s for s, t in links if t == b))
        points += [(x, out), ((x + end) / 2, out), ((x + end) / 2, into), (end, into)]
    return points


def _canvas(layout: _Layout, title: str) -> tuple["Figure", "Axes"]:
    """Axes in inches, as large as the drawing and its title."""
    from matplotlib.figure import Figure

    nodes, half = np.array(list(layout.nodes.values())), np.array([layout.size]) / 2
    extents = [_path(points).get_extents().get_points() for points in layout.edges.values()]
    corners = np.concatenate([nodes - half, nodes + half, *extents])
    (left, bottom), (right, top) = corners.min(0) - 0.3, corners.max(0) + 0.3
    width, height = right - left, top - bottom
    head = 0.1 + 0.2 * len(_wrapped(title, width))
    figure = Figure((width, height + head), dpi=100, facecolor="white")
    axes = figure.add_axes((0, 0, 1, height / (height + head)), xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    _title(figure, title, x=0.1 / width)
    return figure, axes


def _path(points: Sequence[_Point]) -> "Path":
    from matplotlib.path import Path

    curve = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path(points, [Path.MOVETO, *(curve * (len(points) // 4))[1:]])


def _draw_edge(axes: "Axes", points: Sequence[_Point], name: str) -> None:
    """An arrow, labelled at its middle if it has a name."""
    from matplotlib.patches import FancyArrowPatch

    colour = _COLOURS.get(name, _GREY)
    arrow = FancyArrowPatch(path=_path(points), arrowstyle="-|>", mutation_scale=13, color=colour)
    arrow.set_linewidth(1.8)
    axes.add_patch(arrow)
    if name:
        x, y = np.array([1, 3, 3, 1]) @ np.array(points[:4]) / 8
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 1.2}
        text = textwrap.fill(name, 9)
        axes.text(x, y, text, fontsize=10, color=_INK, ha="center", va="center", bbox=box)


def _draw_node(axes: "Axes", centre: _Point, size: _Point, name: str) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    colour = _COLOURS.get(name, _COLOURS["sum"] if size == _ROUND else "#56B4E9")
    corner = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    shape = "circle,pad=0" if size == _ROUND else "round,pad=0,rounding_size=0.1"
    box = FancyBboxPatch(corner, *size, boxstyle=shape, facecolor=to_rgba(colour, 0.18), edgecolor=colour)
    axes.add_patch(box)
    axes.text(*centre, textwrap.fill(name, 9), fontsize=10, color=_INK, ha="center", va="center")
