"""A space of the second kind is one file and one line: what takes a space takes this one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas import benchmarks, encodings, predictors, search, spaces
from jnas.predictors import message_passing
from jnas.predictors.gates import GatesOnEdges
from tests.oracles.two_kinds import CARDINALITIES, OPERATIONS, N, two_kinds

SPACE = two_kinds()
PAIRS = list(zip(*np.triu_indices(N, 1), strict=True))
# Both nodes of the normal cell read one input twice, by different operations and by the same.
TWICE = [0, 1, 0, 2, 1, 0, 1, 0] + [0, 0, 1, 2, 2, 1, 2, 2]


@functools.cache
def archs() -> np.ndarray:
    keys = jax.random.split(jax.random.key(0), 40)
    return np.asarray(jax.jit(jax.vmap(SPACE.sample))(keys))


@pytest.fixture
def listed(monkeypatch) -> None:
    """The one line."""
    monkeypatch.setitem(spaces._FACTORIES, "two_kinds", two_kinds)
    monkeypatch.setattr(spaces, "NAMES", (*spaces.NAMES, "two_kinds"))


def edges_of(arch) -> list[tuple[int, int, int, int, int]]:
    """(cell, slot, source, target, operation) of every edge, read off the vector."""
    rows = np.asarray(arch).reshape(2, 2, 2, 2)
    inner = [
        (cell, slot, int(source), node + 2, int(op) + 1)
        for (cell, node, slot), (source, op) in zip(
            np.ndindex(2, 2, 2), rows.reshape(-1, 2), strict=True
        )
    ]
    return inner + [(cell, 0, node, 4, 4) for cell in (0, 1) for node in (2, 3)]


def test_graph_has_an_axis_of_cells_and_one_of_parallel_edges() -> None:
    for arch in (TWICE, *archs()[:5]):
        graph = SPACE.graph(jnp.asarray(arch, jnp.int32))
        expected = np.zeros((2, 2, N, N), int)
        for cell, slot, source, target, op in edges_of(arch):
            expected[cell, slot, source, target] = op
        np.testing.assert_array_equal(graph.edge_ops, expected)
        assert graph.node_ops.shape == graph.mask.shape == (len(SPACE.cells), N)
    twice = SPACE.graph(jnp.asarray(TWICE, jnp.int32)).adjacency[0, :, 0, 2]
    assert twice.tolist() == [True, True]


def test_graphs_of_jraph_are_multigraphs() -> None:
    batch = encodings.graphs(SPACE)(archs()[:3])
    assert batch.n_node.tolist() == [N] * 6
    assert batch.n_edge.tolist() == [2 * len(PAIRS)] * 6
    found = {
        (int(s), int(r), int(op))
        for s, r, op in zip(batch.senders, batch.receivers, batch.edges["op"], strict=True)
        if op
    }
    expected = {
        (2 * N * row + N * cell + source, 2 * N * row + N * cell + target, op)
        for row in range(3)
        for cell, _, source, target, op in edges_of(archs()[row])
    }
    assert found == expected


@pytest.mark.slow
def test_message_passing_adds_up_parallel_edges(key) -> None:
    batch = encodings.graphs(SPACE)(archs()[:3])
    for shape in ((6 * 2 * len(PAIRS),), (6 * 2 * len(PAIRS), 3)):
        sent, weights = jax.random.normal(key, (6 * N, 3)), jax.random.normal(key, shape)
        expected = np.zeros((6 * N, 3))
        for edge, (sender, receiver) in enumerate(zip(batch.senders, batch.receivers, strict=True)):
            expected[receiver] += np.asarray(weights[edge] * sent[sender])
        for aggregate in (message_passing.dense, message_passing.by_segments()):
            np.testing.assert_allclose(aggregate(batch, sent, weights), expected, atol=1e-5)
    turned = message_passing.reverse(batch)
    for name, values in message_passing.reverse(turned).edges.items():
        np.testing.assert_array_equal(values, batch.edges[name])
    for edge, (one, two) in enumerate(PAIRS):
        other = PAIRS.index((N - 1 - two, N - 1 - one))
        for slot in (0, len(PAIRS)):
            assert turned.edges["op"][slot + edge] == batch.edges["op"][slot + other]


def test_flat_encodings_hold_every_edge() -> None:
    tokens = np.asarray(jax.jit(encodings.tokens(SPACE))(archs()))
    assert tokens.shape[1] == len(encodings.vocabulary(SPACE)) == 2 * 2 * len(PAIRS)
    flat = np.asarray(jax.jit(encodings.adjacency(SPACE))(archs()))
    layers = np.asarray(jax.jit(encodings.layers(SPACE))(archs()))
    for row, arch in enumerate(archs()):
        expected = np.zeros((2, 2, len(PAIRS)), int)
        for cell, slot, source, target, op in edges_of(arch):
            expected[cell, slot, PAIRS.index((source, target))] = op
        np.testing.assert_array_equal(tokens[row], expected.ravel())
        np.testing.assert_array_equal(flat[row].reshape(-1, 4), np.eye(5)[expected.ravel()][:, 1:])
        np.testing.assert_array_equal(layers[row, :, 0], expected.ravel() + 1)
    convolution = 1 + OPERATIONS.index("conv_3x3")
    assert (layers[..., 1][tokens == convolution] == 3).all()


def by_hand(params, arch) -> np.ndarray:
    """What GATES makes of a cell, by edges: parallel ones add up, inputs keep what they know."""
    embeddings = []
    for cell in (0, 1):
        dense = params["node_to_hidden"]
        nodes = np.concatenate([params["input_nodes"][cell], np.zeros((N - 2, 4))])
        x = nodes @ dense["kernel"] + dense["bias"]
        for layer in (0, 1):
            gate, sent = params[f"gate_{layer}"], x @ params[f"kernel_{layer}"]
            x = np.where(np.arange(N)[:, None] < 2, sent, 0)
            for which, _, source, target, op in edges_of(arch):
                if which == cell:
                    value = params["operations"][op] @ gate["kernel"] + gate["bias"]
                    x[target] += sent[source] / (1 + np.exp(-value))
            x = np.maximum(x, 0) if layer == 0 else x
        embeddings.append(x[-1])
    return np.concatenate(embeddings)


def test_gates_reads_both_cells_and_both_edges() -> None:
    sizes = {"node_size": 4, "hidden_size": 6, "op_size": 5}
    module = GatesOnEdges(5, (7, 5), num_inputs=2, residual=2, **sizes)
    rows = np.array([TWICE, *archs()[:4]], np.int32)
    batch, where = jax.jit(jax.vmap(SPACE.graph))(rows), jnp.ones(5, bool)
    shapes = jax.eval_shape(module.init, jax.random.key(0), batch, where)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda it: rng.normal(0, 0.5, it.shape).astype(it.dtype), shapes)
    found = jax.jit(module.apply)(variables, batch, where)
    expected = [by_hand(variables["params"], arch) for arch in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_fit_save_load_and_search(listed, tmp_path, key) -> None:
    """GATES learns the number of convolutions, is loaded by the space's name, and is searched."""
    training = predictors.Training(epochs=60, batch_size=10)
    predictor = predictors.gates(SPACE, layers=(16, 16), hidden=(16,), training=training)
    targets = np.asarray(jax.jit(jax.vmap(SPACE.params))(archs()), np.float32)
    state = predictor.fit(key, archs(), targets)
    assert float(jnas.metrics.kendall_tau(predictor.predict(state, archs()), targets)) > 0.5
    predictors.save(tmp_path / "gates.npz", predictor, state)
    again, loaded = predictors.load(tmp_path / "gates.npz")
    assert again.space.name == "two_kinds"
    np.testing.assert_array_equal(again.predict(loaded, archs()), predictor.predict(state, archs()))
    judge = search.objective(predictors.estimator(predictor, state))
    searcher = search.regularized_evolution(SPACE, population_size=10)

    @jax.jit
    def run(key):
        found = search.run(searcher, judge, key, num_evaluations=100, identity=SPACE.identity)
        return found, search.num_distinct(found, SPACE.identity)

    history, num_distinct = run(key)
    assert bool(jax.jit(jax.vmap(SPACE.is_valid))(history.archs).all())
    best = history.archs[history.best[-1]]
    assert int(SPACE.params(best)) > np.median(targets)
    assert num_distinct == history.num_evaluations


def test_tables_look_up_codes_of_three_words(listed, tmp_path) -> None:
    codes = np.asarray(jax.jit(jax.vmap(SPACE.code))(archs()))
    assert codes.shape == (40, 3)
    rows = archs()[np.unique(codes, axis=0, return_index=True)[1]]
    values = np.arange(len(rows), dtype=np.float32)
    table = benchmarks.make_table(SPACE, rows, {"first": values, "final": values + 1})
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(table.rows(jnp.asarray(rows[order])), order)
    swapped = rows.reshape(-1, 4, 2, 2)[:, :, ::-1].reshape(rows.shape)
    np.testing.assert_array_equal(table.rows(jnp.asarray(swapped)), np.arange(len(rows)))
    other = np.array(CARDINALITIES, np.int32) - 1
    missing = table.rows(jnp.asarray(other)[None])
    assert missing.tolist() == [-1] or (rows == other).all(1).any()
    assert benchmarks.usual_column(table) == "final"
    with pytest.raises(FileNotFoundError, match="no table of trained accuracies of two_kinds"):
        benchmarks.of_space(SPACE)
    with pytest.raises(ValueError, match="rows 0 and 1 are the same two_kinds architecture"):
        benchmarks.make_table(SPACE, np.stack([rows[0], swapped[0]]), {"x": values[:2]})
    lines = [f"{SPACE.to_string(arch)},{value}" for arch, value in zip(rows, values, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["architecture,final", *lines]) + "\n")
    assert benchmarks.load(tmp_path / "mine.csv").space.name == "two_kinds"


@pytest.mark.slow
def test_strategies_draw_until_valid(key) -> None:
    """A condition on the second cell, met by strategies that propose vectors of their own."""
    tight = search.constrained(SPACE, lambda arch: arch[9] == 2)
    searcher = search.reinforce(tight, batch_size=4)
    judge = search.objective(Partial(lambda key, archs: archs[:, 0].astype(jnp.float32)))
    history = jax.jit(lambda key: search.run(searcher, judge, key, num_evaluations=20))(key)
    assert (np.asarray(history.archs)[:, 9] == 2).all()
