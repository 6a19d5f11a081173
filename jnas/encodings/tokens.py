"""A sequence of small integers for recurrent predictors, in the order of the GATES paper.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
https://arxiv.org/abs/2004.01899: first the connections, then the operations.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.types import Arch, Space


def tokens(space: Space) -> Callable[[jax.Array], jax.Array]:
    """Connection tokens of all pairs `i < j` row by row, then one operation token for each interior node.

    A connection token is the index of the edge operation. An operation token is the index of the interior node
    operation, and the number of them for padding ("none"); there are none where nodes have one operation only.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, L]` int32 of the pruned cell; `L` is 26 for nasbench101 and 6 for nasbench201.
        `vocabulary(space)` gives the number of values at each place.
    """

    def encode(arch: Arch) -> jax.Array:
        graph = space.graph(arch)
        rows, columns = np.triu_indices(graph.mask.shape[0], 1)
        connections = jnp.where(graph.adjacency[rows, columns], graph.edge_ops[rows, columns], 0)
        interior = len(space.node_operations) - 2
        if interior == 1:
            return connections
        operations = jnp.where(graph.mask[1:-1], graph.node_ops[1:-1] - 1, interior)
        return jnp.concatenate([connections, operations])

    return jax.vmap(encode)


def vocabulary(space: Space) -> tuple[int, ...]:
    """`L` ints, how many values each token of `tokens(space)` has; host only."""
    arch = jax.ShapeDtypeStruct((len(space.cardinalities),), jnp.int32)
    num_nodes: int = jax.eval_shape(space.graph, arch).mask.shape[0]
    connections = (len(space.edge_operations),) * (num_nodes * (num_nodes - 1) // 2)
    interior = len(space.node_operations) - 2
    return connections if interior == 1 else connections + (interior + 1,) * (num_nodes - 2)
