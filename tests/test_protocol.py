"""One contract for spaces and all that is made for them: encodings, predictors, networks.

What a room lists (`spaces.NAMES`, `networks.NAMES`, `predictors.NAMES`) is here by itself.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jnas import encodings, networks, oneshot, population, predictors, spaces, training, zeroshot
from jnas.networks.buckets import of_all
from jnas.predictors import Training
from jnas.types import Dataset, Network, Space
from tests.oracles.trainings import stripes_of

SMALL = {"channels": 4, "cells": 1, "stages": 1, "stacks": 3, "layers": 3}
"""Sizes of networks, of which each factory takes what it has."""
CHEAP = ("nasbench201", "nasbench301", "nds_resnet")
"""Spaces that predictors are fitted to by default, one of each kind."""
QUICK = ("nasbench201",)
"""Spaces whose networks compile in seconds."""
LARGEST = 100_000_000
"""Weights of networks that are trained here, of which a training has several times as many."""
OF_SIZES = "enas of sizes"
"""Network whose weights depend on the width and the depth of an architecture, beside the others."""
NETWORKS = (*networks.NAMES, OF_SIZES)
ENCODINGS = ("adjacency", "graphs", "layers", "node_graphs", "renas", "statistics", "tokens")


def dear(names: tuple[str, ...], cheap: tuple[str, ...]) -> list:
    """Names, those that are not cheap in the slow suite only."""
    marks = [pytest.mark.slow]
    return [name if name in cheap else pytest.param(name, marks=marks) for name in names]


def archs_of(space: Space, num: int) -> np.ndarray:
    """Different architectures of a space, always the same."""
    keys = jax.random.split(jax.random.key(0), 4 * num)
    drawn = np.asarray(jax.jit(jax.vmap(space.sample))(keys))
    identities = np.asarray(jax.jit(jax.vmap(space.identity))(drawn))
    first = np.sort(np.unique(identities, axis=0, return_index=True)[1])
    return drawn[first[:num]]


# -- Encodings and predictors ----------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", dear(spaces.NAMES, CHEAP))
def test_encodings_take_a_population(name: str, encoding: str) -> None:
    """Shapes alone: rows are architectures, whatever a feature is."""
    space = spaces.by_name(name)
    encode = getattr(encodings, encoding)(space)
    archs = jax.ShapeDtypeStruct((3, len(space.cardinalities)), jnp.int32)
    leaves = jax.tree.leaves(jax.eval_shape(encode, archs))
    assert leaves
    # A batch of graphs is one graph, whose nodes and edges are those of all architectures.
    assert all(leaf.shape[0] % 3 == 0 for leaf in leaves)


@pytest.mark.parametrize("predictor", predictors.NAMES)
@pytest.mark.parametrize("name", spaces.NAMES)
def test_predictors_are_made(name: str, predictor: str) -> None:
    space = spaces.by_name(name)
    found = predictors.by_name(predictor, space)
    assert (found.name, found.space) == (predictor, space)


@pytest.mark.parametrize("name", dear(spaces.NAMES, CHEAP))
def test_a_predictor_is_fitted(name: str) -> None:
    """One epoch on eight architectures, and predictions of others that are not all the same."""
    space = spaces.by_name(name)
    predictor = predictors.mlp(space, training=Training(epochs=1, batch_size=8))
    archs = archs_of(space, 12)
    targets = np.linspace(0.5, 0.9, 8)
    state = predictor.fit(jax.random.key(0), archs[:8], targets)
    scores = np.asarray(predictors.estimator(predictor, state)(jax.random.key(1), archs[8:]))
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 1


# -- Networks --------------------------------------------------------------------------------------


@functools.cache
def network_of(name: str) -> Network:
    """The network of a space, as small as it is made."""
    if name == OF_SIZES:
        sizes = {"nodes": 4, "channels": (2, 4), "layers": (2, 3)}
        return networks.enas(num_classes=2, in_channels=1, **sizes)
    takes = inspect.signature(getattr(networks, name)).parameters
    sizes = {size: value for size, value in SMALL.items() if size in takes}
    network = networks.by_name(name, num_classes=2, in_channels=1, **sizes)
    weights = jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0)))
    if sum(leaf.size for leaf in weights) > LARGEST:
        pytest.skip(f"the weights of all architectures of {name} are too many for a test")
    return network


@pytest.fixture(scope="module")
def stripes() -> Dataset:
    return stripes_of(48, validation=16, test=16)


@pytest.mark.parametrize("name", dear(NETWORKS, QUICK))
def test_naswot_scores_networks(name: str, stripes: Dataset) -> None:
    network = network_of(name)
    images = (np.asarray(stripes.train.x[:8]) / 255).astype(np.float32)
    archs = archs_of(network.space, 3)
    naswot = zeroshot.naswot(network, images)
    scores = np.asarray(population.score(naswot, archs, 0, progress=False))
    assert scores.shape == (3,)
    assert not np.isnan(scores).any()
    assert np.isfinite(scores).any()


@pytest.mark.parametrize("name", dear(NETWORKS, QUICK))
def test_a_step_against_the_gradient_lowers_the_loss(name: str) -> None:
    """The same step is one of a supernet, whose other weights it leaves as they are."""
    archs = archs_of(network_of(name).space, 1)
    network, arch = of_all(network_of(name), archs), jnp.asarray(archs[0])
    params = network.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (6, 8, 8, 1))
    labels = jnp.arange(6, dtype=jnp.int32) % 2

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        logits = network.apply(network.instantiate(params, arch), arch, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    before, gradient = loss(params)
    norm = float(optax.tree.norm(gradient))
    assert np.isfinite(norm)
    assert norm > 0
    step = 1e-2 / norm
    after, _ = loss(jax.tree.map(lambda value, slope: value - step * slope, params, gradient))
    assert float(after) < float(before)
    kernels = zip(networks.kernels(gradient), network.present(arch), strict=True)
    for slope, present in kernels:
        assert not np.any(np.asarray(slope * (1 - present)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_population_is_trained_for_an_epoch(name: str, stripes: Dataset) -> None:
    network = network_of(name)
    recipe = training.recipe("quick", epochs=1, batch_size=16)
    archs = archs_of(network.space, 2)
    trained = training.train(network, archs, stripes, recipe, 0, weights=name != OF_SIZES)
    assert np.isfinite(np.asarray(trained.curves["train_loss"])).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.NAMES)
def test_a_supernet_is_trained_for_an_epoch_and_judges(name: str, stripes: Dataset) -> None:
    network = network_of(name)
    recipe = oneshot.recipe("quick", sampler="uniform", epochs=1, batch_size=16)
    supernet = oneshot.train(network, stripes, recipe, 0)
    judge = oneshot.estimator(supernet, stripes, criterion="loss")
    scores = np.asarray(judge(jax.random.key(0), archs_of(network.space, 2)))
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
