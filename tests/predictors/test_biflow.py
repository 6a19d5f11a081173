"""BiFlow against loops over cells, directions, layers and nodes, written from its description."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.predictors.biflow import BiFlow, Features, _attributes, _features
from tests.oracles.cells import relabelled
from tests.oracles.graphs import simple

NB101, NB201 = jnas.spaces.nasbench101(), jnas.spaces.nasbench201()
NUM_OPS = {"nasbench101": 5, "nasbench201": 7}
FLAGS = ("attributes", "statistics", "both")
SMALL = {"layers": (7, 5), "op_size": 6, "hidden_size": 4}
encode = {space.name: jax.jit(_features(space)) for space in (NB101, NB201)}


@functools.cache
def population(space) -> np.ndarray:
    """`[60, D]`, small cells and cells without any path among them."""
    archs = np.array(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(1), 60)))
    if space is NB101:
        texts = "output:0", "conv3x3:0|output:1", "conv3x3:0|conv1x1:0|maxpool3x3:0|output:0,1,2,3"
        archs[:3] = [np.asarray(NB101.from_string(text)) for text in texts]
    else:
        archs[:3] = [[0] * 6, [0, 0, 3, 0, 2, 4], [3, 2, 0, 0, 0, 0]]
    return archs


@functools.cache
def features(space) -> Features:
    return jax.tree.map(np.asarray, encode[space.name](population(space)))


def initialised(module: BiFlow, batch: Features, seed: int = 0):
    """Variables and embeddings: no parameter is zero, statistics are standardised by the batch."""
    where = jnp.ones(batch.statistics.shape[0], bool)
    shapes = jax.eval_shape(module.init, jax.random.key(0), batch, where)
    rng = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda it: rng.normal(0, 0.5, it.shape).astype(it.dtype), shapes["params"]
    )
    first = jax.jit(functools.partial(module.apply, mutable=["constants"]))
    embeddings, constants = first({"params": params}, batch, where)
    return {"params": params} | constants, np.asarray(embeddings)


def embedded(module: BiFlow, variables, batch: Features) -> np.ndarray:
    return np.asarray(
        jax.jit(module.apply)(variables, batch, jnp.ones(batch.statistics.shape[0], bool))
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(
    params, adjacency: np.ndarray, operations: list[np.ndarray], num_layers: int
) -> list[np.ndarray]:
    """States of the nodes, one by one: a gate on what a node and its predecessors send.

    Node 0 alone begins in another state.
    """
    num = len(operations)
    x = [params["nodes"][0], *[params["nodes"][1]] * (num - 1)]
    for layer in range(num_layers):
        gate = params[f"gate_{layer}"]
        sent = [row @ params[f"kernel_{layer}"] for row in x]
        x = []
        for node in range(num):
            received = sum(
                (sent[sender] for sender in range(num) if adjacency[sender, node]), sent[node]
            )
            attention = sigmoid(operations[node] @ gate["kernel"] + gate["bias"])
            value = attention * received + params[f"bias_{layer}"]
            x.append(np.maximum(value, 0) if layer < num_layers - 1 else value)
    return x


def reference(module: BiFlow, variables, batch: Features, row: int) -> np.ndarray:
    """The embedding of one cell, which is cut down to the nodes that exist."""
    params = jax.tree.map(lambda it: np.asarray(it, np.float64), variables["params"])
    graph = simple(batch.graph)
    mask = graph.mask[row]
    adjacency, ops = graph.adjacency[row][np.ix_(mask, mask)], graph.node_ops[row][mask]
    operations = [params["operations"][op] for op in ops]
    if module.attributes:
        one, two = params["attributes_1"], params["attributes_2"]
        for place, own in enumerate(batch.nodes[row, 0][mask]):
            seen = np.concatenate([operations[place], own]) @ one["kernel"] + one["bias"]
            operations[place] = (
                operations[place] + np.maximum(seen, 0) @ two["kernel"] + two["bias"]
            )
    parts = [sum(gates(params["forward"], adjacency, operations, len(module.layers))) / len(mask)]
    if module.both:
        turned = adjacency.T[::-1, ::-1]
        parts.append(
            sum(gates(params["backward"], turned, operations[::-1], len(module.layers))) / len(mask)
        )
    if module.statistics:
        values = batch.statistics.astype(np.float64)
        deviation = values.std(0)
        deviation[deviation <= 1e-6 * np.abs(values.mean(0))] = 1
        parts.append(module.weight * np.clip((values[row] - values.mean(0)) / deviation, -5, 5))
    return np.concatenate(parts)


@pytest.mark.parametrize(
    "space", [pytest.param(NB101, marks=pytest.mark.slow), NB201], ids=lambda space: space.name
)
@pytest.mark.parametrize("flags", [(False,) * 3, (True,) * 3], ids=["plain", "all"])
def test_embeddings(space, flags) -> None:
    """Without additions it is GATES with `plus_identity`, the input node one among the others."""
    module = BiFlow(NUM_OPS[space.name], **SMALL, **dict(zip(FLAGS, flags, strict=True)))
    batch = features(space)
    assert space is NB201 or not simple(batch.graph).mask.all(1)[:3].any()
    variables, found = initialised(module, batch)
    num_statistics = batch.statistics.shape[1]
    assert found.shape == (60, 2 * 5 + num_statistics if all(flags) else 5)
    expected = [reference(module, variables, batch, row) for row in range(60)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_alone_adds_its_part(flag) -> None:
    module = BiFlow(5, **SMALL, **{name: name == flag for name in FLAGS})
    batch = features(NB101)
    variables, found = initialised(module, batch)
    expected = [reference(module, variables, batch, row) for row in range(60)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("space", [NB101, NB201], ids=lambda space: space.name)
def test_flags_and_parameters(space) -> None:
    batch, where = features(space), jnp.ones(60, bool)
    added = {
        "attributes": {"attributes_1", "attributes_2"},
        "statistics": set(),
        "both": {"backward"},
    }
    for flags in itertools.product([False, True], repeat=3):
        options = dict(zip(FLAGS, flags, strict=True))
        module = BiFlow(NUM_OPS[space.name], **options)
        shapes = jax.eval_shape(module.init, jax.random.key(0), batch, where)
        expected = {"operations", "forward"}.union(
            *(added[flag] for flag in FLAGS if options[flag])
        )
        assert set(shapes["params"]) == expected
        assert ("constants" in shapes) == options["statistics"]
        width = jax.eval_shape(module.apply, shapes, batch, where).shape[1]
        assert (
            width == 128 * (1 + options["both"]) + options["statistics"] * batch.statistics.shape[1]
        )
        for direction in expected & {"forward", "backward"}:
            kernels = [shapes["params"][direction][f"kernel_{layer}"].shape for layer in range(4)]
            assert kernels == [(96, 128), *[(128, 128)] * 3]


@pytest.mark.slow
def test_statistics_far_outside_of_the_training_set_are_clipped() -> None:
    module = BiFlow(5, **SMALL, attributes=False, both=False, weight=0.5)
    batch = features(NB101)
    variables, _ = initialised(module, batch)
    far = batch._replace(statistics=batch.statistics * 0 + np.float32(1e6))
    np.testing.assert_allclose(embedded(module, variables, far)[:, 5:], 2.5)


# Cells with fewer nodes, and isomorphic ones


def test_nodes_that_do_not_exist_count_for_nothing() -> None:
    module = BiFlow(5, **SMALL)
    batch = features(NB101)
    graph = simple(batch.graph)
    absent = ~graph.mask
    assert absent.any(1).sum() > 10
    assert not batch.nodes[:, 0][absent].any()
    variables, found = initialised(module, batch)
    rng = np.random.default_rng(2)
    ops = np.where(absent, rng.integers(0, 5, absent.shape), graph.node_ops).astype(np.int32)
    garbage = rng.normal(size=batch.nodes.shape)
    nodes = np.where(absent[:, None, :, None], garbage, batch.nodes).astype(np.float32)
    other = batch._replace(graph=batch.graph._replace(node_ops=ops[:, None]), nodes=nodes)
    np.testing.assert_allclose(embedded(module, variables, other), found, atol=1e-6)


def test_isomorphic_cells_have_one_embedding() -> None:
    """But for the network's cost: the first of several vertices get what is left of a width."""
    rng = np.random.default_rng(3)
    pairs = [
        (arch, other) for arch in population(NB101) if (other := relabelled(arch, rng)) is not None
    ]
    assert 15 <= len(pairs) <= 30
    pairs += [pairs[0]] * (30 - len(pairs))
    batch = jax.tree.map(
        np.asarray, encode["nasbench101"](np.array(pairs).transpose(1, 0, 2).reshape(60, 26))
    )
    ops, _, adjacency, _ = simple(batch.graph)
    differ = (ops[:30] != ops[30:]).any(1) | (adjacency[:30] != adjacency[30:]).any((1, 2))
    assert differ.all(), "the network must see two different graphs"
    module = BiFlow(5, **SMALL)
    one, two = np.split(initialised(module, batch)[1], 2)
    np.testing.assert_allclose(one[:, :-2], two[:, :-2], atol=1e-5, rtol=1e-5)
    equal = (batch.statistics[:30] == batch.statistics[30:])[:, -2:].all(1)
    assert equal.sum() >= 5
    np.testing.assert_allclose(one[equal], two[equal], atol=1e-5, rtol=1e-5)
    assert np.abs(one - two).max() < 0.1
    distances = np.abs(one[:, None, :10] - one[None, :, :10]).max(-1)
    ids = np.asarray(jax.jit(jax.vmap(NB101.identity))(np.array(pairs)[:, 0]))
    strangers = (ids[:, None] != ids[None]).any(-1)
    assert distances[strangers].min() > 1e-3, "cells that differ must not be confused"


# Attributes of nodes


def paths_between(adjacency: np.ndarray, first: int, last: int) -> list[int]:
    """Numbers of edges of all paths from one node to another."""
    found, growing = [], [(first, 0)]
    while growing:
        node, length = growing.pop()
        if node == last:
            found.append(length)
        growing += [(int(after), length + 1) for after in np.flatnonzero(adjacency[node])]
    return found


def shares(adjacency: np.ndarray) -> list[float]:
    """Of the width of an unpadded cell of nasbench101, out of 840 channels."""
    last = len(adjacency) - 1
    feeding = [node for node in range(1, last) if adjacency[node, last]]
    found = {0: 1.0, last: 1.0} | {node: (840 // len(feeding)) / 840 for node in feeding}
    for node in range(last - 1, 0, -1):
        if node not in found:
            found[node] = max(
                found[after] for after in range(node + 1, last) if adjacency[node, after]
            )
    return [found[node] for node in range(last + 1)]


@pytest.mark.parametrize("space", [NB101, NB201], ids=lambda space: space.name)
def test_attributes_by_enumeration_of_paths(space) -> None:
    batch = features(space)
    graph = simple(batch.graph)
    num = graph.mask.shape[1]
    assert batch.nodes.shape == (60, 1, num, 5)
    assert (batch.nodes >= 0).all()
    assert (batch.nodes <= 1).all()
    for row in range(60):
        adjacency, mask = graph.adjacency[row], graph.mask[row]
        widths = np.ones(num)
        if space is NB101:
            widths[mask] = shares(adjacency[np.ix_(mask, mask)])
        for node in range(num):
            expected = np.zeros(5)
            if mask[node]:
                depth = max(paths_between(adjacency, 0, node), default=0)
                height = max(paths_between(adjacency, node, num - 1), default=0)
                degrees = adjacency[:, node].sum(), adjacency[node].sum()
                expected = np.array(
                    [depth / num, height / num, *np.array(degrees) / num, widths[node]]
                )
            np.testing.assert_allclose(
                batch.nodes[row, 0, node], expected, rtol=1e-6, err_msg=f"{row} {node}"
            )


@pytest.mark.parametrize(
    "run",
    [
        # Each of a hundred operations is compiled by itself.
        pytest.param(_attributes, marks=pytest.mark.slow, id="eager"),
        pytest.param(jax.jit(_attributes, static_argnums=0), id="compiled"),
    ],
)
def test_features_alone_are_those_of_a_population(run) -> None:
    graph = jax.tree.map(lambda it: jnp.asarray(it[5]), features(NB201).graph)
    alone = run(NB201, jnp.asarray(population(NB201)[5]), graph)
    np.testing.assert_allclose(features(NB201).nodes[5], alone, rtol=1e-6)


def test_settings_reach_the_encoder() -> None:
    options = {
        "layers": (7, 5),
        "attributes": False,
        "both": False,
        "statistics": True,
        "weight": 0.1,
    }
    predictor = jnas.predictors.biflow(NB201, **options)
    recipe = predictor.predict.args[0]
    assert recipe.module.encoder == BiFlow(7, **options)
    assert (recipe.training.max_ratio, recipe.training.schedule) == (None, "cosine")
    assert jnas.predictors.biflow(NB201, **options) is predictor
