"""Graphs of a population, as one jraph batch of static shape or with operations on nodes."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jnas.types import Arch, Graph, Space


def graphs(space: Space) -> Callable[[jax.Array], jraph.GraphsTuple]:
    """Population as one `jraph.GraphsTuple`, each cell padded to the same nodes and edges.

    With `G = B · C` cells of `N` nodes there are `G · N` nodes, and in each cell
    `E = K · N (N - 1) / 2` edges: every pair `i < j` row by row, once for each of the `K` parallel
    edges, whether information flows or not. A graph network multiplies by the masks. Shapes never
    depend on the cells, so that one compiled program serves a whole space.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> GraphsTuple` with
            nodes: `{"op": [G N] int32, "mask": [G N] bool}`, operation, and whether it exists;
            edges: `{"op": [G E] int32, "mask": [G E] bool}`, operation, and whether it lets
            information through;
            senders, receivers: `[G E]` int32, from the lower to the higher node of each pair;
            n_node, n_edge: `[G]` int32; globals: None.
    """
    return lambda archs: graphs_tuple(jax.vmap(space.graph)(archs))


def graphs_tuple(batch: Graph) -> jraph.GraphsTuple:
    """`jraph.GraphsTuple` of a batch of graphs, as `graphs` describes it.

    Args:
        batch: a `Graph` whose arrays have a leading axis `B`; edges go to higher nodes only.
    """
    num_graphs, num_nodes = math.prod(batch.mask.shape[:-1]), batch.mask.shape[-1]
    rows, columns = np.triu_indices(num_nodes, 1)
    num_parallel = batch.edge_ops.shape[-3]
    # The order of `edge_ops[..., rows, columns]`: parallel edges outside, pairs inside.
    senders, receivers = (np.tile(ends, num_parallel).astype(np.int32) for ends in (rows, columns))
    # In a batch, jraph counts nodes through all of its graphs.
    first_node = num_nodes * jnp.arange(num_graphs, dtype=jnp.int32)[:, None]
    return jraph.GraphsTuple(
        nodes={"op": batch.node_ops.ravel(), "mask": batch.mask.ravel()},
        edges={
            "op": batch.edge_ops[..., rows, columns].ravel(),
            "mask": batch.adjacency[..., rows, columns].ravel(),
        },
        senders=(first_node + senders[None]).ravel(),
        receivers=(first_node + receivers[None]).ravel(),
        globals=None,
        n_node=jnp.full(num_graphs, num_nodes, jnp.int32),
        n_edge=jnp.full(num_graphs, len(senders), jnp.int32),
    )


def operations_on_edges(space: Space) -> bool:
    """True where edges of the space have operations of their own."""
    # Where nodes have the operations, edges have only two: "none" and the one that lets through.
    return len(space.edge_operations) > 2


def node_operations(space: Space) -> tuple[str, ...]:
    """Names of the operations that `node_graphs` counts in: those of inputs first, output last."""
    if not operations_on_edges(space):
        return space.node_operations
    num = space.num_inputs
    # Inputs are no edges, and what they carry differs: an operation for each tells them apart.
    inputs = ("input",) if num == 1 else tuple(f"input_{place}" for place in range(num))
    return (*inputs, *space.edge_operations, "output")


def node_graphs(space: Space) -> Callable[[jax.Array], Graph]:
    """Graphs with operations on nodes: cells, or line graphs of those with operations on edges.

    Nodes of a line graph are the edges of the cell, those into lower nodes first, between the
    inputs and an output node; operations are those of `node_operations`. Where a cell has one
    input, every pair of nodes has an edge, if only of "none", through which nothing flows. Where it
    has several, few pairs have one, and the others are masked. Parallel edges are nodes of their
    own. (Ning et al., ECCV 2020, compare on cells of one kind with one input; line graphs of
    several kinds are this library's extension.)

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> Graph` with a leading axis `B` and one edge between two nodes; 7 nodes for
        nasbench101, 8 for nasbench201, 23 for nasbench301, 57 for enas.
    """
    if operations_on_edges(space):
        return jax.vmap(functools.partial(_line_graphs, space))
    return jax.vmap(space.graph)


def _line_graphs(space: Space, arch: Arch) -> Graph:
    """`Graph` of the line graphs of all kinds of cell."""
    return jax.vmap(functools.partial(_line_graph, space))(space.graph(arch))


def _line_graph(space: Space, cell: Graph) -> Graph:
    """`Graph`, without the axis `C`, whose nodes are the edges of one cell, inputs and output."""
    num_inputs, num_nodes = space.num_inputs, cell.mask.shape[0]
    # By their higher node, so that an edge comes after all that it may read, and edges of the line
    # graph go up as well. No edge goes into an input.
    edges = [
        (parallel, low, high)
        for high in range(num_inputs, num_nodes)
        for low in range(high)
        for parallel in range(cell.edge_ops.shape[0])
    ]
    parallel, low, high = np.array(edges).T
    own = np.arange(num_inputs)
    starts = np.concatenate([own, low, [num_nodes - 1]])
    ends = np.concatenate([own, high, [num_nodes - 1]])
    # The wiring of the whole space, a constant; a cell only masks it.
    follows = np.triu(ends[:, None] == starts[None], 1)
    inputs, output = jnp.ones(num_inputs, bool), jnp.ones(1, bool)
    flows = jnp.concatenate([inputs, cell.adjacency[parallel, low, high], output])
    ops = jnp.concatenate(
        [
            jnp.asarray(own, jnp.int32),
            cell.edge_ops[parallel, low, high] + num_inputs,
            jnp.full(1, num_inputs + len(space.edge_operations), jnp.int32),
        ]
    )
    exists = jnp.ones_like(flows) if num_inputs == 1 else flows
    adjacency = (jnp.asarray(follows) & flows[:, None] & flows[None])[None]
    return Graph(jnp.where(exists, ops, 0), adjacency.astype(jnp.int32), adjacency, exists)
