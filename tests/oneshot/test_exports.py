"""Programs of supernets and of weight-sharing searches, for CPUs, GPUs and TPUs."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jnas import oneshot
from jnas.engine.devices import each
from jnas.engine.trainings import Block, run_block
from jnas.oneshot import alternating, samplers
from jnas.oneshot.steps import Setup, start
from jnas.oneshot.train import Job, Shared, trainer
from jnas.types import Dataset, Network
from tests.test_export import check_exports

BLOCK = Block(jnp.array([1, 2]), jnp.ones(2, bool), jnp.ones(2, bool))


@pytest.mark.slow
def test_supernets(
    monkeypatch: pytest.MonkeyPatch, network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    def make() -> Any:
        of = Setup(oneshot.Sharing(network), recipe._replace(plateau=oneshot.Plateau()), 2)
        made = trainer(of, 4, (2,))
        shared = Shared(stripes, samplers.fairnas(network.space))
        keys = jax.random.split(jax.random.key(0), 2)
        jobs = Job(keys, jnp.zeros(2, jnp.int32), ())
        states = jax.vmap(lambda key: start(of, key, 1))(keys)
        advance = each(lambda row, block, shared: run_block(made, row, block, shared), "map")
        return advance, (jobs, states), BLOCK, shared

    check_exports(monkeypatch, make)


@pytest.mark.slow
def test_estimators(
    monkeypatch: pytest.MonkeyPatch, supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    def make() -> Any:
        suite = oneshot.suite(supernet, stripes, batch_size=10)
        return suite.func, *suite.args, jax.random.key(0), jnp.zeros((3, 6), jnp.int32)

    check_exports(monkeypatch, make)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["darts", "gdas", "enas"])
def test_searches(
    monkeypatch: pytest.MonkeyPatch, network: Network, stripes: Dataset, name: str
) -> None:
    def make() -> Any:
        method = oneshot.method(name, epochs=2, batch_size=8)
        of = alternating.Setup(network, method, method.recipe, 2)
        shared = alternating.halves(stripes)
        keys = jax.random.split(jax.random.key(0), 2)
        states = jax.vmap(lambda key: alternating.start(of, key))(keys)
        made = alternating.trainer(of)
        advance = each(lambda row, block, shared: run_block(made, row, block, shared), "map")
        return advance, (keys, states), BLOCK, shared

    check_exports(monkeypatch, make)
