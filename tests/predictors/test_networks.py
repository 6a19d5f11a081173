"""Graph convolutions, recurrences, LeNet and the heads against loops over their equations."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.predictors.gcn import Gcn
from jnas.predictors.layers import ComparatorHead, Dense, Head, MaskedBatchNorm, Scorer
from jnas.predictors.lstm import Peephole, Recurrence, TokenLstm
from jnas.predictors.mlp import Flatten
from jnas.predictors.renas import Conv3x3, LeNet, Standardise
from jnas.types import Graph
from tests.oracles.graphs import simple

NB101 = jnas.spaces.nasbench101()


def everywhere(module, *args, seed: int = 0, **options):
    """Variables without zeros, and what the compiled module makes of the arguments with them."""
    shapes = jax.eval_shape(functools.partial(module.init, **options), jax.random.key(0), *args)
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(lambda it: rng.normal(0, 0.5, it.shape).astype(it.dtype), shapes)
    return variables, np.asarray(
        jax.jit(functools.partial(module.apply, **options))(variables, *args)
    )


def as_doubles(params):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), params)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def floats(*shape: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, scale, shape).astype(np.float32)


# -- Graph convolutions ----------------------------------------------------------------------------


@functools.cache
def cells() -> Graph:
    """Five cells: a chain, a wide one, the smallest, and two more; 0 to 5 interior vertices."""
    texts = (
        "conv3x3:0|conv1x1:1|maxpool3x3:2|output:3",
        "conv3x3:0|conv1x1:0|maxpool3x3:0|conv3x3:0|output:1,2,3,4",
        "output:0",
        "conv1x1:0|conv3x3:0,1|maxpool3x3:1|conv1x1:2,3|output:0,4",
        "conv1x1:0|conv3x3:0|maxpool3x3:1|conv1x1:2,3|conv3x3:4|output:0,5",
    )
    archs = jnp.stack([NB101.from_string(text) for text in texts])
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(NB101.graph))(archs))


def graph_convolution(params, cell: Graph, module: Gcn) -> np.ndarray:
    """The embedding of one cell."""
    num = len(cell.mask) + module.global_node
    table = [*params["operations"], *params["output_operation"]]
    ops, senders = (
        list(cell.node_ops),
        [set(np.flatnonzero(cell.adjacency[:, v])) for v in range(len(cell.mask))],
    )
    if module.global_node:
        table += [*params["global_operation"]]
        ops.append(len(table) - 1)
        senders.append(set(np.flatnonzero(cell.mask)))
    degree = [
        len(senders[v]) + sum(v in other for other in senders) + module.self_loops
        for v in range(num)
    ]
    x = [
        table[op] @ params["op_to_hidden"]["kernel"] + params["op_to_hidden"]["bias"] for op in ops
    ]
    for layer in range(len(module.layers)):
        sent = [row @ params[f"kernel_{layer}"] for row in x]
        x = []
        for v in range(num):
            value = params[f"bias_{layer}"]
            for u in senders[v] | ({v} if module.self_loops else set()):
                value = value + sent[u] / (
                    math.sqrt(degree[u] * degree[v]) if module.normalise else 1
                )
            x.append(np.maximum(value, 0) if layer < len(module.layers) - 1 else value)
    if module.global_node:
        return x[-1]
    inner = [x[v] for v in range(1, num) if cell.mask[v]]
    return sum(inner) / len(inner)


@pytest.mark.parametrize("global_node", [False, True])
@pytest.mark.parametrize(
    ("self_loops", "normalise"), [(True, False), (False, False), (True, True), (False, True)]
)
def test_graph_convolutions(global_node, self_loops, normalise) -> None:
    module = Gcn(
        5,
        layers=(7, 6, 5),
        op_size=4,
        hidden_size=3,
        self_loops=self_loops,
        normalise=normalise,
        global_node=global_node,
    )
    batch = cells()
    variables, embeddings = everywhere(module, batch, np.ones(5, bool))
    assert embeddings.shape == (5, 5)
    params = as_doubles(variables["params"])
    rows = [Graph(*(value[row] for value in simple(batch))) for row in range(5)]
    expected = [graph_convolution(params, cell, module) for cell in rows]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


def test_graph_convolutions_start_as_published() -> None:
    module = Gcn(5, layers=(64, 64), global_node=True)
    params = jax.jit(module.init)(jax.random.key(0), cells(), np.ones(5, bool))["params"]
    for layer, width in enumerate((48, 64)):
        assert params[f"kernel_{layer}"].shape == (width, 64)
        assert_uniform(params[f"kernel_{layer}"], 64)
        assert_uniform(params[f"bias_{layer}"], 64)
    assert_uniform(params["op_to_hidden"]["kernel"], 48)
    assert params["operations"].shape == (4, 48)
    assert abs(np.std(params["operations"]) - 1) < 0.25
    np.testing.assert_array_equal(params["output_operation"], 0)
    np.testing.assert_array_equal(params["global_operation"], 0)


# -- Recurrences -----------------------------------------------------------------------------------


def lstm(params, inputs: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Last hidden state of `torch.nn.LSTM` over the valid steps of `[L, F]`; gates i, f, g, o."""
    size = params["hidden_kernel"].shape[0]
    hidden, cell = np.zeros(size), np.zeros(size)
    for row in inputs[valid]:
        gates = row @ params["input_kernel"] + params["input_bias"]
        gates = gates + hidden @ params["hidden_kernel"] + params["hidden_bias"]
        i, f, g, o = (gates[place * size : (place + 1) * size] for place in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
    return hidden


@pytest.mark.parametrize("masked", [False, True])
def test_recurrence(masked) -> None:
    inputs = floats(6, 4, 3)
    valid = np.random.default_rng(1).random((6, 4)) < 0.6
    valid[:, 0] = False
    args = (inputs, valid) if masked else (inputs,)
    variables, hidden = everywhere(Recurrence(5), *args)
    params = as_doubles(variables["params"])
    keep = valid if masked else np.ones_like(valid)
    expected = [lstm(params, inputs[:, row].astype(float), keep[:, row]) for row in range(4)]
    np.testing.assert_allclose(hidden, expected, rtol=1e-4, atol=1e-6)
    assert {name: value.shape for name, value in params.items()} == {
        "input_kernel": (3, 20),
        "hidden_kernel": (5, 20),
        "input_bias": (20,),
        "hidden_bias": (20,),
    }
    start = jax.jit(Recurrence(25).init)(jax.random.key(0), inputs)["params"]
    for values in start.values():
        assert_uniform(values, 25)


def test_lstm_over_tokens() -> None:
    vocabulary = (4, 2, 2, 4)
    tokens = np.array([[0, 1, 0, 3], [3, 0, 0, 0], [2, 1, 1, 3]], np.int32)
    variables, hidden = everywhere(
        TokenLstm(vocabulary, embedding=6, hidden=5), tokens, np.ones(3, bool)
    )
    params = as_doubles(variables["params"])
    assert params["tokens"].shape == (6, 6), "tokens of equally many values share their embeddings"
    first = {2: 0, 4: 2}
    for row, state in zip(tokens, hidden, strict=True):
        steps = np.stack(
            [
                params["tokens"][first[kind] + token]
                for token, kind in zip(row, vocabulary, strict=True)
            ]
        )
        expected = lstm(params["Recurrence_0"], steps, np.ones(4, bool))
        np.testing.assert_allclose(state, expected, rtol=1e-4, atol=1e-6)


def test_lstm_over_layers() -> None:
    rng = np.random.default_rng(2)
    layers = np.stack(
        [
            rng.integers(1 if column == 0 else 0, num, (3, 4))
            for column, num in enumerate((6, 4, 5, 9))
        ],
        -1,
    )
    layers = layers.astype(np.int32)
    layers[1, 2:] = 0
    module = Peephole((6, 4, 5, 9), embedding=3, hidden=5)
    variables, hidden = everywhere(module, layers, np.ones(3, bool))
    params = as_doubles(variables["params"])
    names = "type", "kernel_width", "kernel_height", "channels"
    assert [params[name].shape for name in names] == [(6, 3), (4, 3), (5, 3), (9, 3)]
    for row, state in zip(layers, hidden, strict=True):
        steps = np.stack(
            [np.concatenate([params[n][v] for n, v in zip(names, it, strict=True)]) for it in row]
        )
        np.testing.assert_allclose(
            state, lstm(params["Recurrence_0"], steps, row[:, 0] > 0), rtol=1e-4, atol=1e-6
        )
    padded = np.pad(layers, ((0, 0), (0, 3), (0, 0)))
    np.testing.assert_allclose(
        jax.jit(module.apply)(variables, padded, np.ones(3, bool)), hidden, atol=1e-6
    )


def test_sizes_of_the_recurrent_encoders() -> None:
    where = np.ones(3, bool)
    for module, features in (
        (TokenLstm((2,) * 21 + (4,) * 5), np.zeros((3, 26), np.int32)),
        (Peephole((6, 4, 4, 9)), np.zeros((3, 7, 4), np.int32)),
    ):
        (embeddings, variables) = jax.eval_shape(
            module.init_with_output, jax.random.key(0), features, where
        )
        assert embeddings.shape == (3, 100)
        assert variables["params"]["Recurrence_0"]["input_kernel"].shape == (100, 400)


# -- LeNet -----------------------------------------------------------------------------------------


def test_convolution() -> None:
    images = floats(2, 5, 6, 3)
    variables, result = everywhere(Conv3x3(4), images)
    kernel = variables["params"]["kernel"].reshape(3, 3, 3, 4)
    expected = jax.lax.conv_general_dilated(
        images,
        kernel,
        (1, 1),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    start = jax.jit(Conv3x3(8).init)(jax.random.key(0), images)["params"]
    assert set(start) == {"kernel"}
    assert_uniform(start["kernel"], 27)


def num_weights(variables) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def test_lenet_has_the_weights_of_the_paper() -> None:
    encoder = 6_498 + 43_776 + 2 * 38 + 2 * 128 + 752_760 + 10_164
    features, where = np.zeros((3, 19, 7, 7), np.float32), np.ones(3, bool)
    embeddings, variables = jax.eval_shape(
        LeNet().init_with_output, jax.random.key(0), features, where
    )
    assert embeddings.shape == (3, 84)
    assert num_weights(variables) == encoder
    output, variables = jax.eval_shape(
        Scorer(LeNet(), ()).init_with_output, jax.random.key(0), features, where
    )
    assert output.scores.shape == (3,)
    assert output.features.shape == (3, 84)
    assert num_weights(variables) == encoder + 85
    variables = jax.eval_shape(LeNet().init, jax.random.key(0), features[:, :1], where)
    assert num_weights(variables) == encoder - 18 * 38 * 9


def test_lenet_layer_by_layer() -> None:
    features, where = (
        floats(5, 2, 4, 4, scale=3.0, shift=5.0),
        np.array([True, True, False, True, True]),
    )
    module = LeNet(channels=(3, 4), sizes=(6, 5))
    variables = jax.jit(module.init)(jax.random.key(0), features, where)
    embeddings, _ = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))(
        variables, features, where
    )
    rows = features[where].astype(float)
    x = ((rows - rows.mean(0)) / rows.std(0)).transpose(0, 2, 3, 1)
    params = as_doubles(variables["params"])
    for layer in range(2):
        kernel = params[f"Conv3x3_{layer}"]["kernel"]
        kernel, padded = (
            kernel.reshape(3, 3, -1, kernel.shape[-1]),
            np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))),
        )
        x = np.zeros((*x.shape[:3], kernel.shape[-1]))
        for i in range(3):
            for j in range(3):
                x += padded[:, i : i + 4, j : j + 4] @ kernel[i, j]
        x = np.maximum((x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5), 0)
    x = x.reshape(4, -1)
    for layer in range(2):
        x = np.maximum(x @ params[f"Dense_{layer}"]["kernel"] + params[f"Dense_{layer}"]["bias"], 0)
    np.testing.assert_allclose(embeddings[where], x, rtol=1e-4, atol=1e-5)


def test_standardise() -> None:
    features = floats(6, 2, 3, scale=4.0, shift=10.0)
    where = np.array([True, True, False, True, True, False])
    features[~where] = 1e6
    features[:, 0, 1] = np.float32(28 * 28 * 9 * 128 * 128 + 7)
    features[:, 1, 2] = 0
    result, variables = jax.jit(Standardise().init_with_output)(jax.random.key(0), features, where)
    rows = features[where].astype(float)
    expected = np.where(
        rows.std(0) == 0, 0.0, (rows - rows.mean(0)) / np.where(rows.std(0) == 0, 1, rows.std(0))
    )
    np.testing.assert_allclose(result[where], expected, rtol=1e-4, atol=1e-5)
    assert "params" not in variables
    assert variables["constants"]["deviation"][0, 0, 1] == 1
    assert variables["constants"]["deviation"][0, 1, 2] == 1
    later = jax.jit(Standardise().apply)(variables, features[:2] + 1, where[:2])
    np.testing.assert_allclose(
        later[:, 0, 0], expected[:2, 0, 0] + 1 / rows.std(0)[0, 0], rtol=1e-4, atol=1e-5
    )


# -- Batch normalisation ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 4, 3)])
def test_masked_batch_norm(shape) -> None:
    x, where = (
        floats(*shape, scale=2.0, shift=1.0),
        np.array([True, False, True, True, True, False]),
    )
    x[~where] *= 50
    module = MaskedBatchNorm()
    shapes = jax.eval_shape(
        functools.partial(module.init, train=False), jax.random.key(0), x, where
    )
    assert {name: sorted(value) for name, value in shapes.items()} == {
        "params": ["bias", "scale"],
        "batch_stats": ["mean", "var"],
    }
    scale, bias, mean, var = (floats(3, seed=seed) for seed in range(4))
    var = var**2 + 0.5
    variables = {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": mean, "var": var},
    }
    train = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))
    result, changed = train(variables, x, where)
    rows = x[where].reshape(-1, 3).astype(float)
    expected = (x - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * scale + bias
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert rows.shape[0] == 4 * math.prod(shape[1:-1])
    stats = changed["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.9 * mean + 0.1 * rows.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 * var + 0.1 * rows.var(0, ddof=1), rtol=1e-5)
    evaluated = jax.jit(functools.partial(module.apply, train=False))(variables, x, where)
    np.testing.assert_allclose(
        evaluated, (x - mean) / np.sqrt(var + 1e-5) * scale + bias, rtol=1e-4, atol=1e-4
    )


def test_masked_batch_norm_starts_as_pytorch_and_ignores_padding() -> None:
    x, where = floats(4, 3), np.array([True, True, True, False])
    variables = MaskedBatchNorm().init(jax.random.key(0), x, where, train=True)
    for (collection, name), value in {
        ("params", "scale"): 1,
        ("params", "bias"): 0,
        ("batch_stats", "mean"): 0,
        ("batch_stats", "var"): 1,
    }.items():
        np.testing.assert_array_equal(variables[collection][name], np.full(3, value, np.float32))
    train = jax.jit(functools.partial(MaskedBatchNorm().apply, train=True, mutable=["batch_stats"]))
    whole, changed = train(variables, x, where)
    alone, other = train(variables, x[:3], where[:3])
    np.testing.assert_allclose(whole[:3], alone, rtol=1e-5, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), changed, other)


# -- Heads -----------------------------------------------------------------------------------------


def assert_uniform(values: jax.Array, fan: int) -> None:
    """In ±1/√fan, and (there being enough of them) up to its ends."""
    bound = 1 / math.sqrt(fan)
    assert np.abs(values).max() <= bound
    if values.size > 60:
        assert np.abs(values).max() > 0.9 * bound
        assert abs(np.mean(values)) < 5 * bound / math.sqrt(3 * values.size)


def test_dense_starts_as_pytorch() -> None:
    x = floats(2, 3, 30)
    for fan, module in ((30, Dense(20)), (60, Dense(20, fan=60)), (30, Dense(20, use_bias=False))):
        result, variables = jax.jit(module.init_with_output)(jax.random.key(0), x)
        params = variables["params"]
        for values in params.values():
            assert_uniform(values, fan)
        assert ("bias" in params) == module.use_bias
        params = as_doubles(params)
        bias = params.get("bias", np.zeros(20))
        np.testing.assert_allclose(result, x @ params["kernel"] + bias, rtol=1e-4, atol=1e-5)


def mlp(layers, x: np.ndarray) -> np.ndarray:
    """`[B]` of (kernel, bias) pairs, ReLU between."""
    for place, (kernel, bias) in enumerate(layers):
        x = x @ kernel + bias
        x = np.maximum(x, 0) if place < len(layers) - 1 else x
    return x[:, 0]


def layers_of(params) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (params[f"Dense_{i}"]["kernel"], params[f"Dense_{i}"]["bias"]) for i in range(len(params))
    ]


@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_head(hidden) -> None:
    x = floats(4, 40)
    module = Head(hidden, dropout=0.5)
    scores, variables = jax.jit(functools.partial(module.init_with_output, train=False))(
        jax.random.key(0), x
    )
    params = as_doubles(variables["params"])
    assert [kernel.shape[1] for kernel, _ in layers_of(params)] == [*hidden, 1]
    np.testing.assert_allclose(scores, mlp(layers_of(params), x), rtol=1e-4, atol=1e-6)
    for kernel, bias in layers_of(params):
        assert_uniform(kernel, kernel.shape[0])
        assert_uniform(bias, kernel.shape[0])
    train = jax.jit(functools.partial(module.apply, train=True))
    one, two = (train(variables, x, rngs={"dropout": jax.random.key(seed)}) for seed in range(2))
    assert bool(np.any(one != two)) == bool(hidden)


@pytest.mark.parametrize("hidden", [(6,), (6, 5)])
@pytest.mark.parametrize("pairing", ["diff", "concat"])
def test_comparator_head(pairing, hidden) -> None:
    first, second = floats(4, 20, seed=1), floats(4, 20, seed=2)

    def compare(module, first, second):
        return module(module.project(first)[0], module.project(second)[1], train=False)

    module = ComparatorHead(pairing, hidden)
    outputs, variables = jax.jit(functools.partial(module.init_with_output, method=compare))(
        jax.random.key(0), first, second
    )
    params = as_doubles(variables["params"])
    halves = params["first_half"]["Dense_0"], params["second_half"]["Dense_0"]
    assert set(halves[1]) == {"kernel"}
    joint = np.concatenate([half["kernel"] for half in halves])
    for values in (joint, halves[0]["bias"]):
        assert_uniform(values, 40)
    layers = [(joint, halves[0]["bias"]), *layers_of(params["rest"])]
    assert [kernel.shape[1] for kernel, _ in layers] == [*hidden, 1]
    pairs = np.concatenate([first, second - first if pairing == "diff" else second], axis=1)
    np.testing.assert_allclose(outputs, mlp(layers, pairs.astype(float)), rtol=1e-4, atol=1e-5)


def test_scorer() -> None:
    """One architecture gets a score, two get a comparison; both share what the encoder makes."""
    features, where = floats(4, 3, 2), np.ones(4, bool)
    encoded = np.asarray(Flatten().apply({}, features, where))
    np.testing.assert_array_equal(encoded, features.reshape(4, 6))

    scorer = Scorer(Flatten(), (5,))
    output, variables = jax.jit(scorer.init_with_output)(jax.random.key(0), features, where)
    np.testing.assert_array_equal(output.features, encoded)
    expected = mlp(layers_of(as_doubles(variables["params"])["head"]), encoded)
    np.testing.assert_allclose(output.scores, expected, rtol=1e-4, atol=1e-6)

    comparator = Scorer(Flatten(), (5,), pairing="diff")
    output, variables = jax.jit(comparator.init_with_output)(jax.random.key(0), features, where)
    np.testing.assert_array_equal(output.scores, np.zeros(4))
    first, second = comparator.apply(variables, encoded, method="project")
    outputs = comparator.apply(variables, first[:2], second[2:], method="compare")
    head = as_doubles(variables["params"])["head"]
    joint = np.concatenate(
        [head[half]["Dense_0"]["kernel"] for half in ("first_half", "second_half")]
    )
    layers = [(joint, head["first_half"]["Dense_0"]["bias"]), *layers_of(head["rest"])]
    pairs = np.concatenate([encoded[:2], encoded[2:] - encoded[:2]], axis=1)
    np.testing.assert_allclose(outputs, mlp(layers, pairs), rtol=1e-4, atol=1e-5)


def test_flattened_integers_become_floats() -> None:
    encoded = Flatten().apply({}, jnp.arange(6, dtype=jnp.int32).reshape(2, 3), np.ones(2, bool))
    assert encoded.dtype == jnp.float32
    np.testing.assert_array_equal(encoded, np.arange(6).reshape(2, 3))
