"""Figures against their data: artists are counted and compared, layouts checked as geometry."""

import itertools
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jax
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from scipy import stats

from jnas import plots, spaces
from jnas.types import Graph, Space

INPUT, OUTPUT, CONV3, CONV1, POOL = (
    "input",
    "output",
    "conv3x3-bn-relu",
    "conv1x1-bn-relu",
    "maxpool3x3",
)
SHORT_201 = {
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1x1",
    "nor_conv_3x3": "conv 3x3",
    "avg_pool_3x3": "avg pool 3x3",
}
VERMILION = mpl.colors.to_rgba("#D55E00")


def arrows(figure: Figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def words(figure: Figure) -> Counter[str]:
    return Counter(text.get_text().replace("\n", " ") for text in figure.axes[0].texts)


def curve(arrow: FancyArrowPatch) -> np.ndarray:
    """`[n, 2]` points along an arrow, a chain of cubic Bézier curves, in inches."""
    path = arrow._path_original  # type: ignore[attr-defined]
    assert Counter(path.codes) == Counter([1, 4, 4, 4] + [2, 4, 4, 4] * (len(path) // 4 - 1))
    # An even number of points has none at the middle, where symmetric curves would meet exactly.
    t = np.linspace(0, 1, 24)[:, None]
    bernstein = np.concatenate(
        [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1
    )
    return np.concatenate([bernstein @ path.vertices[k : k + 4] for k in range(0, len(path), 4)])


def corners(box: FancyBboxPatch) -> np.ndarray:
    """`[2, 2]` lower left and upper right corner."""
    low = np.array([box.get_x(), box.get_y()])
    return np.stack([low, low + [box.get_width(), box.get_height()]])


def cross(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two polylines intersect, segment by segment."""

    def side(p, q, r):
        return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return any(
        side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0
        for p, q in itertools.pairwise(a)
        for r, s in itertools.pairwise(b)
    )


def num_crossings(figure: Figure) -> int:
    return sum(cross(curve(a), curve(b)) for a, b in itertools.combinations(arrows(figure), 2))


def assert_texts_fit(figure: Figure) -> None:
    """No text leaves the figure or covers another one."""
    figure.draw_without_rendering()
    axes = figure.axes[0]
    texts = [text for text in [*axes.texts, axes.title, axes._left_title] if text.get_text()]  # type: ignore
    extents = [text.get_window_extent() for text in texts]
    page = figure.bbox
    for extent in extents:
        assert page.x0 <= extent.x0 < extent.x1 <= page.x1
        assert page.y0 <= extent.y0 < extent.y1 <= page.y1
    assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))


def cell_101(edges: list[tuple[int, int]], *operations: str) -> Figure:
    num = len(operations) + 2
    matrix = np.zeros((num, num), int)
    matrix[tuple(np.array(edges).T)] = 1
    arch = spaces.nasbench101_from_matrix(matrix, [INPUT, *operations, OUTPUT])
    return plots.cell(spaces.nasbench101(), arch)


# --- cells with operations on edges ---


@pytest.mark.parametrize("arch", [[3, 2, 3, 1, 4, 3], [0, 3, 2, 4, 1, 1], [0] * 6, [4] * 6])
def test_a_nasbench201_cell_has_an_arrow_and_a_label_for_each_operation(arch: list[int]) -> None:
    space = spaces.nasbench201()
    figure = plots.cell(space, np.array(arch, np.int32))
    official = [
        part.split("~")[0] for part in space.to_string(np.array(arch)).replace("+", "").split("|")
    ]
    expected = Counter(SHORT_201[op] for op in official if op not in ("", "none"))
    assert len(arrows(figure)) == sum(op != 0 for op in arch)
    assert words(figure) == expected + Counter(["input", "1", "2", "output"])


def test_arrows_of_a_nasbench201_cell_join_the_nodes_of_their_edge() -> None:
    for edge, ends in enumerate(((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))):
        figure = plots.cell(spaces.nasbench201(), np.eye(6, dtype=np.int32)[edge])
        centres = np.array([corners(box).mean(0) for box in boxes(figure)])
        assert np.all(np.diff(centres[:, 0]) > 0), "nodes go from left to right"
        np.testing.assert_array_equal(centres[:, 1], 0)
        (arrow,) = arrows(figure)
        points = curve(arrow)[[0, -1]]
        nearest = [int(np.argmin(np.linalg.norm(centres - point, axis=1))) for point in points]
        assert tuple(nearest) == ends


def test_full_nasbench201_cell_has_no_crossing_and_no_covered_text() -> None:
    figure = plots.cell(spaces.nasbench201(), np.full(6, 4, np.int32), "a title")
    assert num_crossings(figure) == 0
    assert_texts_fit(figure)
    for arrow, box in itertools.product(arrows(figure), boxes(figure)):
        distance = np.linalg.norm(curve(arrow) - corners(box).mean(0), axis=1)
        assert distance.min() > 0.3 - 1e-6, "arrows end outside of the round nodes and pass none"


def test_arcs_keep_their_distance_from_each_other() -> None:
    figure = plots.cell(spaces.nasbench201(), np.full(6, 3, np.int32))
    for a, b in itertools.combinations([curve(arrow) for arrow in arrows(figure)], 2):
        gap = np.linalg.norm(a[5:-5:2, None] - b[None, 5:-5:2], axis=-1).min()
        assert gap > 0.02


def test_operations_have_the_same_place_in_every_cell_and_their_own_colour() -> None:
    space = spaces.nasbench201()
    full = arrows(plots.cell(space, np.array([3, 3, 3, 3, 3, 3], np.int32)))
    sparse = arrows(plots.cell(space, np.array([0, 0, 0, 0, 1, 0], np.int32)))
    matches = [a for a in full if np.array_equal(curve(a)[-1], curve(sparse[0])[-1])]
    assert len(matches) == 1
    np.testing.assert_array_equal(curve(matches[0]), curve(sparse[0]))
    mixed = arrows(plots.cell(space, np.array([1, 2, 3, 4, 4, 1], np.int32)))
    assert len({arrow.get_edgecolor() for arrow in mixed}) == 4


def test_the_long_official_name_fits_as_a_title() -> None:
    space, arch = spaces.nasbench201(), np.array([3, 2, 3, 1, 4, 3], np.int32)
    figure = plots.cell(space, arch, space.to_string(arch))
    assert figure.axes[0].get_title("left").replace("\n", "").replace(" ", "") == space.to_string(
        arch
    )
    assert_texts_fit(figure)


def chain_space(num: int, operations: tuple[str, ...]) -> Space:
    """A space outside the package: `num` nodes that are all joined, with operations on edges."""
    adjacency = np.triu(np.ones((num, num), bool), 1)
    node_ops = np.array([0] + [1] * (num - 2) + [2], np.int32)
    edges = adjacency[None, None]
    graph = Graph(node_ops[None], edges.astype(np.int32) * 2, edges, np.ones((1, num), bool))  # type: ignore
    return spaces.nasbench201()._replace(graph=lambda arch: graph, edge_operations=operations)


@pytest.mark.parametrize("num", [2, 3, 5, 6])
def test_any_space_with_operations_on_edges_can_be_drawn(num: int) -> None:
    figure = plots.cell(chain_space(num, ("none", "a", "sep_conv")), np.zeros(6, np.int32))
    assert len(arrows(figure)) == num * (num - 1) // 2
    assert words(figure)["sep conv"] == num * (num - 1) // 2


# --- cells with operations on nodes ---


def longest_paths(adjacency: np.ndarray) -> list[int]:
    """By powers of the adjacency matrix: there is a walk of length d from node 0 to node j."""
    walks = [np.linalg.matrix_power(adjacency.astype(int), d)[0] > 0 for d in range(len(adjacency))]
    return [
        max((d for d, reached in enumerate(walks) if reached[j]), default=-1)
        for j in range(len(adjacency))
    ]


@pytest.mark.parametrize("seed", range(6))
def test_nasbench101_cells(seed: int) -> None:
    space = spaces.nasbench101()
    arch = space.sample(jax.random.key(seed))
    figure, (matrix, names) = plots.cell(space, arch), spaces.nasbench101_to_matrix(arch)
    short = {
        CONV3: "conv 3x3",
        CONV1: "conv 1x1",
        POOL: "max pool 3x3",
        INPUT: "input",
        OUTPUT: "output",
    }
    assert words(figure) == Counter(short[name] for name in names)
    assert len(arrows(figure)) == matrix.sum()
    places = sorted(round(float(corners(box).mean(0)[0]), 6) for box in boxes(figure))
    columns = sorted(set(places))
    assert [columns.index(x) for x in places] == sorted(longest_paths(matrix))
    assert_nothing_overlaps(figure)


def assert_nothing_overlaps(figure: Figure) -> None:
    rectangles = [corners(box) for box in boxes(figure)]
    for a, b in itertools.combinations(rectangles, 2):
        assert np.any(a[1] < b[0]) or np.any(b[1] < a[0]), "boxes overlap"
    for arrow, (low, high) in itertools.product(arrows(figure), rectangles):
        inside = np.all((curve(arrow) > low + 1e-6) & (curve(arrow) < high - 1e-6), axis=1)
        assert not inside.any(), "an arrow passes through a box"
    ends = [tuple(np.round(curve(arrow)[k], 6)) for arrow in arrows(figure) for k in (0, -1)]
    assert len(set(ends)) == len(ends), "arrows share an end"
    assert_texts_fit(figure)


CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


@pytest.mark.parametrize(
    ("edges", "crossings"),
    [
        ([*CHAIN, (0, 6), (0, 3), (2, 6)], 0),
        ([(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 6), (2, 6), (3, 6), (4, 6)], 0),
        # The complete bipartite part 1, 2 → 3, 4 takes one crossing between its two columns.
        ([(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 6), (4, 6), (0, 6)], 1),
    ],
)
def test_box_drawings_have_no_needless_crossing(
    edges: list[tuple[int, int]], crossings: int
) -> None:
    figure = cell_101(edges, CONV3, CONV1, POOL, CONV3, CONV1)
    assert num_crossings(figure) == crossings
    assert_nothing_overlaps(figure)


def test_arrows_of_boxes_join_the_right_boxes() -> None:
    figure = cell_101([(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)], CONV3, POOL)
    pairs = zip(boxes(figure), figure.axes[0].texts, strict=True)
    names = {tuple(corners(box).mean(0)): text.get_text() for box, text in pairs}

    def nearest(point: np.ndarray, edge: int) -> str:
        sides = {
            name: np.array(centre) + [(0.42, -0.42)[edge], 0] for centre, name in names.items()
        }
        return min(sides, key=lambda name: float(np.linalg.norm(sides[name] - point)))

    found = {
        (nearest(curve(arrow)[0], 0), nearest(curve(arrow)[-1], 1)) for arrow in arrows(figure)
    }
    conv, pool = "conv 3x3", "max pool\n3x3"
    ends = {
        ("input", conv),
        ("input", pool),
        (conv, "output"),
        (pool, "output"),
        ("input", "output"),
    }
    assert found == ends


def test_nats_size_is_a_chain_of_widths() -> None:
    with pytest.raises(ValueError, match=r"no vector of nats_size: .*; choices are below .8, 8, 8"):
        plots.cell(spaces.nats_size(), np.array([0, 8, 3, 3, 6], np.int32))
    figure = plots.cell(spaces.nats_size(), np.array([0, 7, 3, 3, 6], np.int32), "8:64:32:32:56")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["input", "width 8", "width 64", "width 32", "width 32", "width 56", "output"]
    assert len(arrows(figure)) == 6
    assert len({float(corners(box).mean(0)[1]) for box in boxes(figure)}) == 1
    assert_nothing_overlaps(figure)


def test_a_cell_without_any_path_is_its_two_ends() -> None:
    figure = plots.cell(spaces.nasbench101(), np.zeros(26, np.int32))
    assert not arrows(figure)
    assert len(boxes(figure)) == 2
    assert_nothing_overlaps(figure)


# --- scores against accuracy ---


def ranked(num: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Scores and accuracies of made-up networks: number 0 is untrainable, number 1 has no rank."""
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(85, 95, num)
    scores = accuracy + rng.normal(0, 3, num)
    accuracy[0], scores[1] = 10.0, -np.inf
    return scores, accuracy


def points(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(collection.get_offsets()) for collection in axes.collections]


def test_scatter_shows_every_pair_that_can_be_shown() -> None:
    scores, accuracy = ranked()
    figure = plots.score_against_accuracy(
        scores, accuracy, chosen=7, score_label="s", accuracy_label="a (%)"
    )
    (axes,) = figure.axes
    inside, clipped, star = points(axes)
    np.testing.assert_array_equal(inside, np.stack([scores, accuracy], 1)[2:])
    floor = np.percentile(accuracy[np.arange(200) != 1], [25, 75]) @ [4, -3]
    np.testing.assert_allclose(clipped, [[scores[0], floor]])
    np.testing.assert_array_equal(star, [[scores[7], accuracy[7]]])
    assert axes.get_ylim()[0] > floor - 5, "the untrainable network does not squash the others"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("s", "a (%)")
    assert figure.get_supxlabel() == f"1 that cannot be ranked, 1 below {floor:.4g} (triangles)"


def test_scatter_title_and_annotation() -> None:
    scores, accuracy = ranked()
    figure = plots.score_against_accuracy(scores, accuracy, chosen=7, title="An estimator")
    tau = stats.kendalltau(np.maximum(scores, -1e9), accuracy).statistic
    assert figure.axes[0].get_title("left") == f"An estimator\nKendall τ-b = {tau:.3f}"
    assert not figure.axes[0].texts, "a text among the points would cover some"
    assert figure.axes[0].get_title("right") == f"★ chosen: {accuracy[7]:.4g}"
    np.testing.assert_array_equal(figure.axes[0].collections[2].get_facecolor(), [VERMILION])
    assert_texts_fit(figure)


def test_scatter_without_outliers_clips_and_notes_nothing() -> None:
    accuracy = np.linspace(0.8, 0.9, 50)
    figure = plots.score_against_accuracy(np.arange(50), accuracy)
    inside, clipped = points(figure.axes[0])
    assert (len(inside), len(clipped)) == (50, 0)
    assert figure.get_supxlabel() == ""
    assert figure.axes[0].get_title("left") == "Kendall τ-b = 1.000"


def test_scatter_of_a_clipped_chosen_point_says_its_accuracy() -> None:
    scores, accuracy = ranked()
    figure = plots.score_against_accuracy(scores, accuracy, chosen=0)
    _, clipped, star = points(figure.axes[0])
    np.testing.assert_array_equal(star, clipped)
    assert figure.axes[0].get_title("right") == "★ chosen: 10"


def test_scatter_counts_what_is_missing() -> None:
    scores, accuracy = ranked()
    scores[2], scores[3], accuracy[4] = np.nan, np.inf, np.nan
    figure = plots.score_against_accuracy(scores, accuracy)
    note = figure.get_supxlabel()
    assert note.startswith("2 that cannot be ranked, 1 below")
    assert note.endswith("1 without accuracy, 1 of score +∞ not shown")
    assert len(points(figure.axes[0])[0]) == 195


def test_scatter_of_scores_none_of_which_can_be_ranked() -> None:
    figure = plots.score_against_accuracy(np.full(3, -np.inf), np.arange(3.0))
    assert figure.axes[0].get_title("left") == "Kendall τ-b undefined"
    assert figure.get_supxlabel() == "3 that cannot be ranked"
    assert plots.figure_png(figure)


def test_mostly_equal_accuracies_are_not_clipped() -> None:
    figure = plots.score_against_accuracy(np.arange(9), np.array([0.1] + [0.9] * 8))
    assert [len(group) for group in points(figure.axes[0])] == [9, 0]


@pytest.mark.parametrize("chosen", [-1, 200, 1])
def test_scatter_refuses_a_chosen_point_it_cannot_show(chosen: int) -> None:
    with pytest.raises(ValueError, match=rf"0 … 199.*got {chosen}"):
        plots.score_against_accuracy(*ranked(), chosen=chosen)


@pytest.mark.parametrize("shapes", [(3, 4), (0, 0), ((2, 2), (2, 2))])
def test_vectors_of_other_shapes_are_refused(shapes: tuple) -> None:
    scores, accuracy = (np.zeros(shape) for shape in shapes)
    for function in (plots.score_against_accuracy, plots.best_so_far):
        with pytest.raises(ValueError, match="scores and accuracy must be vectors of one length"):
            function(scores, accuracy)


def test_jax_arrays_will_do() -> None:
    scores = jax.random.normal(jax.random.key(0), (30,))
    figure = plots.score_against_accuracy(scores, 2 * scores, chosen=0)
    np.testing.assert_array_equal(points(figure.axes[0])[0][:, 0], np.asarray(scores, float))


# --- best so far ---


def lines(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in axes.lines]


def test_best_so_far_by_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    scores, accuracy = rng.integers(0, 30, 60).astype(float), rng.uniform(0, 1, 60)
    scores[[0, 5]], scores[1] = np.nan, -np.inf
    score, reached, possible, best = [], [], [], None
    for t in range(60):
        if np.isfinite(scores[t]) and (best is None or scores[t] > scores[best]):
            best = t
        score.append(np.nan if best is None else scores[best])
        reached.append(np.nan if best is None else accuracy[best])
        possible.append(max(accuracy[: t + 1]))
    figure = plots.best_so_far(
        scores, accuracy, score_label="NASWOT", accuracy_label="a", title="Search"
    )
    top, bottom = figure.axes
    np.testing.assert_array_equal(lines(top), [score])
    np.testing.assert_array_equal(lines(bottom), [possible, reached])
    np.testing.assert_array_equal(top.lines[0].get_xdata(), np.arange(1, 61))
    assert [line.get_linestyle() for line in bottom.lines] == ["--", "-"]
    assert all(line.get_drawstyle() == "steps-post" for line in [*top.lines, *bottom.lines])
    texts = [text.get_text() for text in bottom.get_legend().get_texts()]
    assert texts == [
        f"best possible so far: {possible[-1]:.4g}",
        f"chosen so far: {reached[-1]:.4g}",
    ]
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("best NASWOT so far", "a")
    assert (top.get_title("left"), bottom.get_xlabel()) == ("Search", "evaluations")
    assert figure.get_supxlabel() == "3 evaluations that cannot be ranked"


def test_of_equal_scores_the_first_is_chosen() -> None:
    figure = plots.best_so_far(np.array([1.0, 2.0, 2.0]), np.array([0.5, 0.6, 0.9]))
    np.testing.assert_array_equal(lines(figure.axes[1])[1], [0.5, 0.6, 0.6])


def test_best_so_far_begins_its_accuracy_axis_late() -> None:
    accuracy = np.concatenate([[10.0], np.linspace(90, 94, 199)])
    figure = plots.best_so_far(np.arange(200), accuracy)
    assert 89 < figure.axes[1].get_ylim()[0] < 90.1
    assert figure.axes[1].get_ylim()[1] > 94


def test_best_so_far_without_accuracy_has_one_panel() -> None:
    figure = plots.best_so_far(np.array([3.0]))
    assert len(figure.axes) == 1
    assert figure.axes[0].lines[0].get_marker() == "o", "a single evaluation is visible"
    assert figure.get_supxlabel() == ""


def test_best_so_far_where_nothing_can_be_ranked() -> None:
    figure = plots.best_so_far(np.full(4, np.nan), np.full(4, np.nan))
    assert np.isnan(lines(figure.axes[0])).all()
    assert plots.figure_png(figure)


# --- histogram ---


def test_histogram_of_the_real_table(data_folder: Path) -> None:
    accuracy = np.load(data_folder / "nasbench201.npz")["test200_c10"]
    chosen = float(np.sort(accuracy)[-123])
    figure = plots.accuracy_histogram(
        accuracy, chosen, accuracy_label="test accuracy (%)", title="NAS-Bench-201"
    )
    (axes,) = figure.axes
    rank = 1 + np.count_nonzero(accuracy > chosen)
    assert (
        axes.get_title("left")
        == f"NAS-Bench-201\nrank {rank} of 15,625, top {100 * rank / 15_625:.2g} %"
    )
    heights = [patch.get_height() for patch in axes.patches]
    below = np.count_nonzero(accuracy < np.percentile(accuracy.astype(float), [25, 75]) @ [4, -3])
    assert below > 0
    assert sum(heights) == 15_625 - below
    assert figure.get_supxlabel().startswith(f"{below} below 73.9")
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [chosen, chosen])
    assert axes.lines[0].get_color() == "#D55E00"


@pytest.mark.parametrize(
    ("chosen", "title"),
    [
        (100.0, "rank 1 of 100, top 1 %"),
        (51.0, "rank 50 of 100, top 50 %"),
        (1.0, "rank 100 of 100, top 100 %"),
        (99.5, "rank 2 of 100, top 2 %"),
    ],
)
def test_rank_is_one_plus_the_number_of_better_ones(chosen: float, title: str) -> None:
    figure = plots.accuracy_histogram(np.arange(1, 101), chosen, num_bins=10)
    assert figure.axes[0].get_title("left") == title
    assert len(figure.axes[0].patches) == 10
    assert figure.axes[0].texts[0].get_text() == f"chosen: {chosen:.4g}"
    assert_texts_fit(figure)


def test_histogram_reaches_down_to_the_chosen_one_and_counts_the_unknown() -> None:
    accuracy = np.concatenate([np.linspace(85, 95, 100), [10.0, 30.0, np.nan]])
    figure = plots.accuracy_histogram(accuracy, 30.0)
    assert figure.axes[0].get_title("left") == "rank 101 of 102, top 99 %"
    assert figure.get_supxlabel() == "1 below 30 not shown, 1 without accuracy"
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == 101


def test_charts_of_numbers_that_are_better_when_smaller() -> None:
    """The chart of an error is that of the accuracy upside down."""
    scores, accuracy = ranked()
    error, flags = 100 - accuracy, {"minimize_accuracy": True}
    one = plots.score_against_accuracy(scores, accuracy, chosen=3)
    other = plots.score_against_accuracy(-scores, error, chosen=3, minimize=True, **flags)
    assert one.axes[0].get_title("left") == other.axes[0].get_title("left")
    for these, those in zip(points(one.axes[0]), points(other.axes[0]), strict=True):
        np.testing.assert_allclose(np.asarray(those) * [-1, -1] + [0, 100], these, rtol=1e-9)
    assert ("below" in one.get_supxlabel()) == ("above" in other.get_supxlabel())
    one = plots.best_so_far(scores, accuracy)
    other = plots.best_so_far(-scores, error, minimize=True, **flags)
    for panel, (these, those) in enumerate(zip(one.axes, other.axes, strict=True)):
        for a, b in zip(lines(these), lines(those), strict=True):
            np.testing.assert_allclose(100 * panel - b, a, rtol=1e-9)
    chosen = float(accuracy[7])
    one = plots.accuracy_histogram(accuracy, chosen)
    other = plots.accuracy_histogram(error, 100 - chosen, minimize=True)
    assert one.axes[0].get_title("left") == other.axes[0].get_title("left")
    heights = [[patch.get_height() for patch in figure.axes[0].patches] for figure in (one, other)]
    assert heights[0] == heights[1][::-1]


@pytest.mark.parametrize(("accuracy", "chosen"), [([np.nan], 1.0), ([1.0, 2.0], np.nan)])
def test_histogram_needs_finite_numbers(accuracy: list[float], chosen: float) -> None:
    with pytest.raises(ValueError, match="finite accuracies"):
        plots.accuracy_histogram(accuracy, chosen)


# --- kernel ---


def test_kernel_is_normalised_by_its_diagonal() -> None:
    codes = np.sign(np.random.default_rng(0).normal(size=(12, 40)))
    matrix = (40 + codes @ codes.T) / 2
    figure = plots.kernel(matrix.astype(np.int32), title="K")
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array(), matrix / 40, rtol=1e-12)
    assert image.get_clim() == (pytest.approx(matrix.min() / 40), 1.0)
    assert len(figure.axes) == 2, "the colour bar"
    assert figure.axes[1].get_ylabel() == "share of equal codes"
    scaled = plots.kernel(np.diag([1.0, 3.0]) @ np.ones((2, 2)) @ np.diag([1.0, 3.0]), low=0.0)
    np.testing.assert_allclose(scaled.axes[0].images[0].get_array(), np.ones((2, 2)))
    assert scaled.axes[0].images[0].get_clim() == (0.0, 1.0)


@pytest.mark.parametrize(
    "matrix", [np.ones((2, 3)), np.ones(4), np.zeros((2, 2)), np.diag([1.0, -1.0])]
)
def test_kernel_refuses_other_matrices(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="positive diagonal"):
        plots.kernel(matrix)


# --- files and manners ---


def test_save_writes_a_whole_png_and_nothing_else(tmp_path: Path) -> None:
    figure, path = plots.best_so_far(np.arange(3.0)), tmp_path / "new" / "folder" / "a.png"
    plots.save(plots.best_so_far(np.arange(4.0)), path)
    plots.save(figure, path, dpi=50)
    assert imread(path).shape == (210, 320, 4)
    assert path.read_bytes() == plots.figure_png(figure, 50)
    assert {file.name for file in path.parent.iterdir()} == {".jnas.json", "a.png"}
    plots.save(figure, str(tmp_path / "other" / "b.png"))
    assert imread(tmp_path / "other" / "b.png").shape == (630, 960, 4)


def test_save_wants_png_and_fails_without_traces(tmp_path: Path) -> None:
    figure = plots.best_so_far(np.arange(3.0))
    with pytest.raises(ValueError, match=r"\.png files, got 'a\.pdf'"):
        plots.save(figure, tmp_path / "a.pdf")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match="taken"):
        plots.save(figure, tmp_path / "taken.png")
    assert [file.name for file in tmp_path.iterdir()] == ["taken.png"]


_SAVE_ONE = """
import os, sys
from jnas.plots.style import new_figure, save
save(new_figure("x", "y")[0], sys.argv[1])
print(os.environ["MPLBACKEND"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    ["nothing", pytest.param("module://matplotlib_inline.backend_inline", marks=pytest.mark.slow)],
)
def test_a_backend_that_is_not_there_is_not_needed(backend: str, tmp_path: Path) -> None:
    """As commands inherit it that are called from a notebook."""
    done = subprocess.run(
        [sys.executable, "-c", _SAVE_ONE, str(tmp_path / "a.png")],
        env=os.environ | {"MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == backend
    assert (tmp_path / "a.png").exists()


def test_texts_are_readable_and_axes_quiet() -> None:
    scores, accuracy = ranked()
    figures = [
        plots.score_against_accuracy(scores, accuracy, chosen=5, title="t"),
        plots.best_so_far(scores, accuracy, title="t"),
        plots.accuracy_histogram(accuracy, 90.0),
        plots.kernel(np.eye(3)),
        plots.cell(spaces.nasbench201(), np.array([3, 2, 3, 1, 4, 3], np.int32), "t"),
    ]
    for figure in figures:
        for text in figure.findobj(mpl.text.Text):
            assert text.get_fontsize() >= 10 or not text.get_text()  # type: ignore[attr-defined]
    for axes in figures[1].axes:
        assert not axes.spines["top"].get_visible()
        assert not axes.spines["right"].get_visible()


def test_no_global_state_is_touched() -> None:
    before = dict(mpl.rcParams)
    pyplot = sys.modules.get("matplotlib.pyplot")
    shown = set(pyplot.get_fignums()) if pyplot else set()
    plots.figure_png(plots.kernel(np.eye(4)))
    plots.figure_png(plots.cell(spaces.nats_size(), np.zeros(5, np.int32)))
    assert dict(mpl.rcParams) == before
    assert (set(pyplot.get_fignums()) if pyplot else set()) == shown


def test_matplotlib_is_imported_by_the_first_figure_and_pyplot_never() -> None:
    program = """
import sys
import numpy as np
from jnas import plots, report
assert "matplotlib" not in sys.modules
plots.figure_png(plots.best_so_far(np.arange(3.0)))
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_figure_shows_itself_in_notebooks() -> None:
    cell = spaces.nasbench201()
    for figure in (plots.best_so_far([1.0, 2.0]), plots.cell(cell, np.zeros(6, int))):
        png = figure._repr_png_()
        assert png == plots.figure_png(figure, dpi=100)
        assert int.from_bytes(png[16:20]) == int(100 * figure.get_figwidth())
        assert isinstance(pickle.loads(pickle.dumps(figure)), type(figure))


def test_operations_of_every_space_have_colours_of_their_own() -> None:
    space, grey = spaces.spikenas_bench(), to_rgba("#6B6B6B")
    figure = plots.cell(space, np.array([1, 2, 3, 4, 1, 2]))
    arrows = [p for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)]
    colours = {arrow.get_edgecolor() for arrow in arrows}
    assert len(colours) == 4, "skip and three convolutions"
    assert grey not in colours
    # Where operations are on nodes, an edge is just an edge.
    chain = plots.cell(spaces.product({"kernel": (3, 5), "width": (8, 16)}), np.array([0, 1]))
    arrows = [p for p in chain.axes[0].patches if isinstance(p, FancyArrowPatch)]
    assert {arrow.get_edgecolor() for arrow in arrows} == {grey}
