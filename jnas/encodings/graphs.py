"""A population as one jraph graph batch of static shape, for graph networks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jnas.types import Graph, Space


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
