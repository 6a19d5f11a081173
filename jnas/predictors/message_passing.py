"""Message passing along the edges of a batch of cells: one interface, dense or by segments.

An aggregator is `(graph, sent [B N, F], weights [B E] or [B E, F]) -> [B N, F]`: what each node
receives, the sum (or another reduction) over its incoming edges of `weights * sent[sender]`.
`graph` is a `jraph.GraphsTuple` as `encodings.graphs` makes it: all pairs `i < j` of `N` nodes,
once for each of the parallel edges; the weight of a missing edge is 0.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import jraph
import numpy as np

Aggregate: TypeAlias = Callable[[jraph.GraphsTuple, jax.Array, jax.Array], jax.Array]


def by_segments(reduce: Callable[..., Any] = jraph.segment_sum) -> Aggregate:
    """Aggregator by `jraph.GraphNetwork`, with any of jraph's reductions over segments.

    Gathers senders and scatters to receivers, whatever they are; on two CPU cores about as fast as
    `dense` (`experiments/bench_predictors.py`).
    """

    def aggregate(graph: jraph.GraphsTuple, sent: jax.Array, weights: jax.Array) -> jax.Array:
        """Sums (or another reduction) `[B N, F]` over the incoming edges of each node."""
        # `[B E]` becomes `[B E, 1]`, as ranks are not promoted implicitly.
        weights = weights.reshape(weights.shape[0], -1)
        network = jraph.GraphNetwork(
            update_edge_fn=lambda edges, senders, *_: edges * senders,
            update_node_fn=lambda _nodes, _sent, received, _globals: received,
            aggregate_edges_for_nodes_fn=reduce,
        )
        received: jax.Array = network(graph._replace(nodes=sent, edges=weights)).nodes
        return received

    return aggregate


def dense(graph: jraph.GraphsTuple, sent: jax.Array, weights: jax.Array) -> jax.Array:
    """Sums `[B N, F]` over incoming edges, as an aggregator, by batched products.

    It relies on edges being all pairs `i < j` in row order.
    """
    num_graphs = graph.n_node.shape[0]
    num_nodes = sent.shape[0] // num_graphs
    rows, columns = _ends(graph, num_nodes)
    nodes = sent.reshape(num_graphs, num_nodes, -1)
    if weights.ndim == 1:
        pairs = np.triu_indices(num_nodes, 1)
        # Parallel edges are blocks of all pairs. A scatter, not a product with a constant: of a
        # line graph that one has millions of entries.
        summed = jnp.sum(weights.reshape(num_graphs, -1, len(pairs[0])), axis=1)
        matrix = jnp.zeros((num_graphs, num_nodes, num_nodes), weights.dtype)
        matrix = matrix.at[:, *pairs].set(summed, unique_indices=True)
        return jnp.einsum("bij,bif->bjf", matrix, nodes).reshape(sent.shape)
    edges = weights.reshape(num_graphs, len(rows), -1)
    # A loop at trace time over few edges: a matrix for each feature would be `[B, N, N, F]`.
    received = [jnp.zeros_like(nodes[:, 0])] * num_nodes
    for edge, (i, j) in enumerate(zip(rows, columns, strict=True)):
        received[j] = received[j] + edges[:, edge] * nodes[:, i]
    return jnp.stack(received, axis=1).reshape(sent.shape)


def _ends(graph: jraph.GraphsTuple, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the edges of a cell: `[E]` each, the lower and the higher node."""
    rows, columns = np.triu_indices(num_nodes, 1)
    num_parallel = graph.senders.shape[0] // graph.n_node.shape[0] // max(len(rows), 1)
    return np.tile(rows, num_parallel), np.tile(columns, num_parallel)


def reverse(graph: jraph.GraphsTuple) -> jraph.GraphsTuple:
    """Batch with every edge turned around, and nodes counted from the output: again `i < j`."""
    num_graphs, num_edges = (
        graph.n_node.shape[0],
        graph.edges["op"].shape[0] // graph.n_node.shape[0],
    )
    num_nodes = graph.nodes["op"].shape[0] // num_graphs
    rows, columns = np.triu_indices(num_nodes, 1)
    # Edge (i, j) becomes (N − 1 − j, N − 1 − i): its number is looked up among the pairs.
    number = np.zeros((num_nodes, num_nodes), np.int32)
    number[rows, columns] = np.arange(len(rows))
    turned = number[num_nodes - 1 - columns, num_nodes - 1 - rows]
    # Parallel edges are blocks of all pairs; each block is turned within itself.
    order = (np.arange(0, num_edges, len(rows))[:, None] + turned).ravel()
    return graph._replace(
        nodes={
            name: value.reshape(num_graphs, -1)[:, ::-1].ravel()
            for name, value in graph.nodes.items()
        },
        edges={
            name: value.reshape(num_graphs, -1)[:, order].ravel()
            for name, value in graph.edges.items()
        },
    )
