"""Spaces, predictors and searchers go through a pickle as the call of their factory."""

import copy
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.types import Searcher
from tests.oracles import searches

P, NB201 = jnas.predictors, jnas.spaces.nasbench201()


def again(value):
    return pickle.loads(pickle.dumps(value))


SPACES = [
    NB201,
    jnas.spaces.nasbench201(identity="skips"),
    jnas.spaces.nasbench101(mutate="edge", sample="uniform"),
    jnas.spaces.nats_size(),
    jnas.spaces.spikenas_bench(),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_space_comes_back_as_the_same(space) -> None:
    assert again(space) == space
    assert hash(again(space)) == hash(space)


@pytest.mark.parametrize("name", P.NAMES)
def test_a_predictor_comes_back_as_the_same(name) -> None:
    settings = {} if name == "e2epp" else {"training": P.Training(epochs=3)}
    settings = {} if name in ("rnn_classifier", "peephole") else settings
    predictor = P.by_name(name, NB201, **settings)
    assert again(predictor) is predictor
    if name != "e2epp":
        assert again(P.ensemble(predictor, 3)) is P.ensemble(predictor, 3)


def first(arch: jax.Array) -> jax.Array:
    return arch[0] < 3


def last(key: jax.Array, archs: jax.Array) -> jax.Array:
    return archs[:, -1].astype(jnp.float32)


# Settings that are not the defaults, which a pickle without them would make again.
SETTINGS = {
    "random": {"batch_size": 3},
    "regularized_evolution": {"population_size": 7},
    "area": {"estimator": last, "population_size": 7},
    "local_search": {"batch_size": 3},
    "reinforce": {"policy": "lstm"},
    "reinforced_evolution": {"num_pending": 9},
    "genetic": {"population_size": 7},
    "nsga2": {"costs": [NB201.params], "population_size": 7},
    "successive_halving": {"brackets": "hyperband", "eta": 4},
    "bohb": {"capacity": 30},
}


def shapes(searcher: Searcher) -> object:
    state = jax.eval_shape(searcher.init, jax.random.key(0))
    return jax.eval_shape(searcher.ask, jax.random.key(0), state)


@pytest.mark.parametrize("name", jnas.search.NAMES)
def test_a_searcher_comes_back_with_its_settings(name) -> None:
    searcher = jnas.search.by_name(name, NB201, **SETTINGS[name])
    other = again(again(searcher))
    assert (other.min_evaluations, other.epochs) == (searcher.min_evaluations, searcher.epochs)
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes(other), shapes(searcher))
    needed = {k: v for k, v in SETTINGS[name].items() if k in ("estimator", "costs")}
    assert str(shapes(jnas.search.by_name(name, NB201, **needed))) != str(shapes(searcher))


@pytest.mark.slow
def test_a_searcher_of_a_constrained_space_searches_as_before(key) -> None:
    space = jnas.search.constrained(NB201, first)
    searcher = jnas.search.regularized_evolution(space, population_size=3, sample_size=2)
    one, two = (
        searches.run(s, jnas.search.objective(last), key, num_evaluations=6)
        for s in (searcher, again(searcher))
    )
    np.testing.assert_array_equal(one.archs, two.archs)
    guided = jnas.search.predictor_guided(P.mlp(NB201), searcher)
    assert not again(guided).is_traceable


def test_a_variant_is_not_taken_for_what_the_factory_makes() -> None:
    searcher = jnas.search.random_search(NB201)
    variant = searcher._replace(tell=lambda state, query, outcome: state)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(variant)
    smaller = NB201._replace(name="mine", usual_column="top")
    assert (again(smaller).name, again(smaller).usual_column) == ("mine", "top")
    assert copy.deepcopy(P.mlp(NB201)) is P.mlp(NB201)
