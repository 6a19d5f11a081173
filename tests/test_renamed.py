"""Spellings of the last release still work, and warn with the new one."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas import _renamed
from jnas.types import Policy

SPACE = jnas.spaces.nasbench201()
NETWORK = jnas.networks.nasbench201(channels=2, cells=1)
IMAGES = jnp.ones((2, 8, 8, 3))


def says(old: str, new: str):
    return pytest.warns(DeprecationWarning, match=re.escape(f"{old} is {new} now"))


def test_num_steps_of_a_traced_search(key: jax.Array) -> None:
    searcher = jnas.search.random_search(SPACE)
    objective = jnas.search.objective(lambda key, archs: jnp.sum(archs, axis=1, dtype=float))
    with says("num_steps=", "num_evaluations="):
        old = jnas.search.run(searcher, objective, key, num_steps=3)
    new = jnas.search.run(searcher, objective, key, num_evaluations=3)
    np.testing.assert_array_equal(old.archs, new.archs)


def test_num_steps_of_a_search_on_the_host(key: jax.Array) -> None:
    searcher = jnas.search.random_search(SPACE)
    with says("num_steps=", "num_evaluations="):
        old = jnas.search.run_on_host(
            searcher, lambda arch, epochs: float(arch[0]), key, num_steps=2, progress=False
        )
    assert old.history.num_evaluations == 2


def test_exhausted_of_a_history(key: jax.Array) -> None:
    searcher = jnas.search.random_search(SPACE)
    objective = jnas.search.objective(lambda key, archs: jnp.sum(archs, axis=1, dtype=float))
    history = jnas.search.run(searcher, objective, key, num_evaluations=3)
    with says("History.exhausted", "History.truncated"):
        assert history.exhausted is history.truncated


def test_lenet_of_the_predictors() -> None:
    with says("jnas.predictors.lenet", "jnas.predictors.renas"):
        assert jnas.predictors.lenet is jnas.predictors.renas
    with says("the predictor 'lenet'", "'renas'"):
        assert jnas.predictors.by_name("lenet", SPACE) is jnas.predictors.renas(SPACE)
    assert "lenet" not in jnas.predictors.NAMES


def test_consider_zero_of_a_space() -> None:
    for old, new in ((True, "isomorphism"), (False, "skips")):
        with says("consider_zero=", "identity="):
            space = jnas.spaces.nasbench201(consider_zero=old)
        assert space is jnas.spaces.nasbench201(identity=new)


def test_single_of_the_scores() -> None:
    with says("jnas.zeroshot.single", "jnas.zeroshot.by_name"):
        assert jnas.zeroshot.single is jnas.zeroshot.by_name


@pytest.mark.parametrize(
    ("plan", "batching"), [("switch", "map"), ("grouped", "vmap"), (None, None)]
)
@pytest.mark.parametrize("make", [jnas.zeroshot.suite, jnas.zeroshot.naswot])
def test_plan_of_a_score(make, plan, batching) -> None:
    options = {"names": ("naswot",)} if make is jnas.zeroshot.suite else {}
    with says("plan=", "batching="):
        old = make(NETWORK, IMAGES, plan=plan, **options)
    assert old.func is make(NETWORK, IMAGES, batching=batching, **options).func


def test_the_policy_of_the_search_is_a_noun() -> None:
    assert jnas.search.policies.Policy is Policy


@pytest.mark.parametrize(
    ("package", "name", "nearest"),
    [
        ("search", "regularised_evolution", "regularized_evolution"),
        ("predictors", "gate", "gates"),
        ("zeroshot", "naswott", "naswot"),
        ("metrics", "kendal_tau", "kendall_tau"),
        ("spaces", "nasbench_201", "nasbench201"),
    ],
)
def test_the_nearest_name_of_a_package_is_told(package, name, nearest) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Did you mean '{nearest}'"):
        getattr(getattr(jnas, package), name)
    assert not hasattr(getattr(jnas, package), "__nothing__")


def test_both_spellings_at_once_and_unknown_names_are_refused() -> None:
    with pytest.raises(TypeError, match=r"plan= is batching= now; give one of them"):
        jnas.zeroshot.suite(NETWORK, IMAGES, plan="switch", batching="map")
    for module in (jnas.zeroshot, jnas.predictors):
        with pytest.raises(AttributeError, match=r"module 'jnas\.\w+' has no attribute 'nothing'"):
            _ = module.nothing


def test_the_warning_points_at_the_first_line_outside_of_jnas() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        jnas.zeroshot.naswot(NETWORK, IMAGES, plan="switch")
        _renamed.warn("old", "new")
    assert [warning.filename for warning in caught] == [__file__] * 2
