"""A population as one jraph graph batch of static shape, for graph networks."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jnas.types import Arch, Graph, Space


def graphs(space: Space) -> Callable[[jax.Array], jraph.GraphsTuple]:
    """All cells of a population in one `jraph.GraphsTuple`, padded to the same number of nodes and edges.

    With `B` cells of `N` nodes there are `B * N` nodes, and `B * N (N - 1) / 2` edges: every pair `i < j`, whether
    information flows or not. A graph network multiplies by the masks; shapes never depend on the cells.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> GraphsTuple` with
            nodes: `{"op": [B N] int32, "mask": [B N] bool}`, operation index and whether the node exists;
            edges: `{"op": [B E] int32, "mask": [B E] bool}`, operation index and whether information flows;
            senders, receivers: `[B E]` int32, from the lower to the higher node of each pair;
            n_node, n_edge: `[B]` int32; globals: None.
    """
    return lambda archs: graphs_tuple(jax.vmap(space.graph)(archs))


def graphs_tuple(batch: Graph) -> jraph.GraphsTuple:
    """The `jraph.GraphsTuple` of a batch of graphs, as `graphs` describes it.

    Args:
        batch: a `Graph` whose arrays have a leading axis `B`; edges go from lower to higher nodes only.
    """
    num_graphs, num_nodes = batch.mask.shape
    rows, columns = np.triu_indices(num_nodes, 1)
    first_node = num_nodes * jnp.arange(num_graphs, dtype=jnp.int32)[:, None]
    return jraph.GraphsTuple(
        nodes={"op": batch.node_ops.ravel(), "mask": batch.mask.ravel()},
        edges={
            "op": batch.edge_ops[:, rows, columns].ravel(),
            "mask": batch.adjacency[:, rows, columns].ravel(),
        },
        senders=(first_node + rows.astype(np.int32)[None]).ravel(),
        receivers=(first_node + columns.astype(np.int32)[None]).ravel(),
        globals=None,
        n_node=jnp.full(num_graphs, num_nodes, jnp.int32),
        n_edge=jnp.full(num_graphs, len(rows), jnp.int32),
    )


def node_graphs(space: Space) -> Callable[[jax.Array], Graph]:
    """Cells as graphs with operations on nodes; where they are on edges, the line graph of each cell.

    Nodes of a line graph are the edges of the cell, those into lower nodes first, between an input and an output node;
    its operations count from 1 (`Space.edge_operations`), with 0 for the input and the number after the last for the
    output. Edges of the operation "none" stay, but nothing flows through them.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> Graph` with a leading axis `B`; 7 nodes for nasbench101, 8 for nasbench201.
    """
    return jax.vmap(
        space.graph if len(space.edge_operations) == 2 else functools.partial(_line_graph, space)
    )


def _line_graph(space: Space, arch: Arch) -> Graph:
    graph = space.graph(arch)
    num_nodes = graph.mask.shape[0]
    pairs = [(i, j) for j in range(1, num_nodes) for i in range(j)]
    ends = [(0, 0), *pairs, (num_nodes - 1, num_nodes - 1)]
    follows = np.array(
        [[a < b and one[1] == two[0] for b, two in enumerate(ends)] for a, one in enumerate(ends)]
    )
    always = jnp.ones((), bool)
    flows = jnp.stack([always, *(graph.adjacency[pair] for pair in pairs), always])
    adjacency = jnp.asarray(follows) & flows[:, None] & flows[None]
    last = jnp.int32(len(space.edge_operations) + 1)
    ops = jnp.stack([jnp.int32(0), *(graph.edge_ops[pair] + 1 for pair in pairs), last])
    return Graph(ops, adjacency.astype(jnp.int32), adjacency, jnp.ones(len(ends), bool))
