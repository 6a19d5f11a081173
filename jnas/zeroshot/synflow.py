"""SynFlow scores, in the log domain.

Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow",
NeurIPS 2020, https://arxiv.org/abs/2006.05467, as a score of networks in Abdelfattah et al., ICLR
2021: all weights and biases in absolute value, no batch norm, one image of ones, R the sum of the
logits, score log Σ |w ⊙ ∂R/∂w|. Their program keeps the batch norms of the two residual blocks of
NAS-Bench-201; here none is kept.

Values reach 1e60. Activations are divided by their maximum before each block, the biases within by
the same factor, and the logarithms of the factors added up. All terms are positive, and Σ w ⊙ ∂R/∂w
is the derivative of R to a factor (1 + t) on the output of every layer, so that no gradient of a
weight is computed.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jnas.networks import weights
from jnas.types import Hooks, Params
from jnas.zeroshot.passes import Candidate, Seen


def synflow(candidate: Candidate, seen: Seen) -> jax.Array:
    """SynFlow, log Σ |w ⊙ ∂R/∂w| without batch norm; -inf if nothing flows."""
    del seen
    params = jax.tree.map(jnp.abs, candidate.params)
    hooks = Hooks(norm=lambda x, _norm, _channels: (x, jnp.zeros(())), on_block=_rescale)

    def flow(shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        changed = weights.with_extras(params, "gain", weights.gains(params, 1 + shift))
        seen = candidate.network.forward(
            changed, candidate.arch, _ones(candidate), hooks, jnp.zeros(())
        )
        return jnp.sum(seen.logits), seen.state

    slope, log_scale = jax.grad(flow, has_aux=True)(jnp.zeros(()))
    result: jax.Array = jnp.log(slope) + log_scale
    return result


def _ones(candidate: Candidate) -> jax.Array:
    """Image of ones `[1, H, W, C]`."""
    return jnp.ones((1, *candidate.images.shape[1:]))


def _rescale(
    log_scale: jax.Array, x: jax.Array, block: Params
) -> tuple[jax.Array, jax.Array, Params]:
    """State, input and weights of a block without the input's maximum (`Hooks.on_block`)."""
    # A constant to the gradient: it is put back as a number, so its derivative must not be taken.
    largest = lax.stop_gradient(jnp.max(x))
    factor = jnp.where(largest > 0, largest, 1)
    log_scale += jnp.log(factor)

    def with_scaled_bias(layer: dict[str, Any], name: str) -> dict[str, Any]:
        del name
        # By all factors so far, as the block's input has been divided by all of them.
        return {**layer, "bias": layer["bias"] * jnp.exp(-log_scale)} if "bias" in layer else layer

    return log_scale, x / factor, weights.map_layers(with_scaled_bias, block)


def synflow_bn(candidate: Candidate, seen: Seen) -> jax.Array:
    """SynFlow, log Σ |w ⊙ ∂R/∂w| with batch norm over the one image; -inf if nothing flows.

    The image is constant but for the padding at its border. Where max-pools smooth that out, as in
    many NAS-Bench-101 cells, batch norm makes it 0.
    """
    del seen
    params = jax.tree.map(jnp.abs, candidate.params)
    kernels = weights.kernels(params)

    # Norms bound the values, so nothing is rescaled. They also make terms of both signs, of which
    # each counts by its size: the gradient of a gain would be their sum.
    def flow(kernels: list[jax.Array]) -> jax.Array:
        changed = weights.with_kernels(params, kernels)
        return jnp.sum(candidate.network.apply(changed, candidate.arch, _ones(candidate)))

    terms = [jnp.sum(jnp.abs(w * g)) for w, g in zip(kernels, jax.grad(flow)(kernels), strict=True)]
    return jnp.log(jnp.sum(jnp.stack(terms)))
