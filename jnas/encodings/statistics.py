"""Statistics of a cell: operations, paths, neighbours and costs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnas.encodings.graphs import node_graphs
from jnas.types import Arch, Graph, Space


def statistics(space: Space) -> Callable[[jax.Array], jax.Array]:
    """Counts of a cell's operations: in all, in pairs along edges, and along paths to the output.

    Where operations are on edges, edges are the nodes (`node_graphs`). With `O` interior operations
    there are: nodes, edges, logarithm of the number of paths, edges of the longest and of the
    shortest path, degrees of input and output, whether an edge joins them; for each operation its
    number, its number weighted by the node's share of the cell's width, its mean, most and least on
    a path, and its numbers next to the output and to the input; its `(O + 1)²` pairs along edges,
    input and output included; logarithms of the network's parameters and FLOPs. All but these two
    are equal for isomorphic cells: what is left over of a width of nasbench101 goes to the first
    vertices that share it.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, F]` float32, raw; `F` is 47 for nasbench101 and 81 for nasbench201.

    Raises:
        ValueError: as for `node_graphs`.
    """
    graph_of = node_graphs(space)

    def encode(archs: jax.Array) -> jax.Array:
        """`[B, F]` float32 statistics of a population."""
        graphs = graph_of(archs)
        num_ops = (
            len(space.edge_operations)
            if len(space.edge_operations) > 2
            else len(space.node_operations) - 2
        )
        return jax.vmap(lambda arch, graph: _statistics(space, num_ops, arch, graph))(archs, graphs)

    return encode


def widths(space: Space, arch: Arch, graph: Graph) -> jax.Array:
    """`[N]` float, each node's share of the cell's width, of a graph of `node_graphs`.

    It is 1 but in nasbench101, where branches share the width.
    """
    exists = graph.mask[0].astype(float)
    if space.node_widths is None or len(space.edge_operations) > 2:
        return exists
    shares = space.node_widths(arch, 840, 840)[0].astype(float) / 840  # of 840 they are whole
    return shares * exists


def _statistics(space: Space, num_ops: int, arch: Arch, graph: Graph) -> jax.Array:
    """`[F]` float statistics of one cell, whose `node_graphs` have `num_ops` inner operations."""
    edges, exists = graph.adjacency[0, 0].astype(float), graph.mask[0].astype(float)
    ops = jax.nn.one_hot(graph.node_ops[0], num_ops + 2) * exists[:, None]
    inner = ops[:, 1:-1]
    # Within a space costs spread over more than an order of magnitude.
    costs = jnp.log(
        1 + jnp.stack([space.params(arch).astype(float), space.flops(arch).astype(float)])
    )
    size = jnp.stack(
        [
            edges.sum(),
            graph.mask[0].sum().astype(float),
            edges[0, -1],
            edges[:, -1].sum(),
            edges[0].sum(),
        ]
    )
    per_op = [
        inner.sum(0),
        (inner * widths(space, arch, graph)[:, None]).sum(0),
        edges[:, -1] @ inner,
        edges[0] @ inner,
    ]
    # No edge leaves the output or enters the input: those rows and columns would be constant.
    pairs = ops[:, :-1].T @ edges @ ops[:, 1:]
    return jnp.concatenate([size, *per_op, _paths(edges, inner), pairs.ravel(), costs])


def _paths(edges: jax.Array, inner: jax.Array) -> jax.Array:
    """`[3 + 3 O]` float, sums over all paths of `edges` `[N, N]` with operations `inner` `[N, O]`.

    They are the logarithm of the number of paths, the most and the least edges of one, and of each
    operation the mean, the most and the least on one; all are 0 where there is no path. Paths
    themselves are never listed: one pass in the order of the nodes adds up, for each node, those
    that end in it.
    """
    # No path has so many nodes: a source that no path reaches loses every maximum and minimum.
    far = edges.shape[0] + 2.0
    # The first column counts nodes.
    ones = jnp.concatenate([jnp.ones((edges.shape[0], 1)), inner], axis=1)
    number, total = [jnp.ones(())], [jnp.zeros(ones.shape[1])]
    most, least = [jnp.zeros(ones.shape[1])], [jnp.zeros(ones.shape[1])]
    for node in range(1, edges.shape[0]):
        before = edges[:node, node]
        number.append(before @ jnp.stack(number))
        # Each of the paths that end here has passed this node once.
        total.append(before @ jnp.stack(total) + ones[node] * number[-1])
        reached = before[:, None] > 0
        most.append(
            jnp.maximum(
                jnp.max(jnp.where(reached, jnp.stack(most), -far), axis=0) + ones[node], -far
            )
        )
        least.append(
            jnp.minimum(
                jnp.min(jnp.where(reached, jnp.stack(least), far), axis=0) + ones[node], far
            )
        )
    # A cell of NAS-Bench-201 may have no path at all.
    connected = number[-1] > 0
    mean = total[-1][1:] / jnp.maximum(number[-1], 1)
    lengths = jnp.stack([jnp.log(1 + number[-1]), most[-1][0], least[-1][0]])
    return jnp.where(connected, jnp.concatenate([lengths, mean, most[-1][1:], least[-1][1:]]), 0)
