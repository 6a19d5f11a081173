"""The network against the paper's in float64 NumPy, with kernels of each vertex's true width."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import layers, weights
from jnas.types import Hooks
from tests.oracles.layers import (
    assert_normal,
    assert_uniform,
    conv_by_loops,
    max_pool3x3_by_loops,
    norm_by_loops,
)
from tests.oracles.nasbench201 import random_params

STACKS, CELLS, CHANNELS = 2, 2, 6
NETWORK = networks.nasbench101(channels=CHANNELS, stacks=STACKS, cells=CELLS, num_classes=3)
IMAGES = np.random.default_rng(1).normal(size=(6, 4, 4, 3)).astype(np.float32)
ONE_CELL = networks.nasbench101(channels=CHANNELS, stacks=1, cells=1, num_classes=3)
TINY = networks.nasbench101(channels=4, stacks=1, cells=1, num_classes=5, in_channels=1)
TINY_IMAGES = np.random.default_rng(2).normal(size=(3, 2, 3, 1)).astype(np.float32)  # not square

NAMED = {
    "input to output": "output:0",
    "one 3x3": "conv3x3:0|output:1",
    "one 1x1": "conv1x1:0|output:1",
    "one pool": "maxpool3x3:0|output:1",
    "one 3x3 and the input": "conv3x3:0|output:0,1",
    "two branches": "conv3x3:0|conv1x1:0|output:1,2",
    "three branches": "conv1x1:0|conv3x3:0|maxpool3x3:0|output:0,1,2,3",
    "remainders": "conv3x3:0|conv1x1:0|maxpool3x3:0|conv3x3:0|output:1,2,3,4",
    "chain": "conv3x3:0|maxpool3x3:1|conv1x1:2|maxpool3x3:3|conv3x3:4|output:5",
    "projections everywhere": "conv3x3:0|conv1x1:0,1|maxpool3x3:0,2|conv3x3:0,3|output:0,4",
    "narrower targets": "maxpool3x3:0|conv3x3:1|conv1x1:0,1|conv3x3:1|output:2,3,4",
    "wide before narrow": "conv1x1:0|conv3x3:0,1|maxpool3x3:2|conv1x1:2|output:1,3,4",
    "pools in a row": "maxpool3x3:0|maxpool3x3:0,1|maxpool3x3:1,2|output:2,3",
    "dead ends": "conv3x3:0|conv3x3:0|conv1x1:|maxpool3x3:1,3|conv1x1:0|output:0,4",
    "a gap": "conv3x3:|conv1x1:0|conv3x3:|maxpool3x3:2|conv3x3:0|output:4,5",
}
SPACE = spaces.nasbench101()
SAMPLED = jax.jit(jax.vmap(SPACE.sample))(jax.random.split(jax.random.key(5), 5))
ARCHS = np.array(
    [*(SPACE.from_string(text) for text in NAMED.values()), *SAMPLED], np.int32
)  # [20, 26]
OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")


class Reading(NamedTuple):
    """A tensor that one ReLU module reads."""

    inputs: np.ndarray
    channels: int


def pruned_matrix(arch):
    """`[7, 7]` bool, edges on a path from 0 to 6."""
    matrix = np.zeros((7, 7), bool)
    bits = iter(arch[:21])
    for y in range(1, 7):
        for x in range(y):
            matrix[x, y] = next(bits)
    reach = np.eye(7, dtype=bool)
    for _ in range(7):
        reach = reach | (reach.astype(int) @ matrix.astype(int) > 0)
    kept = reach[0] & reach[:, 6]
    return matrix & kept[:, None] & kept[None, :]


def vertex_widths(matrix, c_out):
    """The interior vertices' channels, by recursion on their targets."""
    feeding = [v for v in range(1, 6) if matrix[v, 6]]

    def width(v):
        if v in feeding:
            return c_out // len(feeding) + (feeding.index(v) < c_out % len(feeding))
        return max((width(y) for y in range(v + 1, 6) if matrix[v, y]), default=0)

    return {v: width(v) for v in range(1, 6)}


def conv_norm_relu(x, layer, index, width, readings):
    """The first rows and columns of one kernel of `layer`; appends what the ReLU reads."""
    kernel = layer["conv"][index][..., : x.shape[-1], :width]
    norm = {name: leaf[index][:width] for name, leaf in layer["norm"].items()}
    inputs = norm_by_loops(conv_by_loops(x, kernel), norm)
    readings.append(Reading(inputs, width))
    return np.maximum(inputs, 0)


def reference_cell(x, arch, stack, number, readings):
    """Output `[N, H, W, C]` of a cell, `C` the width of the kernels in `stack`."""
    matrix, c_out = pruned_matrix(arch), stack["conv3x3"]["conv"].shape[-1]
    widths, values = vertex_widths(matrix, c_out), {}
    for v in [v for v in range(1, 6) if matrix[v].any()]:
        total = 0
        if matrix[0, v]:
            total = conv_norm_relu(x, stack["projection"], (number, v - 1), widths[v], readings)
        for u in range(1, v):
            if matrix[u, v]:
                total = total + values[u][..., : widths[v]]
        operation = OPERATIONS[arch[20 + v]]
        if operation == "maxpool3x3":
            values[v] = max_pool3x3_by_loops(total)
        else:
            values[v] = conv_norm_relu(
                total, stack[operation], (number, v - 1), widths[v], readings
            )
    parts = [values[v] for v in range(1, 6) if matrix[v, 6]]
    if not matrix[0, 6]:
        return np.concatenate(parts, axis=-1)
    projection = conv_norm_relu(x, stack["projection"], (number, 5), c_out, readings)
    return projection + np.concatenate(parts, axis=-1) if parts else projection


def reference(params, arch, images):
    """Logits and the readings, in the order of computation, with `params` in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    readings, dense = [], params["dense"]
    stem = jax.tree.map(lambda leaf: leaf[None], params["stem"])
    x = conv_norm_relu(np.asarray(images, np.float64), stem, 0, stem["conv"].shape[-1], readings)
    for number, stack in enumerate(params["stacks"]):
        if number > 0:
            x = np.maximum(
                np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]),
                np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]),
            )
        for cell in range(len(stack["conv3x3"]["conv"])):
            x = reference_cell(x, arch, stack, cell, readings)
    return x.mean(axis=(1, 2)) @ dense["kernel"] + dense["bias"], readings


@functools.cache
def params_of_network():
    return random_params(NETWORK, 0)


@functools.cache
def params_of_cell():
    return random_params(ONE_CELL, 0)


@functools.cache
def references():
    """Logits and readings of `ARCHS` in float64."""
    return [reference(params_of_network(), arch, IMAGES) for arch in ARCHS]


apply, masks = jax.jit(NETWORK.apply), jax.jit(NETWORK.present)
present_in_cell = jax.jit(ONE_CELL.present)
init, instantiate = jax.jit(NETWORK.init), jax.jit(NETWORK.instantiate)
TRACES = []


@jax.jit
def apply_tiny(params, arch, images):
    TRACES.append(arch.shape)
    return TINY.apply(params, arch, images)


def present(arch):
    """The masks of `NETWORK.present` as NumPy arrays."""
    return [np.asarray(mask) for mask in masks(arch)]


class Record(NamedTuple):
    """Rows of all calls of hooks, and the number of blocks.

    A row is a padded tensor, its channels, and its numbers of modules and of live ones.
    """

    num_calls: jax.Array
    tensors: jax.Array
    channels: jax.Array
    counts: jax.Array
    num_blocks: jax.Array


@jax.jit
def recorded(params, arch, images):
    """Logits, record, sum of norm values; each norm's value is 100 and its number of channels."""
    rows, shape = 1 + STACKS * CELLS * 11 + 1, (len(images), 4, 4, CHANNELS * 2)
    wide = CHANNELS * 2

    def on_relu(record, relu):
        pads = [(0, full - have) for full, have in zip(shape, relu.inputs.shape, strict=True)]
        channels = jnp.pad(relu.channels, (0, wide - len(relu.channels)))
        i = record.num_calls
        return Record(
            i + 1,
            record.tensors.at[i].set(jnp.pad(relu.inputs, pads)),
            record.channels.at[i].set(channels),
            record.counts.at[i].set(jnp.stack([relu.num_modules, relu.num_live])),
            record.num_blocks,
        )

    def norm(x, layer, channels):
        return layers.batch_norm(x, layer), 100.0 + jnp.sum(channels, dtype=jnp.float32)

    def on_block(record, x, block):
        return record._replace(num_blocks=record.num_blocks + 1), x, block

    zero = jnp.int32(0)
    buffers = (
        jnp.zeros((rows, *shape)),
        jnp.zeros((rows, wide), bool),
        jnp.zeros((rows, 2), jnp.int32),
    )
    seen = NETWORK.forward(
        params, arch, images, Hooks(on_relu, norm, on_block), Record(zero, *buffers, zero)
    )
    return seen.logits, seen.state, seen.norm_sum


def test_logits_agree_with_the_definition():
    for arch, (expected, _) in zip(ARCHS, references(), strict=True):
        logits = apply(params_of_network(), arch, IMAGES)
        np.testing.assert_allclose(logits, expected, atol=3e-4, err_msg=SPACE.to_string(arch))


def test_instantiated_weights_agree_with_the_definition():
    params = instantiate(params_of_network(), ARCHS[8])
    np.testing.assert_allclose(
        apply(params, ARCHS[8], IMAGES), reference(params, ARCHS[8], IMAGES)[0], atol=3e-4
    )


def test_architectures_have_different_logits():
    """Otherwise the tests above could pass with the architecture ignored."""
    logits = np.array([expected for expected, _ in references()]).reshape(len(ARCHS), -1)
    distances = np.abs(logits[:, None] - logits[None]).max(axis=-1) + np.eye(len(ARCHS))
    same = [(int(i), int(j)) for i, j in np.argwhere(distances < 1e-2) if i < j]
    identities = np.asarray(jax.jit(jax.vmap(SPACE.identity))(ARCHS))
    assert len(same) <= 1
    for i, j in same:  # a draw that pruning makes "input to output"
        assert np.array_equal(identities[i], identities[j])


@pytest.mark.slow
def test_hooks_see_each_relu_norm_and_block():
    for arch, (expected_logits, expected) in zip(ARCHS, references(), strict=True):
        logits, record, norm_sum = recorded(params_of_network(), arch, IMAGES)
        np.testing.assert_allclose(logits, expected_logits, atol=3e-4)
        assert int(record.num_calls) < len(record.counts)  # the buffer was large enough
        assert int(record.num_blocks) == STACKS * CELLS + 1
        counts = np.asarray(record.counts)
        assert {tuple(row) for row in counts.tolist()} == {(0, 0), (1, 1)}
        shown = np.flatnonzero(counts[:, 0])
        assert len(shown) == len(expected)
        for row, want in zip(shown, expected, strict=True):
            got, (_, height, width, num) = np.asarray(record.tensors[row]), want.inputs.shape
            np.testing.assert_allclose(got[:, :height, :width, :num], want.inputs, atol=1e-3)
            assert not np.any(got[..., num:])
            assert np.flatnonzero(record.channels[row]).tolist() == list(range(num))
        assert float(norm_sum) == sum(100 + want.channels for want in expected)


def test_readings_by_hand():
    """What the test above relies on, for a stack of 6 channels."""
    channels = {
        name: [r.channels for r in readings]
        for name, (_, readings) in zip(NAMED, references(), strict=False)
    }
    each = 1 + STACKS * CELLS
    assert len(channels["input to output"]) == each
    assert channels["remainders"][:8] == [
        6,
        2,
        2,
        2,
        2,
        1,
        1,
        1,
    ]  # stem; projections and convolutions; one pool
    assert channels["projections everywhere"][:9] == [6] * 9
    assert channels["a gap"][1:5] == [3, 3, 3, 3]
    assert channels["dead ends"][1:4] == [6, 6, 6]
    assert channels["narrower targets"][:6] == [6, 2, 2, 2, 2, 2]


def outside(params, arch, seed):
    """`params` with other random weights where `arch` has none."""
    rng, kernels = np.random.default_rng(seed), networks.kernels(params)
    return weights.with_kernels(
        params,
        [
            np.where(mask > 0, kernel, rng.normal(0, 1, kernel.shape).astype(np.float32))
            for kernel, mask in zip(kernels, present(arch), strict=True)
        ],
    )


def test_weights_outside_of_present_change_nothing():
    for arch in ARCHS:
        changed = outside(params_of_network(), arch, 1)
        assert not np.array_equal(
            changed["stacks"][0]["conv1x1"]["conv"], params_of_network()["stacks"][0]["conv1x1"]
        )
        before = apply(params_of_network(), arch, IMAGES)
        np.testing.assert_allclose(
            apply(changed, arch, IMAGES), before, atol=1e-5, err_msg=SPACE.to_string(arch)
        )


def count(space_arch, channels, stacks, cells, num_classes=10):
    """Number of trainable parameters by the masks.

    They are the layers' weights, a scale and a bias for each channel, and the dense layer.
    """
    network = networks.nasbench101(
        channels=channels, stacks=stacks, cells=cells, num_classes=num_classes
    )
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    total = num_classes + 2 * channels
    for mask, kernel in zip(
        jax.jit(network.present)(space_arch), networks.kernels(shapes), strict=True
    ):
        assert np.broadcast_shapes(mask.shape, kernel.shape) == kernel.shape
        own = np.asarray(mask, np.float64)
        total += own.sum() * kernel.size / own.size
        if own.ndim:
            of_layer = own.max(axis=(-4, -3, -2))
            total += 2 * of_layer.sum() * kernel.shape[0] / own.shape[0]
    return int(total)


@pytest.mark.slow
def test_masks_count_the_published_numbers_of_parameters():
    archs = jax.jit(jax.vmap(SPACE.sample))(jax.random.split(jax.random.key(9), 8))
    num_params = jax.jit(SPACE.params)
    for arch in [*archs, *ARCHS[:3]]:
        assert count(arch, 128, 3, 3) == int(num_params(arch))


def test_renumbered_vertices_have_as_many_weights_and_with_them_the_same_logits():
    """Vertices 2, 4, 5 of a cell with a gap are 1, 2, 3 of the pruned one."""
    arch = ARCHS[list(NAMED).index("a gap")]
    renumbered = np.asarray(SPACE.from_string("conv1x1:0|maxpool3x3:1|conv3x3:0|output:2,3"))
    identities = jax.jit(jax.vmap(SPACE.identity))(np.stack([arch, renumbered]))
    assert np.array_equal(*identities)
    sums = [[float(mask.sum()) for mask in present(a)] for a in (arch, renumbered)]
    assert sums[0] == sums[1]
    params = jax.tree.map(np.array, params_of_network())
    for stack in params["stacks"]:
        for leaf in jax.tree.leaves(stack):
            leaf[:, :3] = leaf[:, [1, 3, 4]]
    before = apply(params_of_network(), arch, IMAGES)
    np.testing.assert_allclose(apply(params, renumbered, IMAGES), before, atol=1e-5)


@jax.jit
def derivatives(params, direction, arch):
    """Gradient of `loss` by the kernels, and of that the derivative along `direction`."""

    def loss(kernels):
        return jnp.sum(ONE_CELL.apply(weights.with_kernels(params, kernels), arch, IMAGES) ** 2)

    return jax.jvp(jax.grad(loss), (networks.kernels(params),), (direction,))


def reference_loss(params, direction, arch, step):
    kernels = [
        np.asarray(k, np.float64) + step * d
        for k, d in zip(networks.kernels(params), direction, strict=True)
    ]
    return np.sum(reference(weights.with_kernels(params, kernels), arch, IMAGES)[0] ** 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["remainders", "projections everywhere", "narrower targets", "pools in a row"]
)
def test_both_derivatives_agree_with_differences_of_the_definition(name):
    """Along two directions over all kernels at once."""
    arch, params = ARCHS[list(NAMED).index(name)], params_of_cell()
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        direction = [
            rng.normal(0, 0.1, k.shape).astype(np.float32) for k in networks.kernels(params)
        ]
        first, second = derivatives(params, direction, arch)
        slope, curvature = (
            sum(np.vdot(d, g) for d, g in zip(direction, side, strict=True))
            for side in (first, second)
        )
        below, here, above = (
            reference_loss(params, direction, arch, step) for step in (-1e-6, 0, 1e-6)
        )
        np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(
            curvature, (above - 2 * here + below) / 1e-12, rtol=1e-2, atol=1e-2
        )


@pytest.mark.slow
def test_gradients_are_zero_just_where_the_architecture_has_no_weights():
    for arch in ARCHS[::3]:
        direction = [np.zeros_like(k) for k in networks.kernels(params_of_cell())]
        for gradient, mask in zip(
            derivatives(params_of_cell(), direction, arch)[0], present_in_cell(arch), strict=True
        ):
            own = np.broadcast_to(mask, gradient.shape) > 0
            assert not np.any(np.asarray(gradient)[~own])
            assert not own.any() or np.mean(np.asarray(gradient)[own] != 0) > 0.5


@pytest.mark.parametrize("init", ["published", "torch"])
def test_kernels_are_drawn_for_their_true_width(init, key):
    """A vertex of 24 / 4 channels in the second stack, whose first cell reads 12."""
    network = networks.nasbench101(channels=12, stacks=2, cells=2, init=init)
    drawn = jax.jit(network.init)(key)
    params = jax.jit(network.instantiate)(drawn, ARCHS[list(NAMED).index("remainders")])
    stack = params["stacks"][1]

    def check(kernel, size, c_in, c_out):
        if init == "published":
            assert_normal(kernel, (2 / (size**2 * c_out)) ** 0.5)
        else:
            assert_uniform(kernel, 1 / np.sqrt(size**2 * c_in))

    for v, operation in enumerate(("conv3x3", "conv1x1"), start=0):
        own = stack[operation]["conv"][:, v, :, :, :6, :6]
        check(own, int(operation[-1]), 6, 6)
        assert np.sum(stack[operation]["conv"] != 0) <= own.size * (
            2 if operation == "conv3x3" else 1
        )
    check(stack["projection"]["conv"][0, :4, ..., :12, :6], 1, 12, 6)
    check(stack["projection"]["conv"][1, :4, ..., :24, :6], 1, 24, 6)
    assert not np.any(stack["projection"]["conv"][0, :, ..., 12:, :])
    check(params["stem"]["conv"], 3, 3, 12)
    np.testing.assert_array_equal(params["stem"]["conv"], drawn["stem"]["conv"])
    if init == "published":
        assert_normal(params["dense"]["kernel"], 0.01)
        assert not np.any(params["dense"]["bias"])
    else:
        assert_uniform(params["dense"]["kernel"], 24**-0.5)


def test_instantiating_changes_logits_by_the_epsilon_of_norms_only(key):
    params = init(key)
    for arch in ARCHS[::4]:
        own = instantiate(params, arch)
        np.testing.assert_allclose(apply(own, arch, IMAGES), apply(params, arch, IMAGES), atol=1e-3)


def test_a_network_without_widths_instantiates_to_what_it_got(key):
    network = networks.nasbench201(channels=2, cells=1)
    params = jax.eval_shape(network.init, key)
    assert network.instantiate(params, jnp.zeros(6, jnp.int32)) is params


@pytest.mark.slow
def test_three_stacks():
    network = networks.nasbench101(channels=4, stacks=3, cells=1, num_classes=2, in_channels=2)
    params, images = random_params(network, 4), jax.random.normal(jax.random.key(3), (8, 8, 4, 2))
    run = jax.jit(network.apply)
    for arch in ARCHS[6:12]:
        np.testing.assert_allclose(
            run(params, arch, images), reference(params, arch, images)[0], atol=1e-3
        )


def test_one_program_serves_all_architectures_and_computes_what_eager_code_does():
    params, arch = random_params(TINY, 3), ARCHS[9]
    for other in ARCHS[:6]:
        apply_tiny(params, other, TINY_IMAGES)
    assert len(TRACES) == 1
    logits = apply_tiny(params, arch, TINY_IMAGES)
    np.testing.assert_allclose(logits, TINY.apply(params, arch, TINY_IMAGES), atol=1e-5)
    np.testing.assert_allclose(logits, reference(params, arch, TINY_IMAGES)[0], atol=5e-4)


@pytest.mark.slow
def test_vmap_over_architectures_is_a_loop():
    params = random_params(TINY, 3)
    together = jax.jit(jax.vmap(TINY.apply, (None, 0, None)))(params, ARCHS, TINY_IMAGES)
    for arch, logits in zip(ARCHS, together, strict=True):
        np.testing.assert_allclose(logits, apply_tiny(params, arch, TINY_IMAGES), atol=1e-4)


def test_network_is_made_once_for_each_setting():
    assert networks.by_name("nasbench101") is networks.nasbench101()
    assert networks.nasbench101() is not NETWORK
    assert NETWORK.space is SPACE


@pytest.mark.parametrize("name", ["stacks", "cells", "num_classes", "in_channels"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; got {value}"):
        networks.nasbench101(**{name: value})


def test_other_settings_that_are_refused():
    with pytest.raises(ValueError, match="channels must be at least 4; got 3"):
        networks.nasbench101(channels=3)
    with pytest.raises(ValueError, match=r"unknown init 'pytorch'.*'torch'"):
        networks.nasbench101(init="pytorch")


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [(2, 8, 8), (2, 6, 8, 3), (2, 8, 8, 1)], ids=["rank", "size", "channels"]
)
def test_images_that_do_not_fit(shape, key):
    network = networks.nasbench101()
    params, arch = jax.eval_shape(network.init, key), jax.ShapeDtypeStruct((26,), jnp.int32)
    with pytest.raises(
        ValueError, match=r"takes images float32 \[N, H, W, 3\] with H and W multiples of 4"
    ):
        jax.eval_shape(network.apply, params, arch, np.zeros(shape, np.float32))
