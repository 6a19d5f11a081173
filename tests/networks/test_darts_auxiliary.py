"""Auxiliary head of the network of DARTS: its rules in NumPy, published counts, trainings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import data, networks, training
from jnas.networks import _darts_auxiliary as auxiliary
from jnas.networks import layers
from jnas.types import Hooks
from tests.networks.test_darts import MIXED, SMALL, arch_of
from tests.oracles.layers import conv_by_loops, norm_by_loops
from tests.oracles.nasbench201 import random_params

TWO_CELLS = SMALL | {"channels": 2, "layers": 2, "num_classes": 2}


def sizes(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("channels", "num"), [(16, 435_466), (32, 468_234), (36, 476_426), (50, 505_098)]
)
def test_numbers_of_parameters_are_the_published_ones(channels, num):
    network = networks.nasbench301(channels=channels, auxiliary=True)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    assert sizes(shapes["auxiliary"]) == num
    plain = networks.nasbench301(channels=channels)
    assert sizes(shapes) == num + sizes(jax.eval_shape(plain.init, jax.random.key(0)))
    masks = jax.eval_shape(network.present, jnp.asarray(arch_of(MIXED)))
    assert len(masks) == len(networks.kernels(shapes))


def reference(x, params):
    """Logits of the head, in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = np.maximum(x.astype(np.float64), 0)
    windows = [[x[:, i : i + 5, j : j + 5].mean((1, 2)) for j in (0, 3)] for i in (0, 3)]
    x = np.moveaxis(np.array(windows), 2, 0)
    first, last = params["first"], params["last"]
    x = np.maximum(norm_by_loops(conv_by_loops(x, first["conv"]), first["norm"]), 0)
    x = np.einsum("nijc,ijcd->nd", x, last["conv"])[:, None, None]
    x = np.maximum(norm_by_loops(x, last["norm"]), 0)[:, 0, 0]
    return x @ params["dense"]["kernel"] + params["dense"]["bias"]


def test_logits_are_those_of_the_rules():
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 5)).astype(np.float32)
    drawn = layers.draw(jax.random.key(1), auxiliary.weights(5, 4))
    found = jax.jit(auxiliary.logits)(x, drawn)
    np.testing.assert_allclose(found, reference(x, drawn), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_head_reads_the_output_of_the_last_reduction_cell():
    """Of two cells that is what the classifier reads as well; the others are as without it."""
    network = networks.darts(auxiliary=True, **TWO_CELLS)
    arch = arch_of(MIXED, network.space)
    params = random_params(network, 0)
    images = np.random.default_rng(1).normal(size=(3, 32, 32, 1)).astype(np.float32)
    found = jax.jit(lambda params: network.own(arch).forward(params, None, images, Hooks(), ()))(
        params
    )
    expected = reference(np.asarray(found.features), params["auxiliary"])
    np.testing.assert_allclose(found.auxiliary, expected, rtol=1e-3, atol=1e-3)
    plain = networks.darts(**TWO_CELLS).own(arch)
    rest = {name: part for name, part in params.items() if name != "auxiliary"}
    logits = jax.jit(plain.apply)(rest, None, images)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_other_images_are_refused():
    network = networks.darts(auxiliary=True, **TWO_CELLS)
    params = random_params(network, 0)
    images = np.zeros((1, 16, 16, 1), np.float32)
    with pytest.raises(ValueError, match=r"images of 32x32 after two reduction cells; got 4x4"):
        jax.eval_shape(network.own(arch_of(MIXED, network.space)).apply, params, None, images)


@pytest.mark.slow
def test_recipes_train_it_along():
    network = networks.darts(auxiliary=True, **TWO_CELLS)
    arch, rng = arch_of(MIXED, network.space), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 32, 32, 1)).astype(np.uint8)
    dataset = data.make_dataset(
        pixels, np.arange(16) % 2, key=jax.random.key(0), classes=("a", "b")
    )
    heads = {}
    for weight in (0.0, training.recipe("darts").auxiliary):
        changes = {"epochs": 1, "batch_size": 8, "weight_decay": 0.0, "auxiliary": weight}
        recipe = training.recipe("darts", **changes)
        trained = training.train(network, arch[None], dataset, recipe, 0)
        heads[weight] = trained.params["auxiliary"]
        assert np.isfinite(trained.curves["train_loss"]).all()
    assert [*heads] == [0.0, 0.4]
    # Without its loss nothing moves it: scales are still 1.
    assert np.all(heads[0.0]["last"]["norm"]["scale"] == 1)
    assert not np.all(heads[0.4]["last"]["norm"]["scale"] == 1)
