"""Kernel densities of categorical vectors, by which BOHB models good and bad architectures.

A kernel is that of Aitchison and Aitken (Biometrika 63, 1976) in each position: a value keeps its
weight up to the bandwidth `h`, which the other `c - 1` values share. Up to `h = 1 - 1/c`, where all
values weigh the same, it falls off.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp

from jnas.types import Arch, Key


def bandwidths(
    archs: jax.Array, chosen: jax.Array, limits: jax.Array, *, least: float
) -> jax.Array:
    """Bandwidths by the normal-reference rule, 1.06 σ n^(-1/(4 + D)) in each position, in bounds.

    Args:
        archs: `[N, D]` int32.
        chosen: `[N]` bool, which of them are data.
        limits: `[D]` float, `1 - 1/c`.
        least: bandwidth at least, where that is within the limits.

    Returns:
        `[D]` float.
    """
    # At least 1: before there are data the model is computed all the same, and then not used.
    num = jnp.maximum(jnp.sum(chosen), 1).astype(limits.dtype)
    weights, values = chosen.astype(limits.dtype)[:, None] / num, archs.astype(limits.dtype)
    mean = jnp.sum(weights * values, axis=0, keepdims=True)
    deviation = jnp.sqrt(jnp.sum(weights * (values - mean) ** 2, axis=0))
    # As in statsmodels, on which HpBandSter builds: population deviations, 1.06 whatever `D` is.
    rule = 1.06 * deviation * num ** (-1 / (4 + archs.shape[1]))
    return jnp.minimum(jnp.maximum(rule, least), limits)


def log_density(
    arch: Arch, archs: jax.Array, chosen: jax.Array, bandwidth: jax.Array, num_choices: jax.Array
) -> jax.Array:
    """Logarithm of the density at one vector, `[]` float; -inf or NaN without data.

    Args:
        arch: `[D]` int32.
        archs: `[N, D]` int32.
        chosen: `[N]` bool, which of them are data.
        bandwidth: `[D]` float.
        num_choices: `[D]` int32, `c`.
    """
    others = (num_choices - 1).astype(bandwidth.dtype)
    # Summed as logarithms: the product of `D` kernels at the least bandwidths can underflow.
    # A position with one choice has bandwidth 0 and NaN in `other`, which is never selected.
    same, other = jnp.log1p(-bandwidth), jnp.log(bandwidth / others)
    kernels = jnp.sum(jnp.where(archs == arch[None], same[None], other[None]), axis=1)
    return logsumexp(jnp.where(chosen, kernels, -jnp.inf)) - jnp.log(
        jnp.sum(chosen).astype(kernels.dtype)
    )


def draw_near(key: Key, center: Arch, bandwidth: jax.Array, num_choices: jax.Array) -> Arch:
    """Draw from the kernel around one vector: each position keeps its value or takes another.

    Args:
        key: consumed.
        center: `[D]` int32.
        bandwidth: `[D]` float, the probability to take another value.
        num_choices: `[D]` int32.

    Returns:
        `[D]` int32.
    """
    leave_key, shift_key = jax.random.split(key)
    leaves = jax.random.uniform(leave_key, bandwidth.shape, bandwidth.dtype) < bandwidth
    # From 1 on, so that no shift modulo `c` comes back to the value itself.
    shift = jax.random.randint(shift_key, center.shape, 1, num_choices, jnp.int32)
    return lax.rem(center + jnp.where(leaves, shift, 0), num_choices)
