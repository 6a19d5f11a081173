"""Token sequence of an architecture for recurrent predictors, in the order of the GATES paper.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS",
ECCV 2020, https://arxiv.org/abs/2004.01899: first the connections, then the operations.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.types import Arch, Space


def tokens(space: Space) -> Callable[[jax.Array], jax.Array]:
    """Tokens of pairs `i < j` row by row (their connection), then of inner nodes (operations).

    A connection token is the index of the edge operation. An operation token is the index of the
    interior node operation, and the number of them for padding ("none"); there are none where nodes
    have one operation only. Of several cells, and of parallel edges, all connections come first.
    Choices about the whole network (`Space.sizes`) are the last.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, L]` int32 of the pruned cell; `L` is 26 for nasbench101 and 6 for
        nasbench201. `vocabulary(space)` gives the number of values at each place.
    """

    def encode(arch: Arch) -> jax.Array:
        """`[L]` int32 tokens of one architecture."""
        graph = space.graph(arch)
        rows, columns = np.triu_indices(graph.mask.shape[1], 1)
        ops, exists = graph.edge_ops[..., rows, columns], graph.adjacency[..., rows, columns]
        connections = jnp.where(exists, ops, 0).ravel()
        interior = len(space.node_operations) - 2
        sizes = arch[np.array(space.sizes, int)].astype(connections.dtype)
        # Of one operation all tokens would be constant.
        if interior == 1:
            return jnp.concatenate([connections, sizes])
        inner = slice(space.num_inputs, -1)
        operations = jnp.where(graph.mask[:, inner], graph.node_ops[:, inner] - 1, interior)
        return jnp.concatenate([connections, operations.ravel(), sizes])

    return jax.vmap(encode)


def vocabulary(space: Space) -> tuple[int, ...]:
    """`L` ints, numbers of values of each token of `tokens(space)`; host only."""
    # A predictor sizes its embeddings by them before it has seen an architecture.
    arch = jax.ShapeDtypeStruct((len(space.cardinalities),), jnp.int32)
    shape: tuple[int, ...] = jax.eval_shape(space.graph, arch).edge_ops.shape
    num_cells, num_parallel, num_nodes, _ = shape
    num_edges = num_cells * num_parallel * (num_nodes * (num_nodes - 1) // 2)
    # One value more for an inner node, whose token says that it is padding.
    connections = (len(space.edge_operations),) * num_edges
    interior = len(space.node_operations) - 2
    num_inner = num_cells * (num_nodes - space.num_inputs - 1)
    operations = () if interior == 1 else (interior + 1,) * num_inner
    return connections + operations + tuple(space.cardinalities[place] for place in space.sizes)
