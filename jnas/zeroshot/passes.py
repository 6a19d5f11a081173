"""Passes through a network that scores share: forward, backward, Hessian, Jacobian.

One forward and one backward pass serve all scores of the codes, the loss gradient and its Hessian.
With a factor (1 + t) on the output of every layer, the gradient with respect to the weights is G(t)
= (1 + t) ∇L((1 + t) w), so that one forward-mode derivative of it, G'(0) = ∇L + H w, gives the
Hessian-vector product along the weights.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnas.networks import weights
from jnas.types import Arch, Hooks, Key, Network, Params, Relu
from jnas.zeroshot import hamming

NUM_PATTERN_IMAGES = 16  # the table of patterns has 2^16 entries; an image more doubles it


class Candidate(NamedTuple):
    """Untrained network and the batch that it is scored with.

    Attributes:
        network: the candidate networks.
        params: weights of this one (`Network.instantiate`).
        arch: `[D]` int32.
        images: `[N, H, W, C]` float.
        labels: `[N]` int32, zeros where no score needs them.
        key: for scores that draw something themselves.
    """

    network: Network
    params: Params
    arch: Arch
    images: jax.Array
    labels: jax.Array
    key: Key


class Seen(NamedTuple):
    """Results of the passes; None where no score wants them.

    Attributes:
        live: Hamming sums over ReLUs with a path to the logits.
        all: Hamming sums over all ReLUs.
        num_relus: `[]` int32.
        patterns: `[2^n]` bool, which patterns over the first n images some live ReLU unit has.
        all_patterns: `[2^n]` bool, those that any ReLU unit has.
        gradients: ∂L/∂w of each array of weights, L the mean cross-entropy.
        probes: `[..., N, C']` for each array of weights, Σ over pixels of a layer's output times
            its gradient.
        hessian: H w of each array of weights.
        jacobian: `[N, H·W·C]`, gradient of the sum of all logits with respect to each image.
    """

    live: hamming.Kernel | None = None
    all: hamming.Kernel | None = None
    num_relus: jax.Array | None = None
    patterns: jax.Array | None = None
    all_patterns: jax.Array | None = None
    gradients: list[jax.Array] | None = None
    probes: list[jax.Array] | None = None
    hessian: list[jax.Array] | None = None
    jacobian: jax.Array | None = None


# What hooks fold up in a forward pass; and what takes a backward pass, which folds as well.
FOLDED = frozenset({"live", "all", "num_relus", "patterns", "all_patterns"})
BACKWARD = frozenset({"gradients", "probes", "hessian"})


def observe(candidate: Candidate, wanted: frozenset[str]) -> Seen:
    """Results of the passes that the wanted fields of `Seen` need, each run once."""
    seen: dict[str, Any] = {}
    if wanted & BACKWARD:
        seen = _backward(candidate, wanted)
    elif wanted & FOLDED:
        seen = _forward(candidate, candidate.params, wanted)[1]
    if "jacobian" in wanted:
        seen["jacobian"] = _jacobian(candidate)
    return Seen(**{name: value for name, value in seen.items() if name in wanted})


def _forward(
    candidate: Candidate, params: Params, wanted: frozenset[str]
) -> tuple[jax.Array, dict[str, Any]]:
    """Logits `[N, num_classes]`, and the folded fields that are wanted."""
    num = len(candidate.images)
    start: dict[str, Any] = {
        "live": hamming.empty_kernel(num),
        "all": hamming.empty_kernel(num),
        "num_relus": jnp.zeros((), jnp.int32),
        "patterns": jnp.zeros(2 ** min(num, NUM_PATTERN_IMAGES), bool),
        "all_patterns": jnp.zeros(2 ** min(num, NUM_PATTERN_IMAGES), bool),
    }
    state = {name: value for name, value in start.items() if name in wanted}
    # Without a state no hook: networks then do not carry anything through their loops.
    hooks = Hooks(on_relu=_on_relu if state else None)
    seen = candidate.network.forward(params, candidate.arch, candidate.images, hooks, state)
    return seen.logits, seen.state


def _on_relu(state: dict[str, Any], relu: Relu) -> dict[str, Any]:
    """Folded fields after one tensor; only those in the state are computed."""
    add: dict[str, Callable[[Any], Any]] = {
        "live": lambda kernel: hamming.add_relu(kernel, relu, relu.num_live),
        "all": lambda kernel: hamming.add_relu(kernel, relu, relu.num_modules),
        "num_relus": lambda count: count + relu.num_modules,
        "patterns": lambda patterns: _add_patterns(patterns, relu, relu.num_live),
        "all_patterns": lambda patterns: _add_patterns(patterns, relu, relu.num_modules),
    }
    return {name: add[name](value) for name, value in state.items()}


def _add_patterns(patterns: jax.Array, relu: Relu, count: jax.Array) -> jax.Array:
    """Table `[2^n]` bool with the patterns over images of units that `count` modules read."""
    num = patterns.shape[0].bit_length() - 1
    bits = (jax.lax.stop_gradient(relu.inputs[:num]) > 0).astype(jnp.int32)
    powers = 2 ** jnp.arange(num, dtype=jnp.int32)
    codes = jnp.tensordot(powers, bits, 1)
    exists = relu.channels.reshape((1,) * (codes.ndim - 1) + (-1,)) & (count > 0)
    # Units that do not count get an index beyond the table, and `mode="drop"` leaves them out.
    return patterns.at[jnp.where(exists, codes, patterns.shape[0])].set(True, mode="drop")


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Loss `[]`, the mean over images of -log softmax of the label."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


def _backward(candidate: Candidate, wanted: frozenset[str]) -> dict[str, Any]:
    """Fields of `BACKWARD`, and the folded ones that are wanted, from one pass."""
    num, params = len(candidate.images), candidate.params
    kernels = weights.kernels(params)
    probes = weights.probes(params, num) if "probes" in wanted else []

    def loss(
        kernels: list[jax.Array], probes: list[jax.Array], shift: jax.Array
    ) -> tuple[jax.Array, dict[str, Any]]:
        changed = weights.with_kernels(params, kernels)
        if "hessian" in wanted:
            changed = weights.with_extras(changed, "gain", weights.gains(params, 1 + shift))
        if probes:
            changed = weights.with_extras(changed, "probe", probes)
        logits, folded = _forward(candidate, changed, wanted)
        return cross_entropy(logits, candidate.labels), folded

    def gradient(
        shift: jax.Array,
    ) -> tuple[list[jax.Array], tuple[list[jax.Array], dict[str, Any]]]:
        (grads, of_probes), folded = jax.grad(loss, (0, 1), has_aux=True)(kernels, probes, shift)
        return grads, (of_probes, folded)

    zero = jnp.zeros(())
    if "hessian" not in wanted:
        grads, (of_probes, folded) = gradient(zero)
        return {"gradients": grads, "probes": of_probes, **folded}
    # Auxiliary values: of probes and of what hooks saw no derivative is wanted.
    grads, slopes, (of_probes, folded) = jax.jvp(gradient, (zero,), (jnp.ones(()),), has_aux=True)
    # G'(0) = ∇L + H w.
    hessian = [slope - grad for slope, grad in zip(slopes, grads, strict=True)]
    return {"gradients": grads, "probes": of_probes, "hessian": hessian, **folded}


def _jacobian(candidate: Candidate) -> jax.Array:
    """Gradients `[N, H·W·C]` of the sum of all logits by the images."""

    # A pass of its own: sharing the forward pass would compute the weights' gradients twice.
    # Of the sum over the batch, as published: batch norm lets a logit depend on all images.
    def total(images: jax.Array) -> jax.Array:
        return jnp.sum(candidate.network.apply(candidate.params, candidate.arch, images))

    gradient: jax.Array = jax.grad(total)(candidate.images)
    return gradient.reshape(len(candidate.images), -1)
