"""Scores of networks of pairs of cells: against those of one architecture, rules in NumPy."""

import jax
import numpy as np
import pytest

from jnas import networks
from jnas.zeroshot import NAMES, suite
from tests.networks.test_darts import DARTS_V1, IMAGES, MIXED, SMALL, WITH_NONE, arch_of, pairs_of
from tests.oracles.cell_networks import reference
from tests.oracles.nasbench201 import random_params

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
)
BATCH = np.random.default_rng(3).normal(size=(8, 8, 8, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0, 0, 2, 2])
KEY = jax.random.key(0)


def score(network, archs, names, **settings):
    estimator = suite(network, BATCH, LABELS, names, **settings)
    found = jax.jit(lambda estimator, archs: estimator(KEY, archs))(estimator, np.stack(archs))
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def check(layers, cells, names, rtol):
    """Scores by the program of all architectures are those of each by its own."""
    network = networks.darts(layers=layers, **SMALL)
    archs = [arch_of(each, network.space) for each in cells]
    found = score(network, archs, names)
    own = [score(network.own(arch), [arch], names) for arch in archs]
    for name in names:
        expected = np.concatenate([values[name] for values in own])
        np.testing.assert_allclose(found[name], expected, rtol=rtol, err_msg=name)


@pytest.mark.slow
def test_scores_of_codes_are_those_of_the_network_of_one_architecture():
    check(1, [MIXED, WITH_NONE], FORWARD, 1e-5)


@pytest.mark.slow
def test_all_scores_are_those_of_the_network_of_one_architecture():
    # Without "none": gradients of what is not connected are noise, by which some scores divide.
    check(1, [MIXED], NAMES, 1e-2)


def codes_of(cells, num_cells, params, monkeypatch):
    """Codes `[N, U]` bool of all ReLUs, as the rules rectify them."""
    found, larger = [], np.maximum

    def maximum(x, low):
        found.append((x > 0).reshape(len(x), -1))
        return larger(x, low)

    monkeypatch.setattr(np, "maximum", maximum)
    reference(params, [pairs_of(cell) for cell in cells], IMAGES, num_cells)
    monkeypatch.undo()
    return np.concatenate(found, axis=1)


@pytest.mark.slow
def test_naswot_is_that_of_the_codes_of_the_rules(monkeypatch):
    network = networks.nasbench301(layers=3, **SMALL)
    arch = arch_of(DARTS_V1)
    own = network.own(arch)
    params = random_params(network, 0)
    fixed = own._replace(init=lambda _: params)
    estimator = suite(fixed, IMAGES, None, ("naswot", "relu_count"))
    found = jax.jit(lambda estimator, archs: estimator(KEY, archs))(estimator, arch[None])
    codes = codes_of(DARTS_V1, 3, params, monkeypatch).astype(np.int64)
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T
    np.testing.assert_allclose(found["naswot"][0], np.linalg.slogdet(kernel)[1], rtol=1e-4)


@pytest.mark.slow
def test_plain_is_the_slope_of_the_loss_along_the_weights():
    """Σ w ∂L/∂w, by differences of the rules in float64."""
    network = networks.nasbench301(layers=3, **SMALL)
    arch, labels = arch_of(DARTS_V1), LABELS[: len(IMAGES)]
    params = random_params(network, 0)
    fixed = network.own(arch)._replace(init=lambda _: params)
    estimator = suite(fixed, IMAGES, labels, ("plain",))
    found = jax.jit(lambda estimator, archs: estimator(KEY, archs))(estimator, arch[None])
    pairs = [pairs_of(cell) for cell in DARTS_V1]

    def loss(step):
        scaled = [np.asarray(w, np.float64) * (1 + step) for w in networks.kernels(params)]
        logits = reference(networks.weights.with_kernels(params, scaled), pairs, IMAGES, 3)
        logits = logits - logits.max(axis=1, keepdims=True)
        own = logits[np.arange(len(labels)), labels]
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - own)

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(found["plain"][0], slope, rtol=1e-3)
