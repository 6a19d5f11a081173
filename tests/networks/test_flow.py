"""Hooks of trainings: drop path on the edges of cells, dropout on what the classifier reads."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.types import Hooks, Network
from tests.oracles.nasbench201 import random_params

NETWORK = networks.nasbench201(channels=2, stages=1, cells=2, num_classes=3, in_channels=1)
ARCH = np.array([3, 1, 2, 4, 1, 3], np.int32)
IMAGES = np.random.default_rng(0).normal(size=(4, 4, 4, 1)).astype(np.float32)
PARAMS = random_params(NETWORK, 0)
KEY = jax.random.key(0)


def drop_path(state: Any, value: jax.Array, can_drop: jax.Array) -> tuple[Any, jax.Array]:
    """Each image's value dropped with a probability of one minus `keep`."""
    key, part = jax.random.split(state["key"])
    kept = jax.random.bernoulli(part, state["keep"], (len(value), 1, 1, 1)) | ~can_drop
    scale = jnp.where(can_drop, jnp.maximum(state["keep"], 0.01), 1)
    return {**state, "key": key}, jnp.where(kept, value / scale, 0)


def dropout(state: Any, features: jax.Array) -> jax.Array:
    kept = jax.random.bernoulli(state["key"], state["rate_of_features"], features.shape)
    return jnp.where(kept, features / state["rate_of_features"], 0)


@jax.jit
def hooked(arch: jax.Array, key: jax.Array, keep: float, rate: float) -> jax.Array:
    """Logits with both hooks."""
    state = {"key": key, "keep": jnp.float32(keep), "rate_of_features": jnp.float32(rate)}
    return NETWORK.forward(
        PARAMS, arch, IMAGES, Hooks(on_edge=drop_path, on_features=dropout), state
    ).logits


apply = jax.jit(NETWORK.apply)


@pytest.mark.slow
def test_hooks_that_keep_everything_change_nothing() -> None:
    plain = apply(PARAMS, ARCH, IMAGES)
    np.testing.assert_allclose(hooked(ARCH, KEY, 1.0, 1.0), plain, rtol=1e-6, atol=1e-6)
    for rates in ((0.5, 1.0), (1.0, 0.5)):
        assert not np.allclose(hooked(ARCH, KEY, *rates), plain, rtol=0.01)
    assert not np.allclose(hooked(ARCH, KEY, 0.5, 1.0), hooked(ARCH, jax.random.key(1), 0.5, 1.0))


def test_dropping_all_that_can_be_dropped_leaves_the_identities() -> None:
    """The cell in which every other operation is "none"."""
    bare = np.where(ARCH == 1, 1, 0).astype(np.int32)
    expected = apply(PARAMS, bare, IMAGES)
    for arch in (ARCH, bare):
        found = hooked(arch, KEY, 0.0, 1.0)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(apply(PARAMS, ARCH, IMAGES), expected, rtol=0.01)


@pytest.mark.slow
def test_keys_of_a_population_are_a_loop() -> None:
    """Raw words, one key for each row."""
    keys = jax.vmap(jax.random.PRNGKey)(jnp.arange(3))
    archs = np.array([ARCH, (3, 0, 2, 1, 4, 1), ARCH], np.int32)
    together = jax.jit(jax.vmap(hooked, (0, 0, None, None)))(archs, keys, 0.5, 0.8)
    alone = [hooked(arch, key, 0.5, 0.8) for arch, key in zip(archs, keys, strict=True)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-5, atol=1e-5)


NETWORKS = {
    "nasbench201": (NETWORK, ARCH, 2 * 6, 2 * 4),
    "nasbench101": (
        networks.nasbench101(channels=4, stacks=2, cells=2, num_classes=3, in_channels=1),
        np.array(spaces.nasbench101().from_string("conv3x3:0|conv1x1:0,1|output:0,2")),
        4 * (5 + 10 + 1),
        4 * 6,
    ),
    # Five convolutions a cell, and of three skips the one that widens.
    "nats_size": (
        networks.nats_size(num_classes=3, in_channels=1),
        np.array([0, 0, 1, 0, 0], np.int32),
        3 * 6,
        3 * 5 + 1,
    ),
    "nb1shot1": (
        networks.nb1shot1(channels=2, stacks=1, cells=2, num_classes=3, in_channels=1),
        np.array([1, 0, 5, 3, 13, 2, 0, 1, 0, 2], np.int32),
        2 * (5 + 10 + 1),
        2 * 6,
    ),
    # One reduction cell, in which a skip of the input is no identity and a skip of a node is one.
    "nasbench301": (
        networks.nasbench301(channels=2, layers=1, num_classes=3, in_channels=1),
        np.array([0] * 11 + [0, 5, 3, 4, 2, 3, 5, 1, 0, 6, 2], np.int32),
        8,
        7,
    ),
}


def calls(network: Network, arch: Any) -> dict[str, jax.Array]:
    """Key of each call of the hook, whether it may drop, and the number of calls."""

    def on_edge(state: Any, value: jax.Array, can_drop: jax.Array) -> tuple[Any, jax.Array]:
        key, part = jax.random.split(state["key"])
        words = state["words"].at[state["num"]].set(jax.random.key_data(part))
        can = state["can_drop"] + can_drop.astype(jnp.int32)
        return {"key": key, "words": words, "can_drop": can, "num": state["num"] + 1}, value

    zero = jnp.zeros((), jnp.int32)
    start = {"key": KEY, "words": jnp.zeros((80, 2), jnp.uint32), "can_drop": zero, "num": zero}
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), jax.eval_shape(network.init, KEY))
    state: dict[str, jax.Array] = network.forward(
        params, arch, IMAGES, Hooks(on_edge=on_edge), start
    ).state
    return state


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n in ("nasbench101", "nb1shot1")))
        for n in NETWORKS
    ],
)
def test_each_edge_of_each_cell_has_a_key_of_its_own(name: str) -> None:
    network, arch, num_edges, num_that_drop = NETWORKS[name]
    of_all = jax.jit(lambda arch: calls(network, arch))(arch)
    of_one = jax.jit(lambda: calls(network.own(arch), None))()
    for found in (of_all, of_one):
        assert (int(found["num"]), int(found["can_drop"])) == (num_edges, num_that_drop)
        words = np.asarray(found["words"])[:num_edges]
        assert len(np.unique(words, axis=0)) == num_edges
    np.testing.assert_array_equal(of_all["words"], of_one["words"])
