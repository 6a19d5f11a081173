"""Lists of weights and what is added to layers, on a small tree and on networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import weights


def numbered(*shape, start):
    return start + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


TREE = {
    "stem": {
        "conv": numbered(3, 3, 2, 4, start=0),
        "norm": {"scale": np.ones(4), "bias": np.zeros(4)},
    },
    "cells": [
        {
            "b": {"conv": numbered(5, 1, 1, 4, 4, start=200), "norm": {}},
            "a": {"conv": numbered(2, 5, 1, 1, 4, 4, start=1e3)},
        },
        {"b": {"conv": numbered(1, 1, 4, 6, start=300), "bias": np.zeros(6)}},
    ],
    "norm": {"scale": np.ones(6), "bias": np.zeros(6)},
    "dense": {"kernel": numbered(6, 10, start=400), "bias": np.ones(10)},
}
ORDER = (
    TREE["cells"][0]["a"],
    TREE["cells"][0]["b"],
    TREE["cells"][1]["b"],
    TREE["dense"],
    TREE["stem"],
)
NETWORKS = (
    networks.nasbench201(channels=2, stages=1, cells=2),
    networks.nats_size(),
    networks.nb1shot1(channels=2, stacks=1, cells=2),
    networks.nasbench301(channels=2, layers=1),
)


def same(one, other):
    """Equal structure and equal leaves."""
    equal = jax.tree.map(np.array_equal, one, other)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(jax.tree.leaves(equal))


def test_kernels_are_sorted_by_name_and_are_the_arrays_themselves():
    assert networks.kernels is weights.kernels
    found = weights.kernels(TREE)
    assert len(found) == len(ORDER)
    for kernel, layer in zip(found, ORDER, strict=True):
        assert kernel is layer.get("conv", layer.get("kernel"))


def test_order_is_that_of_the_leaves_of_jax():
    """A tree that went through JAX, which sorts the keys of dicts, has the same list."""
    again = jax.tree.map(lambda leaf: leaf, TREE)
    assert list(again["cells"][0]) != list(TREE["cells"][0])
    assert all(a is b for a, b in zip(weights.kernels(again), weights.kernels(TREE), strict=True))


def test_order_does_not_depend_on_tuples_or_shapes_in_place_of_arrays():
    tree = {**TREE, "cells": tuple(TREE["cells"])}
    shapes = weights.kernels(jax.eval_shape(lambda: tree))
    assert [leaf.shape for leaf in shapes] == [kernel.shape for kernel in weights.kernels(TREE)]


def test_round_trips_change_nothing():
    assert same(weights.with_kernels(TREE, weights.kernels(TREE)), TREE)
    assert same(weights.map_layers(lambda layer, _: layer, TREE), TREE)


def test_with_kernels_replaces_kernels_and_nothing_else():
    doubled = weights.with_kernels(TREE, [2 * kernel for kernel in weights.kernels(TREE)])
    for got, want in zip(weights.kernels(doubled), weights.kernels(TREE), strict=True):
        np.testing.assert_array_equal(got, 2 * want)
    ones = [np.ones(())] * 5
    assert same(weights.with_kernels(doubled, ones), weights.with_kernels(TREE, ones))
    assert same(doubled["norm"], TREE["norm"])
    assert TREE["dense"]["kernel"][0, 0] == 400  # the tree given stays as it is


def test_map_layers_names_the_weights_of_each_layer():
    names = []
    weights.map_layers(lambda layer, name: names.append(name) or layer, TREE)
    assert names == ["conv", "conv", "conv", "kernel", "conv"]


def test_extras_go_to_each_layer_in_order():
    extended = weights.with_extras(TREE, "gain", range(5))
    layers = extended["cells"][0]["a"], extended["cells"][0]["b"], extended["cells"][1]["b"]
    assert [layer["gain"] for layer in (*layers, extended["dense"], extended["stem"])] == list(
        range(5)
    )
    assert "gain" not in extended["norm"]
    assert same(weights.kernels(extended), weights.kernels(TREE))
    assert "gain" not in TREE["stem"]


def test_gains_are_one_number_for_each_layer_of_a_stack():
    gains = weights.gains(TREE, jnp.float32(3))
    assert [gain.shape for gain in gains] == [(2, 5), (5,), (), (), ()]
    assert all(np.all(gain == 3) for gain in gains)


def test_probes_have_a_row_for_each_image():
    probes = weights.probes(TREE, 7)
    assert [probe.shape for probe in probes] == [(2, 5, 7, 4), (5, 7, 4), (7, 6), (7, 10), (7, 4)]
    assert not any(np.any(probe) for probe in probes)


def test_layer_axes_are_those_that_do_not_stack():
    axes = [weights.layer_axes(kernel) for kernel in weights.kernels(TREE)]
    assert axes == [(2, 3, 4, 5), (1, 2, 3, 4), (0, 1, 2, 3), (0, 1), (0, 1, 2, 3)]


@pytest.mark.parametrize(
    "network",
    [*NETWORKS[:2], *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS[2:])],
    ids=lambda network: network.space.name,
)
def test_lists_of_networks_are_aligned(network, key):
    """Masks broadcast to weights; logits stay under gains of 1 and probes, not under gains of 2."""
    arch = jax.jit(network.space.sample)(key)
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype(np.float32)
    params = jax.jit(lambda arch: network.instantiate(network.init(key), arch))(arch)
    kernels = weights.kernels(params)
    for mask, kernel in zip(jax.eval_shape(network.present, arch), kernels, strict=True):
        assert np.broadcast_shapes(mask.shape, kernel.shape) == kernel.shape
    num = sum(
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if path[-1].key in weights.NAMES
    )
    assert sum(kernel.size for kernel in kernels) == num

    @jax.jit
    def logits(gain):
        extended = weights.with_extras(params, "gain", weights.gains(params, gain))
        return network.apply(
            weights.with_extras(extended, "probe", weights.probes(params, 3)), arch, images
        )

    plain = jax.jit(network.apply)(params, arch, images)
    np.testing.assert_allclose(logits(jnp.float32(1)), plain, atol=1e-4)
    assert np.abs(logits(jnp.float32(2)) - plain).max() > 1e-2
