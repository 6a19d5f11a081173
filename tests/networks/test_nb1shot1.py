"""The one-shot network against the published one in float64 NumPy, every block computed."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import layers
from jnas.types import Hooks
from tests.oracles.layers import conv_by_loops, max_pool3x3_by_loops, norm_by_loops
from tests.oracles.nasbench201 import random_params

SIZES = {"channels": 2, "cells": 2, "num_classes": 3, "in_channels": 1}
NETWORK = networks.nb1shot1(stacks=2, **SIZES)
IMAGES = np.random.default_rng(1).normal(size=(5, 6, 5, 1)).astype(np.float32)
DEGREES = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
NAMED = {
    "chain": "conv3x3:0|maxpool3x3:1|conv1x1:2|conv3x3:2,3|conv1x1:0,4|output:2,5",
    "input to output": "conv1x1:0|conv3x3:0|maxpool3x3:1|conv3x3:1,2|conv1x1:3,4|output:0,5",
    "blocks without a way out": "conv3x3:0|conv1x1:0|conv3x3:0|conv3x3:0,1|conv1x1:0,1|output:1,2",
    "all pools": "|".join(f"maxpool3x3:{s}" for s in ("0", "0", "0", "0,1", "2,3")) + "|output:4,5",
    "the input twice": "conv1x1:0|conv3x3:0|conv3x3:0|conv3x3:0,1|conv1x1:0,1|output:0,1",
}
SPACE = spaces.nb1shot1()
ARCHS = np.array([SPACE.from_string(text) for text in NAMED.values()], np.int32)


def halved_by_loops(x):
    """Largest of each block of four, the first of which begins beyond the border."""
    rows, columns = x.shape[1] // 2 + 1, x.shape[2] // 2 + 1
    out = np.zeros((len(x), rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, max(2 * i - 1, 0) : 2 * i + 1, max(2 * j - 1, 0) : 2 * j + 1]
            out[:, i, j] = window.max(axis=(1, 2))
    return out


def parents_of(arch, subspace):
    """Parents of each block, and of the output, the last."""
    sets = [list(itertools.combinations(range(v), d)) for v, d in enumerate(DEGREES[subspace], 1)]
    numbers = iter(arch)
    return [found[0] if len(found) == 1 else found[next(numbers)] for found in sets]


def conv_norm_relu(x, layer, *index):
    norm = {name: leaf[index] for name, leaf in layer["norm"].items()}
    return np.maximum(norm_by_loops(conv_by_loops(x, layer["conv"][index]), norm), 0)


def reference_cell(x, group, number, arch, subspace):
    """As published: everything is computed, then multiplied by 0 or 1."""
    *blocks, output = parents_of(arch, subspace)
    values = []
    for block, parents in enumerate(blocks):
        inputs = [conv_norm_relu(x, group["projection"], number, block), *values]
        total = sum((source in parents) * value for source, value in enumerate(inputs))
        op = arch[len(arch) - len(blocks) + block]
        if op == 2:
            values.append(max_pool3x3_by_loops(total))
        else:
            layer = group[("conv3x3", "conv1x1")[op]]
            values.append(conv_norm_relu(total, layer, number, block))
    weighed = [(block in output) * value for block, value in enumerate(values, 1)]
    projected = conv_norm_relu(x, group["output"], number)
    return np.concatenate(weighed, axis=-1) + (0 in output) * projected


def reference(params, arch, images, subspace=3):
    """Logits, in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = conv_norm_relu(np.asarray(images, np.float64), params["stem"])
    width = x.shape[-1]
    for group in params["groups"]:
        if group["conv3x3"]["conv"].shape[-1] > width:
            x, width = halved_by_loops(x), group["conv3x3"]["conv"].shape[-1]
        for number in range(len(group["conv3x3"]["conv"])):
            x = reference_cell(x, group, number, arch, subspace)
    plain = {"scale": np.ones(width), "bias": np.zeros(width)}
    x = norm_by_loops(conv_by_loops(np.maximum(x, 0), params["last"]["conv"]), plain)
    return x.mean(axis=(1, 2)) @ params["dense"]["kernel"] + params["dense"]["bias"]


@functools.cache
def weights(network=NETWORK):
    return random_params(network, 0)


TRACES = []


@jax.jit
def apply(arch):
    TRACES.append(arch.shape)
    return NETWORK.apply(weights(), arch, IMAGES)


@functools.cache
def logits_of(name):
    return np.asarray(apply(ARCHS[[*NAMED].index(name)]))


@pytest.mark.parametrize("name", NAMED)
def test_logits_agree_with_the_definition(name):
    arch = ARCHS[[*NAMED].index(name)]
    expected = reference(weights(), arch, IMAGES)
    np.testing.assert_allclose(
        logits_of(name), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


def test_one_program_serves_all_architectures_and_tells_them_apart():
    logits = np.stack([logits_of(name) for name in NAMED])
    assert len(TRACES) == 1
    differences = np.abs(logits[:, None] - logits[None]).max(axis=(2, 3))
    assert (differences + np.eye(len(NAMED)) > 1e-2).all()


@pytest.mark.parametrize("name", ["chain", pytest.param("input to output", marks=pytest.mark.slow)])
def test_the_network_of_one_architecture_has_the_same_logits(name):
    """It leaves out the channels of 0, and the weights that read them."""
    own = NETWORK.own(ARCHS[[*NAMED].index(name)])
    found = jax.jit(own.apply)(weights(), None, IMAGES)
    np.testing.assert_allclose(found, logits_of(name), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("subspace", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_logits_of_sub_spaces_with_four_blocks(subspace):
    network = networks.nb1shot1(subspace=subspace, stacks=1, **{**SIZES, "cells": 1})
    archs = np.random.default_rng(0).integers(0, network.space.cardinalities, (4, 6 + subspace))
    params, apply = weights(network), jax.jit(network.apply)
    for arch in archs.astype(np.int32):
        expected = reference(params, arch, IMAGES, subspace)
        np.testing.assert_allclose(apply(params, arch, IMAGES), expected, rtol=1e-4, atol=1e-4)


@jax.jit
def gradient_of(arch):
    def loss(params):
        return jnp.sum(jnp.sin(NETWORK.apply(params, arch, IMAGES)))

    return networks.kernels(jax.grad(loss)(weights())), NETWORK.present(arch)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_gradients_only_where_the_architecture_has_weights(name):
    gradients, masks = gradient_of(ARCHS[[*NAMED].index(name)])
    for gradient, mask in zip(gradients, masks, strict=True):
        mask = np.broadcast_to(mask, gradient.shape) > 0
        assert not np.asarray(gradient)[~mask].any()
        assert not mask.any() or np.asarray(gradient)[mask].any()


@pytest.mark.slow
def test_a_population_is_a_loop_and_eager_is_compiled():
    tiny = networks.nb1shot1(stacks=1, **{**SIZES, "cells": 1})
    of_all = jax.jit(jax.vmap(tiny.apply, (None, 0, None)))(weights(tiny), ARCHS, IMAGES)
    of_each = jax.jit(tiny.apply)
    for arch, found in zip(ARCHS, of_all, strict=True):
        expected = of_each(weights(tiny), arch, IMAGES)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        eager = tiny.apply(weights(tiny), jnp.asarray(arch), IMAGES)
        np.testing.assert_allclose(eager, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modules"),
    [("chain", 2 + 4), ("input to output", 3 + 4), ("blocks without a way out", 2 + 2)],
)
def test_hooks_see_the_relus_and_norms_that_there_are(name, modules):
    """Projections, that of the output among them, and convolutions; those of a pool are none."""

    def on_relu(state, relu):
        return state + jnp.stack([relu.num_modules, relu.num_live])

    def norm(x, layer, channels):
        return layers.batch_norm(x, layer), jnp.ones(())

    @jax.jit
    def run(arch):
        hooks = Hooks(on_relu=on_relu, norm=norm)
        return NETWORK.forward(weights(), arch, IMAGES, hooks, jnp.zeros(2, jnp.int32))

    seen = run(ARCHS[[*NAMED].index(name)])
    np.testing.assert_allclose(seen.logits, logits_of(name), rtol=1e-5, atol=1e-5)
    assert seen.state.tolist() == [2 + 4 * modules] * 2  # the stem and before the last convolution
    assert float(seen.norm_sum) == 2 + 4 * modules


def num_of(layer):
    return int(np.prod(layer["conv"].shape))


def test_numbers_of_weights():
    """At 9 cells, 16 channels: an operation of one block in all of them, and everything else."""
    shapes = jax.eval_shape(networks.nb1shot1().init, jax.random.key(0))
    groups = shapes["groups"]
    for name, num in (("conv3x3", 9 * 16_128), ("conv1x1", 16_128)):
        assert sum(num_of(group[name]) for group in groups) == 5 * num
    # Of a cell with input of c channels: five projections to its width and one to five times that.
    pairs = [(16, 16), *[(80, 16)] * 2, (80, 32), *[(160, 32)] * 2, (160, 64), *[(320, 64)] * 2]
    projections = sum(num_of(group[name]) for group in groups for name in ("projection", "output"))
    assert projections == sum(10 * c_in * width for c_in, width in pairs)


def test_numbers_that_the_supernets_of_ning_et_al_were_reported_with():
    """437,296 and 142,848 or 15,872 an operation: without norms and biases, of four blocks, and of
    eight cells, of which two are in the first stack."""
    shapes = jax.eval_shape(networks.nb1shot1(subspace=2).init, jax.random.key(0))
    first, second, *rest = shapes["groups"]
    second = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), second
    )
    groups = [first, second, *rest]
    assert sum(num_of(group["conv3x3"]) for group in groups) == 4 * 142_848
    assert sum(num_of(group["conv1x1"]) for group in groups) == 4 * 15_872
    others = sum(num_of(group[name]) for group in groups for name in ("projection", "output"))
    others += num_of(shapes["stem"]) + num_of(shapes["last"])
    assert others + int(np.prod(shapes["dense"]["kernel"].shape)) == 437_296


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 17, 9, 2), (1, 1, 2, 1)])
def test_pool_between_stacks(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = layers.max_pool2x2_padded(jnp.asarray(x))
    np.testing.assert_array_equal(found, halved_by_loops(x).astype(np.float32))
    assert found.shape[1:3] == (shape[1] // 2 + 1, shape[2] // 2 + 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "channels must be at least 1; got 0"),
        ({"cells": 0}, "cells must be at least 1; got 0"),
        ({"subspace": 4}, "subspace must be 1, 2 or 3; got 4"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        networks.nb1shot1(**settings)


@pytest.mark.slow
def test_images_of_another_shape_are_refused():
    for bad in (IMAGES[0], IMAGES[..., [0, 0]], IMAGES.astype(np.float16)):
        with pytest.raises(ValueError, match=r"the network takes images float32 \[N, H, W, 1\]"):
            NETWORK.apply(weights(), ARCHS[0], bad)
