"""Layers against loops over pixels in float64, and values worked out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnas.networks import control, layers
from jnas.networks.convolution import conv

SIZES = [(4, 4), (8, 6), (5, 7), (1, 3), (2, 2), (1, 1)]


def conv_by_loops(x, kernel, stride=1):
    """Cross-correlation with k // 2 zeros on every side, in float64."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    num, height, width, _ = x.shape
    rows, columns = (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
    out = np.zeros((num, rows, columns, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            for i in range(size):
                for j in range(size):
                    y, z = row * stride + i - pad, column * stride + j - pad
                    if 0 <= y < height and 0 <= z < width:
                        out[:, row, column] += np.asarray(x, np.float64)[:, y, z] @ kernel[i, j]
    return out


def norm_by_loops(x, norm, eps=1e-5):
    """Each channel minus its mean, over the root of its mean squared deviation plus eps."""
    out = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        values = np.asarray(x[..., c], np.float64)
        mean = values.sum() / values.size
        variance = ((values - mean) ** 2).sum() / values.size
        out[..., c] = (values - mean) / np.sqrt(variance + eps) * norm["scale"][c] + norm["bias"][c]
    return out


def pool3x3_by_loops(x):
    """Mean of the neighbours that exist."""
    x, out = np.asarray(x, np.float64), np.zeros(x.shape)
    _, height, width, _ = x.shape
    for row in range(height):
        for column in range(width):
            window = x[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, row, column] = window.mean(axis=(1, 2))
    return out


def pool2x2_by_loops(x):
    """Mean of each block of four."""
    x = np.asarray(x, np.float64)
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_conv_is_a_padded_cross_correlation(kernel_size, stride, size):
    x, kernel = normal(2, *size, 3), normal(kernel_size, kernel_size, 3, 4, seed=1)
    np.testing.assert_allclose(
        conv(x, kernel, stride), conv_by_loops(x, kernel, stride), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("size", [(4, 4), (8, 6), (5, 7)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_conv_for_a_population_are_those_of_each_member(kernel_size, stride, size):
    """With shared weights; against XLA's own gradients."""
    x, kernel = normal(3, 2, *size, 3), normal(kernel_size, kernel_size, 3, 4, seed=1)
    pad = (kernel_size // 2,) * 2

    def own(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), (pad, pad), dimension_numbers=layout
        )

    def gradients(conv):
        return jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel))), (0, 1))

    found = jax.vmap(gradients(lambda x, kernel: conv(x, kernel, stride)), (0, None))(x, kernel)
    for member in range(3):
        for got, expected in zip(found, gradients(own)(x[member], kernel), strict=True):
            np.testing.assert_allclose(got[member], expected, rtol=1e-4, atol=1e-4)


def test_stride_two_on_even_sizes_pads_the_first_row_as_well_as_the_last():
    """ "SAME" would pad only at the end, and read columns 0-2 and 2-3 instead of 0-1 and 1-3."""
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, :, 0, 0] = [100, 10, 1]
    np.testing.assert_array_equal(conv(x, kernel, 2).ravel(), [1, 123])


def test_one_pixel_sees_only_the_middle_of_the_kernel():
    kernel = normal(3, 3, 2, 2)
    out = conv(jnp.ones((1, 1, 1, 2)), kernel)
    np.testing.assert_allclose(out[0, 0, 0], kernel[1, 1].sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_batch_norm_uses_the_batchs_mean_and_biased_variance(size):
    x = 3 + 2 * normal(2, *size, 4)
    norm = {"scale": normal(4, seed=1), "bias": normal(4, seed=2)}
    np.testing.assert_allclose(
        layers.batch_norm(x, norm), norm_by_loops(x, norm), rtol=1e-4, atol=1e-4
    )


def test_batch_norm_of_two_values_by_hand():
    """0 and 2: mean 1, biased variance 1 (unbiased would be 2)."""
    out = layers.batch_norm(
        jnp.asarray([0.0, 2.0]).reshape(2, 1, 1, 1), layers.norm_weights(1), eps=0.0
    )
    np.testing.assert_allclose(out.ravel(), [-1, 1], rtol=1e-6)


def test_batch_norm_of_a_constant_is_the_bias():
    norm = {"scale": jnp.full(3, 5.0), "bias": jnp.asarray([-1.0, 0.0, 2.0])}
    out = layers.batch_norm(jnp.full((2, 3, 3, 3), 7.0), norm)
    np.testing.assert_array_equal(out[1, 2, 0], [-1, 0, 2])
    assert jnp.all(out == out[0, 0, 0][None, None, None])


def test_batch_norm_adds_the_published_epsilon_to_the_variance():
    x = jnp.asarray([-1e-3, 1e-3]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(
        layers.batch_norm(x, layers.norm_weights(1)).ravel()[1],
        1e-3 / np.sqrt(1e-6 + 1e-5),
        rtol=1e-4,
    )


@pytest.mark.parametrize("size", SIZES)
def test_pool_of_three_divides_by_the_pixels_inside(size):
    x = normal(2, *size, 3)
    np.testing.assert_allclose(layers.avg_pool3x3(x), pool3x3_by_loops(x), rtol=1e-5, atol=1e-6)


def test_pool_of_three_keeps_a_constant_up_to_the_border():
    """With count_include_pad a corner would be 4/9 of the constant."""
    np.testing.assert_allclose(layers.avg_pool3x3(jnp.full((1, 4, 5, 2), 3.0)), 3.0, rtol=1e-6)


@pytest.mark.parametrize("size", [(2, 2), (4, 8), (6, 2)])
def test_pool_of_two(size):
    x = normal(2, *size, 3)
    np.testing.assert_allclose(layers.avg_pool2x2(x), pool2x2_by_loops(x), rtol=1e-5, atol=1e-6)


def assert_uniform(draws, bound):
    """All within the bound, and the moments of U(±bound) to five standard errors."""
    draws = np.asarray(draws, np.float64).ravel()
    assert np.abs(draws).max() <= bound
    assert np.abs(draws).max() > 0.98 * bound
    assert abs(draws.mean()) < 5 * bound / np.sqrt(3 * draws.size)
    # The fourth moment of U(±b) is b⁴/5, so the mean square has the variance (1/5 - 1/9) b⁴ / n.
    assert abs((draws**2).mean() - bound**2 / 3) < 5 * bound**2 * np.sqrt(4 / 45 / draws.size)


def max_pool3x3_by_loops(x):
    """Largest of the neighbours that exist."""
    x, out = np.asarray(x, np.float64), np.zeros(x.shape)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            window = x[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, row, column] = window.max(axis=(1, 2))
    return out


@pytest.mark.parametrize("size", SIZES)
def test_max_pool_of_three_takes_the_pixels_inside(size):
    x = normal(2, *size, 3) - 5  # all below 0, so that padding with zeros would show
    np.testing.assert_allclose(layers.max_pool3x3(x), max_pool3x3_by_loops(x), rtol=1e-6)


def test_max_pool_of_two():
    x = normal(2, 4, 6, 3) - 5
    blocks = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
    np.testing.assert_array_equal(layers.max_pool2x2(x), np.max(blocks, axis=0))


@pytest.mark.parametrize("pool", [layers.max_pool3x3, layers.max_pool2x2])
def test_gradient_of_a_max_pool_goes_to_the_largest(pool):
    """And where all are equal no part of it is lost."""
    x, weights = normal(2, 4, 6, 3), normal(*pool(jnp.zeros((2, 4, 6, 3))).shape, seed=1)

    def loss(x):
        return jnp.sum(pool(x) * weights)

    gradient, rng = jax.grad(loss)(x), np.random.default_rng(2)
    for index in zip(*(rng.integers(0, n, 20) for n in x.shape), strict=True):
        step = np.zeros_like(x)
        step[index] = 1e-3
        np.testing.assert_allclose(
            gradient[index], (loss(x + step) - loss(x - step)) / 2e-3, atol=2e-2
        )
    np.testing.assert_allclose(jnp.sum(jax.grad(loss)(jnp.zeros_like(x))), weights.sum(), rtol=1e-4)


def assert_normal(draws, deviation):
    """The first two moments of N(0, deviation²) to five standard errors."""
    draws = np.asarray(draws, np.float64).ravel()
    assert abs(draws.mean()) < 5 * deviation / np.sqrt(draws.size)
    assert abs((draws**2).mean() - deviation**2) < 5 * deviation**2 * np.sqrt(2 / draws.size)


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


def lax_conv(x, kernel, stride):
    """What `conv` computes, with the gradients that JAX derives."""
    pad = (kernel.shape[0] // 2,) * 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize("size", [(10, 12), (4, 4), (5, 7), (9, 9), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_conv_are_those_that_jax_derives(kernel_size, stride, size):
    """Above 64 pixels and below, even sizes and odd ones."""
    x, kernel = normal(2, *size, 3), normal(kernel_size, kernel_size, 3, 4, seed=1)
    value, pull = jax.vjp(lambda x, kernel: lax_conv(x, kernel, stride), x, kernel)
    got_value, got_pull = jax.vjp(lambda x, kernel: conv(x, kernel, stride), x, kernel)
    np.testing.assert_allclose(got_value, value, rtol=1e-4, atol=1e-4)
    grad = normal(*value.shape, seed=2)
    for got, want in zip(got_pull(grad), pull(grad), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_gradient_of_pool_of_three_is_its_transpose(size):
    """The pool is linear: <grad, pool(x)> is <gradient, x>, for pools by loops of one pixel each."""
    grad = normal(1, *size, 1, seed=1)
    got = jax.vjp(layers.avg_pool3x3, normal(1, *size, 1))[1](grad)[0]
    pixels = np.eye(size[0] * size[1]).reshape(-1, *size, 1)  # as images
    want = (pool3x3_by_loops(pixels) * grad).sum(axis=(1, 2, 3)).reshape(1, *size, 1)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gain_comes_before_bias():
    x, conv, dense = normal(2, 4, 5, 3), {"conv": normal(3, 3, 3, 4)}, {"kernel": normal(6, 4)}
    extras, rows = {"gain": np.float32(3), "bias": normal(4, seed=1)}, normal(2, 6)
    want = 3 * conv_by_loops(x, conv["conv"]) + extras["bias"]
    np.testing.assert_allclose(layers.conv_layer(x, {**conv, **extras}), want, rtol=1e-4, atol=1e-4)
    want = 3 * rows @ dense["kernel"] + extras["bias"]
    np.testing.assert_allclose(
        layers.dense_layer(rows, {**dense, **extras}), want, rtol=1e-4, atol=1e-4
    )


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

    y = np.asarray(layer(x, weights), np.float64)
    np.testing.assert_array_equal(layer(x, probed), layer(x, weights))
    gradient, of_x = jax.grad(loss, (0, 1))(probed, x)
    want = (y * mix * np.cos(y)).reshape(3, -1, 4).sum(axis=1)
    np.testing.assert_allclose(gradient.pop("probe"), want, rtol=1e-3, atol=1e-4)
    others = jax.grad(loss, (0, 1))(weights, x)
    for got, without in zip(
        jax.tree.leaves((gradient, of_x)), jax.tree.leaves(others), strict=True
    ):
        np.testing.assert_allclose(got, without, rtol=1e-5, atol=1e-5)


def test_batch_norm_without_scale_and_bias():
    x = 3 + 2 * normal(2, 3, 4, 5)
    identity = {"scale": np.ones(5), "bias": np.zeros(5)}
    np.testing.assert_allclose(
        layers.batch_norm(x, {}), norm_by_loops(x, identity), rtol=1e-4, atol=1e-4
    )


BRANCHES = (
    lambda x, weights: jnp.zeros_like(x),
    lambda x, weights: jnp.sin(x),
    lambda x, weights: layers.conv_layer(jnp.tanh(x), weights),
    lambda x, weights: layers.avg_pool3x3(x * x) + weights["bias"][None, None, None],
)


def switched(switch, x, weights, index):
    return jnp.sum(jnp.cos(switch(index, BRANCHES, x, weights)))


@pytest.mark.parametrize("index", range(4))
def test_switch_is_lax_switch_with_its_gradients(index):
    x, weights = normal(2, 3, 4, 2), {"conv": normal(3, 3, 2, 2), "bias": normal(2)}
    ours, theirs = (
        jax.jit(jax.value_and_grad(functools.partial(switched, switch), (0, 1)))(x, weights, index)
        for switch in (control.switch, lax.switch)
    )
    np.testing.assert_array_equal(
        control.switch(index, BRANCHES, x, weights), BRANCHES[index](x, weights)
    )
    for got, want in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
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


def test_unstacked_trees_and_their_gradient():
    tree = {"a": normal(3, 2, 4), "b": {"c": normal(3, 5)}}
    parts = control.unstacked(tree, 3)
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

    gradient = jax.grad(loss)(tree)
    np.testing.assert_array_equal(
        gradient["a"], np.broadcast_to(np.reshape(factors, (3, 1, 1)), (3, 2, 4))
    )
    assert not np.any(gradient["b"]["c"])
