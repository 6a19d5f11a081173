"""Layers against loops over pixels in float64, and values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jnas.networks import layers

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
    np.testing.assert_allclose(layers.conv(x, kernel, stride), conv_by_loops(x, kernel, stride), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(4, 4), (8, 6), (5, 7)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradients_of_conv_for_a_population_are_those_of_each_member(kernel_size, stride, size):
    """With shared weights; against XLA's own gradients."""
    x, kernel = normal(3, 2, *size, 3), normal(kernel_size, kernel_size, 3, 4, seed=1)
    pad = (kernel_size // 2,) * 2

    def own(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), (pad, pad), dimension_numbers=layout)

    def gradients(conv):
        return jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel))), (0, 1))

    found = jax.vmap(gradients(lambda x, kernel: layers.conv(x, kernel, stride)), (0, None))(x, kernel)
    for member in range(3):
        for got, expected in zip(found, gradients(own)(x[member], kernel), strict=True):
            np.testing.assert_allclose(got[member], expected, rtol=1e-4, atol=1e-4)


def test_stride_two_on_even_sizes_pads_the_first_row_as_well_as_the_last():
    """ "SAME" would pad only at the end, and read columns 0-2 and 2-3 instead of 0-1 and 1-3."""
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, :, 0, 0] = [100, 10, 1]
    np.testing.assert_array_equal(layers.conv(x, kernel, 2).ravel(), [1, 123])


def test_one_pixel_sees_only_the_middle_of_the_kernel():
    kernel = normal(3, 3, 2, 2)
    out = layers.conv(jnp.ones((1, 1, 1, 2)), kernel)
    np.testing.assert_allclose(out[0, 0, 0], kernel[1, 1].sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_batch_norm_uses_the_batchs_mean_and_biased_variance(size):
    x = 3 + 2 * normal(2, *size, 4)
    norm = {"scale": normal(4, seed=1), "bias": normal(4, seed=2)}
    np.testing.assert_allclose(layers.batch_norm(x, norm), norm_by_loops(x, norm), rtol=1e-4, atol=1e-4)


def test_batch_norm_of_two_values_by_hand():
    """0 and 2: mean 1, biased variance 1 (unbiased would be 2)."""
    out = layers.batch_norm(jnp.asarray([0.0, 2.0]).reshape(2, 1, 1, 1), layers.norm_weights(1), eps=0.0)
    np.testing.assert_allclose(out.ravel(), [-1, 1], rtol=1e-6)


def test_batch_norm_of_a_constant_is_the_bias():
    norm = {"scale": jnp.full(3, 5.0), "bias": jnp.asarray([-1.0, 0.0, 2.0])}
    out = layers.batch_norm(jnp.full((2, 3, 3, 3), 7.0), norm)
    np.testing.assert_array_equal(out[1, 2, 0], [-1, 0, 2])
    assert jnp.all(out == out[0, 0, 0][None, None, None])


def test_batch_norm_adds_the_published_epsilon_to_the_variance():
    x = jnp.asarray([-1e-3, 1e-3]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(
        layers.batch_norm(x, layers.norm_weights(1)).ravel()[1], 1e-3 / np.sqrt(1e-6 + 1e-5), rtol=1e-4
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
        np.testing.assert_allclose(gradient[index], (loss(x + step) - loss(x - step)) / 2e-3, atol=2e-2)
    np.testing.assert_allclose(jnp.sum(jax.grad(loss)(jnp.zeros_like(x))), weights.sum(), rtol=1e-4)


def assert_normal(draws, deviation):
    """The first two moments of N(0, deviation²) to five standard errors."""
    draws = np.asarray(draws, np.float64).ravel()
    assert abs(draws.mean()) < 5 * deviation / np.sqrt(draws.size)
    assert abs((draws**2).mean() - deviation**2) < 5 * deviation**2 * np.sqrt(2 / draws.size)


def test_normal_weights_and_uniform_ones_of_a_tree_are_drawn_apart(key):
    tree = {"a": layers.Normal((40, 50), 0.5), "b": layers.Normal((2_000,), 2.0), "c": layers.Uniform((2_000,), 3.0)}
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
