"""The network of NAS-Bench-Macro against its definition in float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces, zeroshot
from jnas.networks import layers
from jnas.spaces.nasbench_macro import blocks
from jnas.types import Hooks
from tests.oracles.layers import conv_by_loops, norm_by_loops
from tests.oracles.nasbench201 import BAD_IMAGES, random_params

NETWORK = networks.nasbench_macro()
IMAGES = np.random.default_rng(1).normal(size=(3, 8, 16, 3)).astype(np.float32)  # not square
ARCHS = np.array([[0, 1, 2, 1, 0, 0, 2, 1], [1, 2, 0, 0, 1, 2, 0, 0], [0] * 8], np.int32)


@functools.cache
def params_of():
    return random_params(NETWORK, 0)


def normed(x, layer, stride=1):
    if layer["conv"].shape[0] == 1:
        x, stride = x[:, ::stride, ::stride], 1
    return norm_by_loops(conv_by_loops(x, layer["conv"], stride), layer["norm"])


def depthwise(x, layer, stride):
    """Each channel with its own kernel, as a convolution whose other weights are 0."""
    size, channels = layer["conv"].shape[0], x.shape[-1]
    whole = np.zeros((size, size, channels, channels))
    whole[:, :, range(channels), range(channels)] = layer["conv"][:, :, 0]
    return norm_by_loops(conv_by_loops(x, whole, stride), layer["norm"])


def reference(params, arch, images):
    """Logits, features, and what each ReLU reads."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    readings = []

    def relu(x):
        readings.append(x)
        return np.maximum(x, 0)

    x = relu(normed(images, params["stem"]))
    for block, chosen, op in zip(blocks(), params["blocks"], arch, strict=True):
        if op:
            layer = chosen[("mb3", "mb6")[op - 1]]
            y = relu(normed(x, layer["widen"]))
            y = relu(depthwise(y, layer["depthwise"], block.stride))
            y = normed(y, layer["narrow"])
            x = y + x if block.stride == 1 else y
        elif block.stride > 1:
            x = normed(x, chosen["identity"], block.stride)
    x = relu(normed(x, params["head"]))
    logits = x.mean(axis=(1, 2)) @ params["dense"]["kernel"] + params["dense"]["bias"]
    return logits, x, readings


def count(x, norm, channels):
    """Usual batch norm; its value is how many channels it normalises."""
    return layers.batch_norm(x, norm), jnp.sum(channels.astype(jnp.float32))


HOOKS = Hooks(on_relu=lambda state, relu: (*state, relu), norm=count)


@jax.jit
def look(params, arch, images):
    return NETWORK.forward(params, arch, images, HOOKS, ())


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ARCHS)))
def test_logits_features_and_readings_agree_with_the_definition(number):
    arch = ARCHS[number]
    logits, features, readings = reference(params_of(), arch, IMAGES)
    seen = look(params_of(), arch, IMAGES)
    np.testing.assert_allclose(seen.logits, logits, atol=2e-3)
    np.testing.assert_allclose(seen.features, features, atol=5e-3)
    relus = [relu for relu in seen.state if int(relu.num_live)]
    assert all(int(relu.num_modules) == int(relu.num_live) for relu in seen.state)
    assert len(relus) == len(readings) == 2 + 2 * np.sum(arch > 0)
    for relu, want in zip(relus, readings, strict=True):
        width = want.shape[-1]
        np.testing.assert_array_equal(relu.channels, np.arange(len(relu.channels)) < width)
        np.testing.assert_allclose(relu.inputs[..., :width], want, atol=5e-3)
        assert not np.any(relu.inputs[..., width:])
    # As many weights and norms as the space counts.
    pairs = zip(NETWORK.present(jnp.asarray(arch)), networks.kernels(params_of()), strict=True)
    num = sum(np.broadcast_to(mask, kernel.shape).sum(dtype=int) for mask, kernel in pairs)
    num += 2 * int(seen.norm_sum) + 10
    assert num == int(NETWORK.space.params(jnp.asarray(arch)))


@pytest.mark.slow
def test_the_network_of_one_architecture_has_the_same_logits():
    own = NETWORK.own(ARCHS[1])
    seen = jax.jit(lambda params: own.forward(params, None, IMAGES, HOOKS, ()))(params_of())
    logits, _, readings = reference(params_of(), ARCHS[1], IMAGES)
    np.testing.assert_allclose(seen.logits, logits, atol=2e-3)
    shown = [relu for relu in seen.state if int(relu.num_live)]
    assert [relu.inputs.shape for relu in shown] == [x.shape for x in readings]


@pytest.mark.slow
def test_gradient_scores_are_those_of_the_own_network(key):
    names, labels = ("grad_norm", "snip", "synflow", "naswot"), np.array([0, 2, 1])
    found = jax.jit(lambda estimator, archs: estimator(key, archs))(
        zeroshot.suite(NETWORK, IMAGES, labels, names), ARCHS[:2]
    )
    for number, arch in enumerate(ARCHS[:2]):
        own = zeroshot.suite(NETWORK.own(arch), IMAGES, labels, names)(key, arch[None])
        for name in names:
            np.testing.assert_allclose(found[name][number], own[name][0], rtol=2e-3, err_msg=name)


@pytest.mark.parametrize("images", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_images_that_do_not_fit(images, key):
    params = jax.eval_shape(NETWORK.init, key)
    arch = jax.ShapeDtypeStruct((8,), jnp.int32)
    with pytest.raises(
        ValueError, match=r"takes images float32 \[N, H, W, 3\] with H and W multiples of 8"
    ):
        jax.eval_shape(NETWORK.apply, params, arch, images)


def test_network_is_made_once_for_each_setting():
    assert networks.by_name("nasbench_macro") is NETWORK is networks.nasbench_macro()
    assert NETWORK.space is spaces.nasbench_macro()
    with pytest.raises(ValueError, match="num_classes must be at least 1; got 0"):
        networks.nasbench_macro(num_classes=0)
