"""Banks against a network that computes them all, written from the definition of the space."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnas import networks
from jnas.networks.nasbench201 import forward
from jnas.oneshot.close import banks
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, POOL, SKIP
from jnas.types import Hooks

NETWORK = networks.nasbench201(
    affine=False, bias=False, channels=4, stages=1, cells=2, num_classes=5
)
IMAGES = jax.random.normal(jax.random.key(1), (3, 4, 4, 3))
LABELS = jax.random.normal(jax.random.key(2), (3, 5))
NUM_BANKS = 3
ARCH = jnp.array([CONV3X3, CONV1X1, CONV3X3, SKIP, POOL, CONV3X3], jnp.int32)
IS_CONV = np.array([True, True, True, False, False, True])
CHOICES = jax.nn.one_hot(jnp.array([0, 2, 1, 1, 0, 2]), NUM_BANKS)
MODES = (
    pytest.param("all", marks=pytest.mark.slow),
    "selected",
    pytest.param("weights", marks=pytest.mark.slow),
)


@functools.cache
def params():
    """Weights whose stage has three banks."""
    drawn = jax.jit(NETWORK.init)(jax.random.key(0))
    keep = jax.tree.map(lambda leaf: leaf[:, :NUM_BANKS], drawn["stages"])
    return drawn | {"stages": keep}


@functools.partial(jax.jit, static_argnames="mode")
def gradients(params, choices, mode):
    """Loss, and its gradient by weights and by choices."""

    def loss(params, choices):
        stages = banks.prepared(params["stages"], choices, mode)
        block = banks.block if mode == "all" else None
        logits = forward(params | {"stages": stages}, ARCH, IMAGES, Hooks(), (), block).logits
        return jnp.sum(logits * LABELS)

    return jax.value_and_grad(loss, (0, 1))(params, choices)


def norm(x):
    mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    return (x - mean[None, None, None]) * lax.rsqrt(variance + 1e-5)[None, None, None]


def affine(x, weights):
    return x * weights["scale"][None, None, None] + weights["bias"][None, None, None]


def conv(x, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def pool(x):
    sums = lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    num = lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return sums / num


def all_banks(params, choices, arch):
    """Loss of a network that sums the outputs of all banks, times the choices."""
    x = affine(norm(conv(IMAGES, params["stem"]["conv"])), params["stem"]["norm"])
    kernels = {
        CONV1X1: params["stages"][0]["conv1x1"]["conv"],
        CONV3X3: params["stages"][0]["conv3x3"]["conv"],
    }
    for cell in range(2):
        nodes = [x] + [jnp.zeros_like(x)] * 3
        for edge, (start, end) in enumerate(EDGES):
            op, source = int(arch[edge]), nodes[start]
            if op in kernels:
                of_banks = [norm(conv(jax.nn.relu(source), k)) for k in kernels[op][cell]]
                value = sum(c * y for c, y in zip(choices[edge], of_banks, strict=True))
            else:
                value = {SKIP: source, POOL: pool(source)}.get(op, jnp.zeros_like(x))
            nodes[end] = nodes[end] + value
        x = nodes[3]
    x, dense = affine(norm(x), params["norm"]), params["dense"]
    logits = jnp.mean(jax.nn.relu(x), (1, 2)) @ dense["kernel"] + dense["bias"][None]
    return jnp.sum(logits * LABELS)


@functools.cache
def expected():
    run = jax.jit(jax.value_and_grad(functools.partial(all_banks, arch=np.asarray(ARCH)), (0, 1)))
    return run(params(), CHOICES)


@pytest.mark.parametrize("mode", MODES)
def test_output_and_weight_gradients_are_those_of_the_chosen_banks(mode):
    loss, (of_weights, _) = gradients(params(), CHOICES, mode)
    want, (of_weights_wanted, _) = expected()
    np.testing.assert_allclose(loss, want, rtol=1e-4)
    jax.tree.map(
        lambda got, want: np.testing.assert_allclose(got, want, atol=2e-4),
        of_weights,
        of_weights_wanted,
    )


@pytest.mark.parametrize("mode", MODES)
def test_banks_that_no_edge_of_an_operation_has_chosen_get_zeros(mode):
    """3x3 is on edges of banks 0, 1 and 2; 1x1 on one of bank 2 alone."""
    stage = gradients(params(), CHOICES, mode)[1][0]["stages"][0]
    moved = np.abs(stage["conv1x1"]["conv"]).max(axis=(2, 3, 4, 5))
    np.testing.assert_array_equal(moved[:, :2], 0)
    assert np.all(moved[:, 2] > 0)
    assert np.all(np.abs(stage["conv3x3"]["conv"]).max(axis=(2, 3, 4, 5)) > 0)


@pytest.mark.slow
def test_choice_has_the_gradient_of_every_bank():
    """`⟨∂L/∂y, block_k(x)⟩`, summed over cells; none on edges without weights."""
    of_choice = gradients(params(), CHOICES, "all")[1][1]
    want = np.asarray(expected()[1][1])
    np.testing.assert_allclose(of_choice, want, atol=2e-4)
    assert np.abs(want[IS_CONV]).min() > 1e-4
    np.testing.assert_array_equal(of_choice[~IS_CONV], 0)


def test_selected_keeps_the_term_of_the_chosen_bank():
    of_choice = gradients(params(), CHOICES, "selected")[1][1]
    np.testing.assert_allclose(of_choice, expected()[1][1] * CHOICES, atol=2e-4)


@pytest.mark.slow
def test_weights_multiply_the_gradient_of_the_chosen_weights():
    (of_weights, of_choice) = gradients(params(), CHOICES, "weights")[1]
    kernels, moved = params()["stages"][0]["conv1x1"]["conv"], of_weights["stages"][0]["conv1x1"]
    # Edge 1 alone is a 1x1 convolution, so that all of that gradient is its own.
    want = jnp.einsum("cijkl,cnijkl->n", moved["conv"][:, 2], kernels)
    np.testing.assert_allclose(of_choice[1], want, atol=1e-5)
    # A batch norm takes the scale of its convolution away.
    np.testing.assert_allclose(of_choice[1, 2], 0, atol=1e-4)
    np.testing.assert_array_equal(of_choice[~IS_CONV], 0)


@pytest.mark.slow
def test_closed_banks_have_no_gradient():
    closed = params() | {
        "stages": jax.tree.map(lambda leaf: leaf.at[:, 1].set(0), params()["stages"])
    }
    choices = CHOICES.at[2].set(CHOICES[0])
    np.testing.assert_array_equal(gradients(closed, choices, "all")[1][1][:, 1], 0)
