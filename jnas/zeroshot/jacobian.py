"""Scores of the Jacobian of the logits by the images, and the condition of the tangent kernel.

Correlations and eigenvalues are in float64 on CPUs and GPUs and in pairs of float32
(`double_float`) on TPUs, which have no float64. Functions `…_in_pairs` are those of a TPU and run
on any platform; they agree with float64 to 1e-6.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.networks import weights
from jnas.zeroshot import double_float
from jnas.zeroshot.double_float import Pair, unless_tpu
from jnas.zeroshot.passes import Candidate, Seen

_K = 1e-5  # of the first version of NASWOT; in EPE-NAS it has the same value
NUM_NTK_IMAGES = 16


def jacob_cov(candidate: Candidate, seen: Seen) -> jax.Array:
    """Score -Σ (log(v + k) + 1 / (v + k)), v eigenvalues of the Jacobians' correlations, k = 1e-5.

    Mellor et al., "Neural Architecture Search without Training", first version,
    https://arxiv.org/abs/2006.04647v1, as in Abdelfattah et al., ICLR 2021. NaN where the Jacobian
    of an image is constant, for example 0.
    """
    del candidate
    assert seen.jacobian is not None
    score: jax.Array = unless_tpu(_jacob_cov_in_float64, jacob_cov_in_pairs)(seen.jacobian)
    return score


def _jacob_cov_in_float64(jacobian: jax.Array) -> jax.Array:
    """Score `[]` float32 of Jacobians `[N, P]` float32."""
    # Where v is far below k, 1 / (v + k) changes by 1e10 times an error of v: too much in float32.
    with jax.enable_x64(True):
        values = jnp.linalg.eigvalsh(_correlations(jacobian)) + _K
        return lax.convert_element_type(-jnp.sum(jnp.log(values) + 1 / values), jnp.float32)


def jacob_cov_in_pairs(jacobian: jax.Array) -> jax.Array:
    """Score `[]` float32 of Jacobians `[N, P]` float32 without float64."""
    values = double_float.eigenvalues(_correlations_in_pairs(jacobian))
    # Eigenvalues may be far below k, or less than 0 by rounding: only the sum is float32.
    values = _plus_k(values)
    one = double_float.from_float(jnp.ones_like(values.high))
    inverse = double_float.divide(one, values)
    logs = double_float.from_float(double_float.logarithm(values))
    return -double_float.total(double_float.add(logs, inverse)).high


def _correlations(jacobian: jax.Array) -> jax.Array:
    """Pearson correlations `[N, N]` float64 of the rows of `[N, P]`, as `numpy.corrcoef`."""
    # Of a constant row they are 0 / 0: NaN, which the estimators rank last.
    rows = lax.convert_element_type(jacobian, jnp.float64)
    centred = rows - jnp.mean(rows, axis=1, keepdims=True)
    covariance = centred @ centred.T
    deviation = jnp.sqrt(jnp.diagonal(covariance))
    return jnp.clip(covariance / deviation[:, None] / deviation[None, :], -1, 1)


def _correlations_in_pairs(jacobian: jax.Array) -> Pair:
    """Pearson correlations `[N, N]` of the rows of `[N, P]` float32, not clipped: 1 to 2^-43."""
    rows = double_float.from_float(_of_size_one(jacobian))
    num = double_float.from_float(jnp.float32(jacobian.shape[1]))
    mean = double_float.divide(double_float.total(rows), num)
    centred = double_float.subtract(rows, mean.at(slice(None), None))
    covariance: Pair = lax.map(
        lambda row: double_float.total(double_float.multiply(row.at(None), centred)), centred
    )
    variance = Pair(*(jnp.diagonal(x) for x in covariance))
    deviation = double_float.square_root(variance)
    halfway = double_float.divide(covariance, deviation.at(slice(None), None))
    return double_float.divide(halfway, deviation.at(None))


def _of_size_one(rows: jax.Array) -> jax.Array:
    """Rows `[N, P]` times powers of two, largest entries in [1, 2): no square underflows."""
    # Exact, and correlations do not depend on the size of a row. With e the biased exponent in
    # bits 23 to 30, 254 - e is that of the inverse power of two.
    largest = jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    exponent = lax.bitcast_convert_type(largest, jnp.uint32) & jnp.uint32(0x7F800000)
    return rows * lax.bitcast_convert_type(jnp.uint32(254 << 23) - exponent, jnp.float32)


def _plus_k(values: Pair) -> Pair:
    """Sum of values and k, with the k of float64."""
    # In float32 k is off by up to 3e-8 of it, and 1 / (v + k) with it where v is small.
    high = np.float32(_K)
    rest = np.float32(_K - float(high))
    both = (double_float.from_float(jnp.full_like(values.high, part)) for part in (high, rest))
    return functools.reduce(double_float.add, both, values)


def epe_nas(candidate: Candidate, seen: Seen) -> jax.Array:
    """Score Σ over classes of |Σ log(|c_ij| + k)|, c the correlations in a class, k = 1e-5.

    Lopes, Alirezazadeh and Alexandre, "EPE-NAS: Efficient Performance Estimation Without Training
    for Neural Architecture Search", ICANN 2021, https://arxiv.org/abs/2102.08099, in its form for
    up to 100 classes.
    """
    assert seen.jacobian is not None
    score: jax.Array = unless_tpu(_epe_nas_in_float64, epe_nas_in_pairs)(
        seen.jacobian, candidate.labels
    )
    return score


def _epe_nas_in_float64(jacobian: jax.Array, labels: jax.Array) -> jax.Array:
    """Score `[]` float32 of Jacobians `[N, P]` float32 of images with labels `[N]`."""
    with jax.enable_x64(True):
        logs = jnp.log(jnp.abs(_correlations(jacobian)) + _K)
        logs = jnp.where(labels[:, None] == labels[None, :], logs, 0)
        # The sum of a class, once for each image of it: each image counts 1 / size of its class.
        # So the number of classes, which is not known while tracing, is no shape.
        rows = jnp.sum(logs, axis=1)
        same = lax.convert_element_type(labels[:, None] == labels[None, :], jnp.float64)
        of_class = same @ rows
        return lax.convert_element_type(
            jnp.sum(jnp.abs(of_class) / jnp.sum(same, axis=1)), jnp.float32
        )


def epe_nas_in_pairs(jacobian: jax.Array, labels: jax.Array) -> jax.Array:
    """Score `[]` float32 of Jacobians `[N, P]` float32 and labels `[N]` without float64."""
    sizes = double_float.absolute(_correlations_in_pairs(jacobian))
    logs = double_float.logarithm(_plus_k(sizes))
    same = labels[:, None] == labels[None, :]
    # All logarithms have one sign, but for correlations of 1: float32 sums cancel nothing.
    rows = jnp.sum(jnp.where(same, logs, 0.0), axis=1)
    of_class = jnp.sum(jnp.where(same, rows[None], 0.0), axis=1)
    return jnp.sum(jnp.abs(of_class) / jnp.sum(same, axis=1).astype(jnp.float32))


def ntk_condition(candidate: Candidate, seen: Seen) -> jax.Array:
    """Score -λ_max / λ_min of the neural tangent kernel of the first 16 images.

    Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours" (TE-NAS),
    ICLR 2021, https://arxiv.org/abs/2102.11535. The kernel is G Gᵀ with G_i the gradient of the sum
    of image i's logits with respect to the weights; batch norm sees the 16 images. It is summed in
    float32 and decomposed in float64 (pairs of float32 on a TPU). NaN for a kernel that is singular
    up to the rounding of the sums, whose smallest eigenvalue may as well be negative. The weights
    are those of convolutions and the dense layer; the published kernel also has the scale and bias
    of batch norms.
    """
    del seen
    images = candidate.images[:NUM_NTK_IMAGES]

    def logits(kernels: list[jax.Array]) -> jax.Array:
        params = weights.with_kernels(candidate.params, kernels)
        return candidate.network.apply(params, candidate.arch, images)

    # One forward pass and a backward one an image: batch norm ties the images together, so none can
    # be passed alone.
    values, pull = jax.vjp(logits, weights.kernels(candidate.params))
    of_images = jnp.eye(len(images))[:, :, None] * jnp.ones_like(values)[None]
    gradients = lax.map(lambda cotangent: pull(cotangent)[0], of_images)
    kernel = jnp.zeros((len(images), len(images)))
    for gradient in gradients:
        rows = gradient.reshape(len(images), -1)
        kernel += rows @ rows.T
    score: jax.Array = unless_tpu(_minus_condition_in_float64, minus_condition_in_pairs)(kernel)
    return score


def _minus_condition_in_float64(kernel: jax.Array) -> jax.Array:
    """Score `[]` float32 of `[N, N]` float32; NaN if singular to its rounding."""
    with jax.enable_x64(True):
        eigenvalues = jnp.linalg.eigvalsh(lax.convert_element_type(kernel, jnp.float64))
        # That of float32, in which the kernel was summed, not that of the decomposition.
        rounding = len(kernel) * float(np.finfo(np.float32).eps) * eigenvalues[-1]
        condition = jnp.where(eigenvalues[0] > rounding, eigenvalues[-1] / eigenvalues[0], jnp.nan)
        return lax.convert_element_type(-condition, jnp.float32)


def minus_condition_in_pairs(kernel: jax.Array) -> jax.Array:
    """Score -λ_max / λ_min of `[N, N]` float32 without float64; NaN if singular to its rounding."""
    eigenvalues = double_float.eigenvalues(double_float.from_float(kernel)).high
    low, high = jnp.min(eigenvalues), jnp.max(eigenvalues)
    rounding = len(kernel) * float(np.finfo(np.float32).eps) * high
    return jnp.where(low > rounding, -high / low, jnp.nan)
