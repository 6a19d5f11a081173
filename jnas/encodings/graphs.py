"""Graphs of a population, as one jraph batch of static shape or with operations on nodes."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jnas.spaces import simple_graph
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


def node_graphs(space: Space) -> Callable[[jax.Array], Graph]:
    """Graphs with operations on nodes: cells, or line graphs of those with operations on edges.

    Nodes of a line graph are the edges of the cell, those into lower nodes first, between an input
    and an output node; its operations count from 1 (`Space.edge_operations`), with 0 for the input
    and the number after the last for the output. Edges of the operation "none" stay, but nothing
    flows through them.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> Graph` with a leading axis `B`; 7 nodes for nasbench101, 8 for nasbench201.

    Raises:
        ValueError: there are several kinds of cell, several inputs, or parallel edges.
    """
    simple = simple_graph(space, "a graph with operations on nodes")
    # Where nodes have the operations, edges have only two: "none" and the one that lets through.
    on_nodes = len(space.edge_operations) == 2
    return jax.vmap(space.graph if on_nodes else functools.partial(_line_graph, space, simple))


def _line_graph(space: Space, simple: Callable[[Arch], Graph], arch: Arch) -> Graph:
    """`Graph` whose nodes are the edges of a cell, between an input and an output node."""
    graph = simple(arch)
    num_nodes = graph.mask.shape[0]
    # By their higher node, so that an edge comes after all that it may read, and edges of the line
    # graph go up as well.
    pairs = [(i, j) for j in range(1, num_nodes) for i in range(j)]
    ends = [(0, 0), *pairs, (num_nodes - 1, num_nodes - 1)]
    follows = np.array(
        [[a < b and one[1] == two[0] for b, two in enumerate(ends)] for a, one in enumerate(ends)]
    )
    # `follows` is the wiring of the whole space, a constant; a cell only masks it.
    always = jnp.ones((), bool)
    flows = jnp.stack([always, *(graph.adjacency[pair] for pair in pairs), always])
    adjacency = jnp.asarray(follows) & flows[:, None] & flows[None]
    last = jnp.int32(len(space.edge_operations) + 1)
    ops = jnp.stack([jnp.int32(0), *(graph.edge_ops[pair] + 1 for pair in pairs), last])
    edges = adjacency[None, None]
    return Graph(ops[None], edges.astype(jnp.int32), edges, jnp.ones((1, len(ends)), bool))
