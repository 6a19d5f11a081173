"""Sharing of weights: what a supernet computes and trains, as pure functions of its weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jnas.types import Arch, Key, Network, Params


class Sharing(NamedTuple):
    """Sharing of weights among architectures.

    A `Network` alone is the plain way: the weights of all its operations are the supernet, and an
    architecture uses those of the operations that it has.

    Attributes:
        network: `init` gives the weights of the supernet; `apply` is what architectures are scored
            by, without noise, batch norms with the statistics of the batch.
        logits: `(params, arch [D], images [N, H, W, C], key, number [] int32) -> [N, K]`, the
            forward pass of a training step in an epoch, counted from 1, with its noise (a gate's
            Gumbel noise, dropout); None: that of the network, with the dropout of the recipe.
        grow: `(key, number, params) -> params`, before each epoch (the curriculum of CLOSE); None
            leaves the weights.
        restarts: epochs before which momentum and the plateau's rate begin anew.
        moves: `(params, number) -> tree` of factors of the updates in an epoch, 0 for what does not
            move although its gradient counts (when it is clipped); None moves everything.
    """

    # Functions and tuples alone, no arrays: a sharing is hashed, since programs are kept by it.
    network: Network
    # Beside the network's own, because a gate draws in training and must not when it is scored.
    logits: Callable[[Params, Arch, jax.Array, Key, jax.Array], jax.Array] | None = None
    grow: Callable[[Key, jax.Array, Params], Params] | None = None
    restarts: tuple[int, ...] = ()
    # Of the updates and not of the gradient, which would be clipped to another norm.
    moves: Callable[[Params, jax.Array], Params] | None = None


def as_sharing(value: Network | Sharing) -> Sharing:
    """Sharing of a network's weights, or the one that is given."""
    return value if isinstance(value, Sharing) else Sharing(value)
