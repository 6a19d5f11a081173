"""Scores of the loss gradient: grad_norm, snip, plain, grasp, fisher, zico.

As in Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021,
https://arxiv.org/abs/2101.08134: the mean cross-entropy of one batch, batch norm with the
statistics of the batch, sums over the weights of convolutions and the dense layer alone. Each
function takes what the passes saw and returns a scalar.
"""

import jax
import jax.numpy as jnp

from jnas.networks import weights
from jnas.zeroshot.passes import Candidate, Seen, cross_entropy

NUM_ZICO_BATCHES = 2  # the fewest that have a deviation


def _kernels(candidate: Candidate) -> list[jax.Array]:
    """Weights of a candidate, in the order of its gradients."""
    return weights.kernels(candidate.params)


def _total(terms: list[jax.Array]) -> jax.Array:
    """Sum `[]` of all entries of all arrays."""
    # No masks in most scores: where an architecture has no weight, its gradient is 0.
    return jnp.sum(jnp.stack([jnp.sum(term) for term in terms]))


def grad_norm(candidate: Candidate, seen: Seen) -> jax.Array:
    """Norm of the loss gradient, Σ over layers of ‖∂L/∂w‖₂."""
    del candidate
    assert seen.gradients is not None
    return _total([_norms(grad) for grad in seen.gradients])


def _norms(kernel: jax.Array) -> jax.Array:
    """Euclidean norm of each layer that is stacked in an array of weights."""
    return jnp.sqrt(jnp.sum(jnp.square(kernel), axis=weights.layer_axes(kernel)))


def snip(candidate: Candidate, seen: Seen) -> jax.Array:
    """SNIP, Σ |w ⊙ ∂L/∂w| (Lee et al., ICLR 2019): the gradient of a mask of ones."""
    assert seen.gradients is not None
    return _total(
        [jnp.abs(w * g) for w, g in zip(_kernels(candidate), seen.gradients, strict=True)]
    )


def plain(candidate: Candidate, seen: Seen) -> jax.Array:
    """Signed sum Σ w ⊙ ∂L/∂w."""
    assert seen.gradients is not None
    return _total([w * g for w, g in zip(_kernels(candidate), seen.gradients, strict=True)])


def grasp(candidate: Candidate, seen: Seen) -> jax.Array:
    """GraSP, Σ -w ⊙ H g (Wang et al., ICLR 2020), computed as -gᵀ (H w): H is symmetric."""
    del candidate
    # H w does not wait for g, as H g would: one forward-mode derivative has both (`passes`).
    assert seen.gradients is not None
    assert seen.hessian is not None
    return -_total([g * hw for g, hw in zip(seen.gradients, seen.hessian, strict=True)])


def fisher(candidate: Candidate, seen: Seen) -> jax.Array:
    """Fisher information, Σ over channels of all layers of ½ mean over images of (Σ a·∂L/∂a)².

    Turner et al., ICLR 2020; the inner sum is over pixels. A channel counts times the number of its
    weights, C·k², as in the program of Abdelfattah et al., which broadcasts its value over them.
    """
    assert seen.probes is not None
    total = []
    masks = candidate.network.present(candidate.arch)
    for kernel, mask, probe in zip(_kernels(candidate), masks, seen.probes, strict=True):
        axes = weights.layer_axes(kernel)[:-1]
        # Of the architecture's own width: channels that are only padding are no weights.
        num_weights = jnp.sum(jnp.broadcast_to(mask, kernel.shape), axis=axes)
        total.append(num_weights * jnp.mean(jnp.square(probe), axis=-2) / 2)
    return _total(total)


def l2_norm(candidate: Candidate, seen: Seen) -> jax.Array:
    """Norm of the weights at initialisation, Σ over layers of ‖w‖₂."""
    del seen
    # Masked, as `params` may hold the weights of operations that were not chosen.
    masks = candidate.network.present(candidate.arch)
    return _total(
        [_norms(kernel * mask) for kernel, mask in zip(_kernels(candidate), masks, strict=True)]
    )


def zico(candidate: Candidate, seen: Seen) -> jax.Array:
    """ZiCo, Σ over layers of log Σ over weights of mean |g| / deviation of g.

    Mean and deviation are over two halves of the batch; of an odd number the last image is left
    out. Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients", ICLR
    2023, https://arxiv.org/abs/2301.11300, equation 12. Weights with no deviation add nothing, nor
    do layers that have only such. Of a cell that does not connect its ends both gradients are
    rounding noise, and so is their ratio.
    """
    del seen
    kernels, size = _kernels(candidate), len(candidate.images) // NUM_ZICO_BATCHES

    def of_batch(batch: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
        def loss(kernels: list[jax.Array]) -> jax.Array:
            params = weights.with_kernels(candidate.params, kernels)
            return cross_entropy(
                candidate.network.apply(params, candidate.arch, batch[0]), batch[1]
            )

        grads: list[jax.Array] = jax.grad(loss)(kernels)
        return grads

    batches = jax.tree.map(
        lambda x: x[: size * NUM_ZICO_BATCHES].reshape(NUM_ZICO_BATCHES, size, *x.shape[1:]),
        (candidate.images, candidate.labels),
    )
    # Each half is a forward pass of its own: batch norm must see that half alone.
    total = []
    for grads, kernel in zip(jax.lax.map(of_batch, batches), kernels, strict=True):
        deviation, size_of = jnp.std(grads, axis=0), jnp.mean(jnp.abs(grads), axis=0)
        # Both gradients of a weight that the architecture lacks are 0, and so must be its term.
        ratio = jnp.where(deviation > 0, size_of / jnp.where(deviation > 0, deviation, 1), 0)
        of_layer = jnp.sum(ratio, axis=weights.layer_axes(kernel))
        total.append(jnp.where(of_layer > 0, jnp.log(jnp.where(of_layer > 0, of_layer, 1)), 0))
    return _total(total)
