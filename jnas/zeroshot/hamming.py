"""Hamming kernels of ReLU codes and their log-determinants: NASWOT.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021,
https://arxiv.org/abs/2006.04647. With `c_i` the binary code of image `i` over all `N_A` ReLU units
of the untrained network and `d_H` the Hamming distance,

    K_ij = N_A - d_H(c_i, c_j)         (equation 1)
    score = log |det K|                (equation 2)

d_H is a sum over tensors. On CPUs codes are packed into 32-bit words and differing bits counted; on
accelerators the codes are ±1 and s sᵀ is an int8 product with int32 accumulation. Both are exact.
Convolutions that leave the same node rectify the same tensor, so one count serves them all. Only
the determinant is in floating point: float64, or pairs of float32 (`double_float`) on a TPU.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.engine.messages import nearest
from jnas.types import Arch, Hooks, Network, Relu
from jnas.zeroshot import double_float

_COUNTED = ("live", "all")


class Kernel(NamedTuple):
    """Running sums: `distance` `[N, N]` int32 is d_H, `num_units` `[]` int32 is N_A."""

    # Integers, because float32 would be exact to 2^24 units only.
    distance: jax.Array
    num_units: jax.Array

    def matrix(self) -> jax.Array:
        """Kernel K of equation 1, `[N, N]` int32."""
        return self.num_units - self.distance


def hamming_kernel(
    network: Network, params: object, arch: Arch, images: jax.Array, relus: str = "live"
) -> jax.Array:
    """Kernel `[N, N]` int32 of equation 1: in how many ReLU units two images have the same code.

    Args:
        network: the candidate network.
        params: its weights.
        arch: `[D]` int32.
        images: `[N, H, W, C]` float.
        relus: "live" or "all", see `naswot`.

    Raises:
        ValueError: an unknown `relus`.
    """
    check_relus(relus)

    def on_relu(kernel: Kernel, relu: Relu) -> Kernel:
        return add_relu(kernel, relu, relu.num_live if relus == "live" else relu.num_modules)

    start = empty_kernel(images.shape[0])
    kernel: Kernel = network.forward(params, arch, images, Hooks(on_relu=on_relu), start).state
    return kernel.matrix()


def check_relus(relus: str) -> None:
    """Check of `relus`; ValueError unless "live" or "all"."""
    if relus not in _COUNTED:
        raise ValueError(f"unknown relus {relus!r}. {nearest(relus, _COUNTED)}")


def empty_kernel(num: int) -> Kernel:
    """Sums for `num` images before the first tensor."""
    return Kernel(jnp.zeros((num, num), jnp.int32), jnp.zeros((), jnp.int32))


def add_relu(kernel: Kernel, relu: Relu, count: jax.Array) -> Kernel:
    """Sums with one tensor more, which `count` `[]` int32 of the modules that matter read."""
    # Channels that do not exist are 0 in all images: no distance, but they must not be units.
    num_pixels = math.prod(relu.inputs.shape[1:-1])
    num_units = num_pixels * jnp.sum(relu.channels, dtype=jnp.int32)

    def add(kernel: Kernel, inputs: jax.Array) -> Kernel:
        return Kernel(
            kernel.distance + count * hamming_distances(inputs),
            kernel.num_units + count * num_units,
        )

    # Distances are the work; a tensor that no module reads costs none. Codes have no gradient, so
    # nothing of this is kept for a backward pass that shares the forward one.
    result: Kernel = lax.cond(
        count > 0, add, lambda kernel, _: kernel, kernel, lax.stop_gradient(relu.inputs)
    )
    return result


def hamming_distances(inputs: jax.Array) -> jax.Array:
    """Distances `[N, N]` int32: in how many entries of `[N, ...]` just one of two is above zero."""
    # 0 itself is inactive, as in the published code.
    active = inputs.reshape(inputs.shape[0], -1) > 0
    if jax.default_backend() != "cpu":
        signs = jnp.where(active, jnp.int8(1), jnp.int8(-1))
        product = lax.dot_general(
            signs, signs, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32
        )
        # Equal signs add 1 and different ones take 1 away: the product is U - 2 d.
        return (active.shape[1] - product) // 2
    words = packed(active)
    # Row by row: [N, N, U / 32] words at once are 32 MiB for 128 images of 32x32x16.
    distances: jax.Array = lax.map(
        lambda row: jnp.sum(lax.population_count(row[None] ^ words), axis=1, dtype=jnp.int32), words
    )
    return distances


def packed(bits: jax.Array) -> jax.Array:
    """Words `[..., ceil(U / 32)]` uint32 of bits `[..., U]`; which bit is where does not matter."""
    # Bits that fill up are equal in all codes, so that no distance has them.
    padded = jnp.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % 32)])
    lanes = padded.reshape(*bits.shape[:-1], 32, -1).astype(jnp.uint32)
    shifts = jnp.arange(32, dtype=jnp.uint32).reshape((1,) * (bits.ndim - 1) + (32, 1))
    return jnp.sum(lanes << shifts, axis=-2, dtype=jnp.uint32)


def log_determinant(kernel: jax.Array) -> jax.Array:
    """Score of equation 2, log |det K| of `[N, N]` int32 as `[]` float32; -inf if singular.

    Singular means up to rounding: two images with the same code leave a pivot of an LU
    factorisation that is seldom exactly 0, and a determinant that would be noise. Pivots are in
    float64 on CPUs and GPUs and in pairs of float32 on TPUs, and what counts as 0 is N times the
    rounding of either, relative to the largest entry. Both give the same score to 2e-7 of it.
    """
    score: jax.Array = double_float.unless_tpu(
        _log_determinant_in_float64, log_determinant_in_pairs
    )(kernel)
    return score


def _log_determinant_in_float64(kernel: jax.Array) -> jax.Array:
    """Log-determinant `[]` float32 by an LU factorisation in float64."""
    # Not `slogdet`: pivots tell a singular kernel, for which it gives a finite number.
    with jax.enable_x64(True):
        matrix = lax.convert_element_type(kernel, jnp.float64)
        pivots = jnp.abs(jnp.diagonal(lax.linalg.lu(matrix)[0]))
        rounding = matrix.shape[0] * float(np.finfo(np.float64).eps) * jnp.max(jnp.abs(matrix))
        score = jnp.where(jnp.min(pivots) > rounding, jnp.sum(jnp.log(pivots)), -jnp.inf)
        return lax.convert_element_type(score, jnp.float32)


def log_determinant_in_pairs(kernel: jax.Array) -> jax.Array:
    """Log-determinant as `log_determinant` has it, without float64, on any platform."""
    matrix = double_float.from_integers(kernel)
    pivots = double_float.pivots(matrix)
    rounding = kernel.shape[0] * double_float.EPS * jnp.max(jnp.abs(matrix.high))
    # The sum of the rounded logarithms is a pair, so that only they are rounded.
    score = double_float.total(double_float.from_float(double_float.logarithm(pivots))).high
    return jnp.where(jnp.min(pivots.high) > rounding, score, -jnp.inf)
