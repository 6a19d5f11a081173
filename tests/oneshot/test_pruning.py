"""Pruned spaces: what is left of them, and a population that evolves with its supernet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import oneshot, population, spaces
from jnas.oneshot import samplers
from jnas.types import Dataset, Network

SPACE = spaces.nasbench201()


def test_operations_are_left_out() -> None:
    left = oneshot.pruning.without(SPACE, ("none", "avg_pool_3x3"))
    assert not np.isin(left, (0, 4)).any()
    every = samplers.representatives(SPACE, trainable=True)
    assert len(left) == (~np.isin(every, (0, 4)).any(axis=1)).sum()
    with pytest.raises(ValueError, match="no architecture of nasbench201 is left"):
        oneshot.pruning.without(SPACE, ("nor_conv_1x1", "nor_conv_3x3"))
    with pytest.raises(ValueError, match="unknown operation 'avg_pool'"):
        oneshot.pruning.without(SPACE, ("avg_pool",))


@pytest.mark.slow
def test_the_best_by_score_are_left(supernet: oneshot.Supernet, stripes: Dataset) -> None:
    archs = SPACE.enumerate()[::1500]
    left = oneshot.pruning.best(supernet, stripes, archs, 0.5)
    estimator = oneshot.estimator(supernet, stripes, "loss")
    scores = np.asarray(population.score(estimator, archs, jax.random.key(0), progress=False))
    np.testing.assert_array_equal(
        left, archs[np.argsort(-scores, kind="stable")[: len(archs) // 2]]
    )
    for share in (0.0, 1.5, 1e-3):
        with pytest.raises(ValueError, match="a share in"):
            oneshot.pruning.best(supernet, stripes, archs, share)


@pytest.mark.slow
def test_a_population_evolves_with_its_supernet(
    network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    options = {"every": 1, "begin": 2, "population_size": 6, "sample_size": 3}
    found = oneshot.pruning.evolving(network, stripes, recipe, 0, keep=(2, 3), **options)
    assert found.epochs == (2, 3)
    assert found.num_epochs == 4
    assert found.curves["loss"].shape == (1, 4)
    # Until it begins it is the ordinary training.
    plain = oneshot.train(network, stripes, recipe, 0, until=2)
    for one, other in zip(
        jax.tree.leaves(found.at(2).params), jax.tree.leaves(plain.params), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="epochs to keep must be among"):
        oneshot.pruning.evolving(network, stripes, recipe, 0, keep=(1,), **options)
    with pytest.raises(ValueError, match="every must be at least 1"):
        oneshot.pruning.evolving(network, stripes, recipe, 0, every=0)
    with pytest.raises(ValueError, match="begin must be 0 or more"):
        oneshot.pruning.evolving(network, stripes, recipe, 0, begin=-1)


def test_a_sampler_that_no_population_can_join_is_refused_before_training(
    network: Network,
    stripes: Dataset,
    recipe: oneshot.Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oneshot.pruning, "train", lambda *_, **__: pytest.fail("it has trained"))
    with pytest.raises(ValueError, match="equally many a step"):
        oneshot.pruning.evolving(network, stripes, recipe._replace(sampler="fairnas"), every=1)


def test_either_sampler_is_drawn_from() -> None:
    one, other = (samplers.listed(np.full((1, 6), op, np.int32)) for op in (1, 3))
    draw = samplers.either(one, other, 0.25)
    keys = jax.random.split(jax.random.key(0), 2000)
    archs, used = jax.jit(jax.vmap(lambda key: draw(key, jnp.int32(1))))(keys)
    assert used.all()
    assert float((archs[:, 0, 0] == 1).mean()) == pytest.approx(0.25, abs=0.04)
    with pytest.raises(ValueError, match="equally many"):
        samplers.either(one, samplers.several(other, 2), 0.5)
    with pytest.raises(ValueError, match="share must be in"):
        samplers.either(one, other, 1.5)
