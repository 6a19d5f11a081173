"""The network against its definition in float64 NumPy, with arrays of the true widths."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import layers, weights
from jnas.types import Hooks
from tests.oracles.layers import conv_by_loops, norm_by_loops
from tests.oracles.nasbench201 import BAD_IMAGES, Tape, random_params, reference_block

NETWORK = networks.nats_size()
IMAGES = np.random.default_rng(1).normal(size=(4, 4, 8, 3)).astype(np.float32)  # not square
WIDTHS = [
    (8, 8, 8, 8, 8),
    (64, 64, 64, 64, 64),
    (8, 16, 16, 24, 24),  # no cell changes the width
    (16, 16, 32, 32, 40),  # both do
    (24, 8, 8, 8, 16),
    (16, 24, 8, 16, 16),
    (64, 8, 64, 8, 64),
    (8, 64, 8, 64, 8),
    (40, 32, 24, 16, 8),
    (8, 8, 16, 56, 48),
    (32, 48, 48, 8, 8),
]
ARCHS = np.array(WIDTHS, np.int32) // 8 - 1  # [11, 5]


def sliced(layer, c_in, c_out):
    """A convolution and what goes with it, without the channels that do not exist."""
    norm = (
        {"norm": {name: leaf[:c_out] for name, leaf in layer["norm"].items()}}
        if "norm" in layer
        else {}
    )
    return {"conv": layer["conv"][..., :c_in, :c_out], **norm}


def reference_cell(tape, start, cell, c_in, c_out):
    def convolve(source, number):
        return tape.convolve(
            source, sliced(cell["convs"][number], c_in if source == start else c_out, c_out)
        )

    node1 = tape.add(convolve(start, 0), (start, True))
    node2 = tape.add(convolve(start, 1) + convolve(node1, 2), (start, True), (node1, True))
    skip = tape.values[start]
    if c_in != c_out:  # no ReLU
        layer = sliced(cell["skip"], c_in, c_out)
        skip = norm_by_loops(conv_by_loops(skip, layer["conv"]), layer["norm"])
    sources = (start, False), (node1, True), (node2, True)
    return tape.add(skip + convolve(node1, 3) + convolve(node2, 4), *sources)


def reference(params, widths, images):
    """Logits, the readings in the order of computation, and the features."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    tape, c1, c5 = Tape(), widths[0], widths[-1]
    stem = sliced(params["stem"], images.shape[-1], c1)
    current = tape.add(norm_by_loops(conv_by_loops(images, stem["conv"]), stem["norm"]))
    pairs = [(c1, c1), *itertools.pairwise(widths)]
    for number, (c_in, c_out) in enumerate(pairs):
        if number % 2:
            block, hidden = params["blocks"][number // 2], {"a": c_in, "b": c_out, "shortcut": c_in}
            current = reference_block(
                tape, current, {k: sliced(block[k], c, c_out) for k, c in hidden.items()}
            )
        else:
            current = reference_cell(tape, current, params["cells"][number // 2], c_in, c_out)
    norm = {name: leaf[:c5] for name, leaf in params["norm"].items()}
    last = tape.add(norm_by_loops(tape.values[current], norm), (current, False))
    features = tape.relu(last)
    logits = features.mean(axis=(1, 2)) @ params["dense"]["kernel"][:c5] + params["dense"]["bias"]
    tape.add(logits, (last, True))
    return logits, tape.readings(), features


@functools.cache
def all_params():
    return random_params(NETWORK, 0)


@functools.cache
def params_of(number):
    return instantiate(all_params(), ARCHS[number])


@functools.cache
def references():
    return [reference(params_of(number), widths, IMAGES) for number, widths in enumerate(WIDTHS)]


def normalise(x, norm, channels):
    """Usual batch norm; its value is how many channels it normalises."""
    return layers.batch_norm(x, norm), jnp.sum(channels.astype(jnp.float32))


def enter(state, x, block):
    return (state[0] + 1, state[1]), x, block


HOOKS = Hooks(lambda state, relu: (state[0], (*state[1], relu)), normalise, enter)
init, instantiate = jax.jit(NETWORK.init), jax.jit(NETWORK.instantiate)
masks, TRACES = jax.jit(NETWORK.present), []


@jax.jit
def apply(params, arch, images):
    TRACES.append(arch.shape)
    return NETWORK.apply(params, arch, images)


def present(arch):
    """The masks of `NETWORK.present` as NumPy arrays."""
    return [np.asarray(mask) for mask in masks(arch)]


@jax.jit
def look(params, arch, images):
    return NETWORK.forward(params, arch, images, HOOKS, (0, ()))


def test_logits_and_features_agree_with_the_definition():
    for number, (expected, _, features) in enumerate(references()):
        seen = look(params_of(number), ARCHS[number], IMAGES)
        message = str(WIDTHS[number])
        np.testing.assert_allclose(seen.logits, expected, atol=5e-4, err_msg=message)
        np.testing.assert_allclose(
            apply(params_of(number), ARCHS[number], IMAGES), seen.logits, atol=1e-5
        )
        assert seen.features.shape == (4, 1, 2, 64)
        c5 = WIDTHS[number][-1]
        np.testing.assert_allclose(seen.features[..., :c5], features, atol=2e-3, err_msg=message)
        assert not np.any(seen.features[..., c5:])


def test_the_network_of_one_architecture_has_the_same_logits():
    """It has the channels of its widths alone."""
    number = WIDTHS.index((24, 8, 8, 8, 16))
    found = jax.jit(NETWORK.own(ARCHS[number]).apply)(params_of(number), None, IMAGES)
    np.testing.assert_allclose(found, references()[number][0], atol=5e-4)


def test_architectures_have_different_logits():
    """Otherwise the test above could pass with widths ignored."""
    logits = np.array([expected.ravel() for expected, _, _ in references()])
    distances = np.abs(logits[:, None] - logits[None]).max(axis=-1) + np.eye(len(logits))
    assert distances.min() > 0.05


@pytest.mark.slow
def test_hooks_see_what_relus_read_and_where_blocks_begin():
    for number, (_, expected, _) in enumerate(references()):
        num_blocks, readings = look(params_of(number), ARCHS[number], IMAGES).state
        assert int(num_blocks) == 6  # three cells, two blocks, the classifier
        assert len(readings) == len(expected) == 3 * 3 + 2 * 2 + 1
        for relu, want in zip(readings, expected, strict=True):
            width = want.inputs.shape[-1]
            np.testing.assert_array_equal(relu.channels, np.arange(64) < width)
            assert (int(relu.num_modules), int(relu.num_live)) == (want.num_modules, want.num_live)
            np.testing.assert_allclose(relu.inputs[..., :width], want.inputs, atol=2e-3)
            assert not np.any(relu.inputs[..., width:])


def test_reference_counts_by_hand():
    """What the test above relies on: ReLUs of cells' nodes 0, 1, 2, of blocks and classifier."""
    for _, readings, _ in references():
        assert [reading.num_modules for reading in readings] == [
            2,
            2,
            1,
            1,
            1,
            2,
            2,
            1,
            1,
            1,
            2,
            2,
            1,
            1,
        ]


@pytest.mark.slow
def test_parameters_are_those_that_the_space_counts(key):
    """Weights by `present`, scales and biases by channels of norms, and the classifier's bias."""
    kernels, num_params = networks.kernels(all_params()), jax.jit(NETWORK.space.params)
    archs = jax.jit(jax.vmap(NETWORK.space.sample))(jax.random.split(key, 8))
    for arch in [*np.asarray(archs), *ARCHS]:
        norms = look(all_params(), arch, IMAGES).norm_sum
        pairs = zip(present(arch), kernels, strict=True)
        num_weights = sum(np.broadcast_to(mask, k.shape).sum(dtype=int) for mask, k in pairs)
        assert num_weights + 2 * int(norms) + 10 == int(num_params(arch)), arch


def noisy_outside(params, arch):
    """Other weights where `present` is 0."""
    rng = np.random.default_rng(5)
    pairs = zip(networks.kernels(params), present(arch), strict=True)
    noisy = [
        k + rng.normal(size=k.shape).astype(np.float32) * (1 - np.asarray(mask))
        for k, mask in pairs
    ]
    return weights.with_kernels(params, noisy)


@pytest.mark.slow
def test_weights_that_an_architecture_does_not_have_change_nothing():
    for number, arch in enumerate(ARCHS):
        noisy = noisy_outside(all_params(), arch)
        same = jax.tree.map(np.array_equal, instantiate(noisy, arch), params_of(number))
        assert all(jax.tree.leaves(same))
        noisy = noisy_outside(params_of(number), arch)
        np.testing.assert_allclose(
            apply(noisy, arch, IMAGES),
            apply(params_of(number), arch, IMAGES),
            atol=1e-5,
            err_msg=str(arch),
        )


def test_instances_start_with_the_bounds_of_their_widths(key):
    params = init(key)
    for arch in ARCHS[[0, 1, 3, 9]]:
        instance = instantiate(params, arch)
        for kernel, mask in zip(networks.kernels(instance), present(arch), strict=True):
            exists = np.broadcast_to(mask, kernel.shape) > 0
            np.testing.assert_array_equal(np.asarray(kernel) != 0, exists)
            if exists.any():
                fan_in = exists.reshape(-1, kernel.shape[-1]).sum(axis=0).max()
                assert_uniform(np.asarray(kernel)[exists], fan_in**-0.5)
        dense, c5 = instance["dense"], 8 * (arch[-1] + 1)
        assert np.abs(dense["bias"]).max() <= c5**-0.5 * 1.0001
        np.testing.assert_allclose(
            dense["bias"], params["dense"]["bias"] * np.sqrt(64 / c5), rtol=1e-5
        )


def assert_uniform(draws, bound):
    """Within the bound, and with the mean square of U(±bound) to five standard errors."""
    assert 0.8 * bound < np.abs(draws).max() <= bound * 1.0001
    assert abs((draws**2).mean() - bound**2 / 3) < 5 * bound**2 * np.sqrt(4 / 45 / draws.size)


@pytest.mark.slow
def test_jit_changes_nothing():
    np.testing.assert_allclose(
        apply(params_of(4), ARCHS[4], IMAGES),
        NETWORK.apply(params_of(4), jnp.asarray(ARCHS[4]), IMAGES),
        atol=1e-5,
    )


def test_one_program_serves_all_architectures_and_vmap_is_a_loop():
    alone = [apply(params_of(number), ARCHS[number], IMAGES) for number in range(5)]
    assert len(TRACES) == 1

    def of_one(params, arch):
        return NETWORK.apply(NETWORK.instantiate(params, arch), arch, IMAGES)

    together = jax.jit(jax.vmap(of_one, (None, 0)))(all_params(), ARCHS[:5])
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-4)


@pytest.mark.slow
def test_gradient_and_hessian_vector_product_are_limits_of_differences():
    """In float64, for widths where one cell has a widening skip and another has not."""
    number, entries = 5, np.random.default_rng(2)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params_of(number))
        images, mix = IMAGES.astype(np.float64), entries.normal(size=(4, 10))

        def loss(params):
            return jnp.sum(mix * NETWORK.apply(params, ARCHS[number], images))

        push = jax.jit(lambda params, direction: jax.jvp(jax.grad(loss), (params,), (direction,)))
        direction = jax.tree.map(lambda leaf: entries.normal(size=leaf.shape), params)
        gradient, product = push(params, direction)
        step = 1e-7
        ends = [
            push(jax.tree.map(lambda p, d, s=s: p + s * step * d, params, direction), direction)[0]
            for s in (1, -1)
        ]
    for got, up, down in zip(jax.tree.leaves(product), *map(jax.tree.leaves, ends), strict=True):
        want = (np.asarray(up) - np.asarray(down)) / (2 * step)
        np.testing.assert_allclose(got, want, atol=1e-4 * max(1, np.abs(want).max()))
    for got, mask in zip(networks.kernels(gradient), present(ARCHS[number]), strict=True):
        mask = np.broadcast_to(mask, got.shape) > 0
        assert not np.any(np.asarray(got)[~mask])
    for _ in range(2):
        along = [entries.normal(size=kernel.shape) for kernel in networks.kernels(params)]
        slope = sum(np.vdot(d, g) for d, g in zip(along, networks.kernels(gradient), strict=True))
        want = difference(params, number, mix, along)
        np.testing.assert_allclose(slope, want, rtol=1e-4, atol=1e-6)


def difference(params, number, mix, along, step=1e-7):
    """Central difference of the reference's loss along a direction over all kernels at once."""
    losses = []
    for sign in (1, -1):
        pairs = zip(networks.kernels(params), along, strict=True)
        kernels = [np.asarray(kernel) + sign * step * d for kernel, d in pairs]
        logits = reference(weights.with_kernels(params, kernels), WIDTHS[number], IMAGES)[0]
        losses.append(np.sum(mix * logits))
    return (losses[0] - losses[1]) / (2 * step)


@pytest.mark.slow
def test_other_sizes_of_images_and_logits(key):
    network = networks.nats_size(num_classes=7, in_channels=1)
    images = np.random.default_rng(3).normal(size=(3, 8, 4, 1)).astype(np.float32)
    params = jax.jit(lambda arch: network.instantiate(network.init(key), arch))(ARCHS[3])
    logits = jax.jit(network.apply)(params, ARCHS[3], images)
    np.testing.assert_allclose(logits, reference(params, WIDTHS[3], images)[0], atol=5e-4)


def test_network_is_made_once_for_each_setting():
    assert networks.by_name("nats_size") is NETWORK is networks.nats_size()
    assert networks.nats_size(num_classes=7) is not NETWORK
    assert NETWORK.space is spaces.nats_size()


@pytest.mark.parametrize("name", ["num_classes", "in_channels"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; got {value}"):
        networks.nats_size(**{name: value})


@pytest.mark.parametrize("images", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_images_that_do_not_fit(images, key):
    params = jax.eval_shape(NETWORK.init, key)
    arch = jax.ShapeDtypeStruct((5,), jnp.int32)
    with pytest.raises(
        ValueError, match=r"takes images float32 \[N, H, W, 3\] with H and W multiples of 4"
    ):
        jax.eval_shape(NETWORK.apply, params, arch, images)
