"""Drawings of pairs of cells and of stages, against the vectors that they are of."""

import itertools
from collections import Counter

import numpy as np
import pytest
from matplotlib.figure import Figure

from jnas import plots, spaces
from jnas.plots import _pairs
from jnas.types import Space
from tests.oracles.two_kinds import OPERATIONS, slots, two_kinds
from tests.plots.test_plots import arrows, assert_texts_fit, boxes, corners, curve, words


def drawn(space: Space, seed: int) -> tuple[np.ndarray, Figure]:
    """A random vector of a space that has them all, and its drawing."""
    arch = np.random.default_rng(seed).integers(space.cardinalities).astype(np.int32)
    return arch, plots.cell(space, arch, "a title")


@pytest.mark.parametrize("seed", range(3))
def test_both_kinds_have_their_nodes_operations_and_outputs(seed: int) -> None:
    """Of a space whose nodes may read one input twice, and whose outputs join all nodes."""
    arch, figure = drawn(two_kinds(), seed)
    ops = slots(arch)[1]
    expected = Counter(OPERATIONS[op].replace("_", " ") for op in ops.ravel())
    expected += Counter(["normal", "reduction", *["k-2", "k-1", "2", "3", "output 2 3"] * 2])
    assert words(figure) == expected
    assert len(arrows(figure)) == ops.size
    assert_texts_fit(figure)


@pytest.mark.parametrize("seed", range(3))
def test_arrows_join_the_nodes_of_their_edges(seed: int) -> None:
    arch, figure = drawn(two_kinds(), seed)
    sources = slots(arch)[0]
    texts = [text.get_text() for text in figure.axes[0].texts]
    nodes = {
        tuple(corners(box).mean(0).round(6)): text
        for box, text in zip(
            boxes(figure),
            [t for t in texts if t in ("k-2", "k-1", "2", "3") or t.startswith("output")],
            strict=True,
        )
    }
    centres = np.array(list(nodes))
    # The normal cell is above the reduction cell.
    order = np.unique(centres[:, 1])[::-1]

    def nearest(point: np.ndarray) -> tuple[int, int]:
        centre = centres[np.argmin(np.linalg.norm(centres - point, axis=1))]
        row = int(np.flatnonzero(order == centre[1])[0])
        return row, ["k-2", "k-1", "2", "3"].index(nodes[tuple(centre)])

    found = Counter((nearest(curve(a)[0]), nearest(curve(a)[-1])) for a in arrows(figure))
    expected = Counter(
        ((kind, int(sources[kind, node, slot])), (kind, node + 2))
        for kind, node, slot in np.ndindex(sources.shape)
    )
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasbench301", "nasnet"])
def test_labels_of_published_spaces_stay_apart(name: str) -> None:
    space = spaces.by_name(name)
    arch, figure = drawn(space, 0)
    graph = space.graph(arch)
    assert len(arrows(figure)) == int(graph.adjacency[..., :-1].sum())
    last = np.asarray(graph.adjacency[:, 0, :, -1])
    joined = Counter("output " + " ".join(map(str, np.flatnonzero(row))) for row in last)
    assert joined <= words(figure)
    assert_texts_fit(figure)


def test_parallel_edges_are_on_both_sides_and_cross_nothing() -> None:
    names = {(0, 2, 0): "a", (0, 2, 1): "b", (1, 2, 0): "c", (1, 3, 0): "d", (0, 3, 0): "e"}
    curves = _pairs._curves(names)
    middles = {edge: curves[edge][1][1] for edge in names}
    assert middles[0, 2, 0] * middles[0, 2, 1] < 0
    assert middles[1, 2, 0] == 0
    sides = {edge: int(np.sign(height)) for edge, height in middles.items()}
    by_hand = sum(
        a[0] < b[0] < a[1] < b[1] and sides[a] == sides[b]
        for a, b in itertools.permutations(names, 2)
        if sides[a]
    )
    assert _pairs._num_crossed(sides) == by_hand


def test_a_stage_is_a_box_of_its_sizes() -> None:
    space = spaces.nds_resnext_a()
    arch = np.zeros(12, np.int32)
    figure = plots.cell(space, arch, space.to_string(arch))
    texts = [text.get_text() for text in figure.axes[0].texts]
    stage = "depth 1\nwidth 16\nratio 0.25\ngroups 1"
    assert texts == ["input", stage, stage, stage, "output"]
    assert len(arrows(figure)) == 4
    assert_texts_fit(figure)


def test_choices_of_one_kind_stay_a_chain_of_boxes() -> None:
    for space in (spaces.nats_size(), spaces.nasbench_macro()):
        arch = np.zeros(len(space.cardinalities), np.int32)
        assert len(boxes(plots.cell(space, arch))) == 2 + len(arch)
