"""Every score on every network: the part of the contract that depends on the space."""

import functools

import jax
import numpy as np
import pytest

from jnas import networks
from jnas.zeroshot import NAMES, suite
from tests.oracles.nasbench201 import on_a_path

NUM_ARCHS, NUM_IMAGES = 6, 5
SPACES = ("nasbench101", "nasbench201", "nats_size", "nb1shot1", "nasbench301")
FORWARD = (
    "naswot",
    "relu_logdet",
    "relu_count",
    "linear_regions",
    "swap",
    "swap_published",
    "l2_norm",
    "params",
    "flops",
    "synflow",
)
IMAGES = np.random.default_rng(1).normal(size=(NUM_IMAGES, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(NUM_IMAGES) % 3
KEY = jax.random.key(0)
CASES = [
    pytest.param(
        name,
        names,
        stages,
        id=f"{name}-{label}",
        # Networks of NAS-Bench-101's cells are the dearest to compile; of NAS-Bench-201
        # `test_suite.py` says the same for all scores.
        marks=[pytest.mark.slow] if label == "all" or name != "nats_size" else [],
    )
    for name in SPACES
    # A stage is a program of its own, and gradients of one take long enough to compile.
    for label, names, stages in (("forward", FORWARD, 2), ("all", NAMES, 1))
    # Of NAS-Bench-301 all gradients together take minutes to compile.
    if (name, label) != ("nasbench301", "all")
]
"""A space, names of scores, and the number of stages of the network."""
# Both tests of a case follow each other, and share its program.
of_every_case = pytest.mark.parametrize(("name", "names", "stages"), CASES, scope="module")

score = jax.jit(lambda estimator, key, archs: estimator(key, archs))


def network_of(name, stages):
    """Network of a space: that of the proxies for NAS-Bench-201; NATS-size has its own stages."""
    if name == "nats_size":
        return networks.nats_size(num_classes=3)
    sizes = {"channels": 4, "cells": 2, "num_classes": 3}
    if name == "nasbench301":
        return networks.nasbench301(channels=4, layers=1, num_classes=3)
    if name in ("nasbench101", "nb1shot1"):
        return networks.by_name(name, stacks=stages, **sizes)
    return networks.nasbench201(stages=stages, affine=False, **sizes)


@functools.cache
def archs_of(name):
    sample = jax.jit(jax.vmap(network_of(name, 1).space.sample))
    return np.asarray(sample(jax.random.split(jax.random.key(3), NUM_ARCHS)))


@functools.cache
def scores_of(name, names, stages):
    estimator = suite(network_of(name, stages), IMAGES, LABELS, names)
    found = score(estimator, KEY, archs_of(name))
    return {key: np.asarray(values) for key, values in found.items()}


@pytest.mark.slow
@of_every_case
def test_scores_are_float32_never_nan_and_tell_architectures_apart(name, names, stages):
    scores = scores_of(name, names, stages)
    assert set(scores) == set(names)
    for key, values in scores.items():
        assert values.shape == (NUM_ARCHS,), key
        assert values.dtype == np.float32, key
        assert np.all(np.isfinite(values) | np.isneginf(values)), key
        # In the size space widths differ, the modules do not. NAS-Bench-1Shot1's network ends
        # with a batch norm, after which the logits of a batch have one sum: its kernel is singular.
        constant = key in ("linear_regions", "swap", "swap_published") or (key, name) in (
            ("relu_count", "nats_size"),
            ("ntk_condition", "nb1shot1"),
        )
        assert constant or len(np.unique(values)) > 1, key


@pytest.mark.slow
@of_every_case
def test_rows_do_not_depend_on_their_neighbours_and_nothing_is_compiled_twice(name, names, stages):
    expected = scores_of(name, names, stages)
    # Compiled here, for programs are let go of where a process holds too many.
    score(suite(network_of(name, stages), IMAGES, LABELS, names), KEY, archs_of(name))
    before = score._cache_size()
    rows = np.array([4, 0, 0, 3, 1, 4])
    got = score(suite(network_of(name, stages), IMAGES, LABELS, names), KEY, archs_of(name)[rows])
    assert score._cache_size() == before
    for key, values in expected.items():
        np.testing.assert_array_equal(got[key], values[rows], err_msg=key)


@pytest.mark.parametrize("name", [pytest.param("nasbench101", marks=pytest.mark.slow), "nats_size"])
def test_weights_that_an_architecture_does_not_have_count_nothing(name):
    """The norms are those of the weights at their true widths."""
    network = network_of(name, 2)
    found = score(suite(network, IMAGES, names=("l2_norm",)), KEY, archs_of(name))["l2_norm"]

    @jax.jit
    def own_of(arch):
        params = network.instantiate(network.init(KEY), arch)
        return networks.kernels(params), network.present(arch)

    for number, arch in enumerate(archs_of(name)[:3]):
        own, masks = own_of(arch)
        for kernel, mask in zip(own, masks, strict=True):
            np.testing.assert_array_equal(kernel, np.asarray(kernel) * np.asarray(mask))
        expected = sum(
            np.sqrt(
                np.sum(
                    np.square(k, dtype=np.float64), axis=tuple(range(max(k.ndim - 4, 0), k.ndim))
                )
            ).sum()
            for k in map(np.asarray, own)
        )
        np.testing.assert_allclose(found[number], expected, rtol=1e-5)


def pruned(arch):
    """Cell of NAS-Bench-201 without the edges that are on no path from its input to its output."""
    return np.where(on_a_path(arch), arch, 0).astype(np.int32)


def chain(*dangling):
    """Cell of NAS-Bench-101, a 3x3 convolution, and a vertex without a way out that reads some."""
    space = network_of("nasbench101", 1).space
    edges = np.zeros((7, 7), np.int32)
    edges[0, 1] = edges[1, 6] = 1
    edges[list(dangling), 2] = 1
    return np.array([*edges.T[np.tril_indices(7, -1)], 0, 1, 2, 0, 1], space.sample(KEY).dtype)


def test_zen_of_cells_that_are_one_function():
    """What is off every path, be it read or fed, changes nothing."""
    random = np.random.default_rng(2).integers(0, 5, (40, 6)).astype(np.int32)
    skips = np.array([[0, 0, 0, 1, 0, 0], [0, 0, 3, 1, 0, 0], [0, 0, 3, 1, 2, 3]], np.int32)
    cells = np.concatenate([skips, random])
    assert sum(np.any(pruned(arch) != arch) for arch in random) > 10
    zen = suite(network_of("nasbench201", 1), IMAGES, names=("zen",))
    whole = score(zen, KEY, cells)["zen"]
    assert np.isfinite(whole[0])
    np.testing.assert_array_equal(whole[:3], whole[0])
    np.testing.assert_array_equal(whole, score(zen, KEY, np.stack([*map(pruned, cells)]))["zen"])


@pytest.mark.slow
def test_zen_of_cells_with_a_vertex_that_nothing_reads():
    zen = suite(network_of("nasbench101", 1), IMAGES, names=("zen",))
    of_chains = score(zen, KEY, np.stack([chain(), chain(0), chain(0, 1)]))["zen"]
    assert np.isfinite(of_chains[0])
    np.testing.assert_array_equal(of_chains, of_chains[0])
