"""Encodings against plain NumPy written from the published (matrix, operations) form of a cell."""

import functools

import chex
import jax
import jax.numpy as jnp
import jraph
import numpy as np
import pytest

import jnas
from tests.oracles.cells import channels_of_vertices, relabelled
from tests.oracles.graphs import simple

NB101, NB201, SIZE = jnas.spaces.nasbench101(), jnas.spaces.nasbench201(), jnas.spaces.nats_size()
SPACES = [NB101, NB201, SIZE]
ENCODINGS = [
    jnas.encodings.adjacency,
    jnas.encodings.tokens,
    jnas.encodings.layers,
    jnas.encodings.graphs,
]
ONE_BIT = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")


NUM = 2000  # One length of population, so that each encoding of a space is compiled once.
NO_PATH = [
    [0] * 6,
    [3, 0, 0, 0, 0, 0],
    [0, 0, 4, 0, 2, 3],
    [1, 2, 3, 0, 0, 0],
    [3, 3, 0, 0, 0, 0],
    [0, 3, 0, 0, 2, 0],
]
EXTREMES = "output:0", "conv3x3:0|output:0,1", "conv3x3:0|conv1x1:0|maxpool3x3:0|output:1,2,3"


@functools.cache
def population(space) -> np.ndarray:
    """`[2000, D]` architectures, the extreme ones and random ones."""
    archs = np.array(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), NUM)))
    if space is NB101:
        archs[:4] = [[0] * 15 + [1] + [0] * 10, *(NB101.from_string(text) for text in EXTREMES)]
    if space is NB201:
        archs[:7] = [*NO_PATH, [4, 3, 2, 1, 3, 2]]  # every kind without a path, and all edges
    return archs


@functools.cache
def compiled(encoding, space, **options):
    return jax.jit(encoding(space, **options))


@functools.cache
def encoded(encoding, space, num: int = NUM, **options):
    """What an encoding makes of the first of the population."""
    found = compiled(encoding, space, **options)(population(space))
    return jax.tree.map(lambda values: np.asarray(values)[:num], found)


@functools.cache
def graphs_of(space) -> jnas.types.Graph:
    """The graphs of the population, each array with a leading axis of 2000."""
    return simple(jax.tree.map(np.asarray, jax.jit(jax.vmap(space.graph))(population(space))))


def padded(arch: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
    """7x7 matrix and names of the pruned cell, None for padding just before the output."""
    matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
    num = len(names)
    full = np.zeros((7, 7), int)
    index = [*range(num - 1), 6]
    full[np.ix_(index, index)] = matrix
    return full, [*names[:-1], *[None] * (7 - num), "output"]


PAIRS = [(i, j) for i in range(7) for j in range(i + 1, 7)]


def test_adjacency_of_operations_on_nodes() -> None:
    rows = encoded(jnas.encodings.adjacency, NB101, 60)
    for arch, row in zip(population(NB101)[:60], rows, strict=True):
        matrix, names = padded(arch)
        bits = [matrix[pair] for pair in PAIRS]
        nodes = [float(name == op) for name in names[1:-1] for op in ONE_BIT]
        np.testing.assert_array_equal(row, np.array(bits + nodes, np.float32))


def test_tokens_of_operations_on_nodes() -> None:
    rows = encoded(jnas.encodings.tokens, NB101, 60)
    for arch, row in zip(population(NB101)[:60], rows, strict=True):
        matrix, names = padded(arch)
        operations = [ONE_BIT.index(name) if name else 3 for name in names[1:-1]]
        np.testing.assert_array_equal(row, [*(matrix[pair] for pair in PAIRS), *operations])
    assert jnas.encodings.vocabulary(NB101) == (2,) * 21 + (4,) * 5


def test_operations_on_edges() -> None:
    archs = population(NB201)
    order = [
        0,
        1,
        3,
        2,
        4,
        5,
    ]  # pairs row by row: 01 02 03 12 13 23; the vector has 01 02 12 03 13 23
    np.testing.assert_array_equal(encoded(jnas.encodings.tokens, NB201), archs[:, order])
    one_hot = np.eye(5, dtype=np.float32)[archs[:, order]][:, :, 1:].reshape(len(archs), 24)
    np.testing.assert_array_equal(encoded(jnas.encodings.adjacency, NB201), one_hot)
    assert jnas.encodings.vocabulary(NB201) == (5,) * 6


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_tokens_stay_in_their_vocabulary_and_tell_cells_apart(space) -> None:
    tokens = encoded(jnas.encodings.tokens, space)
    assert tokens.min() >= 0
    assert (tokens < np.array(jnas.encodings.vocabulary(space))).all()
    codes = np.asarray(jax.jit(jax.vmap(space.code))(population(space)))
    assert len(np.unique(tokens, axis=0)) >= len(np.unique(codes, axis=0))
    flat = encoded(jnas.encodings.adjacency, space)
    assert len(np.unique(flat, axis=0)) == len(np.unique(tokens, axis=0))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_graphs_hold_every_cell(space) -> None:
    batch = encoded(jnas.encodings.graphs, space, NUM * 21)
    cells = graphs_of(space)
    num = cells.mask.shape[1]
    assert batch.n_node.tolist() == [num] * NUM
    assert batch.n_edge.tolist() == [num * (num - 1) // 2] * NUM
    assert int(batch.n_node.sum()) == batch.nodes["op"].shape[0]
    assert int(batch.n_edge.sum()) == batch.senders.shape[0]
    for g in range(30):
        graph = jax.tree.map(lambda values, g=g: values[g], cells)
        rebuilt = np.zeros((num, num), bool), np.zeros((num, num), int)
        edges = slice(g * num * (num - 1) // 2, (g + 1) * num * (num - 1) // 2)
        senders, receivers = (
            np.asarray(batch.senders[edges]) - g * num,
            np.asarray(batch.receivers[edges]) - g * num,
        )
        assert (senders < receivers).all()
        rebuilt[0][senders, receivers] = batch.edges["mask"][edges]
        rebuilt[1][senders, receivers] = batch.edges["op"][edges]
        np.testing.assert_array_equal(rebuilt[0], graph.adjacency)
        np.testing.assert_array_equal(rebuilt[1], np.triu(graph.edge_ops, 1))
        np.testing.assert_array_equal(batch.nodes["op"][g * num : (g + 1) * num], graph.node_ops)
        np.testing.assert_array_equal(batch.nodes["mask"][g * num : (g + 1) * num], graph.mask)


def test_graphs_go_through_jraph() -> None:
    """In-degrees, by jraph's own message passing over the masked edges."""
    batch = encoded(jnas.encodings.graphs, NB101, NUM * 21)
    degree = jraph.segment_sum(
        batch.edges["mask"].astype(np.int32), batch.receivers, batch.nodes["op"].shape[0]
    )
    np.testing.assert_array_equal(degree, graphs_of(NB101).adjacency.sum(1).ravel())


NODE_OPS = ["input", *ONE_BIT, "output"]
KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1, "maxpool3x3": 3}


def test_layers_of_operations_on_nodes() -> None:
    found = encoded(jnas.encodings.layers, NB101, 60)
    assert found.shape == (60, 7, 4)
    for arch, rows in zip(population(NB101)[:60], found, strict=True):
        matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
        channels = channels_of_vertices(matrix, 840, 840)
        expected = [
            (
                1 + NODE_OPS.index(name),
                KERNELS.get(name, 0),
                KERNELS.get(name, 0),
                int(np.ceil(8 * width / 840)),
            )
            for name, width in zip(names, channels, strict=True)
        ]
        np.testing.assert_array_equal(rows, expected + [(0, 0, 0, 0)] * (7 - len(names)))


def test_layers_of_operations_on_edges_and_of_widths() -> None:
    arch = NB201.from_string(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )
    expected = [(4, 3, 3, 8), (1, 0, 0, 8), (5, 3, 3, 8), (2, 0, 0, 8), (3, 1, 1, 8), (4, 3, 3, 8)]
    layers = compiled(jnas.encodings.layers, NB201)
    np.testing.assert_array_equal(layers(np.resize(arch, (NUM, 6)))[0], expected)
    layers = compiled(jnas.encodings.layers, SIZE, num_ratios=3)
    chain = layers(SIZE.from_string("8:16:24:32:64")[None])[0]
    np.testing.assert_array_equal(chain, [(t, 0, 0, 3) for t in (1, 2, 3, 4, 5, 9, 10)])
    with pytest.raises(ValueError, match="at least 1; got 0"):
        jnas.encodings.layers(NB201, num_ratios=0)


CELLS = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
TYPES = {"input": 1, "conv1x1-bn-relu": 2, "conv3x3-bn-relu": 3, "maxpool3x3": 4, "output": 5}


def reference_tensor(arch: np.ndarray, image_size: int) -> np.ndarray:
    """The 19 x 7 x 7 tensor, entry by entry."""
    matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
    num = len(names)
    depth = [0] * num
    for v in range(1, num):
        depth[v] = 1 + max(depth[u] for u in range(v) if matrix[u, v])
    order = [0, *sorted(range(1, num - 1), key=lambda v: depth[v]), num - 1]
    place = {v: p if v != num - 1 else 6 for p, v in enumerate(order)}
    tensor = np.zeros((19, 7, 7))
    for cell, (c_in, c_out) in enumerate(CELLS):
        channels = channels_of_vertices(matrix, c_in, c_out)
        side = image_size // (1, 1, 1, 2, 2, 2, 4, 4, 4)[cell]
        for u, v in zip(*np.nonzero(matrix), strict=True):
            taps = {"conv3x3-bn-relu": 9, "conv1x1-bn-relu": 1}.get(names[v], 0)
            value = taps * channels[v] ** 2 + (c_in * channels[v] if u == 0 else 0)
            tensor[1 + 2 * cell, place[u], place[v]] = value * side**2
            tensor[2 + 2 * cell, place[u], place[v]] = value
            tensor[0, place[u], place[v]] = TYPES[names[v]]
    return tensor


def assert_renas_tensors(image_size: int) -> None:
    rows = [*range(60), *range(60, NUM, 30)]
    found = encoded(jnas.encodings.renas, NB101, image_size=image_size)
    assert found.shape == (NUM, 19, 7, 7)
    for arch, tensor in zip(population(NB101)[rows], found[rows], strict=True):
        np.testing.assert_array_equal(tensor, reference_tensor(arch, image_size).astype(np.float32))


def test_renas_tensor() -> None:
    assert_renas_tensors(28)
    found = encoded(jnas.encodings.renas, NB101, image_size=28)
    types = encoded(jnas.encodings.renas, NB101, type_only=True)
    np.testing.assert_array_equal(types[:, 0], found[:, 0])


@pytest.mark.slow
def test_renas_tensor_of_another_size_of_image() -> None:
    assert_renas_tensors(32)


@pytest.mark.parametrize(
    ("encoding", "space"),
    [
        *((encoding, NB201) for encoding in (*ENCODINGS, jnas.encodings.renas)),
        (jnas.encodings.node_graphs, NB201),
        pytest.param(jnas.encodings.statistics, NB201, marks=pytest.mark.slow),
        *(
            pytest.param(encoding, space, marks=pytest.mark.slow)
            for space in (NB101, SIZE)
            for encoding in (*ENCODINGS, jnas.encodings.statistics)
        ),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", value)),
)
def test_jit_equals_eager_and_one_trace(encoding, space) -> None:
    """Eagerly each operation is a program of its own: dear where an encoding has many."""
    chex.clear_trace_counter()
    encode = encoding(space)
    first, second = population(space)[7:9], population(space)[9:11]

    @jax.jit
    @chex.assert_max_traces(n=1)
    def program(archs: jax.Array) -> object:
        return encode(archs)

    chex.assert_trees_all_close(program(first), encode(jnp.asarray(first)), rtol=1e-6)
    program(second)


@pytest.mark.parametrize(
    "encoding", [*ENCODINGS[:3], jnas.encodings.renas], ids=lambda encoding: encoding.__name__
)
def test_useless_vertices_change_nothing(encoding) -> None:
    texts = (
        "conv3x3:0|maxpool3x3:1|output:0,2",
        "conv3x3:0|conv1x1:0|maxpool3x3:1|conv3x3:2|output:0,3",
    )
    options = {"image_size": 28} if encoding is jnas.encodings.renas else {}
    archs = np.resize([NB101.from_string(text) for text in texts], (NUM, 26))
    plain, cluttered = np.asarray(compiled(encoding, NB101, **options)(archs))[:2]
    np.testing.assert_array_equal(plain, cluttered)


def test_renas_errors() -> None:
    with pytest.raises(ValueError, match="multiple of 4; got 30"):
        jnas.encodings.renas(NB101, image_size=30)


def test_renas_of_operations_on_edges() -> None:
    archs = population(NB201)[:60]
    found = encoded(jnas.encodings.renas, NB201, 60)
    assert (found.shape, found.dtype) == ((60, 7, 4, 4), np.float32)
    taps = {"nor_conv_3x3": 9, "nor_conv_1x1": 1}
    for arch, tensor in zip(archs, found, strict=True):
        expected = np.zeros((7, 4, 4))
        for op, (i, j) in zip(arch, EDGES_201, strict=True):
            expected[0, i, j] = op
            for stage, (channels, pixels) in enumerate([(16, 32 * 32), (32, 16 * 16), (64, 8 * 8)]):
                weights = taps.get(NB201.edge_operations[op], 0) * channels**2
                expected[1 + 2 * stage, i, j] = weights * pixels
                expected[2 + 2 * stage, i, j] = weights
        np.testing.assert_array_equal(tensor, expected)
    types = encoded(jnas.encodings.renas, NB201, 60, type_only=True)
    assert types.shape == (60, 1, 4, 4)
    np.testing.assert_array_equal(types[:, 0], found[:, 0])


# Cells as graphs with operations on nodes, and what is counted in them

EDGES_201 = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the vector


def line_graph(arch: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Line graph of a nasbench201 cell: adjacency, operations (input 0, "none" 1, …, output 6)."""
    adjacency = np.zeros((8, 8), bool)
    for one, (start, end) in enumerate(EDGES_201):
        if arch[one] == 0:
            continue
        adjacency[0, 1 + one] = start == 0
        adjacency[1 + one, 7] = end == 3
        for two, (other_start, _) in enumerate(EDGES_201):
            adjacency[1 + one, 1 + two] = end == other_start and arch[two] != 0
    return adjacency, [0, *(1 + op for op in arch.tolist()), 6]


def node_graph_101(arch: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Adjacency and operations of the pruned cell, without padding."""
    matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
    return matrix.astype(bool), [NODE_OPS.index(name) for name in names]


def all_paths(adjacency: np.ndarray) -> list[tuple[int, ...]]:
    """Every path from the first to the last node."""
    last, paths, growing = len(adjacency) - 1, [], [(0,)]
    while growing:
        path = growing.pop()
        if path[-1] == last:
            paths.append(path)
        growing += [(*path, int(node)) for node in np.flatnonzero(adjacency[path[-1]])]
    return paths


def reference_statistics(space, row: int) -> np.ndarray:
    arch, on_edges = population(space)[row], space is NB201
    adjacency, ops = line_graph(arch) if on_edges else node_graph_101(arch)
    num_ops, num = (5 if on_edges else 3), len(ops)
    channels = (
        [1.0] * num if on_edges else np.array(channels_of_vertices(adjacency, 840, 840)) / 840
    )
    number, weighted, to_output, from_input = np.zeros((4, num_ops))
    pairs = np.zeros((num_ops + 1, num_ops + 1))
    for node in range(1, num - 1):
        number[ops[node] - 1] += 1
        weighted[ops[node] - 1] += channels[node]
        to_output[ops[node] - 1] += adjacency[node, -1]
        from_input[ops[node] - 1] += adjacency[0, node]
    edges = list(zip(*np.nonzero(adjacency), strict=True))
    for i, j in edges:
        pairs[ops[i], ops[j] - 1] += 1
    paths = all_paths(adjacency)
    counts = np.array(
        [[sum(ops[node] == 1 + op for node in path) for op in range(num_ops)] for path in paths]
    )
    lengths = [len(path) - 1 for path in paths]
    along = [np.zeros(3 + 3 * num_ops)]
    if paths:
        along = [
            [np.log(1 + len(paths)), max(lengths), min(lengths)],
            counts.mean(0),
            counts.max(0),
            counts.min(0),
        ]
    size = [len(edges), num, adjacency[0, -1], adjacency[:, -1].sum(), adjacency[0].sum()]
    costs = log_costs(space)[row]
    return np.concatenate(
        [size, number, weighted, to_output, from_input, *along, pairs.ravel(), costs]
    )


@functools.cache
def log_costs(space) -> np.ndarray:
    """`[2000, 2]` logarithms of parameters and FLOPs."""

    @jax.jit
    @jax.vmap
    def costs(arch):
        return jnp.stack([space.params(arch).astype(float), space.flops(arch).astype(float)])

    return np.log1p(np.asarray(costs(population(space)), np.float64))


def test_node_graphs_of_operations_on_nodes_are_the_cells() -> None:
    found = simple(encoded(jnas.encodings.node_graphs, NB101))
    chex.assert_trees_all_equal(found, graphs_of(NB101))


def test_node_graphs_of_operations_on_edges_are_line_graphs() -> None:
    archs = population(NB201)[:60]
    batch = simple(encoded(jnas.encodings.node_graphs, NB201, 60))
    assert (batch.node_ops.dtype, batch.edge_ops.dtype) == (np.int32, np.int32)
    assert batch.mask.shape == (len(archs), 8)
    assert batch.mask.all()
    for row, arch in enumerate(archs):
        adjacency, ops = line_graph(arch)
        np.testing.assert_array_equal(batch.adjacency[row], adjacency)
        np.testing.assert_array_equal(batch.edge_ops[row], adjacency)
        np.testing.assert_array_equal(batch.node_ops[row], ops)


@pytest.mark.parametrize(
    ("space", "num_features"),
    [pytest.param(NB101, 47, marks=pytest.mark.slow), (NB201, 81)],
    ids=["nasbench101", "nasbench201"],
)
def test_statistics_by_enumeration_of_paths(space, num_features) -> None:
    found = encoded(jnas.encodings.statistics, space, 60)
    assert (found.shape, found.dtype) == ((60, num_features), np.float32)
    expected = np.stack([reference_statistics(space, row) for row in range(60)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_statistics_of_cells_without_a_path_are_finite() -> None:
    found = encoded(jnas.encodings.statistics, NB201, len(NO_PATH))
    assert np.isfinite(found).all()
    assert not any(all_paths(line_graph(np.array(arch))[0]) for arch in NO_PATH)
    np.testing.assert_array_equal(found[:, 25:43], 0)  # 3 + 3 · 5 numbers of paths
    np.testing.assert_array_equal(found[0, :5], [0, 8, 0, 0, 0])


@pytest.mark.slow
def test_statistics_of_isomorphic_cells() -> None:
    """They are equal but for costs: the first vertices that share a width get the remainder."""
    rng = np.random.default_rng(7)
    both = ((arch, relabelled(arch, rng)) for arch in population(NB101)[4:124])
    pairs = [(arch, other) for arch, other in both if other is not None]
    assert len(pairs) >= 20
    encode = compiled(jnas.encodings.statistics, NB101)
    one, two = (
        np.asarray(encode(np.resize(archs, (NUM, 26))))[: len(pairs)]
        for archs in zip(*pairs, strict=True)
    )
    np.testing.assert_allclose(one[:, :-2], two[:, :-2], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one[:, -2:], two[:, -2:], atol=0.05)
    divides = [
        128 % max(matrix[1:-1, -1].sum(), 1) == 0
        for matrix, _ in (node_graph_101(arch) for arch, _ in pairs)
    ]
    assert sum(divides) >= 10
    np.testing.assert_allclose(one[divides], two[divides], rtol=1e-6, atol=1e-6)


def test_statistics_of_chains() -> None:
    found = encoded(jnas.encodings.statistics, SIZE, 3)
    num_ops = len(SIZE.node_operations) - 2
    assert found.shape == (3, 10 + 7 * num_ops + (num_ops + 1) ** 2)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, :5], [[6, 7, 0, 1, 1]] * 3)
    lengths = found[:, 5 + 4 * num_ops :][:, :3]
    np.testing.assert_allclose(lengths, [[np.log(2), 6, 6]] * 3, rtol=1e-6)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_widths(space) -> None:
    archs = population(space)[:60]

    @jax.jit
    def widths(archs):
        graphs = jnas.encodings.node_graphs(space)(archs)
        return jax.vmap(lambda arch, graph: jnas.encodings.widths(space, arch, graph))(
            archs, graphs
        ), simple(graphs).mask

    shares, mask = map(np.asarray, widths(archs))
    assert (shares.dtype, shares.shape[1]) == (np.float32, 1)
    shares = shares[:, 0]
    if space is not NB101:
        np.testing.assert_array_equal(shares, np.ones(mask.shape))
        return
    for arch, row, exists in zip(archs, shares, mask, strict=True):
        expected = (
            np.array(channels_of_vertices(node_graph_101(np.asarray(arch))[0], 840, 840)) / 840
        )
        np.testing.assert_allclose(row[exists], expected, rtol=1e-6)
        np.testing.assert_array_equal(row[~exists], 0)
