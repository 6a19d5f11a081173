"""Statistics of batch norms: handed out by a gradient, put in, the same for an image alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import layers
from jnas.types import Network

# The general ones of NAS-Bench-201 for loops and switches; own ones are quick to compile, and hand
# out what the general ones do (`test_own`).
NETWORKS = {
    "nasbench201": networks.nasbench201(channels=2, cells=2, stages=1),
    "without scales": networks.nasbench201(channels=2, cells=1, stages=1, affine=False).own(
        np.array([3, 2, 4, 1, 3, 3])
    ),
    "nasbench101": networks.nasbench101(channels=4, cells=1, stacks=1).own(
        spaces.nasbench101().from_string("conv3x3:0|conv1x1:0,1|output:0,2")
    ),
    "nats_size": networks.nats_size().own(np.array([0, 0, 1, 0, 0])),
    "nb1shot1": networks.nb1shot1(channels=2, stacks=1, cells=1).own(
        np.array([1, 0, 5, 3, 13, 2, 0, 1, 0, 2])
    ),
}
ARCH = jnp.array([3, 2, 4, 1, 3, 3], jnp.int32)


def a_loss(params: object, images: jax.Array, *, network: Network) -> tuple[jax.Array, jax.Array]:
    logits = network.apply(params, ARCH, images)
    return jnp.sum(logits**2), logits


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_moments_of_a_batch_are_what_its_norms_used(name: str) -> None:
    network = NETWORKS[name]
    params = jax.jit(lambda key: network.instantiate(network.init(key), ARCH))(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (6, 4, 4, 3))
    gradient_of = jax.jit(jax.grad(functools.partial(a_loss, network=network), has_aux=True))
    apply = jax.jit(lambda params, images: network.apply(params, ARCH, images))
    gradient, by_batch = gradient_of(networks.with_moments(params), images)
    fixed = networks.with_statistics(params, networks.moments(gradient))
    by_moments = apply(fixed, images)
    np.testing.assert_allclose(by_moments, by_batch, rtol=1e-4, atol=1e-5)
    # The rest of the gradient is that without moments, and the tree goes back to what it was.
    plain, _ = gradient_of(params, images)
    rest = networks.without_moments(gradient)
    assert jax.tree.structure(rest) == jax.tree.structure(plain)
    for one, other in zip(jax.tree.leaves(rest), jax.tree.leaves(plain), strict=True):
        tolerance = 1e-5 * max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=tolerance)
    # An image alone, and among others, gives the same; by its own statistics it does not.
    np.testing.assert_allclose(apply(fixed, images[:1]), by_moments[:1], rtol=1e-4, atol=1e-5)
    if name == "nasbench201":
        assert not np.allclose(apply(params, images[:1]), by_batch[:1], rtol=1e-2)


def test_moments_are_mean_and_biased_variance() -> None:
    x = jax.random.normal(jax.random.key(0), (5, 3, 4, 2)) * 3 + 1
    norm = {**layers.norm_weights(2), "moments": jnp.zeros((2, 2))}
    # Whatever the loss: a thousand times of it has the same moments.
    for factor in (1.0, 1000.0):
        found = jax.grad(lambda n, f=factor: f * jnp.sum(layers.batch_norm(x, n) ** 3))(norm)
        values = np.asarray(x, np.float64).reshape(-1, 2)
        np.testing.assert_allclose(
            found["moments"], [values.mean(axis=0), values.var(axis=0)], rtol=1e-5
        )


def test_initial_statistics_leave_images_as_they_are() -> None:
    x = jax.random.normal(jax.random.key(0), (5, 3, 4, 2))
    norm = {**layers.norm_weights(2), "mean": jnp.zeros(2), "var": jnp.ones(2)}
    np.testing.assert_allclose(layers.batch_norm(x, norm), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    params = NETWORKS["without scales"].init(jax.random.key(0))
    first = networks.initial_statistics(params)
    gradient = jax.eval_shape(lambda p: networks.moments(p), networks.with_moments(params))
    assert [s.mean.shape for s in first] == [m.mean.shape for m in gradient]
    assert all(np.all(s.var == 1) and np.all(s.mean == 0) for s in first)


def test_norms_of_16_bits_sum_in_32() -> None:
    x = (jax.random.normal(jax.random.key(0), (64, 16, 16, 2)) + 8).astype(jnp.bfloat16)
    narrow = layers.batch_norm(x, layers.norm_weights(2))
    wide = layers.batch_norm(x.astype(jnp.float32), layers.norm_weights(2))
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype(jnp.float32), wide, atol=0.05)
