"""Flat one-hot encoding: which operation each pair of nodes, and each node, has."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.encodings.sizes import sizes
from jnas.types import Arch, Space


def adjacency(space: Space) -> Callable[[jax.Array], jax.Array]:
    """One-hot edges and nodes of the pruned cells, side by side: all edges, then all nodes.

    Each pair `i < j` has one feature for each edge operation but the first ("none", all zeros): one
    bit where operations are on nodes. Each interior node follows with one feature for each interior
    node operation (padding: all zeros), unless the space has only one. The bits of `sizes` are the
    last.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, F]` float32; `F` is 36 for nasbench101 and 24 for nasbench201.
    """
    sizes_of = sizes(space)

    def encode(arch: Arch) -> jax.Array:
        """`[F]` float32 features of one architecture."""
        graph = space.graph(arch)
        # Edges go from lower to higher nodes: half of every matrix would be constant features.
        rows, columns = np.triu_indices(graph.mask.shape[1], 1)
        ops, exists = graph.edge_ops[..., rows, columns], graph.adjacency[..., rows, columns]
        edges = jax.nn.one_hot(ops - 1, len(space.edge_operations) - 1)
        edges = jnp.where(exists[..., None], edges, 0)
        interior = len(space.node_operations) - 2
        # Of one operation all features would be constant.
        if interior == 1:
            return jnp.concatenate([edges.ravel(), sizes_of(arch[None])[0]])
        inner = slice(space.num_inputs, -1)
        nodes = jax.nn.one_hot(graph.node_ops[:, inner] - 1, interior)
        nodes = jnp.where(graph.mask[:, inner, None], nodes, 0)
        return jnp.concatenate([edges.ravel(), nodes.ravel(), sizes_of(arch[None])[0]])

    return jax.vmap(encode)
