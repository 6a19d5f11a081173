"""Scores of the Jacobian of the outputs with respect to the images: jacob_cov, epe_nas; and the NTK's condition.

Correlations and eigenvalues are in float64.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.networks import weights
from jnas.zeroshot.passes import Candidate, Seen

_K = 1e-5
NUM_NTK_IMAGES = 16


def jacob_cov(candidate: Candidate, seen: Seen) -> jax.Array:
    """-Σ (log(v + k) + 1 / (v + k)), v the eigenvalues of the correlations of the images' Jacobians, k = 1e-5.

    Mellor et al., "Neural Architecture Search without Training", first version, https://arxiv.org/abs/2006.04647v1, as
    in Abdelfattah et al., ICLR 2021. NaN where a Jacobian is constant, for example 0.
    """
    del candidate
    assert seen.jacobian is not None
    with jax.enable_x64(True):
        values = jnp.linalg.eigvalsh(_correlations(seen.jacobian)) + _K
        return lax.convert_element_type(-jnp.sum(jnp.log(values) + 1 / values), jnp.float32)


def _correlations(jacobian: jax.Array) -> jax.Array:
    """`[N, N]` float64 Pearson correlations of the rows of `[N, P]`; as `numpy.corrcoef`."""
    rows = lax.convert_element_type(jacobian, jnp.float64)
    centred = rows - jnp.mean(rows, axis=1, keepdims=True)
    covariance = centred @ centred.T
    deviation = jnp.sqrt(jnp.diagonal(covariance))
    return jnp.clip(covariance / deviation[:, None] / deviation[None, :], -1, 1)


def epe_nas(candidate: Candidate, seen: Seen) -> jax.Array:
    """Σ over classes of |Σ log(|c_ij| + k)|, c the correlations between Jacobians of images of one class, k = 1e-5.

    Lopes, Alirezazadeh and Alexandre, "EPE-NAS: Efficient Performance Estimation Without Training for Neural
    Architecture Search", ICANN 2021, https://arxiv.org/abs/2102.08099, in its form for up to 100 classes.
    """
    assert seen.jacobian is not None
    with jax.enable_x64(True):
        logs = jnp.log(jnp.abs(_correlations(seen.jacobian)) + _K)
        labels = candidate.labels
        logs = jnp.where(labels[:, None] == labels[None, :], logs, 0)
        # The sum of a class, once for each image of it: each image counts 1 / size of its class.
        rows = jnp.sum(logs, axis=1)
        same = lax.convert_element_type(labels[:, None] == labels[None, :], jnp.float64)
        of_class = same @ rows
        return lax.convert_element_type(
            jnp.sum(jnp.abs(of_class) / jnp.sum(same, axis=1)), jnp.float32
        )


def ntk_condition(candidate: Candidate, seen: Seen) -> jax.Array:
    """-λ_max / λ_min of the neural tangent kernel of the first 16 images.

    Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours" (TE-NAS), ICLR 2021,
    https://arxiv.org/abs/2102.11535. The kernel is G Gᵀ with G_i the gradient of the sum of image i's logits with
    respect to the weights; batch norm sees the 16 images. It is summed in float32 and decomposed in float64. NaN for a
    kernel that is singular up to that rounding, whose smallest eigenvalue may as well be negative.
    """
    del seen
    images = candidate.images[:NUM_NTK_IMAGES]

    def logits(kernels: list[jax.Array]) -> jax.Array:
        params = weights.with_kernels(candidate.params, kernels)
        return candidate.network.apply(params, candidate.arch, images)

    values, pull = jax.vjp(logits, weights.kernels(candidate.params))
    of_images = jnp.eye(len(images))[:, :, None] * jnp.ones_like(values)[None]
    gradients = lax.map(lambda cotangent: pull(cotangent)[0], of_images)
    kernel = jnp.zeros((len(images), len(images)))
    for gradient in gradients:
        rows = gradient.reshape(len(images), -1)
        kernel += rows @ rows.T
    with jax.enable_x64(True):
        eigenvalues = jnp.linalg.eigvalsh(lax.convert_element_type(kernel, jnp.float64))
        rounding = len(images) * float(np.finfo(np.float32).eps) * eigenvalues[-1]
        condition = jnp.where(eigenvalues[0] > rounding, eigenvalues[-1] / eigenvalues[0], jnp.nan)
        return lax.convert_element_type(-condition, jnp.float32)
