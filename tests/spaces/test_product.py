"""Spaces of named choices; the contract of all spaces is in test_spaces.py."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jnas import encodings, metrics, plots, predictors, search, spaces
from tests.oracles.searches import run

CHOICES = {"kernel": (3, 5, 7), "bias": (True,), "width": (16, 32, 64, 128)}
SPACE = spaces.product(CHOICES)
SHORT = predictors.Training(epochs=60, batch_size=6)


def test_texts_are_the_values() -> None:
    assert SPACE.to_string(np.array([1, 0, 2])) == "kernel=5,bias=True,width=64"
    assert SPACE.from_string("width = 128, kernel=3, bias=True").tolist() == [0, 0, 3]
    assert SPACE.cardinalities == (3, 1, 4)
    assert len(SPACE.enumerate()) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kernel=3,bias=True,widht=16", "unknown choice 'widht' .*Did you mean 'width'"),
        ("kernel=4,bias=True,width=16", "unknown value '4' of 'kernel' .*Valid names: 3, 5, 7"),
        ("kernel=3,kernel=5", "'kernel' stands twice"),
        ("kernel=3,bias=True", "lacks width"),
    ],
)
def test_wrong_texts_are_told(text, message) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "a choice with two values"),
        ({1: (1, 2)}, "names of choices must be texts; got 1"),
        ({"kernel": (3,)}, "a choice with two values"),
        ({"kernel": (3, "3")}, "'kernel' needs one value or more, each once; got 3, 3"),
        ({"kernel": ()}, "'kernel' needs one value or more"),
        ({"a=b": (1, 2)}, "'a=b' of choice 'a=b' cannot be read back"),
        ({"kernel": ((1, 2), (3, 4))}, "'\\(1, 2\\)' of choice 'kernel' cannot be read back"),
        ({"kernel": ("", "x")}, "'' of choice 'kernel'"),
        ({f"x{i}": range(9) for i in range(21)}, "1.09e\\+20 combinations are too many"),
    ],
)
def test_choices_that_make_no_space_are_refused(choices, message) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.product(choices)


def test_mutants_differ_in_one_choice_and_are_uniform(key) -> None:
    parent = jnp.asarray([1, 0, 2], jnp.int32)
    children = jax.jit(jax.vmap(SPACE.mutate, (0, None)))(jax.random.split(key, 4_000), parent)
    rows, counts = np.unique(children, axis=0, return_counts=True)
    assert rows.tolist() == [[0, 0, 2], [1, 0, 0], [1, 0, 1], [1, 0, 3], [2, 0, 2]]
    np.testing.assert_allclose(counts / 4_000, [1 / 4, 1 / 6, 1 / 6, 1 / 6, 1 / 4], atol=0.03)
    small = SPACE.mutate(key, parent.astype(jnp.uint8))
    assert small.dtype == jnp.uint8


def test_as_many_choices_as_a_byte_has_numbers() -> None:
    """Result files store them as bytes, which cannot hold 256 itself."""
    space = spaces.product({"x": range(256), "y": range(2)})
    for arch, valid in (([255, 1], True), ([255, 2], False)):
        assert bool(space.is_valid(jnp.asarray(arch, jnp.uint8))) == valid
    assert bool(space.is_valid(jnp.asarray([127, 1], jnp.int8)))
    assert space.code(jnp.asarray([255, 1], jnp.uint8)).tolist() == [0, 511]


def test_codes_of_large_spaces_are_exact() -> None:
    """40 choices of three values: 3^40 needs 63.4 bits, and 20 of them fit a word."""
    space = spaces.product({f"x{i}": (0, 1, 2) for i in range(40)})
    archs = jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), 50))
    words = np.asarray(jax.jit(jax.vmap(space.code))(archs)).astype(object)
    for arch, (high, low) in zip(np.asarray(archs).tolist(), words, strict=True):
        digits = "".join(map(str, arch))
        assert (high, low) == (int(digits[:20], 3), int(digits[20:], 3))
    with pytest.raises(ValueError, match=r"1.22e\+19 architectures are too many to list"):
        space.enumerate()


def test_the_graph_is_a_chain_of_values() -> None:
    graph = SPACE.graph(jnp.asarray([2, 0, 1], jnp.int32))
    names = [SPACE.node_operations[op] for op in np.asarray(graph.node_ops[0])]
    assert names == ["input", "kernel=7", "bias=True", "width=32", "output"]
    np.testing.assert_array_equal(graph.adjacency[0, 0], np.eye(5, k=1, dtype=bool))
    assert plots.cell(SPACE, np.array([2, 0, 1])).axes


def test_the_same_choices_are_one_space() -> None:
    assert spaces.product(dict(CHOICES)) is SPACE
    assert spaces.product(CHOICES, name="mine") is not SPACE
    assert pickle.loads(pickle.dumps(SPACE)) is SPACE


def test_costs_are_the_users() -> None:
    widths = jnp.asarray(CHOICES["width"], jnp.int32)
    space = spaces.product(CHOICES, params=lambda arch: widths[arch[2]])
    assert int(space.params(jnp.asarray([0, 0, 3], jnp.int32))) == 128
    assert float(space.flops(jnp.asarray([0, 0, 3], jnp.int32))) == 0
    assert int(SPACE.params(jnp.asarray([0, 0, 3], jnp.int32))) == 0


@Partial
def _near(key, archs):
    del key
    return -jnp.abs(archs - jnp.asarray([[1, 0, 2]], jnp.int32)).sum(axis=1).astype(float)


@pytest.mark.parametrize("name", search.NAMES)
def test_every_strategy_takes_it(name, key) -> None:
    few = {"population_size": 4, "batch_size": 4, "num_samples": 8, "num_initial": 4}
    options = {key: few[key] for key in few.keys() & search.defaults(name).keys()}
    needed = {"nsga2": {"costs": [SPACE.params]}, "area": {"estimator": _near}}.get(name, {})
    assert search.by_name(name, SPACE, **options, **needed).min_evaluations >= 1


def test_a_search_finds_the_best(key) -> None:
    searcher = search.regularized_evolution(SPACE, population_size=4, sample_size=2)
    history = run(searcher, search.objective(_near), key, num_evaluations=40)
    assert SPACE.to_string(history.archs[history.best[-1]]) == "kernel=5,bias=True,width=64"


@pytest.mark.parametrize("name", predictors.NAMES)
def test_every_predictor_takes_it(name) -> None:
    assert predictors.by_name(name, SPACE).space is SPACE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", pytest.param("biflow", marks=pytest.mark.slow)])
def test_predictors_learn_it(name, key) -> None:
    archs = SPACE.enumerate()
    targets = np.asarray(jax.jit(_near)(key, archs)) + 0.01 * np.arange(12)
    predictor = predictors.by_name(name, SPACE, training=SHORT)
    state = predictor.fit(key, archs, targets)
    assert float(metrics.kendall_tau(predictor.predict(state, archs), targets)) > 0.5
    assert jax.jit(encodings.statistics(SPACE))(archs).shape[0] == 12
