"""Tables against dictionaries: look-up of rows, estimators, objectives, and what is refused."""

import functools
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, spaces
from jnas.benchmarks import _rows
from jnas.types import Key, Objective, Outcome, Query, Space

NAMES = ["nasbench101", "nasbench201", "nats_size"]


def some_archs(space: Space, num: int, seed: int = 0) -> np.ndarray:
    """`num` architectures without duplicates, in random order."""
    every = space.enumerate()
    return every[np.random.default_rng(seed).choice(len(every), num, replace=False)]


NUM_ASKED = 128  # one length for all batches of queries, so that a look-up is compiled once a space


def padded(archs: np.ndarray) -> np.ndarray:
    """`[NUM_ASKED, D]`, with the first row again and again behind the others."""
    return np.concatenate([archs, np.repeat(archs[:1], NUM_ASKED - len(archs), axis=0)])


@functools.cache
def batched(function):
    return jax.jit(jax.vmap(function))


def codes_of(space: Space, archs: np.ndarray) -> list[tuple[int, ...]]:
    codes = np.asarray(batched(space.code)(padded(archs)))[: len(archs)]
    return [tuple(code) for code in codes.tolist()]


def rows_of(table: benchmarks.Table, archs: np.ndarray) -> np.ndarray:
    return np.asarray(table.rows(padded(archs)))[: len(archs)]


@jax.jit
def evaluate(objective: Objective, key: Key, asked: Query) -> Outcome:
    return objective(key, asked)


def small_table(space: Space, num: int = 50) -> benchmarks.Table:
    archs = some_archs(space, num)
    rng = np.random.default_rng(1)
    columns = {
        "accuracy": rng.random(len(archs)),
        "seconds": rng.random(len(archs)).astype(np.float32),
    }
    return benchmarks.make_table(space, archs, columns)


def row_dictionary(table: benchmarks.Table) -> dict[tuple[int, ...], int]:
    """Code to row, without binary search."""
    return {code: row for row, code in enumerate(codes_of(table.space, table.archs))}


def query(archs: np.ndarray, epochs: int | list[int] = 0) -> Query:
    ids = jnp.arange(len(archs), dtype=jnp.int32)
    return Query(
        ids, jnp.asarray(archs), jnp.broadcast_to(jnp.asarray(epochs, jnp.int32), (len(archs),))
    )


# --------------------------------------------------------------------------------------------------
# Rows.


@pytest.mark.parametrize(
    ("name", "num"),
    [
        ("nasbench101", 50),
        ("nats_size", 50),
        *(("nasbench201", num) for num in (1, 2, 3, 4, 5, 50)),
    ],
)
def test_rows_agree_with_a_dictionary_on_hits_and_misses(name: str, num: int) -> None:
    table = small_table(spaces.by_name(name), num)
    asked = np.concatenate([table.archs[::-1], some_archs(table.space, 60, seed=2)])
    rows = table.rows(padded(asked))
    known = row_dictionary(table)
    expected = [known.get(code, -1) for code in codes_of(table.space, asked)]
    np.testing.assert_array_equal(rows[: len(asked)], expected)
    assert rows.dtype == jnp.int32
    assert expected[: len(table.archs)] == list(range(len(table.archs)))[::-1]
    assert -1 in expected


def test_rows_of_a_whole_space_in_any_order() -> None:
    space = spaces.nats_size()
    archs = np.random.default_rng(0).permutation(space.enumerate())
    table = benchmarks.make_table(space, archs, {"sum": archs.sum(axis=1)})
    np.testing.assert_array_equal(table.rows(archs), np.arange(8**5))


def test_the_smallest_and_the_largest_code_are_found_and_their_neighbours_are_not() -> None:
    space = spaces.nasbench201()
    every = space.enumerate()
    table = benchmarks.make_table(space, every[[9000, 4, 8000]], {"x": np.arange(3)})
    asked = every[[0, 3, 4, 5, 7999, 8000, 8001, 8999, 9000, 9001, 15624]]
    np.testing.assert_array_equal(rows_of(table, asked), [-1, -1, 1, -1, -1, 2, -1, -1, 0, -1, -1])


def test_high_word_of_the_code_counts_before_the_low_word() -> None:
    """A space whose codes differ in either word only; rows are in the order of neither word."""
    space = spaces.nats_size()

    def code(arch: jax.Array) -> jax.Array:
        return jnp.stack([arch[0] + 8 * arch[1], arch[2] + 8 * arch[3]]).astype(jnp.uint32) << 25

    archs = np.random.default_rng(3).permutation(space.enumerate()[::8])  # last choice 0
    table = benchmarks.make_table(space._replace(code=code), archs[:3000], {"x": np.arange(3000)})
    expected = np.where(np.arange(len(archs)) < 3000, np.arange(len(archs)), -1)
    np.testing.assert_array_equal(table.rows(archs), expected)


def test_codes_with_the_top_bit_are_sorted_as_unsigned() -> None:
    table = small_table(spaces.nasbench101())
    codes = np.array(codes_of(table.space, table.archs))
    assert (codes >= 2**31).any(axis=0).all()
    np.testing.assert_array_equal(rows_of(table, table.archs), np.arange(50))


def test_vectors_with_choices_out_of_range_are_misses_although_their_code_is_known() -> None:
    space = spaces.nasbench201()
    table = benchmarks.make_table(space, space.enumerate(), {"x": np.arange(15625)})
    wrong = np.array([[0, 0, 0, 0, 0, 5], [0, 0, 0, 0, 1, -1], [0, 0, 0, 0, 1, 0]], np.int32)
    assert codes_of(space, wrong) == [(0, 5), (0, 4), (0, 5)]
    np.testing.assert_array_equal(rows_of(table, wrong), [-1, -1, 5])


def test_invalid_nasbench101_cells_are_misses() -> None:
    table = small_table(spaces.nasbench101())
    np.testing.assert_array_equal(rows_of(table, np.zeros((2, 26), np.int32)), [-1, -1])


def test_relabelled_and_padded_cells_have_the_row_of_the_cell() -> None:
    space = spaces.nasbench101()
    # input → a → output and input → b → c → output, in two orders; a vertex that leads nowhere.
    cell = "conv3x3:0|conv1x1:0|maxpool3x3:2|output:1,3"
    relabelled = "conv1x1:0|maxpool3x3:1|conv3x3:0|output:2,3"
    padded = "conv1x1:0|maxpool3x3:1|conv3x3:0|conv3x3:0,3|output:2,3"
    # Other cells: another operation, and an edge from input to output as well.
    other = "conv3x3:0|conv3x3:0|maxpool3x3:2|output:1,3"
    shortcut = "conv3x3:0|conv1x1:0|maxpool3x3:2|output:0,1,3"
    rest = some_archs(space, 49)
    table = benchmarks.make_table(
        space, np.stack([*rest, space.from_string(cell)]), {"x": np.arange(50)}
    )
    asked = np.stack(
        [space.from_string(text) for text in (cell, relabelled, padded, other, shortcut)]
    )
    assert len(np.unique(asked, axis=0)) == 5
    np.testing.assert_array_equal(rows_of(table, asked), [49, 49, 49, -1, -1])


def test_rows_eager_jit_vmap_and_scan_agree() -> None:
    table = small_table(spaces.nasbench201())
    asked = jnp.asarray(np.concatenate([table.archs, some_archs(table.space, 70, seed=3)]))[:120]
    expected = np.asarray(table.rows(asked))
    assert len(set((expected >= 0).tolist())) == 2
    np.testing.assert_array_equal(jax.jit(table.rows)(asked), expected)
    np.testing.assert_array_equal(jax.vmap(table.rows)(asked.reshape(6, 20, 6)).ravel(), expected)
    batches = asked.reshape(12, 10, 6)
    _, rows = jax.lax.scan(lambda carry, archs: (carry, table.rows(archs)), 0, batches)
    np.testing.assert_array_equal(rows.ravel(), expected)


def test_rows_under_64_bit_floats() -> None:
    table = small_table(spaces.nasbench201())
    with jax.enable_x64(True):
        np.testing.assert_array_equal(table.rows(table.archs), np.arange(50))
        assert table.rows(table.archs).dtype == jnp.int32


def test_rows_need_a_batch_of_integers() -> None:
    table = small_table(spaces.nasbench201())
    with pytest.raises(ValueError, match=r"a batch of one, archs\[None\]"):
        table.rows(table.archs[0])
    with pytest.raises(ValueError, match="integers; got float32"):
        table.rows(table.archs.astype(np.float32))
    with pytest.raises(ValueError, match=r"has 6 integers; got int32 of shape \(5,\)"):
        table.rows(table.archs[:, :5])


# --------------------------------------------------------------------------------------------------
# Estimators.


@pytest.mark.parametrize("name", NAMES)
def test_estimator_gives_the_column_and_nan_on_a_miss(name: str, key: jax.Array) -> None:
    table = small_table(spaces.by_name(name))
    asked = padded(np.concatenate([table.archs[::3], some_archs(table.space, 40, seed=4)]))
    known = row_dictionary(table)
    values = table.column("accuracy").astype(np.float32)
    codes = codes_of(table.space, asked)
    expected = [values[known[code]] if code in known else np.nan for code in codes]
    estimator = table.estimator("accuracy")
    scores = estimator(key, asked)
    np.testing.assert_array_equal(scores, np.array(expected, np.float32))
    np.testing.assert_array_equal(jax.jit(estimator)(key, asked), scores)
    assert np.isnan(expected).any()
    assert scores.dtype == jnp.float32


def test_estimator_does_not_depend_on_the_key() -> None:
    table = small_table(spaces.nasbench201())
    scores = [table.estimator("accuracy")(jax.random.key(seed), table.archs) for seed in (0, 1)]
    np.testing.assert_array_equal(*scores)


def test_an_unmeasured_value_stays_nan(key: jax.Array) -> None:
    space = spaces.nasbench201()
    table = benchmarks.make_table(space, space.enumerate()[:3], {"x": np.array([1.0, np.nan, 3.0])})
    np.testing.assert_array_equal(
        table.estimator("x")(key, table.archs), np.array([1, np.nan, 3], np.float32)
    )


def test_arrays_of_an_estimator_are_arguments_and_a_second_one_does_not_compile_again(
    key: jax.Array,
) -> None:
    traces = []

    @jax.jit
    def scores(estimator: jax.tree_util.Partial, archs: jax.Array) -> jax.Array:
        traces.append(None)
        return estimator(key, archs)

    table = small_table(spaces.nasbench201())
    archs = jnp.asarray(table.archs)
    np.testing.assert_array_equal(
        scores(table.estimator("accuracy"), archs), table.column("accuracy").astype("f4")
    )
    np.testing.assert_array_equal(
        scores(table.estimator("accuracy"), archs), table.column("accuracy").astype("f4")
    )
    np.testing.assert_array_equal(
        scores(table.estimator("seconds"), archs), -table.column("seconds")
    )
    other = benchmarks.make_table(spaces.nasbench201(), table.archs[::-1], {"y": np.arange(50)})
    np.testing.assert_array_equal(scores(other.estimator("y"), archs), np.arange(50)[::-1])
    assert len(traces) == 1
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(table.estimator("accuracy")))
    assert shapes == [(50,), (50, 2)]
    objective = jax.tree.structure(table.objective("accuracy"))
    assert objective == jax.tree.structure(table.objective("seconds", seconds="accuracy"))
    curve, other = ({1: "accuracy", 5: last} for last in ("seconds", "accuracy"))
    structures = [jax.tree.structure(table.objective(one, cost_epochs=5)) for one in (curve, other)]
    assert structures[0] == structures[1] != objective


def test_tables_of_different_spaces_do_not_share_a_program() -> None:
    tables = [small_table(spaces.by_name(name)) for name in NAMES]
    assert len({str(jax.tree.structure(table.estimator("accuracy"))) for table in tables}) == 3


def test_no_table_is_baked_into_the_program(key: jax.Array) -> None:
    space = spaces.nasbench201()
    table = benchmarks.make_table(space, space.enumerate(), {"x": np.arange(15625)})
    program = jax.jit(lambda estimator, archs: estimator(key, archs)).lower(
        table.estimator("x"), table.archs[:4]
    )
    constants = re.findall(r"dense<.*?> : tensor<([^>]*)>", program.as_text())
    assert constants
    assert not [shape for shape in constants if "15625" in shape]


def test_estimator_inside_vmap_and_scan(key: jax.Array) -> None:
    table = small_table(spaces.nats_size())
    archs = jnp.asarray(table.archs).reshape(5, 10, 5)
    expected = table.column("accuracy").astype(np.float32).reshape(5, 10)
    estimator = table.estimator("accuracy")
    np.testing.assert_array_equal(jax.vmap(estimator, in_axes=(None, 0))(key, archs), expected)

    def best(carry: jax.Array, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = estimator(key, batch)
        return jnp.maximum(carry, jnp.max(scores)), scores

    highest, scores = jax.jit(lambda a: jax.lax.scan(best, jnp.float32(-1), a))(archs)
    np.testing.assert_array_equal(scores, expected)
    assert highest == expected.max()


def test_estimator_of_a_sharded_population(key: jax.Array) -> None:
    table = small_table(spaces.nasbench201())
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    scores = jax.shard_map(
        lambda estimator, archs: estimator(key, archs),
        mesh=mesh,
        in_specs=(spec(), spec("rows")),
        out_specs=spec("rows"),
    )
    expected = table.column("accuracy").astype(np.float32)
    np.testing.assert_array_equal(
        jax.jit(scores)(table.estimator("accuracy"), jnp.asarray(table.archs)), expected
    )


# --------------------------------------------------------------------------------------------------
# Objectives.


def costly(columns: dict[str, list[float]]) -> benchmarks.Table:
    space = spaces.nasbench201()
    return benchmarks.make_table(
        space, space.enumerate()[:3], {k: np.array(v) for k, v in columns.items()}
    )


def test_objective_takes_scores_and_simulated_cost_from_columns(key: jax.Array) -> None:
    table = costly({"accuracy": [1, 2, 3], "seconds": [10, 20, 30], "latency": [7, 8, 9]})
    asked = query(spaces.nasbench201().enumerate()[[2, 0, 3]])
    outcome = evaluate(table.objective("accuracy"), key, asked)
    np.testing.assert_array_equal(outcome.scores, np.array([3, 1, np.nan], np.float32))
    np.testing.assert_array_equal(outcome.seconds, np.array([30, 10, 0], np.float32))
    assert outcome.scores.dtype == outcome.seconds.dtype == jnp.float32
    named = evaluate(table.objective("accuracy", seconds="latency"), key, asked)
    np.testing.assert_array_equal(named.seconds, [9, 7, 0])


def test_objective_without_a_cost_column_costs_nothing(key: jax.Array) -> None:
    table = costly({"accuracy": [1, 2, 3]})
    outcome = evaluate(table.objective("accuracy"), key, query(table.archs))
    np.testing.assert_array_equal(outcome.seconds, [0, 0, 0])


@pytest.mark.parametrize(
    ("column", "cost"),
    [("val12_c10", 1), ("test200_c10", 2), ("val200_seed0_c10", 2), ("val12_c100", 3)],
)
def test_the_cost_is_the_one_of_the_same_epochs_and_data_set(
    column: str, cost: float, key: jax.Array
) -> None:
    costs = {"seconds12_c10": [1.0] * 3, "seconds200_c10": [2.0] * 3, "seconds12_c100": [3.0] * 3}
    table = costly({**costs, column: [1, 2, 3]})
    outcome = evaluate(table.objective(column), key, query(table.archs))
    np.testing.assert_array_equal(outcome.seconds, [cost] * 3)


@pytest.mark.parametrize("column", ["index", "accuracy", "val200_c100", "val108_c10"])
def test_an_ambiguous_cost_has_to_be_named(column: str, key: jax.Array) -> None:
    table = costly({"seconds12_c10": [1, 2, 3], "seconds200_c10": [4, 5, 6], column: [7, 8, 9]})
    with pytest.raises(
        ValueError, match=r"seconds=; it could be any of seconds12_c10, seconds200_c10"
    ):
        table.objective(column)
    outcome = evaluate(table.objective(column, seconds="seconds200_c10"), key, query(table.archs))
    np.testing.assert_array_equal(outcome.seconds, [4, 5, 6])


def test_an_unknown_cost_counts_as_nothing_and_an_unknown_score_still_costs(key: jax.Array) -> None:
    table = costly({"accuracy": [1, np.nan, 3], "seconds": [np.nan, 20, 30]})
    outcome = evaluate(table.objective("accuracy"), key, query(table.archs))
    np.testing.assert_array_equal(outcome.scores, np.array([1, np.nan, 3], np.float32))
    np.testing.assert_array_equal(outcome.seconds, [0, 20, 30])


def test_an_objective_of_known_epochs_refuses_other_epochs(key: jax.Array) -> None:
    table = costly({"accuracy": [1, 2, 3], "seconds": [10, 20, 30]})
    asked = query(table.archs, epochs=[0, 12, 200])
    outcome = evaluate(table.objective("accuracy", epochs=12), key, asked)
    np.testing.assert_array_equal(outcome.scores, np.array([1, 2, np.nan], np.float32))
    np.testing.assert_array_equal(outcome.seconds, [10, 20, 0])
    outcome = evaluate(table.objective("accuracy"), key, asked)
    np.testing.assert_array_equal(outcome.scores, [1, 2, 3])


CURVE = {
    "val1": [1, 2, 3],
    "val10": [11, 12, np.nan],
    "val50": [51, 52, 53],
    "seconds": [100, 200, np.nan],
}
CURVE_COLUMNS = {50: "val50", 1: "val1", 10: "val10"}


def test_learning_curves_by_the_names_of_their_columns() -> None:
    names = (
        "val1_c10",
        "val12_c10",
        "val12_c100",
        "val012_c10",
        "val200_c10",
        "val200_seed0_c10",
        "seconds",
        "loss3",
    )
    space = spaces.nasbench201()
    table = benchmarks.make_table(
        space, space.enumerate()[:2], {name: np.zeros(2) for name in names}
    )
    expected = {1: "val1_c10", 12: "val12_c10", 200: "val200_c10"}
    assert table.learning_curve("val200_c10") == table.learning_curve("val12_c10") == expected
    assert table.learning_curve("loss3") == {3: "loss3"}
    assert table.learning_curve("seconds") == {}


def test_a_learning_curve_answers_for_its_epochs_at_their_share_of_the_cost(key: jax.Array) -> None:
    table = costly(CURVE)
    objective = table.objective(CURVE_COLUMNS, cost_epochs=100)
    assert objective.epochs == (1, 10, 50)
    unknown = np.full((1, 6), 4)
    archs = np.concatenate([table.archs[[1, 1, 1, 0, 2, 2, 1]], unknown])
    asked = query(archs, epochs=[1, 10, 50, 0, 10, 50, 11, 1])
    outcome = objective(key, asked)
    np.testing.assert_array_equal(
        outcome.scores, np.array([2, 12, 52, 51, np.nan, 53, np.nan, np.nan], np.float32)
    )
    np.testing.assert_allclose(outcome.seconds, [2, 20, 100, 50, 0, 0, 0, 0], rtol=1e-6)
    assert outcome.scores.dtype == outcome.seconds.dtype == jnp.float32
    jax.tree.map(
        np.testing.assert_array_equal,
        evaluate(objective, key, asked),
        outcome,
    )
    with jax.enable_x64(True):
        wide = evaluate(table.objective(CURVE_COLUMNS, cost_epochs=100), key, asked)
    assert wide.scores.dtype == wide.seconds.dtype == jnp.float32


def test_full_scores_at_a_partial_cost(key: jax.Array) -> None:
    """As NAS-Bench-201 ran BOHB."""
    table = costly(
        {"val200_c10": [91, 92, 93], "val12_c10": [1, 2, 3], "seconds200_c10": [2000, 4000, 6000]}
    )
    objective = table.objective("val200_c10", cost_epochs=200)
    assert objective.epochs is None
    outcome = evaluate(objective, key, query(table.archs, epochs=[22, 200, 0]))
    np.testing.assert_array_equal(outcome.scores, [91, 92, 93])
    np.testing.assert_allclose(outcome.seconds, [220, 4000, 6000], rtol=1e-6)


def test_two_fidelities_of_a_released_table(key: jax.Array) -> None:
    """The default cost is that of the largest number of epochs."""
    columns = {"val12_c10": [1, 2, 3], "val200_c10": [91, 92, 93]}
    table = costly({**columns, "seconds12_c10": [7, 7, 7], "seconds200_c10": [2000, 4000, 6000]})
    objective = table.objective({12: "val12_c10", 200: "val200_c10"}, cost_epochs=200)
    outcome = evaluate(objective, key, query(table.archs, epochs=[12, 200, 12]))
    np.testing.assert_array_equal(outcome.scores, [1, 92, 3])
    np.testing.assert_allclose(outcome.seconds, [120, 4000, 360], rtol=1e-6)


def test_epochs_that_an_objective_says_it_answers_for() -> None:
    table = costly(CURVE)
    assert table.objective("val10").epochs is None
    assert table.objective("val10", epochs=10).epochs == (10,)


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ({}, {"cost_epochs": 5}, "at least one number of epochs, from 1 on; got {}"),
        ({0: "val1"}, {"cost_epochs": 5}, r"from 1 on; got \{0: 'val1'\}"),
        ({1: "val2"}, {"cost_epochs": 5}, "unknown column 'val2'.*Did you mean"),
        ({1: "val1"}, {}, "say with cost_epochs="),
        ({1: "val1"}, {"cost_epochs": 5, "epochs": 1}, "epochs goes with a single column"),
        ("val1", {"cost_epochs": 0}, "cost_epochs must be at least 1; got 0"),
        ("val1", {"epochs": 0}, "epochs must be at least 1; got 0"),
    ],
)
def test_fidelities_that_are_refused(column: object, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        costly(CURVE).objective(column, **options)


# --------------------------------------------------------------------------------------------------
# What is refused, and what is kept.


@pytest.mark.parametrize("method", ["column", "estimator", "objective"])
def test_unknown_column_names_the_nearest_and_all(method: str) -> None:
    table = small_table(spaces.nasbench201())
    with pytest.raises(
        ValueError, match=r"'acuracy'.*'accuracy'\? Valid names: accuracy, seconds\."
    ):
        getattr(table, method)("acuracy")


def test_unknown_cost_column() -> None:
    with pytest.raises(ValueError, match=r"'second'.*Did you mean 'seconds'"):
        small_table(spaces.nasbench201()).objective("accuracy", seconds="second")


def test_duplicates_name_the_first_repetition_and_its_rows() -> None:
    space = spaces.nasbench201()
    archs = space.enumerate()[[500, 40, 30, 40, 500, 30]]
    with pytest.raises(ValueError, match="rows 1 and 3 are the same nasbench201") as error:
        benchmarks.make_table(space, archs, {"x": np.arange(6)})
    assert space.to_string(archs[1]) in str(error.value)


def test_isomorphic_cells_are_duplicates() -> None:
    space = spaces.nasbench101()
    text = "conv3x3:0|conv1x1:0|output:1,2", "conv1x1:0|conv3x3:0|output:1,2"
    archs = np.stack([space.from_string(t) for t in text])
    with pytest.raises(ValueError, match=r"rows 0 and 1 .*conv1x1:0\|conv3x3:0\|output:1,2"):
        benchmarks.make_table(space, archs, {"x": np.arange(2)})


def test_invalid_architectures_name_their_row() -> None:
    space = spaces.nasbench201()
    archs = space.enumerate()[:5].copy()
    archs[3, 2] = 5
    with pytest.raises(
        ValueError, match=r"row 3 is not a valid nasbench201 architecture: \[0, 0, 5, 0, 0, 3\]"
    ):
        benchmarks.make_table(space, archs, {"x": np.arange(5)})
    cells = np.stack([spaces.nasbench101().enumerate()[7], np.zeros(26, np.int32)])
    with pytest.raises(ValueError, match="row 1 is not a valid nasbench101"):
        benchmarks.make_table(spaces.nasbench101(), cells, {"x": np.arange(2)})


@pytest.mark.parametrize(
    ("archs", "columns", "message"),
    [
        (
            np.zeros((2, 5), np.int32),
            {"x": np.arange(2)},
            r"nasbench201 needs architectures \[A, 6\].*\[2, 5\]",
        ),
        (np.zeros((0, 6), np.int32), {"x": np.arange(0)}, r"A > 0; got \[0, 6\]"),
        (np.zeros(6, np.int32), {"x": np.arange(6)}, r"got \[6\]"),
        (np.zeros((1, 6)), {"x": np.arange(1)}, "integers; got float64"),
        (np.zeros((1, 6), np.int32), {}, "at least one numeric column; arrays has none"),
        (np.zeros((1, 6), np.int32), {"x": np.arange(2)}, r"'x' must have shape \[1\]; got \[2\]"),
        (
            np.zeros((1, 6), np.int32),
            {"x": np.zeros((1, 2))},
            r"'x' must have shape \[1\]; got \[1, 2\]",
        ),
        (np.zeros((1, 6), np.int32), {"x": np.array(["good"])}, "'x' must be numeric"),
    ],
)
def test_malformed_arrays(archs: np.ndarray, columns: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        benchmarks.make_table(spaces.nasbench201(), archs, columns)


def test_conventions_belong_to_columns() -> None:
    space = spaces.nasbench201()
    columns = {"accuracy": np.ones(1), "seconds": np.ones(1)}
    table = benchmarks.make_table(
        space, space.enumerate()[:1], columns, conventions={"accuracy": "%"}
    )
    assert table.conventions == {"accuracy": "%", "seconds": "not stated"}
    with pytest.raises(ValueError, match=r"unknown column 'acc'.*Valid names: accuracy, seconds"):
        benchmarks.make_table(space, space.enumerate()[:1], columns, conventions={"acc": "%"})


def test_columns_keep_their_floats_and_integers_become_double() -> None:
    space = spaces.nasbench201()
    columns = {
        "single": np.ones(2, np.float32),
        "double": np.ones(2),
        "whole": np.array([1, 2**40]),
    }
    table = benchmarks.make_table(space, space.enumerate()[:2].astype(np.uint8), columns)
    assert [values.dtype for values in table.columns.values()] == [
        np.float32,
        np.float64,
        np.float64,
    ]
    assert table.column("whole")[1] == 2**40
    assert table.archs.dtype == np.int32


def test_a_table_cannot_be_changed() -> None:
    table = small_table(spaces.nasbench201())
    with pytest.raises(AttributeError):
        table.source = "elsewhere"
    assert "_codes" not in repr(table)


# --------------------------------------------------------------------------------------------------
# Numbers beyond float32, and numbers that it hardly tells apart.


@pytest.mark.parametrize(
    "values",
    [
        [0.943249100, 0.943249101, 0.943249102],
        [0.943249102, 0.943249100, 0.943249101],
        [-1e-9 - 5, -5, -2e-9 - 5],
        [1, 1, 1 + 1e-12],
    ],
)
def test_close_numbers_keep_their_order(values: list[float], key: jax.Array) -> None:
    table = costly({"acc": values})
    scores = np.asarray(table.estimator("acc")(key, table.archs))
    np.testing.assert_array_equal(
        np.unique(scores, return_inverse=True)[1], np.unique(values, return_inverse=True)[1]
    )
    np.testing.assert_allclose(scores, values, rtol=1e-6)
    outcome = evaluate(table.objective("acc"), key, query(table.archs))
    np.testing.assert_array_equal(outcome.scores, scores)


@pytest.mark.parametrize(
    "values",
    [
        [1e43, 1e50, 1e61],
        [1e61, -1e300, 0],
        [1e-300, 1e61, 1e-200],
        [-1e50, -1e61, 1e50],
        [1e-50, 3e-60, 2e-60],
    ],
)
def test_numbers_beyond_float32_keep_their_order_and_a_warning_says_so(
    values: list[float], key: jax.Array
) -> None:
    table = costly({"synflow": values})
    with pytest.warns(UserWarning, match=r"'synflow' of arrays is beyond float32.* times 2\^"):
        estimator = table.estimator("synflow")
    scores = np.asarray(estimator(key, table.archs))
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(values))
    assert len(set(scores.tolist())) == 3
    np.testing.assert_array_equal(table.look_up("synflow", table.archs), values)


def test_beyond_float32_what_is_not_finite_stays(key: jax.Array) -> None:
    table = costly({"x": [1e50, np.nan, -np.inf]})
    with pytest.warns(UserWarning, match="beyond float32"):
        estimator = table.estimator("x")
    scores = np.asarray(estimator(key, table.archs))
    assert np.isfinite(scores[0])
    np.testing.assert_array_equal(scores[1:], np.array([np.nan, -np.inf], np.float32))


def test_columns_that_float32_holds_are_rounded_and_no_more(key: jax.Array) -> None:
    values = np.array([10.0, 91.29, 91.29 + 1e-9])
    table = costly({"acc": values})
    np.testing.assert_array_equal(
        table.estimator("acc")(key, table.archs), values.astype(np.float32)
    )


def test_costs_beyond_float32_are_refused() -> None:
    table = costly({"acc": [1, 2, 3], "seconds": [1, 2, 1e61]})
    for use in (lambda: table.objective("acc"), lambda: table.cost("seconds")):
        with pytest.raises(ValueError, match=r"column 'seconds' is beyond it; give it in another"):
            use()


# --------------------------------------------------------------------------------------------------
# Which way is better.


@pytest.mark.parametrize(
    ("name", "convention", "minimize"),
    [
        ("valid_error", "", True),
        ("validError", "", True),
        ("test_err3", "", True),
        ("Test-Loss", "", True),
        ("perplexity", "in nats", True),
        ("latency_ms", "", True),
        ("seconds200_c10", "", True),
        ("val_accuracy", "100 minus the error", False),
        ("synflow", "", False),
        ("params", "", False),
        ("neg_loss", "", False),
        ("lossless", "", False),
        ("score", "Lower is better", True),
        ("valid_error", "1 - error, higher is better", False),
        ("score", "higher is better; lower is better", True),
    ],
)
def test_direction_by_convention_or_by_name(name: str, convention: str, minimize: bool) -> None:
    space = spaces.nasbench201()
    table = benchmarks.make_table(
        space, space.enumerate()[:1], {name: np.ones(1)}, conventions={name: convention}
    )
    assert table.minimizes(name) is minimize
    for other in (True, False, True):
        table = table.directed(name, minimize=other)
        assert table.minimizes(name) is other


def test_scores_of_a_column_that_is_better_when_smaller(key: jax.Array) -> None:
    """The best error has the largest score; as a cost it stays what it is."""
    table = costly({"valid_error": [9.5, 8.5, np.nan], "seconds": [10, 20, 30]})
    expected = np.array([-9.5, -8.5, np.nan], np.float32)
    np.testing.assert_array_equal(table.estimator("valid_error")(key, table.archs), expected)
    outcome = evaluate(table.objective("valid_error"), key, query(table.archs))
    np.testing.assert_array_equal(outcome.scores, expected)
    np.testing.assert_array_equal(outcome.seconds, [10, 20, 30])
    assert table.cost("valid_error")(jnp.asarray(table.archs[1])) == 8.5
    curve = costly({"loss1": [3, 4, 5], "loss2": [2, 1, 3]})
    scores = evaluate(
        curve.objective({1: "loss1", 2: "loss2"}, cost_epochs=2),
        key,
        query(curve.archs, epochs=[1, 2, 2]),
    ).scores
    np.testing.assert_array_equal(scores, [-3, -1, -3])


def test_direction_is_saved(tmp_path) -> None:
    table = costly({"score": [1, 2, 3]}).directed("score", minimize=True)
    benchmarks.save(table, tmp_path / "t.npz")
    assert benchmarks.load(tmp_path / "t.npz").minimizes("score")


# --------------------------------------------------------------------------------------------------
# Epochs that a curve lacks.


def test_epochs_that_a_curve_lacks_are_answered_and_charged_as_the_nearest(key: jax.Array) -> None:
    table = costly(CURVE)
    objective = table.objective(CURVE_COLUMNS, cost_epochs=100, nearest=True)
    assert objective.epochs is None
    asked = query(table.archs[[1] * 7], epochs=[1, 5, 6, 30, 31, 200, 0])
    outcome = evaluate(objective, key, asked)
    np.testing.assert_array_equal(outcome.scores, [2, 2, 12, 12, 52, 52, 52])
    np.testing.assert_allclose(outcome.seconds, [2, 2, 20, 20, 100, 100, 100], rtol=1e-6)


# --------------------------------------------------------------------------------------------------
# A table as people look at it.


def test_length_and_a_repr_of_a_few_lines() -> None:
    table = costly({f"val{epoch}": [epoch, 91.5, np.nan] for epoch in range(1, 101)})
    assert len(table) == 3
    lines = repr(table).splitlines()
    assert lines[0] == "Table of nasbench201: 3 architectures, arrays"
    assert lines[1] == "  val1  1 … 91.5  (not stated)"
    assert lines[-1] == "  and 92 more columns"
    assert len(lines) == 10
    assert max(map(len, repr(benchmarks.nasbench201()).splitlines())) <= 100


def test_the_best_rows() -> None:
    table = costly({"acc": [1, 3, np.nan], "valid_error": [9, 7, 8]})
    assert table.best(1).columns["acc"].tolist() == [3]
    assert table.best(5, "acc").columns["acc"].tolist() == [3, 1]
    best = table.best(2, "valid_error")
    assert best.columns["valid_error"].tolist() == [7, 8]
    np.testing.assert_array_equal(best.archs, table.archs[[1, 2]])
    with pytest.raises(ValueError, match="num must be at least 1; got 0"):
        table.best(0)
    with pytest.raises(ValueError, match="column 'acc' of arrays has no value"):
        costly({"acc": [np.nan] * 3}).best(1)


def test_a_data_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    table = costly({"acc": [1, 3, np.nan]})
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"needs pandas: pip install"):
        table.to_pandas()
    monkeypatch.undo()
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == ["architecture", "acc"]
    assert frame["architecture"].tolist() == [table.space.to_string(a) for a in table.archs]


# --------------------------------------------------------------------------------------------------
# Repeated rows.


def test_repeated_rows_are_averaged_on_request() -> None:
    space = spaces.nasbench201()
    archs = space.enumerate()[[7, 5, 7, 3, 5]]
    columns = {"x": np.array([1, 2, 5, 4, np.nan]), "y": np.array([np.nan] * 5)}
    with pytest.raises(ValueError, match=r'are the same .*; duplicates "mean" takes their mean'):
        benchmarks.make_table(space, archs, columns)
    table = benchmarks.make_table(space, archs, columns, duplicates="mean")
    np.testing.assert_array_equal(table.archs, archs[[0, 1, 3]])
    np.testing.assert_array_equal(table.column("x"), [3, 2, 4])
    assert np.isnan(table.column("y")).all()
    assert table.conventions["x"] == "not stated; mean over repeated rows"
    once = benchmarks.make_table(space, archs[:2], {"x": np.arange(2)}, duplicates="mean")
    assert once.conventions["x"] == "not stated"
    with pytest.raises(ValueError, match=r"unknown duplicates 'means'\. Did you mean 'mean'"):
        benchmarks.make_table(space, archs, columns, duplicates="means")


def test_codes_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that are made of another one's rows find them in its sorted codes."""
    calls, codes_of_rows = [], _rows.codes_of
    monkeypatch.setattr(_rows, "codes_of", lambda *args: calls.append(1) or codes_of_rows(*args))
    space = spaces.nasbench201()
    archs = space.enumerate()[[7, 5, 7, 3, 5, 9]]
    table = benchmarks.make_table(space, archs, {"x": np.arange(6)}, duplicates="mean")
    best = table.directed("x", minimize=True).best(3)
    assert len(calls) == 1
    asked = archs[[0, 1, 3, 5]]
    np.testing.assert_array_equal(best.archs, asked[[0, 1, 2]])
    np.testing.assert_array_equal(table.rows(asked), [0, 1, 2, 3])
    np.testing.assert_array_equal(table.best(4).rows(asked), [3, 2, 1, 0])
    np.testing.assert_array_equal(best.rows(asked), [0, 1, 2, -1])


# --------------------------------------------------------------------------------------------------
# Tables of spaces with the codes of another.


@pytest.mark.slow
def test_a_table_answers_for_a_space_of_the_same_codes() -> None:
    """Some cells of sub-space 1, relabelled ones too, from a table of NAS-Bench-101."""
    space = spaces.nb1shot1(subspace=1)
    archs = space.enumerate()[::50]
    convert = jax.jit(jax.vmap(lambda arch: spaces.nb1shot1_to_nasbench101(arch, 1)))
    others = np.asarray(convert(archs))
    rows = np.concatenate([small_table(spaces.nasbench101()).archs, others])[::-1]
    values = np.arange(len(rows))
    table = benchmarks.make_table(spaces.nasbench101(), rows, {"x": values}, duplicates="mean")
    found = table.of(space)
    assert found.space is space
    assert len(found) >= len(archs)
    assert set(found.columns) == {"x"}
    values = [t.look_up("x", padded(a)) for t, a in ((found, archs), (table, others))]
    np.testing.assert_array_equal(*values)
    assert np.isfinite(values[0]).all()
    drawn = some_archs(space, 60, seed=2)
    expected = [code in set(codes_of(space, found.archs)) for code in codes_of(space, drawn)]
    np.testing.assert_array_equal(
        np.asarray(found.rows(padded(drawn)))[: len(drawn)] >= 0, expected
    )


def test_a_table_of_other_codes_does_not_answer() -> None:
    table = small_table(spaces.nats_size())
    for space in (spaces.nasbench201(), spaces.nb1shot1(subspace=1)):
        with pytest.raises(ValueError, match="a table of nats_size has no rows for codes of nasb"):
            table.of(space)
    nothing = benchmarks.make_table(
        spaces.nasbench101(), spaces.nasbench101().enumerate()[-1:], {"x": np.ones(1)}
    )
    with pytest.raises(ValueError, match="arrays has no architecture of nb1shot1_s1"):
        nothing.of(spaces.nb1shot1(subspace=1))
