"""Predictors and encodings of two kinds of cell whose nodes have two slots, read off genotypes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.predictors import message_passing
from jnas.predictors.biflow import BiFlow, _features
from jnas.predictors.cells import graphs
from jnas.predictors.gates import GatesOnEdges
from jnas.predictors.gcn import Gcn
from tests.oracles.darts import Cell, cells_of, relabellings, text_of
from tests.predictors.helpers import SLOW, P, assert_equal, drawn, keys, make

NB301 = jnas.spaces.nasbench301()
ENAS = jnas.spaces.enas(nodes=4)  # whose nodes may read one input twice, and have loose ends
PNAS = jnas.spaces.pnas()
SMALL = {"layers": (7, 5), "op_size": 5, "hidden_size": 6}
SPACES = pytest.mark.parametrize("space", [NB301, ENAS], ids=lambda space: space.name)


@functools.cache
def population(space, num: int = 6) -> np.ndarray:
    archs = np.array(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), num)))
    if space is ENAS:
        archs[0, :8] = [0, 2, 0, 2, 2, 1, 2, 3]  # one input twice: by one operation, and by two
    return archs


def cells_in(space, arch) -> tuple[Cell, Cell]:
    return cells_of(space.to_string(arch))


def everywhere(module, batch, seed: int = 0):
    """Variables without zeros, and what the compiled module makes of the batch with them."""
    where = np.ones(len(jax.tree.leaves(batch)[0]), bool)
    shapes = jax.eval_shape(module.init, jax.random.key(0), batch, where)
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(lambda it: rng.normal(0, 0.5, it.shape).astype(it.dtype), shapes)
    return variables, np.asarray(jax.jit(module.apply)(variables, batch, where))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# -- GATES -----------------------------------------------------------------------------------------


def encoder_of(space) -> GatesOnEdges:
    """The encoder that `predictors.gates` makes, in small."""
    module = P.gates(space).predict.args[0].module.encoder
    return module.clone(layers=(7, 6, 5), node_size=4, hidden_size=6, op_size=5)


def gates_by_slots(params, names: tuple[str, ...], cells: tuple[Cell, Cell]) -> np.ndarray:
    """Embedding of a pair of cells, as the authors' code has it: a mean over the two slots."""
    embeddings = []
    for kind, cell in enumerate(cells):
        nodes = [*params["input_nodes"][kind], *[params["other_nodes"][kind][0]] * len(cell)]
        dense = params["node_to_hidden"]
        x = [node @ dense["kernel"] + dense["bias"] for node in nodes]
        for layer in range(3):
            gate, sent = params[f"gate_{layer}"], [row @ params[f"kernel_{layer}"] for row in x]
            x = sent[:2]  # only inputs keep what they know
            for slots in cell:
                total = np.zeros_like(sent[0])
                for name, source in slots:
                    attention = params["operations"][names.index(name)] @ gate["kernel"]
                    total = total + sigmoid(attention + gate["bias"]) * sent[source]
                x = [*x, total / 2]
            x = [np.maximum(row, 0) if layer < 2 else row for row in x]
        embeddings.append(sum(x[2:]) / len(cell))
    return np.concatenate(embeddings)


@pytest.mark.slow
@SPACES
def test_gates_by_slots(space) -> None:
    batch = jax.jit(graphs(space))(population(space))
    variables, found = everywhere(encoder_of(space), batch)
    assert found.shape == (6, 2 * 5)
    expected = [
        gates_by_slots(variables["params"], space.edge_operations, cells_in(space, arch))
        for arch in population(space)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gates_by_slots_of_operation_none() -> None:
    """It carries nothing, however its embedding is."""
    space = jnas.spaces.darts()
    arch = np.array(population(space)[0])
    arch[3:7] = 0
    batch = jax.jit(graphs(space))(arch[None])
    variables, found = everywhere(encoder_of(space), batch)
    cells = cells_in(space, arch)
    assert [op for node in cells[0] for op, _ in node].count("none") >= 4
    kept = tuple([[slot for slot in node if slot[0] != "none"] for node in cell] for cell in cells)
    expected = gates_by_slots(variables["params"], space.edge_operations, kept)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_gates_by_segments_alone_or_side_by_side_and_backwards() -> None:
    """One embedding and one gradient, whatever jraph's message passing and JAX make of it."""
    batch = jax.jit(graphs(ENAS))(population(ENAS))
    module = encoder_of(ENAS)
    variables, found = everywhere(module, batch)
    cotangent = np.random.default_rng(1).normal(size=found.shape).astype(np.float32)

    def embed(module, variables, batch):
        return module.apply(variables, batch, jnp.ones(batch.mask.shape[0], bool))

    def loss(module, variables):
        return jnp.sum(embed(module, variables, batch) * cotangent)

    def loss_of_each(variables):
        rows = jax.tree.map(lambda leaf: leaf[:, None], batch)
        each = jax.vmap(lambda row: embed(module, variables, row)[0])(rows)
        return jnp.sum(each * cotangent)

    slopes = jax.jit(jax.grad(functools.partial(loss, module)))(variables)
    segments = module.clone(aggregate=message_passing.by_segments())
    for other in (functools.partial(loss, segments), loss_of_each):
        value, gradient = jax.jit(jax.value_and_grad(other))(variables)
        np.testing.assert_allclose(value, np.sum(found * cotangent), rtol=1e-4)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), gradient, slopes
        )


# -- Line graphs -----------------------------------------------------------------------------------


def links_of(cell: Cell, space) -> list[tuple[int, int, str]]:
    """Edges of a cell: source, target, operation; the output reads what no other node reads."""
    edges = [(n, node + 2, op) for node, slots in enumerate(cell) for op, n in slots]
    read = {source for source, _, _ in edges} if space is ENAS else set()
    last = len(cell) + 2
    return edges + [(node, last, "concat") for node in range(2, last) if node not in read]


def line_graph_of(cell: Cell, space) -> tuple[list[str], list[tuple[int, int]]]:
    """Operations of the nodes that exist, inputs first and the output last, and edges."""
    links, last = links_of(cell, space), len(cell) + 2
    ops = ["input_0", "input_1", *(op for _, _, op in links), "output"]
    ends = [(None, 0), (None, 1), *((i, j) for i, j, _ in links), (last, None)]
    edges = [
        (a, b)
        for a, (_, end) in enumerate(ends)
        for b, (start, _) in enumerate(ends)
        if end is not None and end == start
    ]
    return ops, edges


def graph_convolution(params, cell: Cell, space, layers: int) -> np.ndarray:
    """Embedding of one cell by a graph network with self loops on its line graph."""
    ops, edges = line_graph_of(cell, space)
    names = jnas.encodings.node_operations(space)
    table = [*params["operations"], *params["output_operation"]]
    dense = params["op_to_hidden"]
    x = [table[names.index(op)] @ dense["kernel"] + dense["bias"] for op in ops]
    for layer in range(layers):
        sent = [row @ params[f"kernel_{layer}"] for row in x]
        x = [row + params[f"bias_{layer}"] for row in sent]
        for sender, receiver in edges:
            x[receiver] = x[receiver] + sent[sender]
        x = [np.maximum(row, 0) if layer < layers - 1 else row for row in x]
    return sum(x[2:]) / len(x[2:])


@SPACES
def test_graph_convolutions_on_line_graphs(space) -> None:
    batch = jax.jit(jnas.encodings.node_graphs(space))(population(space))
    assert batch.mask.shape == (6, 2, 23 if space is NB301 else 43)
    assert (np.asarray(batch.node_ops)[~np.asarray(batch.mask)] == 0).all()
    module = Gcn(
        len(jnas.encodings.node_operations(space)),
        (7, 5),
        op_size=4,
        hidden_size=3,
        num_inputs=2,
    )
    variables, found = everywhere(module, batch)
    expected = [
        [graph_convolution(variables["params"], cell, space, 2) for cell in cells_in(space, arch)]
        for arch in population(space)
    ]
    np.testing.assert_allclose(found.reshape(6, 2, 5), expected, rtol=1e-4, atol=1e-5)


def paths_of(edges: list[tuple[int, int]], last: int) -> list[list[int]]:
    """All paths from an input, node 0 or 1, to the last node, as lists of nodes."""
    found, growing = [], [[0], [1]]
    while growing:
        path = growing.pop()
        if path[-1] == last:
            found.append(path)
        growing += [[*path, b] for a, b in edges if a == path[-1]]
    return found


def statistics_of(cell: Cell, space) -> np.ndarray:
    """Statistics of one cell, by enumeration of its paths."""
    ops, edges = line_graph_of(cell, space)
    names = list(jnas.encodings.node_operations(space))
    numbers, last = [names.index(op) for op in ops], len(ops) - 1
    num_ops = len(names) - 3
    inner, to_output, from_inputs = np.zeros((3, num_ops))
    for node in range(2, last):
        inner[numbers[node] - 2] += 1
        to_output[numbers[node] - 2] += (node, last) in edges
        from_inputs[numbers[node] - 2] += sum(a < 2 for a, b in edges if b == node)
    pairs = np.zeros((num_ops + 2, num_ops + 1))
    for a, b in edges:
        pairs[numbers[a], numbers[b] - 2] += 1
    paths = paths_of(edges, last)
    counts = [[[numbers[v] - 2 for v in p].count(op) for op in range(num_ops)] for p in paths]
    lengths = [len(path) - 1 for path in paths]
    size = [len(edges), len(ops), 0, sum(b == last for _, b in edges), sum(a < 2 for a, _ in edges)]
    per_path = [np.mean(counts, 0), np.max(counts, 0), np.min(counts, 0)]
    along = [np.log(1 + len(paths)), max(lengths), min(lengths)]
    parts = [size, inner, inner, to_output, from_inputs, along, *per_path, pairs.ravel()]
    return np.concatenate(parts)


@pytest.mark.parametrize("space", [NB301, pytest.param(ENAS, marks=SLOW)], ids=lambda s: s.name)
def test_statistics_of_both_kinds(space) -> None:
    found = np.asarray(jax.jit(jnas.encodings.statistics(space))(population(space)))
    expected = [
        np.concatenate([statistics_of(cell, space) for cell in cells_in(space, arch)])
        for arch in population(space)
    ]
    np.testing.assert_allclose(found[:, :-2], expected, rtol=1e-5, atol=1e-6)
    costs = jax.jit(jax.vmap(lambda arch: jnp.stack([space.params(arch), space.flops(arch)])))
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(
            found[:, -2:], np.log1p(np.asarray(costs(population(space)), float)), rtol=1e-6
        )


# -- One score for relabelled cells ----------------------------------------------------------------


@functools.cache
def relabelled_pairs(space) -> tuple[np.ndarray, np.ndarray]:
    """Different vectors of the same pairs of cells: nodes in other orders, and slots swapped."""
    rng, pairs = np.random.default_rng(3), []
    for arch in population(space, 40):
        others = []
        for cell in cells_in(space, arch):
            ways = relabellings(cell)
            nodes = ways[rng.integers(len(ways))]
            others.append([sorted(node, key=lambda slot: slot[1]) for node in nodes])
        other = np.asarray(space.from_string(text_of(*others, loose=space is ENAS)))
        if (other != arch).any():
            pairs.append((arch, other))
    one, two = np.array(pairs[:8]).swapaxes(0, 1)
    assert len(one) == 8
    return one, two


def encoded_by(name: str, space):
    """Small module of a predictor, and its encoding."""
    if name == "gates":
        return encoder_of(space), graphs(space)
    num_ops = len(jnas.encodings.node_operations(space))
    if name == "gcn":
        module = Gcn(num_ops, (7, 5), op_size=4, hidden_size=3, num_inputs=2, global_node=True)
        return module, jnas.encodings.node_graphs(space)
    return BiFlow(num_ops, **SMALL, num_inputs=2), _features(space)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("gates", NB301),
        ("gates", ENAS),
        ("gcn", NB301),
        ("biflow", NB301),
        pytest.param("biflow", ENAS, marks=SLOW),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_relabelled_cells_have_one_embedding(name: str, space) -> None:
    one, two = relabelled_pairs(space)
    ids = np.asarray(jax.jit(jax.vmap(space.identity))(np.concatenate([one, two])))
    np.testing.assert_array_equal(ids[:8], ids[8:])
    module, encode = encoded_by(name, space)
    _, found = everywhere(module, jax.jit(encode)(np.concatenate([one, two])))
    np.testing.assert_allclose(found[:8], found[8:], rtol=1e-4, atol=1e-4)
    strangers = (ids[:8, None] != ids[None, :8]).any(-1)
    assert strangers.sum() == 56
    distances = np.abs(found[:8, None] - found[None, :8]).max(-1)
    assert distances[strangers].min() > 1e-3, "cells that differ must not be confused"


@pytest.mark.parametrize(("name", "size"), [("gates", 10), pytest.param("biflow", 20, marks=SLOW)])
def test_kinds_of_cell_are_not_confused(name: str, size: int) -> None:
    """What is a normal cell in one architecture is a reduction cell in another one."""
    arch = population(NB301)[0]
    both = np.stack([arch, np.concatenate([arch[11:], arch[:11]])])
    module, encode = encoded_by(name, NB301)
    _, found = everywhere(module, jax.jit(encode)(both))
    assert np.abs(np.sort(found[0, :size]) - np.sort(found[1, :size])).max() > 1e-3


# -- ReNAS -----------------------------------------------------------------------------------------

WEIGHTS = {
    "sep_conv_3x3": lambda c: 2 * (9 * c + c * c),
    "sep_conv_5x5": lambda c: 2 * (25 * c + c * c),
    "dil_conv_3x3": lambda c: 9 * c + c * c,
    "dil_conv_5x5": lambda c: 25 * c + c * c,
}


@SPACES
def test_renas_tensor_of_both_kinds(space) -> None:
    found = np.asarray(jax.jit(jnas.encodings.renas(space))(population(space)))
    parallel = 1 if space is NB301 else 2
    assert found.shape == (6, 2 * parallel + 6 + 4, 7, 7)
    for arch, tensor in zip(population(space), found, strict=True):
        expected = []
        for kind, cell in enumerate(cells_in(space, arch)):
            types = np.zeros((parallel, 7, 7))
            costs = {16 * 2**stage: np.zeros((7, 7)) for stage in range(kind, 3)}
            ordered = sorted(
                links_of(cell, space), key=lambda link: space.edge_operations.index(link[2])
            )
            for source, target, op in ordered:
                slot = int(types[0, source, target] > 0)
                types[slot, source, target] = space.edge_operations.index(op)
                for width, matrix in costs.items():
                    strided_skip = op == "skip_connect" and kind == 1 and source < 2
                    own = WEIGHTS.get(op, lambda c: 0)(width)
                    matrix[source, target] += width * width if strided_skip else own
            expected += list(types)
            for width, matrix in costs.items():
                expected += [matrix * (512 // width) ** 2, matrix]
        np.testing.assert_array_equal(tensor, np.stack(expected))


# -- Choices about the whole network ---------------------------------------------------------------


@pytest.mark.slow
def test_width_and_depth_are_seen() -> None:
    """Graphs do not show them; every encoding of a predictor does."""
    assert PNAS.sizes == (40, 41)
    archs = np.repeat(population(PNAS)[:1], 3, axis=0)
    archs[:, 40:] = [[0, 4], [2, 4], [2, 0]]
    bits = np.asarray(jax.jit(jnas.encodings.sizes(PNAS))(archs))
    expected = [[1, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(bits, expected)
    tokens = np.asarray(jax.jit(jnas.encodings.tokens(PNAS))(archs))
    np.testing.assert_array_equal(tokens[:, -2:], archs[:, 40:])
    assert jnas.encodings.vocabulary(PNAS)[-2:] == (3, 5)
    flat = np.asarray(jax.jit(jnas.encodings.adjacency(PNAS))(archs))
    np.testing.assert_array_equal(flat[:, -8:], bits)
    layers = np.asarray(jax.jit(jnas.encodings.layers(PNAS))(archs))
    first = 1 + len(PNAS.edge_operations)
    types = [[first, first + 7], [first + 2, first + 7], [first + 2, first + 3]]
    np.testing.assert_array_equal(layers[:, :2, 0], types)
    assert jnas.encodings.num_types(PNAS) == first + 8
    tensor = np.asarray(jax.jit(jnas.encodings.renas(PNAS))(archs))
    costs = [[float(PNAS.flops(arch)), float(PNAS.params(arch))] for arch in jnp.asarray(archs)]
    np.testing.assert_allclose(tensor[:, -2:, 0, 0], costs)
    assert jnas.encodings.sizes(NB301)(population(NB301)).shape == (6, 0)


def test_gates_sees_width_and_depth() -> None:
    recipe = P.gates(PNAS, layers=(8,)).predict.args[0]
    archs = np.repeat(population(PNAS)[:1], 2, axis=0)
    archs[:, 40] = [0, 1]
    _, (one, two) = everywhere(recipe.module.encoder, jax.jit(recipe.encode)(archs))
    np.testing.assert_array_equal(one[:16], two[:16])
    np.testing.assert_array_equal(one[16:19] + two[16:19], [1, 1, 0])


# -- Chains ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nds_resnet", "nasbench_macro", "transnas_macro"])
def test_renas_tensor_of_chains(name: str) -> None:
    space = jnas.spaces.by_name(name)
    archs = population(space)
    found = np.asarray(jax.jit(jnas.encodings.renas(space))(archs))
    cells = jax.tree.map(np.asarray, jax.jit(jax.vmap(space.graph))(archs))
    num = cells.mask.shape[-1]
    assert found.shape == (6, 3, num, num)
    for row, arch in enumerate(archs):
        ops = cells.node_ops[row, 0][cells.mask[row, 0]] + 1
        expected = np.zeros((num, num))
        for place, op in enumerate(ops[1:-1]):
            expected[place, place + 1] = op
        expected[len(ops) - 2, num - 1] = ops[-1]
        np.testing.assert_array_equal(found[row, 0], expected)
        np.testing.assert_allclose(found[row, 1], float(space.flops(jnp.asarray(arch))))
        np.testing.assert_allclose(found[row, 2], float(space.params(jnp.asarray(arch))))


def test_stages_of_a_chain_are_told_apart() -> None:
    """A value is one operation in every stage: GATES knows where it is by what comes before it."""
    space = jnas.spaces.nds_resnext_a()
    archs = population(space).reshape(6, 3, 4)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    rows = np.unique(archs[:, orders].reshape(36, 12), axis=0)
    assert len(rows) > 30
    encoder = P.gates(space).predict.args[0].module.encoder
    module = encoder.clone(layers=(16,) * 4, node_size=4, hidden_size=6, op_size=5)
    _, found = everywhere(module, jax.jit(graphs(space))(rows))
    distances = np.abs(found[:, None] - found[None]).max(-1)
    np.fill_diagonal(distances, np.inf)
    assert distances.min() > 1e-4 * np.abs(found).max(), "far beyond rounding"


# -- End to end ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "space_name"),
    [
        pytest.param(name, space, marks=() if (name, space) == ("gates", "nasbench301") else SLOW)
        for name in P.NAMES
        for space in ("nasbench301", "pnas", "nds_resnext_a", "transnas_macro", "transnas_micro")
        if space == "pnas" or name in ("gates", "gcn", "renas", "biflow", "e2epp")
    ],
)
def test_fit_save_and_load(name: str, space_name: str, tmp_path) -> None:
    space = jnas.spaces.by_name(space_name)
    predictor = make(name, space)
    archs, targets = drawn(space, 12)
    state = predictor.fit(keys(1)[0], archs, targets)
    others = drawn(space, 7, 1)[0]
    scores = predictor.predict(state, others)
    assert np.isfinite(scores).all()
    P.save(tmp_path / "x.npz", predictor, state)
    again, kept = P.load(tmp_path / "x.npz")
    assert again.space is space
    assert_equal(again.predict(kept, others), scores)
