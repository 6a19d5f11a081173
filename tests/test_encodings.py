"""Encodings against plain NumPy written from the published (matrix, operations) form of a cell."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas

NB101, NB201, SIZE = jnas.spaces.nasbench101(), jnas.spaces.nasbench201(), jnas.spaces.nats_size()
SPACES = [NB101, NB201, SIZE]
ENCODINGS = [jnas.encodings.adjacency, jnas.encodings.tokens, jnas.encodings.layers, jnas.encodings.graphs]
ONE_BIT = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")


def sampled(space, num: int, seed: int = 0) -> jax.Array:
    """`[num, D]` random architectures."""
    return jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(seed), num))


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
    archs = sampled(NB101, 60)
    encoded = np.asarray(jnas.encodings.adjacency(NB101)(archs))
    for arch, row in zip(np.asarray(archs), encoded, strict=True):
        matrix, names = padded(arch)
        bits = [matrix[pair] for pair in PAIRS]
        nodes = [float(name == op) for name in names[1:-1] for op in ONE_BIT]
        np.testing.assert_array_equal(row, np.array(bits + nodes, np.float32))


def test_tokens_of_operations_on_nodes() -> None:
    archs = sampled(NB101, 60)
    encoded = np.asarray(jnas.encodings.tokens(NB101)(archs))
    for arch, row in zip(np.asarray(archs), encoded, strict=True):
        matrix, names = padded(arch)
        operations = [ONE_BIT.index(name) if name else 3 for name in names[1:-1]]
        np.testing.assert_array_equal(row, [*(matrix[pair] for pair in PAIRS), *operations])
    assert jnas.encodings.vocabulary(NB101) == (2,) * 21 + (4,) * 5


def test_operations_on_edges() -> None:
    archs = NB201.enumerate()[::97]
    order = [0, 1, 3, 2, 4, 5]  # pairs row by row: 01 02 03 12 13 23; the vector has 01 02 12 03 13 23
    np.testing.assert_array_equal(jnas.encodings.tokens(NB201)(archs), archs[:, order])
    one_hot = np.eye(5, dtype=np.float32)[archs[:, order]][:, :, 1:].reshape(len(archs), 24)
    np.testing.assert_array_equal(jnas.encodings.adjacency(NB201)(archs), one_hot)
    assert jnas.encodings.vocabulary(NB201) == (5,) * 6


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_tokens_stay_in_their_vocabulary_and_tell_cells_apart(space) -> None:
    archs = sampled(space, 2000, 1)
    tokens = np.asarray(jax.jit(jnas.encodings.tokens(space))(archs))
    assert tokens.min() >= 0
    assert (tokens < np.array(jnas.encodings.vocabulary(space))).all()
    codes = np.asarray(jax.jit(jax.vmap(space.code))(archs))
    assert len(np.unique(tokens, axis=0)) >= len(np.unique(codes, axis=0))
    flat = np.asarray(jax.jit(jnas.encodings.adjacency(space))(archs))
    assert len(np.unique(flat, axis=0)) == len(np.unique(tokens, axis=0))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_graphs_hold_every_cell(space) -> None:
    archs = sampled(space, 5, 2)
    batch = jnas.encodings.graphs(space)(archs)
    single = [space.graph(arch) for arch in archs]
    num = single[0].mask.shape[0]
    assert batch.n_node.tolist() == [num] * 5
    assert batch.n_edge.tolist() == [num * (num - 1) // 2] * 5
    assert int(batch.n_node.sum()) == batch.nodes["op"].shape[0]
    assert int(batch.n_edge.sum()) == batch.senders.shape[0]
    for g, graph in enumerate(single):
        rebuilt = np.zeros((num, num), bool), np.zeros((num, num), int)
        edges = slice(g * num * (num - 1) // 2, (g + 1) * num * (num - 1) // 2)
        senders, receivers = np.asarray(batch.senders[edges]) - g * num, np.asarray(batch.receivers[edges]) - g * num
        assert (senders < receivers).all()
        rebuilt[0][senders, receivers] = batch.edges["mask"][edges]
        rebuilt[1][senders, receivers] = batch.edges["op"][edges]
        np.testing.assert_array_equal(rebuilt[0], graph.adjacency)
        np.testing.assert_array_equal(rebuilt[1], np.triu(graph.edge_ops, 1))
        np.testing.assert_array_equal(batch.nodes["op"][g * num : (g + 1) * num], graph.node_ops)
        np.testing.assert_array_equal(batch.nodes["mask"][g * num : (g + 1) * num], graph.mask)


def test_graphs_go_through_jraph(key) -> None:
    """In-degrees, by jraph's own message passing over the masked edges."""
    import jraph

    archs = sampled(NB101, 4, 3)
    batch = jnas.encodings.graphs(NB101)(archs)
    degree = jraph.segment_sum(batch.edges["mask"].astype(jnp.int32), batch.receivers, batch.nodes["op"].shape[0])
    expected = [NB101.graph(arch).adjacency.sum(0) for arch in archs]
    np.testing.assert_array_equal(degree, np.concatenate(expected))


def reference_channels(matrix: np.ndarray, c_in: int, c_out: int) -> list[int]:
    """The published vertex-channel rule on an unpadded matrix."""
    num = len(matrix)
    if num == 2:
        return [c_in, c_out]
    feeding = [v for v in range(1, num - 1) if matrix[v, -1]]
    channels = [0] * num
    channels[0], channels[-1] = c_in, c_out
    for place, v in enumerate(feeding):
        channels[v] = c_out // len(feeding) + (place < c_out % len(feeding))
    for v in range(num - 3, 0, -1):
        if not matrix[v, -1]:
            channels[v] = max(channels[w] for w in range(v + 1, num - 1) if matrix[v, w])
    return channels


NODE_OPS = ["input", *ONE_BIT, "output"]
KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1, "maxpool3x3": 3}


def test_layers_of_operations_on_nodes() -> None:
    archs = jnp.concatenate([jnp.asarray([[0] * 15 + [1] + [0] * 10], jnp.int32), sampled(NB101, 60, 8)])
    encoded = np.asarray(jnas.encodings.layers(NB101)(archs))
    assert encoded.shape == (61, 7, 4)
    for arch, rows in zip(np.asarray(archs), encoded, strict=True):
        matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
        channels = reference_channels(matrix, 840, 840)
        expected = [
            (1 + NODE_OPS.index(name), KERNELS.get(name, 0), KERNELS.get(name, 0), int(np.ceil(8 * width / 840)))
            for name, width in zip(names, channels, strict=True)
        ]
        np.testing.assert_array_equal(rows, expected + [(0, 0, 0, 0)] * (7 - len(names)))


def test_layers_of_operations_on_edges_and_of_widths() -> None:
    arch = NB201.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|")
    expected = [(4, 3, 3, 8), (1, 0, 0, 8), (5, 3, 3, 8), (2, 0, 0, 8), (3, 1, 1, 8), (4, 3, 3, 8)]
    np.testing.assert_array_equal(jnas.encodings.layers(NB201)(arch[None])[0], expected)
    chain = jnas.encodings.layers(SIZE, num_ratios=3)(SIZE.from_string("8:16:24:32:64")[None])[0]
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
        channels = reference_channels(matrix, c_in, c_out)
        side = image_size // (1, 1, 1, 2, 2, 2, 4, 4, 4)[cell]
        for u, v in zip(*np.nonzero(matrix), strict=True):
            taps = {"conv3x3-bn-relu": 9, "conv1x1-bn-relu": 1}.get(names[v], 0)
            value = taps * channels[v] ** 2 + (c_in * channels[v] if u == 0 else 0)
            tensor[1 + 2 * cell, place[u], place[v]] = value * side**2
            tensor[2 + 2 * cell, place[u], place[v]] = value
            tensor[0, place[u], place[v]] = TYPES[names[v]]
    return tensor


@pytest.mark.parametrize("image_size", [28, 32])
def test_renas_tensor(image_size) -> None:
    cells = [jnas.spaces.nasbench101().from_string(text) for text in ("output:0", "conv3x3:0|output:0,1")]
    archs = jnp.concatenate([jnp.stack(cells), sampled(NB101, 60, 4), jnp.asarray(NB101.enumerate()[::7001])])
    encoded = np.asarray(jax.jit(jnas.encodings.renas(NB101, image_size=image_size))(archs))
    assert encoded.shape == (len(archs), 19, 7, 7)
    for arch, tensor in zip(np.asarray(archs), encoded, strict=True):
        np.testing.assert_array_equal(tensor, reference_tensor(arch, image_size).astype(np.float32))
    types = jax.jit(jnas.encodings.renas(NB101, type_only=True))(archs)
    np.testing.assert_array_equal(types[:, 0], encoded[:, 0])


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.__name__)
def test_jit_equals_eager_and_one_trace(space, encoding) -> None:
    chex.clear_trace_counter()
    encode = encoding(space)
    archs = sampled(space, 3, 6)

    @jax.jit
    @chex.assert_max_traces(n=1)
    def compiled(archs: jax.Array) -> object:
        return encode(archs)

    chex.assert_trees_all_equal(compiled(archs), encode(archs))
    compiled(sampled(space, 3, 7))


@pytest.mark.parametrize("encoding", [*ENCODINGS[:3], jnas.encodings.renas], ids=lambda encoding: encoding.__name__)
def test_useless_vertices_change_nothing(encoding) -> None:
    plain = NB101.from_string("conv3x3:0|maxpool3x3:1|output:0,2")
    cluttered = NB101.from_string("conv3x3:0|conv1x1:0|maxpool3x3:1|conv3x3:2|output:0,3")
    encode = encoding(NB101)
    np.testing.assert_array_equal(encode(plain[None]), encode(cluttered[None]))


def test_renas_errors() -> None:
    with pytest.raises(ValueError, match="defined for nasbench101; got nasbench201"):
        jnas.encodings.renas(NB201)
    with pytest.raises(ValueError, match="multiple of 4; got 30"):
        jnas.encodings.renas(NB101, image_size=30)
