"""Statistics of a cell: operations, paths, neighbours and costs."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jnas.encodings.graphs import node_graphs, node_operations, operations_on_edges
from jnas.types import Arch, Graph, Space


def statistics(space: Space) -> Callable[[jax.Array], jax.Array]:
    """Counts of a cell's operations: in all, in pairs along edges, and along paths to the output.

    Where operations are on edges, edges are the nodes (`node_graphs`). With `O` interior operations
    there are: nodes, edges, logarithm of the number of paths, edges of the longest and of the
    shortest path, degrees of inputs and output, edges that join them; for each operation its
    number, its number weighted by the node's share of the cell's width, its mean, most and least on
    a path, and its numbers next to the output and to inputs; its pairs along edges, inputs and
    output included. These are listed for each kind of cell, and then the logarithms of the
    network's parameters and FLOPs. All but these two are equal for isomorphic cells: what is left
    over of a width of nasbench101 goes to the first vertices that share it.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, F]` float32, raw; `F` is 47 for nasbench101, 81 for nasbench201 and 310
        for nasbench301.
    """
    graph_of = node_graphs(space)

    def encode(archs: jax.Array) -> jax.Array:
        """`[B, F]` float32 statistics of a population."""
        return jax.vmap(functools.partial(_statistics, space))(archs, graph_of(archs))

    return encode


def widths(space: Space, arch: Arch, graph: Graph) -> jax.Array:
    """`[C, N]` float, each node's share of the cell's width, of a graph of `node_graphs`.

    It is 1 but in nasbench101, where branches share the width.
    """
    exists = graph.mask.astype(float)
    if space.node_widths is None or operations_on_edges(space):
        return exists
    shares = space.node_widths(arch, 840, 840).astype(float) / 840  # of 840 they are whole
    return shares * exists


def _statistics(space: Space, arch: Arch, graph: Graph) -> jax.Array:
    """`[F]` float statistics of an architecture with the graph of `node_graphs`."""
    num_ops = len(node_operations(space)) - space.num_inputs - 1
    of_cell = functools.partial(_of_cell, space.num_inputs, num_ops)
    cells = jax.vmap(of_cell)(graph, widths(space, arch, graph))
    # Within a space costs spread over more than an order of magnitude.
    costs = jnp.log(
        1 + jnp.stack([space.params(arch).astype(float), space.flops(arch).astype(float)])
    )
    return jnp.concatenate([cells.ravel(), costs])


def _of_cell(num_inputs: int, num_ops: int, cell: Graph, shares: jax.Array) -> jax.Array:
    """`[F]` float statistics of one cell with `num_ops` inner operations and widths `[N]`."""
    edges, exists = cell.adjacency[0].astype(float), cell.mask.astype(float)
    ops = jax.nn.one_hot(cell.node_ops, num_inputs + num_ops + 1) * exists[:, None]
    inner, from_inputs = ops[:, num_inputs:-1], edges[:num_inputs]
    size = jnp.stack(
        [
            edges.sum(),
            exists.sum(),
            from_inputs[:, -1].sum(),
            edges[:, -1].sum(),
            from_inputs.sum(),
        ]
    )
    per_op = [
        inner.sum(0),
        (inner * shares[:, None]).sum(0),
        edges[:, -1] @ inner,
        from_inputs.sum(0) @ inner,
    ]
    # No edge leaves the output or enters an input: those rows and columns would be constant.
    pairs = ops[:, :-1].T @ edges @ ops[:, num_inputs:]
    paths = _paths(edges, inner, num_inputs)
    return jnp.concatenate([size, *per_op, paths, pairs.ravel()])


def _paths(edges: jax.Array, inner: jax.Array, num_inputs: int) -> jax.Array:
    """`[3 + 3 O]` float, sums over all paths of `edges` `[N, N]` with operations `inner` `[N, O]`.

    Paths begin at an input.

    They are the logarithm of the number of paths, the most and the least edges of one, and of each
    operation the mean, the most and the least on one; all are 0 where there is no path. Paths
    themselves are never listed: one pass in the order of the nodes adds up, for each node, those
    that end in it.
    """
    num_nodes = edges.shape[0]
    # No path has so many nodes: a source that no path reaches loses every maximum and minimum.
    far = num_nodes + 2.0
    # The first column counts nodes.
    ones = jnp.concatenate([jnp.ones((num_nodes, 1)), inner], axis=1)
    is_input = (jnp.arange(num_nodes) < num_inputs).astype(edges.dtype)

    def visit(node: int, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        """Sums of all nodes, with those of one more, whose sources have theirs."""
        number, total, most, least = found
        before, own = edges[:, node], ones[node]
        reached, count = before[:, None] > 0, before @ number
        longest = jnp.maximum(jnp.max(jnp.where(reached, most, -far), axis=0) + own, -far)
        shortest = jnp.minimum(jnp.min(jnp.where(reached, least, far), axis=0) + own, far)
        return (
            number.at[node].set(count),
            # Each of the paths that end here has passed this node once.
            total.at[node].set(before @ total + own * count),
            most.at[node].set(longest),
            least.at[node].set(shortest),
        )

    zeros = jnp.zeros_like(ones)
    # Line graphs have dozens of nodes, which would take a minute to compile one by one.
    number, total, most, least = lax.fori_loop(
        num_inputs, num_nodes, visit, (is_input, zeros, zeros, zeros), unroll=8
    )
    # A cell of NAS-Bench-201 may have no path at all.
    connected = number[-1] > 0
    mean = total[-1][1:] / jnp.maximum(number[-1], 1)
    lengths = jnp.stack([jnp.log(1 + number[-1]), most[-1][0], least[-1][0]])
    return jnp.where(connected, jnp.concatenate([lengths, mean, most[-1][1:], least[-1][1:]]), 0)
