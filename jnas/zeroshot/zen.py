"""Zen-scores: how far noise on the images moves the features, as a logarithm.

Lin et al., "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition", ICCV 2021,
https://arxiv.org/abs/2102.01063, algorithm 1: weights N(0, 1), images x and x + α z of N(0, 1)
noise, α = 0.01, f the features before the mean over pixels; log mean ‖f(x) - f(x + αz)‖₁ plus, over
batch norms, log of the root of the mean variance. The published program uses running variances;
here they are those of the batch of x, plus 1e-5.
"""

import jax
import jax.numpy as jnp

from jnas.networks import layers, weights
from jnas.types import Hooks, Key, Params
from jnas.zeroshot.passes import Candidate, Seen

_ALPHA = 0.01  # of algorithm 1
NUM_IMAGES = 16


def zen(candidate: Candidate, seen: Seen) -> jax.Array:
    """Zen-score of one draw; images matter by their shape alone, the first 16 of them."""
    del seen
    weight_key, image_key, shift_key = jax.random.split(candidate.key, 3)
    params = _gaussian(candidate, weight_key)
    shape = candidate.images[:NUM_IMAGES].shape
    images = jax.random.normal(image_key, shape)
    shifted = images + _ALPHA * jax.random.normal(shift_key, shape)
    # Both with batch norm, each by its own statistics; the variances counted are those of x.
    first = candidate.network.forward(params, candidate.arch, images, Hooks(norm=_norm), ())
    second = candidate.network.forward(params, candidate.arch, shifted, Hooks(), ())
    distances = jnp.sum(jnp.abs(first.features - second.features), axis=(1, 2, 3))
    return jnp.log(jnp.mean(distances)) + first.norm_sum


def _norm(x: jax.Array, norm: Params, channels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Batch norm and half the log of its mean variance, what it has divided out (`Hooks.norm`)."""
    # Channels that do not exist have no variance, and would bring the mean down.
    variance = jnp.mean(jnp.var(x, axis=(0, 1, 2)), where=channels)
    return layers.batch_norm(x, norm), jnp.log(variance + 1e-5) / 2


def _gaussian(candidate: Candidate, key: Key) -> Params:
    """Weights of the candidate with kernels of N(0, 1), 0 where the architecture has none."""
    kernels = weights.kernels(candidate.params)
    masks = candidate.network.present(candidate.arch)
    sizes = [kernel.size for kernel in kernels]
    # One draw for all, which compiles faster than one for each.
    flat = jnp.split(
        jax.random.normal(key, (sum(sizes),)), [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    )
    drawn = [
        part.reshape(w.shape) * mask for part, w, mask in zip(flat, kernels, masks, strict=True)
    ]
    return weights.with_kernels(candidate.params, drawn)
