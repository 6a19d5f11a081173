"""Reach of a training: which architectures have weights of their own that a step can train."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnas.types import Arch, Graph, Space


@functools.lru_cache(64)
def is_trainable(space: Space) -> Callable[[Arch], jax.Array]:
    """Function `[D] -> []` bool: whether a convolution lies on a path from input to output.

    Where operations are on nodes it is always true: their cells have projections beside them. Of
    NAS-Bench-201 13,642 of 15,625 cells can be trained, and 6,321 of the 6,466 classes.
    """
    # By name: convolutions are all that has weights, and what else there may be, pools and skips,
    # is called otherwise in every space.
    convolutions = [n for n, name in enumerate(space.edge_operations) if "conv" in name]
    if not convolutions:
        return _always

    def has_convolution(arch: Arch) -> jax.Array:
        graph = space.graph(arch)
        is_conv = jnp.isin(graph.edge_ops, jnp.array(convolutions))
        return jnp.any(is_conv & used_edges(graph, space.num_inputs))

    return has_convolution


def _always(arch: Arch) -> jax.Array:
    """True, whatever the architecture."""
    del arch
    return jnp.ones((), bool)


def used_edges(graph: Graph, num_inputs: int) -> jax.Array:
    """Edges `[C, K, N, N]` bool on a path from an input to the output of their cell."""
    num = graph.mask.shape[-1]
    # Masks and a fixed number of rounds, so that a sampler can ask within a compiled step.
    joined = jnp.any(graph.adjacency, axis=1)
    inputs = jnp.broadcast_to(jnp.arange(num) < num_inputs, graph.mask.shape)
    output = jnp.broadcast_to(jnp.arange(num) == num - 1, graph.mask.shape)
    reached, reaches = inputs, output
    # Edges lead to higher nodes, so that N - 1 rounds are the longest path.
    for _ in range(num - 1):
        reached = reached | jnp.any(reached[:, :, None] & joined, axis=1)
        reaches = reaches | jnp.any(reaches[:, None, :] & joined, axis=2)
    return graph.adjacency & (reached[:, :, None] & reaches[:, None, :])[:, None]
