"""Scores of counts: ReLU codes, linear regions, patterns, ReLUs, parameters, operations.

Each function takes a candidate and what the passes saw, and returns a scalar.
"""

import jax
import jax.numpy as jnp

from jnas.zeroshot.hamming import log_determinant
from jnas.zeroshot.passes import Candidate, Seen


def naswot(candidate: Candidate, seen: Seen) -> jax.Array:
    """NASWOT, log |det K| over live ReLUs (Mellor et al., ICML 2021, equation 2).

    Live are those with a path to the logits. -inf for a singular kernel.
    """
    del candidate
    # For type checkers, here and below: `suite.SCORES` says what the passes have to fill in.
    assert seen.live is not None
    return log_determinant(seen.live.matrix())


def relu_logdet(candidate: Candidate, seen: Seen) -> jax.Array:
    """Log-determinant of the Hamming kernel over all ReLUs; -inf if it is singular."""
    del candidate
    # Dead branches count here: the variants that hook every module see them, too.
    assert seen.all is not None
    return log_determinant(seen.all.matrix())


def linear_regions(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of distinct codes among the images.

    Chen, Gong and Wang (TE-NAS), ICLR 2021, equation 5: so many linear regions have images in them.
    Codes are those of live ReLUs; the published program counts all.
    """
    del candidate
    assert seen.live is not None
    # Images in one region have one code: each counts unless one before it has the same.
    same = seen.live.distance == 0
    is_first = jnp.argmax(same, axis=1) == jnp.arange(same.shape[0])
    return jnp.sum(is_first, dtype=jnp.float32)


def swap(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of distinct patterns that live ReLU units have over the first 16 images.

    Live are those with a path to the logits. Peng, Song, Fayek, Ciesielski and Chang, "SWAP-NAS:
    Sample-Wise Activation Patterns for Ultra-fast NAS", ICLR 2024,
    https://arxiv.org/abs/2403.04161, definition 3.2; its regularisation by the number of parameters
    is left out.
    """
    del candidate
    assert seen.patterns is not None
    return jnp.sum(seen.patterns, dtype=jnp.float32)


def swap_published(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of distinct patterns of all ReLU units, live or not, as in the published program."""
    del candidate
    assert seen.all_patterns is not None
    return jnp.sum(seen.all_patterns, dtype=jnp.float32)


def relu_count(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of ReLU modules."""
    del candidate
    assert seen.num_relus is not None
    return seen.num_relus


def params(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of trainable parameters of the space's reference network (`Space.params`)."""
    del seen
    return candidate.network.space.params(candidate.arch)


def flops(candidate: Candidate, seen: Seen) -> jax.Array:
    """Number of multiply-accumulates of the space's reference network (`Space.flops`)."""
    del seen
    return candidate.network.space.flops(candidate.arch)
