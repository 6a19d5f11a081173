"""Layers against loops over pixels in float64, and values worked out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnas.networks import control, layers
from jnas.networks.convolution import conv
from tests.oracles.layers import (
    assert_normal,
    assert_uniform,
    conv_by_loops,
    max_pool3x3_by_loops,
    norm_by_loops,
    pool2x2_by_loops,
    pool3x3_by_loops,
)

SIZES = [(4, 4), (8, 6), (5, 7), (1, 3), (2, 2), (1, 1)]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_conv_is_a_padded_cross_correlation(kernel_size, stride):
    kernel = normal(kernel_size, kernel_size, 3, 4, seed=1)
    images = [normal(2, *size, 3) for size in SIZES]
    found = jax.jit(lambda images: [conv(x, kernel, stride) for x in images])(images)
    for x, got in zip(images, found, strict=True):
        np.testing.assert_allclose(got, conv_by_loops(x, kernel, stride), rtol=1e-4, atol=1e-4)


def lax_conv(x, kernel, stride):
    """What `conv` computes, with the gradients that JAX derives."""
    pad = (kernel.shape[0] // 2,) * 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_conv_for_a_population_are_those_of_each_member(kernel_size, stride):
    """With shared weights; against XLA's own gradients."""
    kernel = normal(kernel_size, kernel_size, 3, 4, seed=1)
    populations = [normal(3, 2, *size, 3) for size in ((4, 4), (8, 6), (5, 7))]

    def gradients(conv):
        return jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel, stride))), (0, 1))

    @jax.jit
    def of_all(populations, kernel):
        together = jax.vmap(gradients(conv), (0, None))
        own = functools.partial(lax.map, lambda x: gradients(lax_conv)(x, kernel))
        return [(together(x, kernel), own(x)) for x in populations]

    for found, expected in of_all(populations, kernel):
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_every_way_to_compute_a_conv_has_the_value_and_gradients_of_xla():
    """Few pixels; pixels joined by two and by four; widths that can not be; stride 2."""
    shapes = [((2, 2), 8, 12, 1), ((1, 2), 3, 4, 1), ((4, 4), 16, 16, 1), ((8, 8), 8, 8, 1)]
    shapes += [((5, 7), 3, 4, 1), ((4, 6), 6, 20, 2), ((5, 7), 3, 4, 2)]
    images = [normal(2, *size, c_in) for size, c_in, _, _ in shapes]
    kernels = [normal(3, 3, c_in, c_out, seed=1) for _, c_in, c_out, _ in shapes]
    strides = [stride for *_, stride in shapes]

    def of_all(conv):
        def one(x, kernel, stride):
            grads = jax.grad(lambda *args: jnp.sum(jnp.sin(conv(*args, stride))), (0, 1))
            return conv(x, kernel, stride), *grads(x, kernel)

        return jax.jit(lambda *args: list(map(one, *args, strides)))(images, kernels)

    for found, expected in zip(of_all(conv), of_all(lax_conv), strict=True):
        for got, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4)


def test_stride_two_on_even_sizes_pads_the_first_row_as_well_as_the_last():
    """ "SAME" would pad only at the end, and read columns 0-2 and 2-3 instead of 0-1 and 1-3."""
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, :, 0, 0] = [100, 10, 1]
    np.testing.assert_array_equal(conv(x, kernel, 2).ravel(), [1, 123])


def test_one_pixel_sees_only_the_middle_of_the_kernel():
    kernel = normal(3, 3, 2, 2)
    out = conv(np.ones((1, 1, 1, 2), np.float32), kernel)
    np.testing.assert_allclose(out[0, 0, 0], kernel[1, 1].sum(axis=0), rtol=1e-6)


def of_sizes(layer, images):
    """The layer's value of images of several sizes, from one program."""
    return zip(images, jax.jit(lambda images: [layer(x) for x in images])(images), strict=True)


def test_batch_norm_uses_the_batchs_mean_and_biased_variance():
    norm = {"scale": normal(4, seed=1), "bias": normal(4, seed=2)}
    images = [3 + 2 * normal(2, *size, 4) for size in SIZES]
    for x, got in of_sizes(lambda x: layers.batch_norm(x, norm), images):
        np.testing.assert_allclose(got, norm_by_loops(x, norm), rtol=1e-4, atol=1e-4)


def test_batch_norm_of_two_values_by_hand():
    """0 and 2: mean 1, biased variance 1 (unbiased would be 2)."""
    out = layers.batch_norm(
        jnp.asarray([0.0, 2.0]).reshape(2, 1, 1, 1), layers.norm_weights(1), eps=0.0
    )
    np.testing.assert_allclose(out.ravel(), [-1, 1], rtol=1e-6)


def test_batch_norm_of_a_constant_is_the_bias():
    norm = {"scale": jnp.full(3, 5.0), "bias": jnp.asarray([-1.0, 0.0, 2.0])}
    out = jax.jit(layers.batch_norm)(jnp.full((2, 3, 3, 3), 7.0), norm)
    np.testing.assert_array_equal(out[1, 2, 0], [-1, 0, 2])
    assert jnp.all(out == out[0, 0, 0][None, None, None])


def test_batch_norm_adds_the_published_epsilon_to_the_variance():
    x = jnp.asarray([-1e-3, 1e-3]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(
        layers.batch_norm(x, layers.norm_weights(1)).ravel()[1],
        1e-3 / np.sqrt(1e-6 + 1e-5),
        rtol=1e-4,
    )


def test_pool_of_three_divides_by_the_pixels_inside():
    for x, got in of_sizes(layers.avg_pool3x3, [normal(2, *size, 3) for size in SIZES]):
        np.testing.assert_allclose(got, pool3x3_by_loops(x), rtol=1e-5, atol=1e-6)


def test_pool_of_three_keeps_a_constant_up_to_the_border():
    """With count_include_pad a corner would be 4/9 of the constant."""
    pooled = jax.jit(layers.avg_pool3x3)(np.full((1, 4, 5, 2), 3, np.float32))
    np.testing.assert_allclose(pooled, 3.0, rtol=1e-6)


def test_pool_of_two():
    images = [normal(2, *size, 3) for size in ((2, 2), (4, 8), (6, 2))]
    for x, got in of_sizes(layers.avg_pool2x2, images):
        np.testing.assert_allclose(got, pool2x2_by_loops(x), rtol=1e-5, atol=1e-6)


def test_max_pool_of_three_takes_the_pixels_inside():
    """All pixels are below 0, so that padding with zeros would show."""
    for x, got in of_sizes(layers.max_pool3x3, [normal(2, *size, 3) - 5 for size in SIZES]):
        np.testing.assert_allclose(got, max_pool3x3_by_loops(x), rtol=1e-6)


def test_max_pool_of_two():
    x = normal(2, 4, 6, 3) - 5
    blocks = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
    np.testing.assert_array_equal(jax.jit(layers.max_pool2x2)(x), np.max(blocks, axis=0))


@pytest.mark.parametrize("pool", [layers.max_pool3x3, layers.max_pool2x2])
def test_gradient_of_a_max_pool_goes_to_the_largest(pool):
    """And where all are equal no part of it is lost."""
    x = normal(2, 4, 6, 3)
    weights = normal(*jax.eval_shape(pool, x).shape, seed=1)
    value_and_gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(pool(x) * weights)))
    gradient, rng = value_and_gradient(x)[1], np.random.default_rng(2)
    for index in zip(*(rng.integers(0, n, 20) for n in x.shape), strict=True):
        step = np.zeros_like(x)
        step[index] = 1e-3
        above, below = (value_and_gradient(x + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[index], (above - below) / 2e-3, atol=2e-2)
    of_equal = np.asarray(value_and_gradient(np.zeros_like(x))[1])
    np.testing.assert_allclose(of_equal.sum(), weights.sum(), rtol=1e-4)


def test_normal_weights_and_uniform_ones_of_a_tree_are_drawn_apart(key):
    tree = {
        "a": layers.Normal((40, 50), 0.5),
        "b": layers.Normal((2_000,), 2.0),
        "c": layers.Uniform((2_000,), 3.0),
    }
    drawn = layers.draw(key, {**tree, "d": jnp.ones(3)})
    assert drawn["a"].shape == (40, 50)
    assert_normal(drawn["a"], 0.5)
    assert_normal(drawn["b"], 2.0)
    assert_uniform(drawn["c"], 3.0)
    pairs = np.corrcoef([np.ravel(drawn[name]) for name in "abc"])
    assert np.abs(pairs - np.eye(3)).max() < 0.12
    np.testing.assert_array_equal(drawn["d"], np.ones(3))
    np.testing.assert_array_equal(drawn["c"], layers.draw(key, tree["c"]))  # whatever else is drawn


@pytest.mark.parametrize(("size", "c_in"), [(1, 8), (3, 3), (3, 16)])
def test_convolutions_start_uniform_by_fan_in(key, size, c_in):
    kernel = layers.draw(key, layers.conv_weights(size, c_in, 12, (5, 6)))
    assert kernel.shape == (5, 6, size, size, c_in, 12)
    assert_uniform(kernel, 1 / np.sqrt(size * size * c_in))


def test_batched_convolutions_are_drawn_apart(key):
    kernel = np.asarray(layers.draw(key, layers.conv_weights(3, 2, 2, (2, 3)))).reshape(6, -1)
    assert len(np.unique(kernel, axis=0)) == 6


def test_dense_layer_starts_uniform_in_both_its_parts(key):
    dense = layers.draw(key, layers.dense_weights(64, 2_000))
    assert dense["kernel"].shape == (64, 2_000)
    assert dense["bias"].shape == (2_000,)
    assert_uniform(dense["kernel"], 1 / 8)
    assert_uniform(dense["bias"], 1 / 8)
    assert not np.any(dense["kernel"][0] == dense["bias"])


def test_norm_starts_as_the_identity():
    norm = layers.norm_weights(3, (2, 6))
    np.testing.assert_array_equal(norm["scale"], np.ones((2, 6, 3)))
    np.testing.assert_array_equal(norm["bias"], np.zeros((2, 6, 3)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_conv_are_those_that_jax_derives(kernel_size, stride):
    """Above 64 pixels and below, even sizes and odd ones."""
    kernel = normal(kernel_size, kernel_size, 3, 4, seed=1)
    images = [normal(2, *size, 3) for size in ((10, 12), (4, 4), (5, 7), (9, 9), (2, 1))]

    @jax.jit
    def values_and_gradients(images, kernel):
        def of(x):
            value, pull = jax.vjp(lambda *args: lax_conv(*args, stride), x, kernel)
            got_value, got_pull = jax.vjp(lambda *args: conv(*args, stride), x, kernel)
            grad = jnp.cos(7 * value)
            return got_value, got_pull(grad), value, pull(grad)

        return [of(x) for x in images]

    for got_value, got, value, expected in values_and_gradients(images, kernel):
        np.testing.assert_allclose(got_value, value, rtol=1e-4, atol=1e-4)
        for found, want in zip(got, expected, strict=True):
            assert found.shape == want.shape
            np.testing.assert_allclose(found, want, rtol=1e-3, atol=1e-4)


def test_gradient_of_pool_of_three_is_its_transpose():
    """The pool is linear: <grad, pool(x)> is <gradient, x>, with pools of one pixel by loops."""

    def pull(grad):
        return jax.vjp(layers.avg_pool3x3, jnp.sin(grad))[1](grad)[0]  # at any images

    for grad, got in of_sizes(pull, [normal(1, *size, 1, seed=1) for size in SIZES]):
        size = grad.shape[1:3]
        pixels = np.eye(size[0] * size[1]).reshape(-1, *size, 1)  # as images
        want = (pool3x3_by_loops(pixels) * grad).sum(axis=(1, 2, 3)).reshape(1, *size, 1)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gain_comes_before_bias():
    x, conv, dense = normal(2, 4, 5, 3), {"conv": normal(3, 3, 3, 4)}, {"kernel": normal(6, 4)}
    extras, rows = {"gain": np.float32(3), "bias": normal(4, seed=1)}, normal(2, 6)
    want = 3 * conv_by_loops(x, conv["conv"]) + extras["bias"]
    conv_layer, dense_layer = jax.jit(layers.conv_layer), jax.jit(layers.dense_layer)
    np.testing.assert_allclose(conv_layer(x, {**conv, **extras}), want, rtol=1e-4, atol=1e-4)
    want = 3 * rows @ dense["kernel"] + extras["bias"]
    np.testing.assert_allclose(dense_layer(rows, {**dense, **extras}), want, rtol=1e-4, atol=1e-4)


def test_conv_layer_has_the_stride_that_it_is_asked_for():
    x, conv = normal(2, 4, 6, 3), {"conv": normal(3, 3, 3, 4)}
    np.testing.assert_allclose(
        layers.conv_layer(x, conv, 2), conv_by_loops(x, conv["conv"], 2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (3, 2)], ids=["conv", "dense"])
def test_gradient_of_a_probe_sums_outputs_times_gradients_over_pixels(shape):
    """With bias and gain in the output; the other gradients stay as they are without a probe."""
    x, mix = normal(*shape), normal(*shape[:-1], 4, seed=3)
    name, layer = ("conv", layers.conv_layer) if len(shape) == 4 else ("kernel", layers.dense_layer)
    kernel = normal(3, 3, 2, 4, seed=1) if name == "conv" else normal(2, 4, seed=1)
    weights = {name: kernel, "gain": np.float32(2), "bias": normal(4, seed=2)}
    probed = {**weights, "probe": np.zeros((3, 4), np.float32)}

    def loss(weights, x):
        return jnp.sum(mix * jnp.sin(layer(x, weights)))

    values, gradients = jax.jit(layer), jax.jit(jax.grad(loss, (0, 1)))
    y = np.asarray(values(x, weights), np.float64)
    np.testing.assert_array_equal(values(x, probed), values(x, weights))
    gradient, of_x = gradients(probed, x)
    want = (y * mix * np.cos(y)).reshape(3, -1, 4).sum(axis=1)
    np.testing.assert_allclose(gradient.pop("probe"), want, rtol=1e-3, atol=1e-4)
    others = gradients(weights, x)
    for got, without in zip(
        jax.tree.leaves((gradient, of_x)), jax.tree.leaves(others), strict=True
    ):
        np.testing.assert_allclose(got, without, rtol=1e-5, atol=1e-5)


def test_batch_norm_without_scale_and_bias():
    x = 3 + 2 * normal(2, 3, 4, 5)
    identity = {"scale": np.ones(5), "bias": np.zeros(5)}
    got = jax.jit(layers.batch_norm)(x, {})
    np.testing.assert_allclose(got, norm_by_loops(x, identity), rtol=1e-4, atol=1e-4)


BRANCHES = (
    lambda x, weights: jnp.zeros_like(x),
    lambda x, weights: jnp.sin(x),
    lambda x, weights: layers.conv_layer(jnp.tanh(x), weights),
    lambda x, weights: layers.avg_pool3x3(x * x) + weights["bias"][None, None, None],
)


def switched(switch, x, weights, index):
    return jnp.sum(jnp.cos(switch(index, BRANCHES, x, weights)))


@functools.cache
def value_and_gradients(switch):
    """`(x, weights, index) -> (value, gradients of both)`, one program for all branches."""
    gradients = jax.value_and_grad(functools.partial(switched, switch), (0, 1))
    return jax.jit(gradients), jax.jit(
        lambda index, x, weights: switch(index, BRANCHES, x, weights)
    )


@pytest.mark.parametrize("index", range(4))
def test_switch_is_lax_switch_with_its_gradients(index):
    x, weights = normal(2, 3, 4, 2), {"conv": normal(3, 3, 2, 2), "bias": normal(2)}
    (ours, switch), (theirs, _) = map(value_and_gradients, (control.switch, lax.switch))
    branch = jax.jit(BRANCHES[index])
    np.testing.assert_array_equal(switch(index, x, weights), branch(x, weights))
    found, expected = ours(x, weights, index), theirs(x, weights, index)
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def step(x, state, block):
    """One block of a chain: an operation by number, and the sum of what came in."""
    weights, index = block
    return jnp.tanh(x + control.switch(index, BRANCHES, x, weights)), state + jnp.sum(x)


def by_loop(step, x, state, xs):
    """`control.scan` without a scan."""
    for number in range(len(xs[1])):
        x, state = step(x, state, jax.tree.map(lambda leaf, number=number: leaf[number], xs))
    return x, state


def plain_step(x, state, block):
    """`step` with no custom gradient in it."""
    weights, index = block
    conv = lax_conv(jnp.tanh(x), weights["conv"], 1) + weights["bias"][None, None, None]
    size = x.shape[1:3]
    inside = lax.reduce_window(
        jnp.ones((1, *size, 1)), 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
    )
    pool = lax.reduce_window(x * x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME") / inside
    branches = (jnp.zeros_like(x), jnp.sin(x), conv, pool + weights["bias"][None, None, None])
    return jnp.tanh(x + branches[int(index)]), state + jnp.sum(x)


def test_scan_is_a_loop_with_its_gradients_and_their_derivatives():
    """Value, state, gradient, and Hessian-vector product, through all branches of a switch."""
    weights = {"conv": normal(4, 3, 3, 2, 2) / 3, "bias": normal(4, 2)}
    x, mix, indices = (
        normal(2, 3, 4, 2),
        normal(2, 3, 4, 2, seed=1),
        np.array([2, 1, 3, 0], np.int32),
    )
    direction = (
        normal(2, 3, 4, 2, seed=2),
        jax.tree.map(lambda leaf: normal(*leaf.shape, seed=3), weights),
    )

    def derivatives(scan, step):
        def loss(x, weights):
            last, state = scan(step, x, jnp.zeros(()), (weights, indices))
            return jnp.sum(mix * last), state

        gradient = jax.grad(loss, (0, 1), has_aux=True)
        (grads, state), (products, _) = jax.jvp(gradient, (x, weights), direction)
        return loss(x, weights), grads, state, products

    ours, loop = (
        jax.jit(functools.partial(derivatives, scan, step))() for scan in (control.scan, by_loop)
    )
    plain = jax.jit(functools.partial(derivatives, by_loop, plain_step))()
    assert all(np.abs(leaf).max() > 1e-2 for leaf in jax.tree.leaves(plain[3]))
    for got, looped, want in zip(*map(jax.tree.leaves, (ours, loop, plain)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(looped, want, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_unstacked_trees_and_their_gradient():
    tree = {"a": normal(3, 2, 4), "b": {"c": normal(3, 5)}}
    parts = jax.jit(lambda tree: control.unstacked(tree, 3))(tree)
    for number in range(3):
        same = jax.tree.map(
            lambda part, leaf, n=number: np.array_equal(part, leaf[n]), parts[number], tree
        )
        assert jax.tree.structure(same) == jax.tree.structure(tree)
        assert all(jax.tree.leaves(same))
    factors = (2.0, 0.0, -1.0)

    def loss(tree):
        return sum(
            f * jnp.sum(p["a"]) for f, p in zip(factors, control.unstacked(tree, 3), strict=True)
        )

    gradient = jax.jit(jax.grad(loss))(tree)
    np.testing.assert_array_equal(
        gradient["a"], np.broadcast_to(np.reshape(factors, (3, 1, 1)), (3, 2, 4))
    )
    assert not np.any(gradient["b"]["c"])
