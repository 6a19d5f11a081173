"""Every score on every network: the part of the contract that depends on the space."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.zeroshot import NAMES, suite

NUM_ARCHS, NUM_IMAGES = 6, 5
NETWORKS = {
    "nasbench101": networks.nasbench101(channels=4, stacks=2, cells=1, num_classes=3),
    "nasbench201 of the proxies": networks.nasbench201(
        channels=4, cells=1, num_classes=3, affine=False
    ),
    "nats_size": networks.nats_size(num_classes=3),
}
FORWARD = (
    "naswot",
    "relu_logdet",
    "relu_count",
    "linear_regions",
    "swap",
    "l2_norm",
    "params",
    "flops",
    "synflow",
)
IMAGES = np.random.default_rng(1).normal(size=(NUM_IMAGES, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(NUM_IMAGES) % 3
KEY = jax.random.key(0)
SOME_OR_ALL = [FORWARD, pytest.param(NAMES, marks=pytest.mark.slow)]

score = jax.jit(lambda estimator, key, archs: estimator(key, archs))


@functools.cache
def archs_of(name):
    return jax.vmap(NETWORKS[name].space.sample)(jax.random.split(jax.random.key(3), NUM_ARCHS))


@functools.cache
def scores_of(name, names):
    estimator = suite(NETWORKS[name], IMAGES, LABELS, names)
    return {
        key: np.asarray(values) for key, values in score(estimator, KEY, archs_of(name)).items()
    }


@pytest.mark.parametrize("names", SOME_OR_ALL, ids=["forward", "all"])
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_float32_never_nan_and_tell_architectures_apart(name, names):
    scores = scores_of(name, names)
    assert set(scores) == set(names)
    for key, values in scores.items():
        assert values.shape == (NUM_ARCHS,), key
        assert values.dtype == np.float32, key
        assert np.all(np.isfinite(values) | np.isneginf(values)), key
        # In the size space widths differ, the modules do not.
        constant = key in ("linear_regions", "swap") or (
            key == "relu_count" and name == "nats_size"
        )
        assert constant or len(np.unique(values)) > 1, key


@pytest.mark.parametrize("names", SOME_OR_ALL, ids=["forward", "all"])
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_do_not_depend_on_their_neighbours_and_nothing_is_compiled_twice(name, names):
    expected = scores_of(name, names)
    before = score._cache_size()
    rows = np.array([4, 0, 0, 3, 1, 4])
    got = score(
        suite(NETWORKS[name], IMAGES, LABELS, names), KEY, jnp.asarray(archs_of(name))[rows]
    )
    assert score._cache_size() == before
    for key, values in expected.items():
        np.testing.assert_array_equal(got[key], values[rows], err_msg=key)


@pytest.mark.parametrize("name", ["nasbench101", "nats_size"])
def test_weights_that_an_architecture_does_not_have_count_nothing(name):
    """The norms are those of the weights at their true widths."""
    network = NETWORKS[name]
    params = network.init(KEY)
    for arch in archs_of(name)[:3]:
        own = networks.kernels(network.instantiate(params, arch))
        for kernel, mask in zip(own, network.present(arch), strict=True):
            np.testing.assert_array_equal(kernel, kernel * mask)
        expected = sum(
            np.sqrt(
                np.sum(
                    np.square(k, dtype=np.float64), axis=tuple(range(max(k.ndim - 4, 0), k.ndim))
                )
            ).sum()
            for k in map(np.asarray, own)
        )
        found = suite(network, IMAGES, LABELS, ("l2_norm",))(KEY, arch[None])["l2_norm"]
        np.testing.assert_allclose(found, [expected], rtol=1e-5)
