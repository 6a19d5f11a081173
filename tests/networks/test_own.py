"""Networks of one architecture against the general one: logits, gradients, moments."""

import functools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from jnas import networks
from jnas.types import Network
from tests.oracles.nasbench201 import random_params

NB201 = {"channels": 2, "stages": 2, "cells": 2, "num_classes": 3, "in_channels": 1}
NETWORKS = {
    "nasbench201": networks.nasbench201(**NB201),
    "without scales": networks.nasbench201(**NB201, affine=False),
}
ARCHS = {
    "nasbench201": [
        (0, 0, 0, 0, 0, 0),  # all none
        (1, 1, 1, 1, 1, 1),  # all skip
        (3, 2, 3, 1, 3, 0),  # a dead end
        (0, 0, 3, 0, 2, 3),  # convolutions of zeros
        (3, 2, 3, 0, 0, 0),  # never reaches the output
        (4, 2, 3, 1, 4, 3),
    ],
    "without scales": [(4, 2, 3, 1, 4, 3), (2, 0, 3, 1, 3, 2)],
}
CASES = [(name, arch) for name, archs in ARCHS.items() for arch in archs]
IMAGES = np.random.default_rng(0).normal(size=(5, 4, 8, 1)).astype(np.float32)


@functools.cache
def weights_of(name: str) -> object:
    return random_params(NETWORKS[name], 0)


def answers(network: Network, params: object, arch: object) -> tuple[jax.Array, object]:
    """Logits, and the gradient of a loss of them with the moments of the batch."""

    def loss(params: object) -> tuple[jax.Array, jax.Array]:
        logits = network.apply(params, arch, IMAGES)
        return jnp.sum(jnp.sin(logits)), logits

    gradient, logits = jax.grad(loss, has_aux=True)(networks.with_moments(params))
    return logits, gradient


@functools.cache
def general(name: str):
    """`answers` of the general network, `(params, arch) -> …`, one program."""
    return jax.jit(functools.partial(answers, NETWORKS[name]))


def assert_close(one: object, other: object, tolerance: float = 1e-5) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for got, want in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(
            got, want, rtol=tolerance, atol=tolerance * max(1.0, np.abs(want).max())
        )


@pytest.mark.parametrize(("name", "arch"), CASES)
def test_own_network_answers_as_the_general_one(name: str, arch: tuple[int, ...]) -> None:
    choices = np.array(arch, np.int32)
    params = jax.jit(NETWORKS[name].instantiate)(weights_of(name), choices)
    own = NETWORKS[name].own(choices)
    logits, gradient = jax.jit(functools.partial(answers, own, arch=None))(params)
    expected, wanted = general(name)(params, choices)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert_close(networks.without_moments(gradient), networks.without_moments(wanted))
    # Moments that it does not hand out are of norms that its logits do not read.
    found = networks.moments(gradient)
    by_moments = jax.jit(own.apply)(networks.with_statistics(params, found), None, IMAGES)
    np.testing.assert_allclose(by_moments, expected, rtol=1e-4, atol=1e-5)
    for got, want in zip(found, networks.moments(wanted), strict=True):
        is_read = np.asarray(got.var) != 0
        np.testing.assert_allclose(got.var[is_read], want.var[is_read], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got.mean[is_read], want.mean[is_read], rtol=1e-4, atol=1e-5)


def primitives(jaxpr: Any) -> list[str]:
    """Names of all operations in a program, those of inner programs too."""
    names = []
    for equation in jaxpr.eqns:
        names.append(equation.primitive.name)
        for inner in core.jaxprs_in_params(equation.params):
            names.extend(primitives(inner))
    return names


def program(name: str, arch: tuple[int, ...]) -> list[str]:
    network = NETWORKS[name].own(np.array(arch))
    traced = jax.make_jaxpr(functools.partial(answers, network, arch=None))(weights_of(name))
    return primitives(traced.jaxpr)


def test_program_has_the_operations_of_its_architecture_alone() -> None:
    bare = program("nasbench201", (1, 1, 1, 1, 1, 1))
    two = program("nasbench201", (3, 1, 1, 1, 0, 2))
    for names in (bare, two):
        assert not {"cond", "scan", "while"} & set(names)
    # Two convolutions in each of four cells, each once forwards and twice for its gradients (those
    # of a kernel of one pixel are a product); no convolution is computed a second time.
    kinds = ("conv_general_dilated", "dot_general")
    added = [two.count(kind) - bare.count(kind) for kind in kinds]
    assert sum(added) <= 4 * (3 + 3) + 4 * 2  # a 3x3's weight gradient may be three products
    assert bare.count("conv_general_dilated") > 0


def test_equal_architectures_are_one_network_and_may_go_to_another_process() -> None:
    for name, network in NETWORKS.items():
        arch = np.array(ARCHS[name][-1])
        own = network.own(arch)
        assert own is network.own(jnp.asarray(arch)) is own.own(list(arch))
        assert own is not network.own(np.array(ARCHS[name][0]))
        assert hash(own) != hash(network)
        other = pickle.loads(pickle.dumps(own))
        assert jax.tree.structure(jax.eval_shape(other.init, jax.random.key(0)))
        masks = network.present(jnp.asarray(arch))
        assert all(map(np.array_equal, own.present(None), masks))


@pytest.mark.parametrize("arch", [(1, 2, 3), (0.0,) * 6, (0, 1, 2, 3, 4, 5)])
def test_what_is_no_architecture_is_refused(arch: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"arch must be \[6\] integers|no architecture"):
        NETWORKS["nasbench201"].own(np.array(arch))
