"""NASWOT: the Hamming kernel bit by bit, its determinant, and the contract of an estimator."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.types import Pass, Relu
from jnas.zeroshot import hamming_kernel, log_determinant, naswot
from tests.oracles.nasbench201 import (
    ARCHS,
    CELLS,
    IMAGES,
    NAMED,
    NETWORK,
    as_readings,
    params_of_network,
    record,
    references,
)

NUM = len(IMAGES)
NAMES = list(NAMED)
BATCH = np.concatenate([ARCHS[-6:], [NAMED["one skip"], NAMED["all none"]]]).astype(np.int32)
"""8 architectures: programs are compiled for this number."""


SMALL = networks.nasbench201(channels=4, stages=1, cells=CELLS)
"""What is scored: a third of the program, and the same contract."""

logdet = jax.jit(log_determinant)
TRACES = []


@jax.jit
def score(estimator, key, archs):
    TRACES.append(archs.shape)
    return estimator(key, archs)


def kernel_from_codes(readings, counts):
    """N_A - d_H of the joined binary codes, one pair of images and one unit at a time."""
    codes = [np.asarray(r.inputs).reshape(NUM, -1) > 0 for r in readings]
    columns = [code for code, count in zip(codes, counts, strict=True) for _ in range(count)]
    joined = np.concatenate([*columns, np.zeros((NUM, 0), bool)], axis=1)
    kernel = np.zeros((NUM, NUM), np.int64)
    for i, j in itertools.product(range(NUM), repeat=2):
        kernel[i, j] = joined.shape[1] - np.sum(joined[i] != joined[j])
    return kernel


def counts_of(readings, relus):
    return [r.num_live if relus == "live" else r.num_modules for r in readings]


@functools.cache
def compiled_kernel(relus):
    """`(params, arch, images) -> kernel` and the tensors it was made of."""

    @jax.jit
    def kernel_and_buffers(params, arch, images):
        shown = []

        def spy(params, arch, images, hooks, state):
            seen, buffers = record(NETWORK, params, arch, images, hooks, state)
            shown.append(buffers)
            return seen

        kernel = hamming_kernel(NETWORK._replace(forward=spy), params, arch, images, relus)
        return kernel, shown[0]

    return kernel_and_buffers


@functools.cache
def kernels(relus):
    """`[23, N, N]` for `ARCHS`, and what was recorded."""
    pairs = [compiled_kernel(relus)(params_of_network(), arch, IMAGES) for arch in ARCHS]
    return np.array([kernel for kernel, _ in pairs]), [as_readings(buffers) for _, buffers in pairs]


def kernel_of(name, relus="live"):
    return kernels(relus)[0][NAMES.index(name)]


def exact_logdet(matrix):
    return np.linalg.slogdet(np.asarray(matrix, np.float64))[1]


# Equation 1


@pytest.mark.parametrize("relus", ["live", pytest.param("all", marks=pytest.mark.slow)])
def test_kernel_is_units_minus_hamming_distance_of_the_tensors_it_saw(relus):
    for arch, kernel, readings in zip(ARCHS, *kernels(relus), strict=True):
        assert kernel.dtype == np.int32
        expected = kernel_from_codes(readings, counts_of(readings, relus))
        np.testing.assert_array_equal(kernel, expected, err_msg=str(arch))


@pytest.mark.parametrize("relus", ["live", "all"])
def test_kernel_is_that_of_the_float64_network(relus):
    """Up to a few units whose input rounds to the other side of zero."""
    for arch, kernel, (_, readings) in zip(ARCHS, kernels(relus)[0], references(), strict=True):
        expected = kernel_from_codes(readings, counts_of(readings, relus))
        np.testing.assert_array_equal(np.diag(kernel), np.diag(expected))
        assert np.abs(kernel - expected).max() <= 4, arch


@pytest.mark.parametrize("relus", ["live", "all"])
def test_diagonal_counts_all_units_and_the_kernel_is_symmetric(relus):
    for kernel in kernels(relus)[0]:
        np.testing.assert_array_equal(np.diag(kernel), kernel[0, 0])
        np.testing.assert_array_equal(kernel, kernel.T)
        assert kernel.min() >= 0
        assert kernel.max() == kernel[0, 0]


def test_kernel_of_three_images_by_hand():
    """Two modules, one of them live, read the second tensor; only a dead one reads the third.

    A unit of value 0 is inactive.
    """
    first = jnp.asarray([[[1.0], [0.0]], [[2.0], [-1.0]], [[0.0], [3.0]]])  # codes 10, 10, 01
    second = jnp.asarray(
        [[-1.0, -1e-30, 0.5], [1.0, -0.0, 0.5], [0.0, 1e-30, 7.0]]
    )  # codes 001, 101, 011

    def forward(params, arch, images, hooks, state):
        shown = ((first, 1, 1), (second, 2, 1), (-first, 1, 0))  # codes of the last: 00, 01, 00
        for inputs, num_modules, num_live in shown:
            channels = jnp.ones(inputs.shape[-1], bool)
            state = hooks.on_relu(
                state, Relu(inputs, channels, jnp.int32(num_modules), jnp.int32(num_live))
            )
        return Pass(jnp.zeros((3, 1)), None, state, 0)

    fake = NETWORK._replace(forward=forward)
    live = hamming_kernel(fake, None, ARCHS[0], jnp.zeros((3, 1, 1, 1)), "live")
    np.testing.assert_array_equal(live, [[5, 4, 2], [4, 5, 1], [2, 1, 5]])
    every = hamming_kernel(fake, None, ARCHS[0], jnp.zeros((3, 1, 1, 1)), "all")
    np.testing.assert_array_equal(every, [[10, 7, 6], [7, 10, 3], [6, 3, 10]])


def test_number_of_units_by_hand():
    """From 8x8 and 4 channels, stages have 256 and 128 units; block and end read 512 in all."""
    skeleton = (256 + 128) + 128
    per_module = CELLS * (256 + 128)
    assert kernel_of("one skip")[0, 0] == skeleton == 512
    assert kernel_of("all 3x3")[0, 0] == kernel_of("all 1x1")[0, 0] == skeleton + 6 * per_module
    assert kernel_of("chain")[0, 0] == skeleton + 3 * per_module
    assert kernel_of("dead end in node 2")[0, 0] == skeleton + 2 * per_module
    assert kernel_of("dead end in node 2", "all")[0, 0] == skeleton + 4 * per_module


def test_dead_branches_count_only_among_all():
    np.testing.assert_array_equal(kernel_of("dead end after node 0"), kernel_of("one skip"))
    extra = kernel_of("dead end after node 0", "all") - kernel_of("one skip", "all")
    assert np.all(np.diag(extra) == CELLS * (256 + 128))
    assert np.all(extra[~np.eye(NUM, dtype=bool)] < extra[0, 0])


def test_both_counts_agree_where_nothing_is_dead():
    for name in ("all skip", "all 1x1", "all 3x3", "all pool", "chain"):
        np.testing.assert_array_equal(kernel_of(name, "live"), kernel_of(name, "all"))


def test_disconnected_cells_leave_one_code_for_all_images():
    """Only the end of the network is live, and it sees a constant."""
    assert np.all(kernel_of("all none") == 128)
    for name in ("never leaves the input", "never reaches the output"):
        assert len(np.unique(kernel_of(name, "live"))) == 1
    assert len(np.unique(kernel_of("never reaches the output", "all"))) > 1


def test_permuted_images_permute_the_kernel():
    """Batch norm adds images up in another order, so a unit may round to the other side of zero."""
    order = np.array([3, 0, 5, 1, 4, 2])
    for arch, kernel in zip(ARCHS[2:8], kernels("live")[0][2:8], strict=True):
        permuted, _ = compiled_kernel("live")(params_of_network(), arch, IMAGES[order])
        assert np.abs(np.asarray(permuted) - kernel[np.ix_(order, order)]).max() <= 1
        scores = float(logdet(permuted)), float(logdet(kernel))
        assert scores[0] == scores[1] or abs(scores[0] - scores[1]) < 0.01


# Equation 2


def hamming_matrix(num, units, seed=0, spread=0.5):
    """Kernel of random codes; a small `spread` makes images nearly alike."""
    rng = np.random.default_rng(seed)
    codes = rng.random(units) < 0.5
    codes = np.where(rng.random((num, units)) < spread, ~codes, codes)
    signs = np.where(codes, 1.0, -1.0)
    return ((units + signs @ signs.T) // 2).astype(np.int32)


@pytest.mark.parametrize("relus", ["live", "all"])
def test_log_determinant_of_real_kernels(relus):
    connected = [k for k in kernels(relus)[0] if np.linalg.matrix_rank(k) == NUM]
    assert len(connected) > 12
    for kernel in connected:
        np.testing.assert_allclose(logdet(kernel), exact_logdet(kernel), atol=1e-4)


@pytest.mark.parametrize("spread", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("num", [2, 16, 128])
def test_log_determinant_of_many_images(num, spread):
    kernel = hamming_matrix(num, 60_000, spread=spread)
    got = logdet(kernel)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, exact_logdet(kernel), atol=1e-3, rtol=1e-7)


@pytest.mark.parametrize("units", [200, 10_000, 1_000_000])
def test_log_determinant_of_images_that_differ_in_two_units(units):
    """K = (units - 2) 11ᵀ + 2 I has determinant 2ⁿ⁻¹ (n (units - 2) + 2): condition up to 6e7."""
    num = 128
    kernel = np.full((num, num), units - 2) + 2 * np.eye(num, dtype=int)
    expected = (num - 1) * np.log(2) + np.log(num * (units - 2) + 2)
    np.testing.assert_allclose(logdet(kernel.astype(np.int32)), expected, atol=1e-3)


def test_log_determinant_drops_the_sign():
    matrix = jnp.asarray([[0, 3], [5, 0]], jnp.int32)
    np.testing.assert_allclose(logdet(matrix), np.log(15), rtol=1e-6)


@pytest.mark.parametrize("num", [2, 8, 32, 128])
def test_two_images_with_one_code_are_singular(num):
    """LU factorisations leave rounding errors here, not zeros: slogdet alone would be finite."""
    for seed in range(5):
        kernel = hamming_matrix(num, 20_000, seed, spread=0.4)
        twin, image = np.random.default_rng(seed).choice(num, 2, replace=False)
        kernel[twin] = kernel[image]
        kernel[:, twin] = kernel[:, image]
        assert logdet(kernel) == -np.inf


@pytest.mark.parametrize("num", [8, 32, 128])
def test_fewer_units_than_images_are_singular(num):
    """The rank of K is at most one more than the number of units."""
    for seed in range(5):
        assert logdet(hamming_matrix(num, num - 3, seed)) == -np.inf


def test_constant_matrices_are_singular():
    assert logdet(np.zeros((8, 8), np.int32)) == -np.inf
    assert logdet(np.full((8, 8), 640, np.int32)) == -np.inf


def test_log_determinant_of_a_batch():
    matrices = np.stack([hamming_matrix(8, 500, seed) for seed in range(4)])
    expected = [exact_logdet(matrix) for matrix in matrices]
    np.testing.assert_allclose(jax.jit(jax.vmap(log_determinant))(matrices), expected, atol=1e-4)


# The estimator


@pytest.mark.parametrize("relus", ["live", pytest.param("all", marks=pytest.mark.slow)])
def test_score_is_the_log_determinant_of_the_kernel_with_the_networks_own_weights(key, relus):
    """All parts written out; the last two are a skip and a disconnected cell."""
    scores = np.asarray(score(naswot(SMALL, IMAGES, relus=relus), key, BATCH))
    params = jax.jit(SMALL.init)(key)
    kernel_of_one = jax.jit(lambda arch: hamming_kernel(SMALL, params, arch, IMAGES, relus))
    assert scores.shape == (8,)
    assert scores.dtype == np.float32
    for arch, got in zip(BATCH[:-1], scores[:-1], strict=True):
        kernel = np.asarray(kernel_of_one(arch))
        np.testing.assert_allclose(got, logdet(kernel), atol=2e-3)
        if np.linalg.matrix_rank(kernel) == NUM:
            np.testing.assert_allclose(got, exact_logdet(kernel), atol=2e-3)
    assert np.isfinite(scores[-2])
    assert scores[-1] == -np.inf
    assert len(np.unique(scores)) > 5


@pytest.mark.parametrize("relus", ["live", "all"])
def test_scores_are_never_nan_and_disconnected_cells_come_last(key, relus):
    names = ("all none", "never leaves the input", "never reaches the output")
    archs = np.array([*(NAMED[n] for n in names), *ARCHS[-5:]], np.int32)
    scores = np.asarray(score(naswot(SMALL, IMAGES, relus=relus), key, archs))
    assert not np.any(np.isnan(scores))
    assert scores[0] == -np.inf
    if relus == "live":
        assert np.all(scores[:3] == -np.inf)


@pytest.mark.parametrize("shared_init", [True, False])
def test_score_depends_on_the_key_and_the_architecture_only(key, shared_init):
    """Not on the place, the neighbours, repetitions or the size of the population."""
    estimator = naswot(SMALL, IMAGES, shared_init=shared_init)
    scores = np.asarray(score(estimator, key, BATCH))
    order = np.array([4, 7, 0, 6, 2, 5, 1, 3])
    np.testing.assert_array_equal(score(estimator, key, BATCH[order]), scores[order])
    repeated = np.array([1, 1, 1, 6, 0, 6, 7, 1])
    np.testing.assert_array_equal(score(estimator, key, BATCH[repeated]), scores[repeated])
    if not shared_init:  # the harder case is enough: another size is another program
        np.testing.assert_allclose(score(estimator, key, BATCH[2:5]), scores[2:5], atol=2e-3)
    np.testing.assert_array_equal(score(estimator, key, BATCH), scores)
    assert np.all(np.asarray(score(estimator, jax.random.key(1), BATCH))[:-1] != scores[:-1])


# One skip from input to output, three ways to write it: no weights within the cells.
SKIPS = [(0, 0, 0, 1, 0, 0), (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, 1), (1, 0, 1, 0, 0, 1)]
DEAD_CONVOLUTIONS = [(3, 0, 0, 1, 0, 0), (0, 2, 3, 1, 0, 0), (2, 3, 3, 1, 0, 0), (0, 0, 3, 1, 3, 2)]


def test_shared_weights_give_cells_that_compute_the_same_one_score(key):
    """The fourth of the dead convolutions reads zeros and adds its bias, so it differs."""
    archs = np.array(SKIPS + DEAD_CONVOLUTIONS, np.int32)
    scores = np.asarray(score(naswot(SMALL, IMAGES), key, archs))
    np.testing.assert_array_equal(scores[:7], scores[0])
    assert np.isfinite(scores[0])
    everything = np.asarray(score(naswot(SMALL, IMAGES, relus="all"), key, archs))
    np.testing.assert_array_equal(everything[:4], scores[0])
    assert np.all(everything[4:] != scores[0])


def test_weights_of_its_own_tell_cells_that_compute_the_same_apart(key):
    estimator = naswot(SMALL, IMAGES, shared_init=False)
    scores = np.asarray(score(estimator, key, np.array(SKIPS + SKIPS, np.int32)))
    np.testing.assert_array_equal(scores[:4], scores[4:])
    assert len(np.unique(scores)) == len(SKIPS)


def test_identical_images_cannot_be_ranked(key):
    """Two of six, or all of them."""
    twins, copies = IMAGES[[0, 1, 2, 3, 1, 5]], np.repeat(IMAGES[:1], NUM, axis=0)
    for images in (twins, copies):
        assert np.all(np.asarray(score(naswot(SMALL, images), key, BATCH)) == -np.inf)


def test_order_of_the_images_is_irrelevant(key):
    scores = score(naswot(SMALL, IMAGES), key, BATCH)
    shuffled = score(naswot(SMALL, IMAGES[::-1]), key, BATCH)
    np.testing.assert_allclose(shuffled[:-1], scores[:-1], atol=0.01)
    assert shuffled[-1] == scores[-1] == -np.inf


def test_one_trace_serves_repeated_calls_keys_images_and_equal_estimators(key):
    score(naswot(SMALL, IMAGES), key, BATCH)
    before = len(TRACES)
    score(naswot(SMALL, IMAGES), jax.random.key(5), BATCH[::-1])
    score(naswot(SMALL, 2 * IMAGES, relus="live", shared_init=True), key, ARCHS[:8])
    assert len(TRACES) == before
    jax.eval_shape(
        score, naswot(SMALL, IMAGES), key, BATCH[:7]
    )  # another shape: the counter does count
    assert len(TRACES) == before + 1


def test_images_are_arguments_of_the_program_and_not_constants_in_it(key):
    estimator = naswot(SMALL, IMAGES)
    assert [leaf.shape for leaf in jax.tree.leaves(estimator)] == [IMAGES.shape]
    np.testing.assert_array_equal(jax.tree.leaves(estimator)[0], IMAGES)
    constants = jax.make_jaxpr(lambda estimator, key, archs: estimator(key, archs))(
        estimator, key, BATCH
    ).consts
    assert all(np.size(constant) < 100 for constant in constants)


def test_numpy_images_score_alike(key):
    np.testing.assert_array_equal(
        score(naswot(SMALL, jnp.asarray(IMAGES)), key, BATCH),
        score(naswot(SMALL, IMAGES), key, BATCH),
    )


# Refusals


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (6, 8, 8), (2, 6, 8, 8, 3), (1, 8, 8, 3), (0, 8, 8, 3)]
)
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"images must be .*; got shape|naswot needs at least 2 images; got"
    ):
        naswot(SMALL, jnp.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_refused(value):
    images = IMAGES.copy()
    images[3, 1, 2, 0] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        naswot(SMALL, images)


@pytest.mark.parametrize("relus", ["Live", "visited", ""])
def test_unknown_relus_are_refused(relus):
    with pytest.raises(ValueError, match=f"unknown relus '{relus}'.*live.*all"):
        naswot(SMALL, IMAGES, relus=relus)
    with pytest.raises(ValueError, match=f"unknown relus '{relus}'.*live.*all"):
        hamming_kernel(NETWORK, params_of_network(), ARCHS[0], IMAGES, relus)


@pytest.mark.parametrize("shape", [(4, 5), (4, 7), (6,), (2, 3, 6)])
def test_populations_of_another_shape_are_refused(key, shape):
    with pytest.raises(ValueError, match=r"archs must be \[B, 6\] integers"):
        naswot(SMALL, IMAGES)(key, jnp.zeros(shape, jnp.int32))


@pytest.mark.slow
def test_full_size_network_and_batch(key):
    """128 images of 32x32, 16 channels, 5 cells: units by hand, and the determinant in float64."""
    network = networks.nasbench201()
    images = jax.random.normal(jax.random.key(3), (128, 32, 32, 3))
    archs = np.array([NAMED["all 3x3"], NAMED["dead end in node 2"], ARCHS[-1]], np.int32)
    scores = score(naswot(network, images), key, archs)
    params = jax.jit(network.init)(key)
    kernel_fn = jax.jit(lambda arch: hamming_kernel(network, params, arch, images))
    kernels = [np.asarray(kernel_fn(arch)) for arch in archs]
    widths = np.array([16 * 32 * 32, 32 * 16 * 16, 64 * 8 * 8])
    skeleton = widths[0] + 2 * widths[1] + 2 * widths[2]
    assert kernels[0][0, 0] == skeleton + 6 * 5 * widths.sum()
    assert kernels[1][0, 0] == skeleton + 2 * 5 * widths.sum()
    for got, kernel in zip(scores, kernels, strict=True):
        np.testing.assert_allclose(got, exact_logdet(kernel), atol=1e-3)
