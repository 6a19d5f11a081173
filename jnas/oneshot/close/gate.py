"""Gate of CLOSE: for each edge of a cell, which of the banks of weights it takes.

The embedding of a whole architecture by GATES, that of both ends of an edge, and a network of fully
connected layers give a logit for each bank. Training draws a bank, `softmax` of the logits with
Gumbel noise; its one-hot vector has the gradient of the softmax in place of none.

Zhou et al., "CLOSE", ECCV 2022, https://arxiv.org/abs/2207.07868; GATES: Ning et al., ECCV 2020,
https://arxiv.org/abs/2004.01899.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jnas.predictors.gates import GatesOnEdges
from jnas.predictors.layers import Dense
from jnas.types import Arch, Graph, Key, Params, Space

LAST = "last"
"""Name of the layer that has a column of weights for each bank."""

HEAD = ("layer_0", "layer_1", "layer_2", LAST)
"""Names of the layers that read the two ends of an edge."""

TEMPERATURE = 5.0
"""Of the softmax; what is drawn does not depend on it, the gradient does."""


class Gate(nn.Module):
    """Gate of an architecture: its graph, `Graph [1]`, to logits `[E, N]` of `N` banks.

    Attributes:
        num_ops: edge operations.
        ends: lower and higher node of each of the `E` edges, those of all kinds of cells counted.
        num_banks: `N`.
        hidden: width of the layers that read two ends.
        dropout: chance of one of their values to be dropped in training.
        embedding: settings of `GatesOnEdges` that differ from its own.
    """

    num_ops: int
    ends: tuple[tuple[int, int], ...]
    num_banks: int
    hidden: int = 200
    dropout: float = 0.1
    embedding: tuple[tuple[str, Any], ...] = ()

    @nn.compact
    def __call__(self, graph: Graph, *, train: bool = False) -> jax.Array:
        """Logits `[E, N]`."""
        settings = dict(self.embedding)
        embed = GatesOnEdges(self.num_ops, readout="nodes", name="embedding", **settings)
        nodes = embed(graph, jnp.ones(1, bool)).reshape(-1, embed.layers[-1])
        # Numbers of NumPy: known while tracing, so that the nodes are slices of a fixed place.
        sources, targets = np.array(self.ends).T
        x = jnp.concatenate([nodes[sources], nodes[targets]], axis=1)
        for name in HEAD[:-1]:
            x = nn.relu(Dense(self.hidden, name=name)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        # For all banks that there will ever be: layers that grew would change the shapes of a
        # program's state and of the optimiser's. Closed ones are told by their zeros.
        return Dense(self.num_banks, name=LAST)(x)


def logits(gate: Gate, space: Space, params: Params, arch: Arch, key: Key | None) -> jax.Array:
    """Logits `[E, N]` of an architecture; a key drops values as in training."""
    graph = jax.tree.map(lambda leaf: leaf[None], space.graph(arch))
    # Without a key nothing is random, so that a score is a function of architecture and weights.
    rngs = {} if key is None else {"dropout": key}
    found = gate.apply({"params": params}, graph, train=key is not None, rngs=rngs)
    return jnp.asarray(found)


def num_open(params: Params) -> jax.Array:
    """Number `[]` int32 of the banks that a gate chooses from, by its weights.

    The columns of banks that are closed are zeros, which neither a gradient nor weight decay moves.
    """
    # Of the kernel alone: a bias that learns may pass through 0, a whole column of drawn weights
    # not.
    return jnp.sum(jnp.any(params[LAST]["kernel"] != 0, axis=0), dtype=jnp.int32)


def choose(found: jax.Array, num: jax.Array, key: Key | None) -> jax.Array:
    """One-hot choices `[E, N]` float32 among the first `num` `[]` of the banks.

    Args:
        found: logits `[E, N]`.
        num: of the banks that are open.
        key: of the Gumbel noise, with which a bank is drawn; None takes the largest logit. With it
            the gradient of logit `k` is `p_k (a_k - Σ p a) / τ`, where `a` `[N]` is the gradient of
            an edge's choice, `p` the softmax and `τ` its temperature.
    """
    is_open = jnp.arange(found.shape[1])[None] < num
    if key is not None:
        found = (found + jax.random.gumbel(key, found.shape)) / TEMPERATURE
    # After the noise, which closed banks have too: a bank that opens does not change that of
    # others.
    found = jnp.where(is_open, found, -jnp.inf)
    # The largest with Gumbel noise is a draw from the softmax; the division changes none of it.
    hard = jax.nn.one_hot(jnp.argmax(found, axis=1), found.shape[1], dtype=jnp.float32)
    if key is None:
        return hard
    soft = jax.nn.softmax(found, axis=1)
    # The difference first: it is exactly 0, so that the sum is exactly one-hot.
    return hard + (soft - jax.lax.stop_gradient(soft))
