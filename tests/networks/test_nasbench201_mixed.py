"""`Network.mix` of NAS-Bench-201 against a plain sum of operations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import layers
from jnas.spaces.nasbench201 import EDGES

TINY = networks.nasbench201(channels=4, stages=1, cells=2, num_classes=3, affine=False)
AFFINE = networks.nasbench201(channels=4, stages=1, cells=1, num_classes=3)
IMAGES = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).uniform(0.1, 1, size=(6, 5)).astype(np.float32)
BYPASS = np.random.default_rng(2).uniform(0.1, 1, size=6).astype(np.float32)
ARCH = np.array([3, 0, 2, 1, 4, 3], np.int32)


@functools.cache
def random_params(network):
    """Weights whose norms do something, too."""
    params = jax.jit(network.init)(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(3)
    return jax.tree.unflatten(
        tree, [leaf + rng.normal(size=leaf.shape).astype(np.float32) / 5 for leaf in leaves]
    )


def operations(x, edge):
    """Values `[5, N, H, W, C]` of all operations, each as the space defines it."""

    def conv(name):
        y = layers.conv_layer(jax.nn.relu(x), edge[name])
        return layers.batch_norm(y, edge[name]["norm"])

    return jnp.stack(
        [jnp.zeros_like(x), x, conv("conv1x1"), conv("conv3x3"), layers.avg_pool3x3(x)]
    )


def leading(width, leaf):
    """First channels of the weights of an operation."""
    return leaf[:width] if leaf.ndim == 1 else leaf[..., :width, :width]


def cell(x, weights_of_cell, gates, arch, proportion, bypass):
    """Cell as a plain double loop."""
    nodes = [x, 0, 0, 0]
    for number, (source, target) in enumerate(EDGES):
        edge = jax.tree.map(lambda leaf, n=number: leaf[n], weights_of_cell)
        width = x.shape[-1] // proportion
        edge = jax.tree.map(functools.partial(leading, width), edge)
        inner, outer = nodes[source][..., :width], nodes[source][..., width:]
        values = operations(inner, edge)
        if arch is None:
            value = jnp.einsum("o,onhwc->nhwc", gates[number], values)
        else:
            op = int(arch[number])
            others = sum(gates[number][k] for k in range(5) if k != op)
            value = gates[number][op] * values[op] + others
        if proportion > 1:
            value = jnp.concatenate([value, bypass[number] * outer], -1)
            order = np.arange(x.shape[-1]).reshape(proportion, width).T.reshape(-1)
            value = value[..., order]
        nodes[target] = nodes[target] + value
    return nodes[3]


def reference(params, gates, images, arch=None, proportion=1, bypass=None):
    """Logits of a plain network of one stage, layer by layer."""
    x = layers.batch_norm(layers.conv_layer(images, params["stem"]), params["stem"]["norm"])
    for stage in params["stages"]:
        for k in range(len(stage["conv1x1"]["conv"])):
            of_cell = jax.tree.map(lambda leaf, k=k: leaf[k], stage)
            x = cell(x, of_cell, gates, arch, proportion, bypass)
    x = jax.nn.relu(layers.batch_norm(x, params["norm"])).mean(axis=(1, 2))
    return layers.dense_layer(x, params["dense"])


def loss(logits_of, *arguments, **options):
    """Number whose gradients are compared."""
    return jnp.sum(jnp.sin(logits_of(*arguments, **options)))


CASES = {
    "all": (TINY, {}),
    "all, with factors of its own": (AFFINE, {}),
    "sampled": (TINY, {"arch": ARCH}),
    "partial": (AFFINE, {"proportion": 2, "bypass": BYPASS}),
}


DEAR = ("all", "all, with factors of its own", "sampled")  # "partial" mixes as many operations


@pytest.mark.parametrize(
    ("network", "options"),
    [pytest.param(*CASES[x], id=x, marks=[pytest.mark.slow] * (x in DEAR)) for x in CASES],
)
def test_values_and_gradients_are_those_of_a_plain_sum(network, options):
    params = random_params(network)
    both = [
        jax.jit(jax.value_and_grad(lambda p, w, f=f: loss(f, p, w, IMAGES, **options), (0, 1)))(
            params, WEIGHTS
        )
        for f in (network.mix, reference)
    ]
    for got, expected in zip(*map(jax.tree.leaves, both), strict=True):
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(got / scale, expected / scale, atol=2e-4)


@pytest.mark.slow
def test_one_hot_weights_are_the_architecture():
    params, one_hot = random_params(TINY), np.eye(5, dtype=np.float32)[ARCH]
    expected = jax.jit(TINY.apply)(params, ARCH, IMAGES)
    for arch in (None, ARCH):
        got = jax.jit(TINY.mix)(params, one_hot, IMAGES, arch)
        np.testing.assert_allclose(got, expected, atol=2e-4)


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (WEIGHTS[:5], {}, r"weights must be \[6, 5\]"),
        (WEIGHTS, {"proportion": 3}, "divide the 4 channels"),
        (WEIGHTS, {"proportion": 2, "arch": ARCH}, "partial channels mix all"),
    ],
)
def test_bad_input_is_named(weights, options, message):
    with pytest.raises(ValueError, match=message):
        TINY.mix(random_params(TINY), weights, IMAGES, **options)
