"""Strategies by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from tests.oracles.spaces import toy

SPACE = toy()


def first_choice(key: jax.Array, archs: jax.Array) -> jax.Array:
    return archs[:, 0].astype(jnp.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", jnas.search.NAMES)
def test_every_name_is_a_strategy_that_can_be_traced(name, key) -> None:
    needed = {"area": {"estimator": Partial(first_choice)}, "nsga2": {"costs": [SPACE.params]}}
    options = needed.get(name, {})
    space = jnas.search.constrained(SPACE, lambda arch: arch[0] > 1)
    searcher = jnas.search.by_name(name, space, **options)
    assert searcher.is_traceable
    archs = jax.jit(lambda key: searcher.ask(key, searcher.init(key))[0].archs)(key)
    assert (np.asarray(archs)[:, 0] > 1).all()


def test_options_reach_the_strategy() -> None:
    assert (
        jnas.search.by_name("regularized_evolution", SPACE, population_size=7).min_evaluations == 7
    )
    assert jnas.search.by_name("area", SPACE, estimator=Partial(first_choice)).min_evaluations == 10
    assert jnas.search.defaults("genetic")["population_size"] == 64
    assert "estimator" not in jnas.search.defaults("area")


def test_unknown_names() -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown strategy 'regularised_evolution'. Did you mean 'regularized_evolut",
    ):
        jnas.search.by_name("regularised_evolution", SPACE)
    with pytest.raises(
        ValueError,
        match=r"local_search has no population_size. .*Valid names: num_neighbors, num_ini",
    ):
        jnas.search.by_name("local_search", SPACE, population_size=3)
    with pytest.raises(ValueError, match="random has no estimator"):
        jnas.search.by_name("random", SPACE, estimator=Partial(first_choice))
