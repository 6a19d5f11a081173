"""Zen-scores: how far noise on the images moves the features, as a logarithm.

Lin et al., "Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition", ICCV 2021,
https://arxiv.org/abs/2102.01063, algorithm 1: weights N(0, 1), images x and x + α z of N(0, 1)
noise, α = 0.01, f the features before the mean over pixels; log mean ‖f(x) - f(x + αz)‖₁ plus, over
batch norms, log of the root of the mean variance.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnas.networks import layers, weights
from jnas.types import Hooks, Key, Params
from jnas.zeroshot.passes import Candidate, Seen

_ALPHA = 0.01  # of algorithm 1
_MOMENTUM = 0.1  # of the running variances of PyTorch's batch norm
NUM_IMAGES = 16


def zen(candidate: Candidate, seen: Seen) -> jax.Array:
    """Zen-score of one draw; images matter by their shape alone, the first 16 of them.

    Variances are those of the batch of x, plus 1e-5. The norms of operations that read nothing of
    the image, or that nothing reads, do not count: cells that are one function score the same.
    """
    del seen
    return _score(candidate, Hooks(norm=_norm_by(_of_batch)))


def zen_published(candidate: Candidate, seen: Seen) -> jax.Array:
    """Zen-score as the published program has it: running variances, of all batch norms.

    They are those of a new network, 1 before the passes of x and of x + αz; the program goes on
    with them from one repeat to the next.
    """
    del seen
    return _score(candidate, Hooks(norm=_norm_by(_running), dead_norms=True))


def _score(candidate: Candidate, hooks: Hooks) -> jax.Array:
    """Score `[]` with the norms of `hooks`."""
    weight_key, image_key, shift_key = jax.random.split(candidate.key, 3)
    params = _gaussian(candidate, weight_key)
    shape = candidate.images[:NUM_IMAGES].shape
    images = jax.random.normal(image_key, shape)
    shifted = images + _ALPHA * jax.random.normal(shift_key, shape)
    # One pass of both: nothing but the norms ties images together, and these keep the two apart.
    both = jnp.concatenate([images, shifted])
    found = candidate.network.forward(params, candidate.arch, both, hooks, ())
    first, second = jnp.split(found.features, 2)
    distances = jnp.sum(jnp.abs(first - second), axis=(1, 2, 3))
    return jnp.log(jnp.mean(distances)) + found.norm_sum


def _norm_by(
    variances: Callable[[jax.Array], jax.Array],
) -> Callable[[jax.Array, Params, jax.Array], tuple[jax.Array, jax.Array]]:
    """Hook of batch norms of x and x + αz, each by its own statistics (`Hooks.norm`).

    Its value is half the log of the mean over channels of `variances(batches [2, N, H, W, C])`.
    """

    def norm(
        x: jax.Array, norm_weights: Params, channels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        batches = x.reshape(2, -1, *x.shape[1:])
        y = jax.vmap(lambda batch: layers.batch_norm(batch, norm_weights))(batches)
        # Channels that do not exist have no variance, and would bring the mean down.
        return y.reshape(x.shape), jnp.log(jnp.mean(variances(batches), where=channels)) / 2

    return norm


def _of_batch(batches: jax.Array) -> jax.Array:
    """Variances `[C]` of x, plus the epsilon of the norm."""
    return jnp.var(batches[0], axis=(0, 1, 2)) + 1e-5


def _running(batches: jax.Array) -> jax.Array:
    """Variances `[C]` that PyTorch keeps after a pass of each batch, from 1 on."""
    # Unbiased, unlike those that the norm divides by.
    num = batches[0, ..., 0].size
    running = jnp.ones(batches.shape[-1])
    for variance in jnp.var(batches, axis=(1, 2, 3)) * (num / max(num - 1, 1)):
        running = (1 - _MOMENTUM) * running + _MOMENTUM * variance
    return running


def _gaussian(candidate: Candidate, key: Key) -> Params:
    """Weights of the candidate: kernels of N(0, 1), 0 where it has none, and no biases."""
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
    return weights.map_layers(_without_bias, weights.with_kernels(candidate.params, drawn))


def _without_bias(layer: dict[str, Any], name: str) -> dict[str, Any]:
    """Layer with a bias of 0 where it has one, as published."""
    # Norms take biases away up to rounding, which those of constants then blow up by 1 / √1e-5.
    del name
    return {**layer, "bias": jnp.zeros_like(layer["bias"])} if "bias" in layer else layer
