"""GATES and its message passing against their equations, in loops over cells, nodes and edges."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import jraph
import numpy as np
import pytest

import jnas
from jnas.predictors import message_passing
from jnas.predictors.gates import GatesOnEdges, GatesOnNodes
from jnas.types import Graph
from tests.oracles.cells import relabelled
from tests.oracles.graphs import simple

NB101, NB201 = jnas.spaces.nasbench101(), jnas.spaces.nasbench201()
SIZES = {"node_size": 4, "hidden_size": 6, "op_size": 5}
SMALL = {"layers": (7, 5), **SIZES}
TWO_INPUTS = {"num_inputs": 2, "reduce": "mean", "residual": 2, "readout": "mean"}


@functools.cache
def population(space) -> tuple[np.ndarray, Graph]:
    """`[90, D]` random architectures and their graphs."""

    @jax.jit
    def sample(keys):
        archs = jax.vmap(space.sample)(keys)
        return archs, jax.vmap(space.graph)(archs)

    return jax.tree.map(np.asarray, sample(jax.random.split(jax.random.key(0), 90)))


def cells(space, num: int) -> tuple[np.ndarray, Graph]:
    """The first of the population."""
    return jax.tree.map(lambda x: x[:num], population(space))


def two_input_cells(num: int, num_cells: int, num_nodes: int, seed: int = 0) -> Graph:
    """Cells whose nodes read two earlier ones, also by operation 0; some have no last node."""
    rng = np.random.default_rng(seed)
    shape = num, num_cells, num_nodes
    edge_ops, adjacency = (
        np.zeros((num, num_cells, 1, num_nodes, num_nodes), np.int32),
        np.zeros((num, num_cells, 1, num_nodes, num_nodes), bool),
    )
    mask = np.ones(shape, bool)
    mask[0, :, -1] = False
    for row, cell, node in itertools.product(range(num), range(num_cells), range(2, num_nodes)):
        if mask[row, cell, node]:
            sources = rng.choice(node, 2, replace=False)
            adjacency[row, cell, 0, sources, node] = True
            edge_ops[row, cell, 0, sources, node] = rng.integers(0, 4, 2)
    return Graph(np.zeros(shape, np.int32), edge_ops, adjacency, mask)


def everywhere(module, batch: Graph, seed: int = 0):
    """Variables without zeros, and what the compiled module makes of the batch with them."""
    where = np.ones(batch.mask.shape[0], bool)
    shapes = jax.eval_shape(module.init, jax.random.key(0), batch, where)
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(lambda it: rng.normal(0, 0.5, it.shape).astype(it.dtype), shapes)
    return variables, np.asarray(jax.jit(module.apply)(variables, batch, where))


def as_doubles(params):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), params)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rows_of(batch: Graph) -> list[Graph]:
    return [
        Graph(*(np.asarray(value)[row] for value in batch)) for row in range(batch.mask.shape[0])
    ]


def on_nodes(params, cell: Graph, plus_identity: bool, residual: int | None) -> np.ndarray:
    """The embedding of one cell with operations on nodes."""
    num = len(cell.mask)
    op_size = params["operations"].shape[1]
    operations = [np.zeros(op_size), *params["operations"], params["output_operation"][0]]
    dense = params["node_to_hidden"]
    first = [params["input_node"][0], *[params["other_node"][0]] * (num - 1)]
    x = [row @ dense["kernel"] + dense["bias"] for row in first]
    num_layers = sum(name.startswith("kernel_") for name in params)
    for layer in range(num_layers):
        gate = params[f"gate_{layer}"]
        sent = [row @ params[f"kernel_{layer}"] for row in x]
        x = []
        for node in range(num):
            received = np.zeros_like(sent[0])
            for sender in range(num):
                if cell.adjacency[sender, node] or (plus_identity and sender == node):
                    received = received + sent[sender]
            value = (
                sigmoid(operations[cell.node_ops[node]] @ gate["kernel"] + gate["bias"]) * received
            )
            if residual is None or node < residual:
                value = value + sent[node]
            value = value + params[f"bias_{layer}"]
            x.append(np.maximum(value, 0) if layer < num_layers - 1 else value)
    return sum(x[node] for node in range(1, num) if cell.mask[node]) / (num - 1)


def on_edges(params, group: Graph, module: GatesOnEdges) -> np.ndarray:
    """The embedding of one architecture, a group of cells with operations on edges."""
    embeddings = []
    for number, mask in enumerate(group.mask):
        num, dense = len(mask), params["node_to_hidden"]
        first = [
            *params["input_nodes"][number],
            *np.zeros((num - module.num_inputs, module.node_size)),
        ]
        x = [row @ dense["kernel"] + dense["bias"] for row in first]
        for layer in range(len(module.layers)):
            gate = params[f"gate_{layer}"]
            sent = [row @ params[f"kernel_{layer}"] for row in x]
            x = []
            for node in range(num):
                value = np.zeros_like(sent[0])
                for sender in range(node):
                    op = group.edge_ops[number, 0, sender, node]
                    if group.adjacency[number, 0, sender, node] and op != 0:
                        attention = sigmoid(
                            params["operations"][op] @ gate["kernel"] + gate["bias"]
                        )
                        value = value + attention * sent[sender]
                if module.reduce == "mean":
                    value = value / module.num_slots
                if module.residual is None or node < module.residual:
                    value = value + sent[node]
                if module.use_bias:
                    value = value + params[f"bias_{layer}"]
                x.append(np.maximum(value, 0) if layer < len(module.layers) - 1 else value)
        inner = [x[node] for node in range(module.num_inputs, num) if mask[node]]
        embeddings.append(x[-1] if module.readout == "output" else sum(inner) / len(inner))
    return np.concatenate(embeddings)


@pytest.mark.parametrize(
    ("plus_identity", "residual"),
    [(True, 0), (True, 2), (False, None), (False, 0), (False, 2), (True, None)],
)
def test_operations_on_nodes(plus_identity, residual) -> None:
    module = GatesOnNodes(5, plus_identity=plus_identity, residual=residual, **SMALL)
    _, batch = cells(NB101, 6)
    assert not batch.mask.all()
    variables, embeddings = everywhere(module, batch)
    params = as_doubles(variables["params"])
    expected = [on_nodes(params, cell, plus_identity, residual) for cell in rows_of(simple(batch))]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"residual": None, "use_bias": True}, {"residual": 0, "readout": "mean"}]
)
def test_operations_on_edges(options) -> None:
    module = GatesOnEdges(5, **SMALL, **options)
    _, batch = cells(NB201, 6)
    variables, embeddings = everywhere(module, batch)
    assert embeddings.shape == (6, 5)
    params = as_doubles(variables["params"])
    expected = [on_edges(params, cell, module) for cell in rows_of(batch)]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options", [TWO_INPUTS, {"num_inputs": 2, "reduce": "mean", "num_slots": 3, "residual": 0}]
)
def test_operations_on_edges_of_several_cells_with_two_inputs(options) -> None:
    module = GatesOnEdges(4, **SMALL, **options)
    batch = two_input_cells(3, 2, 6)
    variables, embeddings = everywhere(module, batch)
    assert embeddings.shape == (3, 2 * 5)
    assert variables["params"]["input_nodes"].shape == (2, 2, 4)
    params = as_doubles(variables["params"])
    expected = [on_edges(params, group, module) for group in rows_of(batch)]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


def test_isomorphic_cells_have_one_embedding() -> None:
    rng = np.random.default_rng(3)
    archs, _ = cells(NB101, 90)
    candidates = ((arch, relabelled(arch, rng)) for arch in archs)
    pairs = list(itertools.islice((pair for pair in candidates if pair[1] is not None), 16))
    assert len(pairs) == 16
    both = np.array(pairs).transpose(1, 0, 2).reshape(32, 26)
    one, two = np.split(np.asarray(jax.jit(jax.vmap(NB101.identity))(both)), 2)
    np.testing.assert_array_equal(one, two)
    batch = jax.jit(jax.vmap(NB101.graph))(both)
    ops, _, adjacency, _ = map(np.asarray, simple(batch))
    differ = (ops[:16] != ops[16:]).any(1) | (adjacency[:16] != adjacency[16:]).any((1, 2))
    assert differ.all(), "the network must see two different graphs"
    _, embeddings = everywhere(GatesOnNodes(5, (16, 16, 16), **SIZES), batch)
    np.testing.assert_allclose(embeddings[:16], embeddings[16:], atol=1e-5)
    distances = np.abs(embeddings[:16, None] - embeddings[None, :16]).max(-1)
    strangers = (one[:, None] != one[None]).any(-1)
    assert strangers.sum() > 200
    assert distances[strangers].min() > 1e-3, "cells that differ must not be confused"


def test_isomorphic_cells_with_operations_on_edges() -> None:
    """Nodes 1 and 2 may swap without the edge 1 → 2; vectors are in the order 01 02 12 03 13 23."""
    archs = jnp.asarray([[3, 2, 0, 1, 4, 3], [2, 4, 0, 0, 3, 1], [4, 1, 0, 2, 0, 3]], jnp.int32)
    swapped = archs[:, jnp.asarray([1, 0, 2, 3, 5, 4])]
    batch = jax.jit(jax.vmap(NB201.graph))(jnp.concatenate([archs, swapped]))
    _, embeddings = everywhere(GatesOnEdges(5, **SMALL), batch)
    np.testing.assert_allclose(embeddings[:3], embeddings[3:], atol=1e-5)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 1e-3


@pytest.mark.parametrize("kind", ["nodes", "edges", "two inputs"])
def test_cells_of_a_batch_do_not_see_each_other(kind) -> None:
    module, batch = {
        "nodes": (GatesOnNodes(5, **SMALL), cells(NB101, 6)[1]),
        "edges": (GatesOnEdges(5, **SMALL), cells(NB201, 6)[1]),
        "two inputs": (GatesOnEdges(4, **SMALL, **TWO_INPUTS), two_input_cells(6, 2, 5)),
    }[kind]
    variables, embeddings = everywhere(module, batch)
    order = np.array([4, 1, 2, 3, 0, 5])
    permuted = jax.jit(module.apply)(
        variables, jax.tree.map(lambda x: x[order], batch), jnp.ones(6, bool)
    )
    np.testing.assert_allclose(permuted, embeddings[order], atol=1e-6)
    assert np.abs(embeddings[0] - embeddings[4]).max() > 1e-3


def test_aggregators_give_the_same_embedding() -> None:
    by_segments = message_passing.by_segments()
    for module, batch in (
        (GatesOnNodes(5, **SMALL), cells(NB101, 4)[1]),
        (GatesOnEdges(5, **SMALL), cells(NB201, 4)[1]),
    ):
        variables, dense = everywhere(module, batch)
        other = jax.jit(module.clone(aggregate=by_segments).apply)(
            variables, batch, jnp.ones(4, bool)
        )
        np.testing.assert_allclose(other, dense, atol=1e-5)


# -- Message passing -------------------------------------------------------------------------------


def traffic(per_feature: bool, seed: int = 0):
    """A graph of 3 cells of 7 nodes, what its nodes send, weights of all edges and a cotangent."""
    graph = jax.tree.map(np.asarray, jnas.encodings.graphs_tuple(cells(NB101, 3)[1]))
    shapes = (21, 4), (63, 4) if per_feature else (63,), (21, 4)
    rng = np.random.default_rng(seed)
    return graph, *(rng.normal(size=shape).astype(np.float32) for shape in shapes)


@pytest.mark.parametrize("per_feature", [False, True], ids=["[B E]", "[B E, F]"])
def test_dense_equals_segments(per_feature) -> None:
    graph, sent, weights, cotangent = traffic(per_feature)

    @functools.partial(jax.jit, static_argnums=0)
    def both(aggregate, sent, weights):
        values, pull = jax.vjp(lambda s, w: aggregate(graph, s, w), sent, weights)
        return values, *pull(cotangent)

    dense = both(message_passing.dense, sent, weights)
    segments = both(message_passing.by_segments(jraph.segment_sum), sent, weights)
    for one, two in zip(dense, segments, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)
    expected = np.zeros((21, 4))
    for edge, (sender, receiver) in enumerate(zip(graph.senders, graph.receivers, strict=True)):
        expected[receiver] += weights[edge] * sent[sender]
    np.testing.assert_allclose(dense[0], expected, rtol=1e-5, atol=1e-5)


def test_other_reductions_go_through_segments() -> None:
    graph, sent, weights, _ = traffic(True)
    received = jax.jit(message_passing.by_segments(jraph.segment_max))(graph, sent, weights)
    expected = np.full((21, 4), -np.inf, np.float32)
    for edge, (sender, receiver) in enumerate(zip(graph.senders, graph.receivers, strict=True)):
        expected[receiver] = np.maximum(expected[receiver], weights[edge] * sent[sender])
    np.testing.assert_allclose(received, expected, rtol=1e-6)
    assert np.isneginf(expected[[0, 7, 14]]).all(), "the maximum of nothing"

    module = GatesOnNodes(
        5, aggregate=message_passing.by_segments(jraph.segment_max_or_constant), **SMALL
    )
    _, batch = cells(NB101, 3)
    variables, embeddings = everywhere(module, batch)
    assert np.isfinite(embeddings).all()
    assert embeddings.shape == (3, 5)

    @jax.jit
    def slopes(variables):
        return jax.grad(lambda v: jnp.sum(module.apply(v, batch, jnp.ones(3, bool))))(variables)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes(variables)))


def test_reverse() -> None:
    graph, sent, _, _ = traffic(False)
    batch = simple(cells(NB101, 3)[1])
    turned = jax.jit(message_passing.reverse)(graph)
    for one, two in zip(
        jax.tree.leaves(message_passing.reverse(turned)), jax.tree.leaves(graph), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    back = np.arange(21).reshape(3, 7)[:, ::-1].ravel()
    np.testing.assert_array_equal(turned.nodes["op"], graph.nodes["op"][back])
    np.testing.assert_array_equal(turned.nodes["mask"], graph.nodes["mask"][back])
    for name, square in (("mask", batch.adjacency), ("op", batch.edge_ops)):
        expected = square[:, ::-1, ::-1].transpose(0, 2, 1)
        rebuilt = np.zeros_like(expected)
        rebuilt[:, *np.triu_indices(7, 1)] = np.asarray(turned.edges[name]).reshape(3, 21)
        np.testing.assert_array_equal(rebuilt, expected)
    # What travels along the reversed graph is what receivers of the cell send to their senders.
    received = jax.jit(message_passing.dense)(
        turned, sent[back], turned.edges["mask"].astype(np.float32)
    )
    nodes = sent.reshape(3, 7, 4)
    expected = np.stack([batch.adjacency[g].astype(float) @ nodes[g] for g in range(3)]).reshape(
        21, 4
    )
    np.testing.assert_allclose(np.asarray(received)[back], expected, rtol=1e-5, atol=1e-5)


# -- Initial weights -------------------------------------------------------------------------------


def assert_uniform(values: jax.Array, fan: int) -> None:
    """In ±1/√fan, and (there being enough of them) up to its ends."""
    bound = 1 / math.sqrt(fan)
    assert np.abs(values).max() <= bound
    if values.size > 60:
        assert np.abs(values).max() > 0.9 * bound
        assert abs(np.mean(values)) < 5 * bound / math.sqrt(3 * values.size)


def assert_normal(values: jax.Array) -> None:
    assert abs(np.mean(values)) < 5 / math.sqrt(values.size)
    assert abs(np.std(values) - 1) < 5 / math.sqrt(2 * values.size)


@pytest.mark.slow
def test_initial_weights() -> None:
    sizes = {"layers": (64, 32), "node_size": 48, "hidden_size": 96, "op_size": 40}
    _, batch = cells(NB101, 2)
    nodes = jax.jit(GatesOnNodes(5, **sizes).init)(jax.random.key(1), batch, jnp.ones(2, bool))[
        "params"
    ]
    batch = two_input_cells(2, 2, 5)
    module = GatesOnEdges(5, num_inputs=2, use_bias=True, **sizes)
    edges = jax.jit(module.init)(jax.random.key(2), batch, jnp.ones(2, bool))["params"]
    for params in (nodes, edges):
        assert params["node_to_hidden"]["kernel"].shape == (48, 96)
        assert_uniform(params["node_to_hidden"]["kernel"], 48)
        assert_uniform(params["node_to_hidden"]["bias"], 48)
        for layer, (width, out) in enumerate([(96, 64), (64, 32)]):
            assert params[f"kernel_{layer}"].shape == (width, out)
            assert params[f"bias_{layer}"].shape == (out,)
            assert_uniform(params[f"kernel_{layer}"], out)
            assert_uniform(params[f"bias_{layer}"], out)
            assert params[f"gate_{layer}"]["kernel"].shape == (40, out)
            assert params[f"gate_{layer}"]["bias"].shape == (out,)
            assert_uniform(params[f"gate_{layer}"]["kernel"], 40)
            assert_uniform(params[f"gate_{layer}"]["bias"], 40)
    shapes = {
        "operations": (3, 40),
        "output_operation": (1, 40),
        "input_node": (1, 48),
        "other_node": (1, 48),
    }
    assert {name: nodes[name].shape for name in shapes} == shapes
    for name in ("operations", "output_operation", "input_node"):
        assert_normal(nodes[name])
    np.testing.assert_array_equal(nodes["other_node"], 0)
    assert edges["operations"].shape == (5, 40)
    assert edges["input_nodes"].shape == (2, 2, 48)
    assert_normal(edges["operations"])
    assert_normal(edges["input_nodes"])


def test_published_sizes() -> None:
    """Sizes as published, and no bias where operations are on edges."""
    _, batch = cells(NB101, 2)
    shapes = jax.eval_shape(GatesOnNodes(5).init, jax.random.key(0), batch, jnp.ones(2, bool))[
        "params"
    ]
    assert [shapes[f"kernel_{layer}"].shape for layer in range(4)] == [(96, 128), *[(128, 128)] * 3]
    _, batch = cells(NB201, 2)
    shapes = jax.eval_shape(GatesOnEdges(5).init, jax.random.key(0), batch, jnp.ones(2, bool))[
        "params"
    ]
    assert [shapes[f"kernel_{layer}"].shape for layer in range(5)] == [(96, 128), *[(128, 128)] * 4]
    assert not any(name.startswith("bias") for name in shapes)
    assert shapes["input_nodes"].shape == (1, 1, 48)
