"""NAS-Bench-101 against published counts, the real table, and a reference written with matrices.

The reference knows nothing of bit sets: a cell is a 7x7 matrix and a list of operations;
reachability is computed for all 2^21 edge masks at once; isomorphism is tried out over all 120
renumberings.
"""

import functools
import itertools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnas.spaces import (
    _nasbench101_costs,
    nasbench101,
    nasbench101_from_matrix,
    nasbench101_prune,
    nasbench101_to_matrix,
)
from tests.oracles.graphs import simple

SPACE = nasbench101()
CONV3X3, CONV1X1, MAXPOOL3X3 = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
NAMES = (CONV3X3, CONV1X1, MAXPOOL3X3)
EDGES = [(x, y) for y in range(7) for x in range(y)]  # position x + y(y-1)/2
CELL_OF_TWO = np.array([int(edge == (0, 6)) for edge in EDGES] + [0] * 5, np.int32)


@functools.cache
def batched(function):
    """A NumPy version for any number of rows, compiled once: it works in chunks of one size."""
    compiled, size = jax.jit(jax.vmap(function)), 1 << 11

    def in_chunks(*columns):
        num, parts = len(columns[0]), []
        for start in range(0, num, size):
            rows = np.minimum(np.arange(start, start + size), num - 1)
            parts.append(jax.tree.map(np.asarray, compiled(*(column[rows] for column in columns))))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *parts)

    return in_chunks


def keys(seed: int, num: int) -> jax.Array:
    return jax.random.split(jax.random.key(seed), num)


def identities(archs) -> np.ndarray:
    """`[A]` uint64, the two words in one number."""
    words = np.asarray(batched(SPACE.identity)(archs)).astype(np.uint64)
    return words[:, 0] << np.uint64(32) | words[:, 1]


def matrices(archs) -> np.ndarray:
    """`[A, 7, 7]` bool."""
    result = np.zeros((len(archs), 7, 7), bool)
    for position, (x, y) in enumerate(EDGES):
        result[:, x, y] = np.asarray(archs)[:, position]
    return result


def vectors(adjacency: np.ndarray, ops: np.ndarray) -> np.ndarray:
    """`[A, 26]` int32 from `[A, 7, 7]` and `[A, 5]`."""
    bits = np.stack([adjacency[:, x, y] for x, y in EDGES], 1)
    return np.concatenate([bits, ops], 1).astype(np.int32)


@functools.cache
def every_cell() -> np.ndarray:
    return SPACE.enumerate()


@functools.cache
def every_identity() -> np.ndarray:
    return identities(every_cell())


@functools.cache
def some_cells() -> np.ndarray:
    """`[2000, 26]` valid vectors as the random search draws them, not pruned."""
    return np.asarray(batched(SPACE.sample)(keys(0, 2000)))


@functools.cache
def small_cells() -> np.ndarray:
    """Pruned cells `[4000, 26]`: all 91 of up to 4 vertices, and 1,300 of each of 5, 6 and 7."""
    cells, sizes = every_cell(), num_vertices(every_cell())
    rng = np.random.default_rng(0)
    few = [rng.choice(np.flatnonzero(sizes == n), 4000 // 3, replace=False) for n in (5, 6, 7)]
    return cells[np.concatenate([np.flatnonzero(sizes <= 4), *few])][:4000]


def num_vertices(pruned) -> np.ndarray:
    adjacency = matrices(pruned)
    return (adjacency.any(1) | adjacency.any(2)).sum(1)


# --------------------------------------------------------------------------------------------------
# The reference


@functools.cache
def useful_edges() -> tuple[np.ndarray, np.ndarray]:
    """Of all 2^21 masks: whether the cell is valid, and edges left by pruning `[21, 2^21]`."""
    masks = np.arange(1 << 21)
    edge = {pair: (masks >> i & 1).astype(bool) for i, pair in enumerate(EDGES)}
    reached, useful = np.zeros((7, 1 << 21), bool), np.zeros((7, 1 << 21), bool)
    reached[0], useful[6] = True, True
    for y in range(1, 7):
        for x in range(y):
            reached[y] |= edge[x, y] & reached[x]
    for x in reversed(range(6)):
        for y in range(x + 1, 7):
            useful[x] |= edge[x, y] & useful[y]
    kept = np.stack([edge[x, y] & reached[x] & useful[y] for x, y in EDGES])
    num_edges = kept.sum(0)
    return (num_edges >= 1) & (num_edges <= 9), kept


def mask_of(arch) -> int:
    return sum(int(bit) << i for i, bit in enumerate(np.asarray(arch)[:21]))


def reference_prune(matrix, ops):
    """Adjacency and operations without the vertices off every path, by walking over sets."""
    edges = [(x, y) for x, row in enumerate(matrix) for y, bit in enumerate(row) if bit]
    last = len(matrix) - 1
    forward, backward = {0}, {last}
    for _ in matrix:
        forward |= {y for x, y in edges if x in forward}
        backward |= {x for x, y in edges if y in backward}
    keep = sorted(forward & backward)
    return [[int((x, y) in edges) for y in keep] for x in keep], [ops[v] for v in keep]


def reference_channels(c_in, c_out, matrix):
    """Widths of the vertices, from the last to the first; `matrix` is pruned."""
    last = len(matrix) - 1
    feeding = [v for v in range(1, last) if matrix[v][last]]
    width = {0: c_in, last: c_out}
    for rank, v in enumerate(feeding):
        width[v] = c_out // len(feeding) + (1 if rank < c_out % len(feeding) else 0)
    for v in range(last - 1, 0, -1):
        if v not in width:
            width[v] = max(width[t] for t in range(v + 1, last) if matrix[v][t])
    return [width[v] for v in range(last + 1)]


def reference_costs(matrix, ops):
    """(parameters, multiply-accumulates) of the network, layer by layer, in Python integers."""
    layers = [(3, 3, 128, 32)]  # kernel size, channels in, channels out, pixels a side
    c_in, side = 128, 32
    for stack in range(3):
        c_out = 128 * 2**stack
        if stack:
            side //= 2
        for _ in range(3):
            width = reference_channels(c_in, c_out, matrix)
            for v in range(1, len(matrix)):
                if matrix[0][v]:
                    layers.append((1, c_in, width[v], side))
                if ops[v] in (CONV3X3, CONV1X1):
                    layers.append((3 if ops[v] == CONV3X3 else 1, width[v], width[v], side))
            c_in = c_out
    params = sum(k * k * i * o + 2 * o for k, i, o, _ in layers) + 512 * 10 + 10
    return params, sum(k * k * i * o * s * s for k, i, o, s in layers) + 512 * 10


def canonical_forms(archs) -> np.ndarray:
    """Integers `[A]`, equal exactly for isomorphic pruned cells: the least of 120 renumberings."""
    adjacency, ops = matrices(archs).astype(np.int64), np.asarray(archs)[:, 21:].astype(np.int64)
    there = adjacency[:, 1:6].any(2)
    labels = np.where(there, ops, 3)
    bits = 1 << np.arange(49, dtype=np.int64).reshape(7, 7)
    best = np.full(len(ops), np.iinfo(np.int64).max)
    for order in itertools.permutations(range(1, 6)):
        full = [0, *order, 6]
        edges = (adjacency[:, full][:, :, full] * bits).sum((1, 2))
        colours = labels[:, np.array(order) - 1] @ (4 ** np.arange(5))
        best = np.minimum(best, edges * 1024 + colours)
    return best


# --------------------------------------------------------------------------------------------------
# The list of all cells


def test_number_of_cells_by_vertices_and_edges():
    cells = every_cell()
    assert cells.shape == (423_624, 26)
    by_vertices = np.bincount(num_vertices(cells)).tolist()
    assert by_vertices == [0, 0, 1, 6, 84, 2_441, 62_010, 359_082]
    by_edges = np.bincount(cells[:, :21].sum(1)).tolist()
    assert by_edges == [0, 1, 3, 12, 60, 339, 2_134, 13_984, 78_822, 328_269]


@pytest.mark.slow
def test_identities_of_all_cells_are_distinct():
    assert len(np.unique(every_identity())) == 423_624
    for word in (every_identity() >> np.uint64(32), every_identity() & np.uint64(2**32 - 1)):
        # A 32-bit word alone meets itself by chance about 423624² / 2^33 = 21 times.
        assert len(np.unique(word)) > 423_500


@pytest.mark.slow
def test_every_listed_cell_is_pruned_and_has_no_gaps():
    cells = every_cell()
    np.testing.assert_array_equal(batched(nasbench101_prune)(cells), cells)


def distances(archs) -> np.ndarray:
    """Length of the shortest input → output path of each pruned cell."""
    adjacency = matrices(archs)
    front = np.zeros((len(archs), 7), bool)
    front[:, 0] = True
    result = np.zeros(len(archs), int)
    for step in range(1, 7):
        front = (front[:, :, None] & adjacency).any(1)
        result[(result == 0) & front[:, 6]] = step
    return result


# RNAS, Table 5: whether a 3x3 convolution is present, distance, models, and the best and the mean
# test accuracy in percent.
TABLE_5 = """
yes 1  68552 94.32 91.97
yes 2 153056 94.05 91.02
yes 3 110863 93.68 89.31
yes 4  27227 92.36 87.40
yes 5   2516 90.54 86.51
yes 6    211 88.87 84.91
no  1  12468 91.62 88.40
no  2  26282 90.81 86.69
no  3  17735 90.24 83.53
no  4   4282 88.95 80.20
no  5    400 88.16 78.84
no  6     32 86.71 74.93
"""


@pytest.mark.slow
def test_renas_table_5(data_folder):
    table = np.load(data_folder / "nasbench101.npz")
    known, listed = identities(published_vectors(table)), every_identity()
    order = np.argsort(known)
    rows = order[np.searchsorted(known[order], listed)]
    np.testing.assert_array_equal(known[rows], listed)  # the same cells, each once
    accuracy = 100 * table["test_accuracy"].astype(np.float64)[rows]

    lines = []
    for (present, distance), chosen in table_5_groups().items():
        best, mean = accuracy[chosen].max(), accuracy[chosen].mean()
        lines.append(f"{present:3} {distance} {chosen.sum():6} {best:.2f} {mean:.2f}")
    assert lines == TABLE_5.strip().split("\n")


def table_5_groups() -> dict[tuple[str, int], np.ndarray]:
    cells = every_cell()
    padding = ~matrices(cells)[:, 1:6].any(2)
    conv3x3 = ((cells[:, 21:] == NAMES.index(CONV3X3)) & ~padding).any(1)
    distance = distances(cells)
    return {
        (name, d): (conv3x3 == present) & (distance == d)
        for name, present in (("yes", True), ("no", False))
        for d in range(1, 7)
    }


def test_renas_table_5_model_counts():
    printed = [int(line.split()[2]) for line in TABLE_5.strip().split("\n")]
    assert [int(chosen.sum()) for chosen in table_5_groups().values()] == printed


def published_vectors(table) -> np.ndarray:
    """Rows of the table, with the output moved from vertex `num_vertices - 1` to vertex 6."""
    num, bits, ops = table["num_vertices"].astype(int), table["edge_bits"], table["ops"]
    adjacency, interior = np.zeros((len(num), 7, 7), bool), np.zeros((len(num), 5), int)
    for i, (x, y) in enumerate(EDGES):
        rows = np.flatnonzero(bits >> np.uint32(i) & np.uint32(1))
        adjacency[rows, x, np.where(y == num[rows] - 1, 6, y)] = True
    for v in range(1, 6):
        rows = np.flatnonzero(v < num - 1)
        interior[rows, v - 1] = ops[rows, v].astype(int) - 1
    return vectors(adjacency, interior)


# --------------------------------------------------------------------------------------------------
# Validity, pruning, identity


@pytest.mark.slow
def test_validity_of_every_one_of_the_two_million_masks():
    valid, _ = useful_edges()
    archs = np.zeros((1 << 21, 26), np.int32)
    for i in range(21):
        archs[:, i] = np.arange(1 << 21) >> i & 1
    answers = np.asarray(batched(SPACE.is_valid)(archs))
    np.testing.assert_array_equal(answers, valid)
    assert 0.1 < valid.mean() < 0.9


def test_pruning_keeps_useful_parts_and_is_idempotent():
    archs = some_cells()
    pruned = np.asarray(batched(nasbench101_prune)(archs))
    np.testing.assert_array_equal(batched(nasbench101_prune)(pruned), pruned)
    np.testing.assert_array_equal(identities(pruned), identities(archs))
    for function in (SPACE.params, SPACE.flops):
        np.testing.assert_array_equal(batched(function)(pruned), batched(function)(archs))
    jax.tree.map(
        np.testing.assert_array_equal, batched(SPACE.graph)(pruned), batched(SPACE.graph)(archs)
    )

    _, kept = useful_edges()
    np.testing.assert_array_equal(
        pruned[:, :21].sum(1), [kept[:, mask_of(arch)].sum() for arch in archs]
    )
    assert pruned[:, :21].sum(1).max() == 9
    assert archs[:, :21].sum(1).max() > 12
    for arch, result in zip(archs, pruned, strict=True):
        matrix, names = reference_prune(matrices([arch])[0], [None, *arch[21:], None])
        keep = [*range(len(names) - 1), 6]
        expected, ops = np.zeros((7, 7), int), [*names[1:-1], *[0] * (7 - len(names))]
        expected[np.ix_(keep, keep)] = matrix
        np.testing.assert_array_equal(result, vectors(expected[None], np.array([ops]))[0])


def test_graph_shows_the_pruned_cell():
    archs = some_cells()
    graph = simple(jax.tree.map(np.asarray, batched(SPACE.graph)(archs)))
    pruned = np.asarray(batched(nasbench101_prune)(archs))
    np.testing.assert_array_equal(graph.adjacency, matrices(pruned))
    np.testing.assert_array_equal(graph.edge_ops, matrices(pruned))
    np.testing.assert_array_equal(graph.mask.sum(1), num_vertices(pruned))
    np.testing.assert_array_equal(
        graph.node_ops[:, 1:6], np.where(graph.mask[:, 1:6], pruned[:, 21:] + 1, 0)
    )


def test_identity_is_equal_exactly_for_isomorphic_cells():
    """Against all 120 renumberings, over every pair of 12,000 cells close to each other."""
    cells = small_cells()
    moved = batched(nasbench101(mutate="edge").mutate)(keys(1, len(cells)), cells)
    recoloured = cells.copy()
    recoloured[:, 21:] = np.random.default_rng(1).permuted(cells[:, 21:], axis=1)
    archs = np.asarray(batched(nasbench101_prune)(np.concatenate([cells, moved, recoloured])))
    archs = archs[batched(SPACE.is_valid)(archs)]

    _, by_form = np.unique(canonical_forms(archs), return_inverse=True)
    _, by_identity = np.unique(identities(archs), return_inverse=True)
    pairs = np.unique(np.stack([by_form, by_identity]), axis=1).shape[1]
    assert pairs == by_form.max() + 1 == by_identity.max() + 1
    assert pairs < 0.8 * len(archs)  # there are isomorphic cells among them,
    assert len(np.unique(archs, axis=0)) > pairs + 100  # and not only equal vectors


def test_identity_does_not_see_the_order_of_vertices():
    cells = np.asarray(batched(nasbench101_prune)(some_cells()))[:500]
    expected, seen = identities(cells), 0
    adjacency, ops = matrices(cells), cells[:, 21:]
    renumbered, sources = [], []
    for order in itertools.permutations(range(1, 6)):
        full = [0, *order, 6]
        image = adjacency[:, full][:, :, full]
        rows = np.flatnonzero(~np.tril(image).any((1, 2)))  # edges still go up
        renumbered.append(vectors(image[rows], ops[rows][:, np.array(order) - 1]))
        sources.append(rows)
        seen += len(rows)
    np.testing.assert_array_equal(
        identities(np.concatenate(renumbered)), expected[np.concatenate(sources)]
    )
    assert seen > 1000


@pytest.mark.parametrize("dead_end", [True, False])
def test_useless_vertices_change_nothing(dead_end):
    """Vertices that lead nowhere, and those that nothing leads to, among the free last places."""
    rng = np.random.default_rng(2)
    cells = small_cells()[num_vertices(small_cells()) < 7]
    adjacency, ops = matrices(cells), cells[:, 21:].copy()
    used = num_vertices(cells) - 2
    for row, k in enumerate(used):
        free = np.arange(k + 1, 6)
        ops[row, free - 1] = rng.integers(0, 3, len(free))
        sources, targets = (np.arange(k + 1), free) if dead_end else (free, np.array([6]))
        adjacency[row][np.ix_(sources, targets)] = rng.random((len(sources), len(targets))) < 0.7
        adjacency[row][np.ix_(free, free)] = np.triu(rng.random((len(free), len(free))) < 0.5, 1)
    larger = vectors(adjacency, ops)
    assert (larger != cells).any(1).mean() > 0.9
    assert np.asarray(batched(SPACE.is_valid)(larger)).all()
    np.testing.assert_array_equal(identities(larger), identities(cells))
    np.testing.assert_array_equal(batched(nasbench101_prune)(larger), cells)
    np.testing.assert_array_equal(batched(SPACE.params)(larger), batched(SPACE.params)(cells))
    np.testing.assert_array_equal(batched(SPACE.flops)(larger), batched(SPACE.flops)(cells))


# --------------------------------------------------------------------------------------------------
# Costs

INCEPTION_LIKE = (
    [(0, 1), (0, 2), (0, 3), (0, 5), (1, 6), (2, 6), (3, 4), (4, 6), (5, 6)],
    [CONV1X1, CONV3X3, CONV3X3, CONV3X3, MAXPOOL3X3],
)


def from_edges(edges, ops) -> jax.Array:
    matrix = np.zeros((len(ops) + 2, len(ops) + 2), int)
    matrix[tuple(np.array(edges).T)] = 1
    return nasbench101_from_matrix(matrix, ["input", *ops, "output"])


@pytest.mark.parametrize(
    ("edges", "ops", "expected"),
    [
        (*INCEPTION_LIKE, 2_694_282),  # printed in the notebook of the benchmark
        ([(0, 1)], [], 882_570),
        ([(0, 1), (1, 2)], [CONV3X3], 10_177_674),
    ],
)
def test_published_parameter_counts(edges, ops, expected):
    assert batched(SPACE.params)(np.asarray(from_edges(edges, ops))[None])[0] == expected


# Channels in and out, edges, widths: the cases that the benchmark's own tests spell out.
CHANNELS = [
    (8, 8, [(0, 1), (1, 2), (2, 3)], [8, 8, 8, 8]),
    (8, 16, [(0, 1), (1, 2), (2, 3)], [8, 16, 16, 16]),
    (16, 8, [(0, 1), (1, 2), (2, 3)], [16, 8, 8, 8]),
    (1, 5, [(0, 1)], [1, 5]),
    (8, 15, [(0, 1), (0, 2), (1, 3), (2, 3)], [8, 8, 7, 15]),
    (8, 8, [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], [8, 3, 3, 2, 8]),
    (8, 15, [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], [8, 5, 5, 5, 15]),
    (8, 9, [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], [8, 5, 5, 4, 9]),
    (8, 15, [(0, 1), (0, 3), (1, 2), (1, 4), (2, 3), (3, 4)], [8, 8, 7, 7, 15]),
]


@pytest.mark.parametrize(("c_in", "c_out", "edges", "expected"), CHANNELS)
def test_published_vertex_channels(c_in, c_out, edges, expected):
    num = len(expected)
    matrix = [[int((x, y) in edges) for y in range(num)] for x in range(num)]
    assert reference_channels(c_in, c_out, matrix) == expected

    arch = from_edges(edges, [CONV3X3] * (num - 2))
    widths = _nasbench101_costs.vertex_channels(jnp.uint32(mask_of(arch)), c_in, c_out)
    assert [int(w) for w in [*widths[: num - 1], widths[6]]] == expected
    assert [int(w) for w in widths[num - 1 : 6]] == [0] * (7 - num)


def test_costs_equal_the_reference_on_random_cells():
    archs = np.concatenate([some_cells()[:250], small_cells()[:100], CELL_OF_TWO[None]])
    params, flops = (np.asarray(batched(f)(archs)) for f in (SPACE.params, SPACE.flops))
    seen = []
    for arch, count, macs in zip(archs, params, flops, strict=True):
        names = ["input", *(NAMES[op] for op in arch[21:]), "output"]
        expected_params, expected_macs = reference_costs(
            *reference_prune(matrices([arch])[0], names)
        )
        assert int(count) == expected_params
        assert macs == np.float32(expected_macs)
        seen.append(expected_macs)
    assert max(seen) > 2**31  # what 32-bit integers cannot hold was among them


# --------------------------------------------------------------------------------------------------
# Random moves: exact distributions from the table of all 2^21 masks


def assert_frequencies(counts, probabilities) -> None:
    """Chi-square at 1e-4; classes that expect under 20 are merged into the most frequent one."""
    assert all(probabilities.get(c, 0) > 0 for c in counts)
    assert math.isclose(sum(probabilities.values()), 1.0)
    total = sum(counts.values())
    big = sorted((c for c, p in probabilities.items() if p * total >= 20), key=probabilities.get)
    observed = [counts.get(c, 0) for c in big[:-1]]
    expected = [total * probabilities[c] for c in big[:-1]]
    observed, expected = [*observed, total - sum(observed)], [*expected, total - sum(expected)]
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.slow
def test_official_sample_draws_every_valid_mask_alike():
    num = 200_000
    archs = np.asarray(batched(SPACE.sample)(keys(3, num)))
    valid, kept = useful_edges()
    masks = np.flatnonzero(valid)
    for position in range(21):
        rate = (masks >> position & 1).mean()
        assert abs(archs[:, position].mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / num)
    drawn = archs[:, :21] @ (1 << np.arange(21))
    left = kept.sum(0)
    assert_frequencies(Counter(left[drawn].tolist()), shares(left[masks]))
    blocks = np.searchsorted(masks, drawn) * 64 // len(masks)
    assert_frequencies(Counter(blocks.tolist()), shares(np.arange(len(masks)) * 64 // len(masks)))
    for position in range(21, 26):
        assert_frequencies(Counter(archs[:, position].tolist()), dict.fromkeys(range(3), 1 / 3))


def shares(values: np.ndarray) -> dict[int, float]:
    return {
        int(v): float(n) / len(values)
        for v, n in zip(*np.unique(values, return_counts=True), strict=True)
    }


@pytest.mark.slow
def test_uniform_sample_draws_every_cell_alike():
    space, num = nasbench101(sample="uniform"), 200_000
    archs = np.asarray(batched(space.sample)(keys(4, num)))
    assert_frequencies(
        Counter(num_vertices(archs).tolist()),
        {
            n: c / 423_624
            for n, c in zip(range(2, 8), (1, 6, 84, 2_441, 62_010, 359_082), strict=True)
        },
    )
    order = np.argsort(every_identity())
    listed = every_identity()[order]
    found = np.minimum(np.searchsorted(listed, identities(archs)), len(listed) - 1)
    rows = order[found]
    np.testing.assert_array_equal(every_cell()[rows], archs)  # the canonical vectors themselves
    assert_frequencies(
        Counter((rows * 100 // 423_624).tolist()), shares(np.arange(423_624) * 100 // 423_624)
    )


def mutation_law(parent: np.ndarray, rate: float, allow_parent: bool):
    """The published procedure, exactly: P(edges flipped, operations changed), P(flip) by edges."""
    valid, _ = useful_edges()
    flips = np.arange(1 << 21) ^ mask_of(parent)
    num = np.bitwise_count(flips)
    chances = (rate / 7) ** np.arange(22) * (1 - rate / 7) ** (21.0 - np.arange(22))
    weight = np.where(valid, chances[num], 0.0)
    edges = np.bincount(num, weight, minlength=22)
    ops = [math.comb(5, j) * (rate / 5) ** j * (1 - rate / 5) ** (5 - j) for j in range(6)]
    joint = {(k, j): edges[k] * ops[j] for k in range(22) for j in range(6)}
    unchanged = 0.0 if allow_parent else joint.pop((0, 0))
    total = weight.sum() - unchanged
    per_edge = [weight[flips >> i & 1 == 1].sum() / total for i in range(21)]
    return {c: p / total for c, p in joint.items()}, per_edge


PARENTS = {  # made by the test that needs them, for importing this file is to compile nothing
    "chain": lambda: from_edges([(0, 1), (1, 2), (2, 3)], [CONV3X3, MAXPOOL3X3]),
    "nine edges": lambda: from_edges(*INCEPTION_LIKE),
    "two vertices": lambda: CELL_OF_TWO,
    "useless parts": lambda: some_cells()[7],
}


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "allow_parent"), [(1.0, False), (3.0, True)])
@pytest.mark.parametrize("parent", PARENTS)
def test_official_mutation_follows_the_published_law(parent, rate, allow_parent):
    space, num = nasbench101(mutation_rate=rate, allow_parent=allow_parent), 50_000
    parent = np.asarray(PARENTS[parent]())
    children = np.asarray(batched(space.mutate)(keys(5, num), np.broadcast_to(parent, (num, 26))))
    changed = children != parent
    joint, per_edge = mutation_law(parent, rate, allow_parent)
    pairs = zip(changed[:, :21].sum(1).tolist(), changed[:, 21:].sum(1).tolist(), strict=True)
    assert_frequencies(Counter(pairs), joint)
    for position, expected in enumerate(per_edge):
        error = changed[:, position].mean() - expected
        assert abs(error) < 5 * math.sqrt(expected * (1 - expected) / num), position
    for position in range(21, 26):
        shift = (children[:, position] - parent[position]) % 3
        assert_frequencies(Counter(shift[shift > 0].tolist()), {1: 0.5, 2: 0.5})
        expected = sum(j / 5 * p for (_, j), p in joint.items())
        error = changed[:, position].mean() - expected
        assert abs(error) < 5 * math.sqrt(expected * (1 - expected) / num), position


@pytest.mark.slow
@pytest.mark.parametrize("parent", [pytest.param("chain", marks=pytest.mark.slow), "useless parts"])
def test_official_mutation_draws_positions_independently(parent):
    """Seven flips, or five operations, are decoded from one random word: every pattern of them is
    as likely as if each had had its own."""
    space, num, parent = (
        nasbench101(mutation_rate=3.0, allow_parent=True),
        200_000,
        np.asarray(PARENTS[parent]()),
    )
    children = np.asarray(batched(space.mutate)(keys(6, num), np.broadcast_to(parent, (num, 26))))
    flipped = (children != parent)[:, :21] @ (1 << np.arange(21))
    valid, _ = useful_edges()
    flips = np.arange(1 << 21)
    weight = np.where(
        valid[flips ^ mask_of(parent)], (3 / 7 / (1 - 3 / 7)) ** np.bitwise_count(flips), 0.0
    )
    for shift in (0, 7, 14):
        expected = np.bincount(flips >> shift & 127, weight) / weight.sum()
        pattern = Counter((flipped >> shift & 127).tolist())
        assert_frequencies(pattern, {p: e for p, e in enumerate(expected.tolist()) if e})
    shifts = (children[:, 21:] - parent[21:]) % 3
    law = {
        s: math.prod((0.4, 0.3, 0.3)[i] for i in s) for s in itertools.product(range(3), repeat=5)
    }
    assert_frequencies(Counter(map(tuple, shifts.tolist())), law)


def test_edge_mutation_flips_one_edge_of_the_pruned_parent():
    space = nasbench101(mutate="edge")
    parents = np.concatenate([some_cells(), small_cells()])
    children = np.asarray(batched(space.mutate)(keys(7, len(parents)), parents))
    pruned = np.asarray(batched(nasbench101_prune)(parents))
    assert ((children != pruned)[:, :21].sum(1) == 1).all()
    np.testing.assert_array_equal(children[:, 21:], pruned[:, 21:])
    assert np.asarray(batched(SPACE.is_valid)(children)).all()
    assert (identities(children) != identities(parents))[num_vertices(pruned) > 2].all()


def test_edge_mutation_is_uniform_over_the_valid_flips():
    space, num = nasbench101(mutate="edge"), 50_000
    parent = np.asarray(PARENTS["chain"]())
    valid, _ = useful_edges()
    own = {0, 1, 2, 6}
    allowed = [
        i
        for i, edge in enumerate(EDGES)
        if own.issuperset(edge) and valid[mask_of(parent) ^ 1 << i]
    ]
    assert len(allowed) == 3  # the three shortcuts; without any of its edges the chain is broken
    children = np.asarray(batched(space.mutate)(keys(8, num), np.broadcast_to(parent, (num, 26))))
    flipped = np.argmax(children != parent, axis=1)
    assert_frequencies(Counter(flipped.tolist()), dict.fromkeys(allowed, 1 / len(allowed)))


def test_crossover_draws_every_valid_mix_alike():
    first, second = np.asarray(PARENTS["nine edges"]()), some_cells()[7]
    num = 50_000
    children = np.asarray(
        batched(SPACE.crossover)(
            keys(9, num), np.broadcast_to(first, (num, 26)), np.broadcast_to(second, (num, 26))
        )
    )
    valid, _ = useful_edges()
    differing = [i for i in range(21) if first[i] != second[i]]
    mixes = [
        mask_of(first) ^ sum(1 << i for i, take in zip(differing, bits, strict=True) if take)
        for bits in itertools.product((0, 1), repeat=len(differing))
    ]
    possible = [mask for mask in mixes if valid[mask]]
    drawn = children[:, :21] @ (1 << np.arange(21))
    assert_frequencies(Counter(drawn.tolist()), dict.fromkeys(possible, 1 / len(possible)))
    for i in np.flatnonzero(first[21:] != second[21:]) + 21:
        assert abs((children[:, i] == first[i]).mean() - 0.5) < 5 * 0.5 / math.sqrt(num)


# --------------------------------------------------------------------------------------------------
# The cell of two vertices, matrices and strings


def test_the_cell_of_two_vertices():
    arch = CELL_OF_TWO
    assert batched(SPACE.is_valid)(arch[None]).all()
    np.testing.assert_array_equal(batched(nasbench101_prune)(arch[None])[0], arch)
    graph = simple(jax.tree.map(lambda leaf: leaf[0], batched(SPACE.graph)(arch[None])))
    assert graph.mask.tolist() == [True, *[False] * 5, True]
    assert graph.node_ops.tolist() == [0, 0, 0, 0, 0, 0, 4]
    matrix, names = nasbench101_to_matrix(arch)
    assert (matrix.tolist(), names) == ([[0, 1], [0, 0]], ["input", "output"])
    np.testing.assert_array_equal(nasbench101_from_matrix(matrix, names), arch)
    assert SPACE.to_string(arch) == "output:0"
    np.testing.assert_array_equal(SPACE.from_string("output:0"), arch)
    macs = batched(SPACE.flops)(arch[None])[0]
    assert macs == np.float32(reference_costs(matrix, names)[1])


@pytest.mark.parametrize("mutate", ["official", "edge"])
def test_mutants_of_cells_of_two_vertices_are_new_vectors(mutate):
    """Also where the parent, of two vertices, has one loose edge, which pruning would hide."""
    parents = [CELL_OF_TWO]
    for position in range(20):
        parent = CELL_OF_TWO.copy()
        parent[position] = 1
        parents.append(parent)
    parents = np.repeat(parents, 100, axis=0)
    assert len(parents) == 2100
    assert (identities(parents) == identities(CELL_OF_TWO[None])).all()
    children = np.asarray(
        batched(nasbench101(mutate=mutate).mutate)(keys(10, len(parents)), parents)
    )
    assert (children != parents).any(1).all()
    assert np.asarray(batched(SPACE.is_valid)(children)).all()


def test_matrices_round_trip_as_pruned_cells():
    archs = np.concatenate([some_cells()[:60], small_cells()[::100]])
    backs = []
    for arch in archs:
        matrix, names = nasbench101_to_matrix(arch)
        ops = ["input", *(NAMES[op] for op in arch[21:]), "output"]
        expected, expected_names = reference_prune(matrices([arch])[0], ops)
        assert (matrix.tolist(), names) == (expected, expected_names)
        assert matrix.dtype == np.int32
        back = nasbench101_from_matrix(matrix.tolist(), names)
        assert back.dtype == jnp.int32
        backs.append(np.asarray(back))
    np.testing.assert_array_equal(backs, batched(nasbench101_prune)(archs))
    np.testing.assert_array_equal(identities(np.array(backs)), identities(archs))


def test_matrices_keep_useless_vertices_until_pruned():
    matrix = np.zeros((5, 5), int)
    matrix[0, [2, 4]] = matrix[1, 3] = 1
    names = ["input", "conv1x1", "maxpool3x3", "conv3x3", "output"]
    arch = np.asarray(nasbench101_from_matrix(matrix, names))
    assert SPACE.to_string(arch) == "conv1x1:|maxpool3x3:0|conv3x3:1|output:0"
    np.testing.assert_array_equal(batched(nasbench101_prune)(arch[None])[0], CELL_OF_TWO)


CHAIN = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("matrix", "ops", "message"),
    [
        ([[0, 1]], ["input", "output"], r"need a \[V, V\] matrix .*got \(1, 2\) and 2 names"),
        (CHAIN, ["input", "output"], r"got \(3, 3\) and 2 names"),
        (np.zeros((8, 8), int), ["input"] * 8, r"2 <= V <= 7; got \(8, 8\)"),
        ([[0]], ["input"], r"2 <= V <= 7; got \(1, 1\)"),
        (np.transpose(CHAIN), ["input", CONV3X3, "output"], "must be upper triangular"),
        (np.eye(3, dtype=int), ["input", CONV3X3, "output"], "must be upper triangular"),
        (2 * np.array(CHAIN), ["input", CONV3X3, "output"], "entries 0 and 1"),
        (CHAIN, ["output", CONV3X3, "input"], "start with 'input' and end with 'output'"),
        (CHAIN, ["input", "conv3x3-bn-rel", "output"], "Did you mean 'conv3x3-bn-relu'"),
        (
            CHAIN,
            ["input", "zzz", "output"],
            "unknown operation 'zzz'. Valid names: conv3x3, conv1x1, maxpool3x3",
        ),
        (
            [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
            ["input", CONV3X3, "output"],
            "no path from input to output",
        ),
        (
            np.triu(np.ones((5, 5), int), 1),
            ["input", *[CONV3X3] * 3, "output"],
            "more than 9 edges",
        ),
    ],
)
def test_bad_matrices_say_what_is_wrong(matrix, ops, message):
    with pytest.raises(ValueError, match=message):
        nasbench101_from_matrix(matrix, ops)


def test_strings_are_read_as_they_are_written():
    text = "conv3x3:0|maxpool3x3:0,1|output:1,2"
    arch = SPACE.from_string(text)
    matrix, names = nasbench101_to_matrix(arch)
    assert names == ["input", CONV3X3, MAXPOOL3X3, "output"]
    assert matrix.tolist() == [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert SPACE.to_string(arch) == text
    long = text.replace("conv3x3", CONV3X3)
    np.testing.assert_array_equal(SPACE.from_string(long), arch)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv3x3:0", "needs up to 5 vertices, then 'output:…'"),
        ("|".join(["conv3x3:0"] * 6 + ["output:1"]), "up to 5 vertices"),
        ("conv3x4:0|output:1", "unknown operation 'conv3x4'. Did you mean 'conv3x3'"),
        ("maxpol3x3:0|output:1", "Did you mean 'maxpool3x3'"),
        ("conv3x3:1|output:1", "vertex 1 of .* has source '1'; valid: 0 to 0"),
        ("conv3x3:0|output:2", "vertex 2 of .* has source '2'; valid: 0 to 1"),
        ("conv3x3:0|output:-1", "has source '-1'"),
        ("conv3x3:a|output:1", "has source 'a'"),
        ("conv3x3:0|output:", "no path from input to output"),
        ("conv3x3:0|conv3x3:0,1|conv3x3:0,1,2|output:0,1,2,3", "more than 9 edges"),
    ],
)
def test_bad_strings_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": "unifrom"}, "unknown sample 'unifrom'. Did you mean 'uniform'"),
        (
            {"mutate": "edges"},
            "unknown mutate 'edges'. Did you mean 'edge'.* Valid names: official, edge",
        ),
        ({"mutation_rate": 0.0}, r"mutation_rate must be in \(0, 5\]; got 0.0"),
        ({"mutation_rate": 5.1}, "got 5.1"),
    ],
)
def test_bad_options_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        nasbench101(**options)


@pytest.mark.slow
def test_crossover_of_invalid_parents_ends():
    empty = jnp.zeros((3, 26), jnp.int32)  # no path from input to output, in any mix
    children = jax.jit(jax.vmap(SPACE.crossover))(keys(3, 3), empty, empty)
    np.testing.assert_array_equal(children, empty)
