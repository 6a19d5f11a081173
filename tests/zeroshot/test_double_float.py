"""Pairs of float32 against NumPy's float64: arithmetic, determinants, eigenvalues, scores."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.zeroshot import double_float, hamming_kernel, log_determinant
from jnas.zeroshot.double_float import Pair
from jnas.zeroshot.hamming import log_determinant_in_pairs
from jnas.zeroshot.jacobian import (
    epe_nas_in_pairs,
    jacob_cov_in_pairs,
    minus_condition_in_pairs,
)

NETWORK = networks.nasbench201(channels=4, cells=1)
NUM_IMAGES, NUM_CELLS = 128, 8


def as_pair(values):
    """Float64 `values` to 48 bits."""
    high = values.astype(np.float32)
    return Pair(jnp.asarray(high), jnp.asarray((values - high).astype(np.float32)))


def as_float64(pair):
    return np.asarray(pair.high, np.float64) + np.asarray(pair.low, np.float64)


def numbers(seed, num=4096):
    """Pairs of many sizes, and their values."""
    rng = np.random.default_rng(seed)
    pair = as_pair(rng.normal(size=num) * 10.0 ** rng.integers(-8, 8, num))
    return pair, as_float64(pair)


# Arithmetic


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("add", np.add),
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("divide", np.divide),
    ],
)
def test_operations_round_to_less_than_eps(name, exact):
    """Of one compiled program, so that what a compiler may do to them is done."""
    (x, x64), (y, y64) = numbers(1), numbers(2)
    got = as_float64(jax.jit(getattr(double_float, name))(x, y))
    np.testing.assert_allclose(got, exact(x64, y64), rtol=double_float.EPS)


def test_operations_survive_a_program_that_could_simplify_them():
    """(x + y) - x is y, and x · y - fl(x · y) the rounding, in one fusion."""
    (x, x64), (y, y64) = numbers(3), numbers(4)

    @jax.jit
    def both(x, y):
        back = double_float.subtract(double_float.add(x, y), x)
        product = double_float.multiply(x, y)
        return back, double_float.subtract(product, double_float.from_float(x.high * y.high))

    back, rounding = (as_float64(z) for z in both(x, y))
    bound = double_float.EPS * np.maximum(np.abs(x64), np.abs(y64))
    assert np.all(np.abs(back - y64) <= 2 * bound)
    exact = x64 * y64 - (np.asarray(x.high) * np.asarray(y.high)).astype(np.float64)
    assert np.all(np.abs(rounding - exact) <= 2 * double_float.EPS * np.abs(x64 * y64))


def test_roots_logarithms_and_sums():
    x, x64 = numbers(5)
    size = jax.jit(double_float.absolute)(x)
    np.testing.assert_array_equal(as_float64(size), np.abs(x64))
    root = as_float64(jax.jit(double_float.square_root)(size))
    np.testing.assert_allclose(root, np.sqrt(np.abs(x64)), rtol=double_float.EPS)
    logs = jax.jit(double_float.logarithm)(size)
    np.testing.assert_allclose(logs, np.log(np.abs(x64)), rtol=1e-6, atol=1e-6)
    total = as_float64(jax.jit(double_float.total)(x))
    assert abs(total - np.sum(x64)) <= double_float.EPS * np.sum(np.abs(x64))


def test_integers_are_exact():
    values = np.random.default_rng(0).integers(-(2**31), 2**31, 1000)
    values = np.array([*values, 0, 1, -1, 2**31 - 1, -(2**31)], np.int32)
    got = jax.jit(double_float.from_integers)(jnp.asarray(values))
    np.testing.assert_array_equal(as_float64(got), values)


# Determinants


@functools.cache
def real_kernels():
    """`[NUM_CELLS, 128, 128]` Hamming kernels of random cells."""

    @jax.jit
    def kernels(key):
        own, images = jax.random.split(key)
        params = NETWORK.init(own)
        images = jax.random.normal(images, (NUM_IMAGES, 4, 4, 3))
        archs = jax.vmap(NETWORK.space.sample)(jax.random.split(key, NUM_CELLS))
        of_one = functools.partial(hamming_kernel, NETWORK, params, images=images)
        return jax.lax.map(lambda arch: of_one(arch), archs)

    return np.asarray(kernels(jax.random.key(0)))


SIZES = pytest.mark.parametrize(
    "num", [16, *(pytest.param(num, marks=pytest.mark.slow) for num in (64, 128))]
)


@functools.cache
def determinants():
    return jax.jit(jax.vmap(log_determinant_in_pairs))


@pytest.mark.slow
@SIZES
def test_determinants_of_real_kernels(num):
    kernels = real_kernels()[:, :num, :num]
    expected = np.asarray(jax.vmap(log_determinant)(jnp.asarray(kernels)))
    assert np.isfinite(expected).sum() >= NUM_CELLS // 2
    np.testing.assert_allclose(determinants()(jnp.asarray(kernels)), expected, rtol=2e-7)


@pytest.mark.slow
@SIZES
def test_equal_codes_are_singular(num):
    """Two images with one code, fewer units than images, no unit at all."""
    kernels = np.array(real_kernels()[:, :num, :num])
    kernels[:, 1], kernels[:, :, 1] = kernels[:, 0], kernels[:, :, 0]
    rng = np.random.default_rng(num)
    signs = rng.choice([-1, 1], (num, num - 3))
    kernels[0] = (num - 3 + signs @ signs.T) // 2
    kernels[1] = 0
    assert np.all(np.asarray(determinants()(jnp.asarray(kernels))) == -np.inf)


def test_nearly_equal_codes_of_many_units_are_not_singular():
    """Images that differ in two of a million units."""
    kernel = np.full((16, 16), 10**6 - 2, np.int32) + 2 * np.eye(16, dtype=np.int32)
    expected = np.linalg.slogdet(kernel.astype(np.float64))[1]
    got = determinants()(jnp.asarray([kernel] * NUM_CELLS))
    np.testing.assert_allclose(got, [expected] * NUM_CELLS, rtol=1e-6)


def test_determinants_need_pivots_and_drop_the_sign():
    matrix = np.eye(16, dtype=np.int32)
    matrix[:3, :3] = [[0, 3, 1], [5, 0, 0], [0, 1, 1]]
    got = determinants()(jnp.asarray([matrix] * NUM_CELLS))
    np.testing.assert_allclose(got, [np.log(10)] * NUM_CELLS, rtol=1e-6)


# Eigenvalues


@pytest.mark.parametrize("size", [2, 5, 16])
def test_eigenvalues(size):
    rng = np.random.default_rng(size)
    roots = rng.normal(size=(4, size, size + 2)) * 10.0 ** rng.uniform(-1, 1, (4, size, 1))
    matrices = as_pair(roots @ roots.swapaxes(1, 2))
    got = np.sort(as_float64(jax.jit(jax.vmap(double_float.eigenvalues))(matrices)))
    expected = np.linalg.eigvalsh(as_float64(matrices))
    assert np.all(np.abs(got - expected) <= 1e-11 * expected[:, -1:])


@pytest.mark.parametrize("num", [16])
def test_condition_of_a_tangent_kernel(num):
    rng = np.random.default_rng(num)
    rows = rng.normal(size=(6, num, 40)).astype(np.float32)
    rows[:, -1] = rows[:, 0] + rng.normal(size=(6, 40)) * 0.1 ** np.arange(6)[:, None]
    kernels = rows @ rows.swapaxes(1, 2)
    values = np.linalg.eigvalsh(kernels.astype(np.float64))
    is_regular = values[:, 0] > num * np.finfo(np.float32).eps * values[:, -1]
    expected = np.where(is_regular, -values[:, -1] / values[:, 0], np.nan)
    assert 0 < is_regular.sum() < 6
    got = jax.jit(jax.vmap(minus_condition_in_pairs))(jnp.asarray(kernels))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


# Correlations


@functools.cache
def jacobians():
    """`[4, 16, 192]`: of images that hardly differ, of a network, tiny ones, and constant ones."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 16, 192))
    rows[0] = rows[0, :1] + 1e-3 * rows[0]
    rows[1] = np.maximum(rows[1] @ rng.normal(size=(192, 192)), 0) + 100
    rows[2] *= 1e-25
    rows[3] = 0
    return rows.astype(np.float32)


def correlations(rows):
    with np.errstate(invalid="ignore"):
        return np.corrcoef(rows.astype(np.float64))


def test_jacob_cov():
    got = jax.jit(jax.vmap(jacob_cov_in_pairs))(jnp.asarray(jacobians()))
    for score, rows in zip(np.asarray(got)[:3], jacobians(), strict=False):
        values = np.linalg.eigvalsh(correlations(rows)) + 1e-5
        np.testing.assert_allclose(score, -np.sum(np.log(values) + 1 / values), rtol=1e-6)
    assert np.isnan(got[3])


def test_epe_nas():
    labels = np.arange(16) % 3
    got = jax.jit(jax.vmap(epe_nas_in_pairs, (0, None)))(jnp.asarray(jacobians()), labels)
    for score, rows in zip(np.asarray(got)[:3], jacobians(), strict=False):
        logs = np.log(np.abs(correlations(rows)) + 1e-5)
        of_classes = [logs[np.ix_(labels == c, labels == c)].sum() for c in range(3)]
        np.testing.assert_allclose(score, np.sum(np.abs(of_classes)), rtol=1e-6, atol=1e-5)
    assert np.isnan(got[3])


def test_a_cpu_takes_float64(key):
    """Whatever is in the branch of a TPU is not in the program."""
    kernel = jax.random.randint(key, (8, 8), 0, 100)
    texts = {
        platform: jax.jit(log_determinant).trace(kernel).lower(lowering_platforms=(platform,))
        for platform in ("cpu", "tpu")
    }
    assert "f64" in texts["cpu"].as_text()
    assert "bitcast_convert" not in texts["cpu"].as_text()
    assert "bitcast_convert" in texts["tpu"].as_text()
    assert "f64" not in texts["tpu"].as_text()
