"""Small predictors, and training sets for them."""

import functools

import chex
import jax
import numpy as np
import pytest

import jnas
from jnas.predictors import Training

P = jnas.predictors
NB101, NB201 = jnas.spaces.nasbench101(), jnas.spaces.nasbench201()
SHORT = {"epochs": 2, "batch_size": 8}
SMALL = {
    "gates": {"layers": (8, 8), "hidden": (8,)},
    "gcn": {"layers": (8, 8), "hidden": (8,)},
    "biflow": {"layers": (8, 8), "hidden": (8,)},
    "mlp": {"hidden": (8,)},
    "lstm": {"embedding": 4, "size": 8, "hidden": (8,)},
    "rnn_classifier": {"embedding": 4, "size": 8},
    "peephole": {"embedding": 2, "size": 8, "hidden": (8,)},
    "renas": {},
    "e2epp": {"num_trees": 5},
}
SLOW = pytest.mark.slow
LOSSES = {"rnn_classifier": "classification", "peephole": "smooth_l1", "renas": "logistic"}


def make(name: str, space, **changes):
    """A small predictor that trains for two epochs."""
    if name == "e2epp":
        return P.e2epp(space, **SMALL[name])
    training = Training(**{"loss": LOSSES.get(name, "hinge"), **SHORT, **changes})
    return P.by_name(name, space, **SMALL[name], training=training)


@functools.cache
def population(space, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`[160, D]` random architectures and their codes."""
    archs = _sampled(space)(jax.random.split(jax.random.key(seed), 160))
    return np.asarray(archs), np.asarray(_coded(space)(archs))


@functools.cache
def _sampled(space):
    return jax.jit(jax.vmap(space.sample))


@functools.cache
def _coded(space):
    return jax.jit(jax.vmap(space.code))


def drawn(space, num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Different random architectures and made-up accuracies around 0.9."""
    archs, codes = population(space, seed)
    first = np.sort(np.unique(codes, axis=0, return_index=True)[1])[:num]
    assert len(first) == num
    targets = np.random.default_rng(seed).normal(0.9, 0.03, num)
    return archs[first], targets.astype(np.float32)


def keys(num: int) -> jax.Array:
    return jax.random.split(jax.random.key(1), num)


def assert_equal(one, two) -> None:
    chex.assert_trees_all_equal(one, two)
