"""Graph convolutional networks that GATES is compared with, with and without a global node.

Ning et al., ECCV 2020, section 4.1, after Kipf and Welling, ICLR 2017: operations are attributes of
nodes, layers are `x' = Â x W + b` with the transposed adjacency matrix, optionally with self loops
and symmetrically normalised.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jnas.encodings import graphs_tuple
from jnas.predictors import message_passing
from jnas.predictors.layers import EMBEDDING, Dense, uniform
from jnas.predictors.message_passing import Aggregate
from jnas.types import Graph


class Gcn(nn.Module):
    """Encoder of cells with operations on nodes: `Graph [B] -> [B, C · layers[-1]]`.

    Kinds of cell share all weights, and their embeddings stand side by side.

    Attributes:
        num_ops: node operations, inputs (first) and output (last) included.
        layers: output sizes.
        op_size, hidden_size: of operation embeddings and of what the first layer reads.
        self_loops: add `I` to the transposed adjacency matrix.
        normalise: divide each edge by the roots of the degrees of its two ends.
        global_node: read the embedding off one more node, which every node sends to; else off the
            mean of the nodes but the inputs.
        num_inputs: nodes that read no other.
        aggregate: how nodes gather what their predecessors send.
    """

    num_ops: int
    layers: tuple[int, ...] = (128, 128, 128, 128)
    op_size: int = 48
    hidden_size: int = 48
    self_loops: bool = True
    normalise: bool = False
    global_node: bool = False
    num_inputs: int = 1
    aggregate: Aggregate = message_passing.dense

    @nn.compact
    def __call__(self, batch: Graph, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, C · layers[-1]]` of a batch."""
        del where, train
        batch = _with_global_node(batch, self.num_ops) if self.global_node else batch
        num_rows, num_cells, num_nodes = batch.mask.shape
        graph = graphs_tuple(batch)
        weights, own = self._weights(batch, graph.edges["mask"].astype(jnp.float32))
        x = jax.nn.one_hot(batch.node_ops.ravel(), self.num_ops + self.global_node)
        table = Dense(self.hidden_size, name="op_to_hidden")(self._operations())
        for layer, size in enumerate(self.layers):
            # The fan is the number of outputs, as in the published layers.
            init = uniform(size)
            kernel = self.param(
                f"kernel_{layer}", init, (table.shape[-1] if layer == 0 else x.shape[-1], size)
            )
            # At first a node is its operation: the few rows of the table are
            # multiplied, then picked.
            sent = x @ (table @ kernel if layer == 0 else kernel)
            x = self.aggregate(graph, sent, weights) + sent * own[:, None]
            x = x + self.param(f"bias_{layer}", init, (size,))[None]
            x = nn.relu(x) if layer + 1 < len(self.layers) else x
        x = x.reshape(num_rows * num_cells, num_nodes, -1)
        # The global node has gathered from all others, so that no mean over nodes is needed.
        if self.global_node:
            return x[:, -1].reshape(num_rows, -1)
        first = self.num_inputs
        inner = batch.mask.reshape(-1, num_nodes)[:, first:, None]
        total = jnp.sum(jnp.where(inner, x[:, first:], 0), axis=1)
        return (total / jnp.sum(inner, axis=1, dtype=x.dtype)).reshape(num_rows, -1)

    def _weights(self, batch: Graph, edges: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Weights of the edges `[B E]` and of the self loops `[B N]`."""
        own = jnp.full(batch.mask.size, float(self.self_loops))
        if not self.normalise:
            return edges, own
        adjacency = jnp.sum(batch.adjacency, axis=2, dtype=jnp.float32)
        degree = jnp.sum(adjacency, 2) + jnp.sum(adjacency, 3) + float(self.self_loops)
        # Without self loops, nodes that do not exist have degree 0. They send nothing, and any
        # finite root will do for them.
        root = jax.lax.rsqrt(jnp.maximum(degree, 1))
        graph = graphs_tuple(batch)
        return edges * root.ravel()[graph.senders] * root.ravel()[
            graph.receivers
        ], own * jnp.square(root).ravel()

    def _operations(self) -> jax.Array:
        """Embeddings `[num_ops, op_size]`, one more with a global node; the output's is first 0."""
        inner = self.param("operations", EMBEDDING, (self.num_ops - 1, self.op_size))
        names = ["output_operation"] + ["global_operation"] * self.global_node
        return jnp.concatenate(
            [inner, *(self.param(n, nn.initializers.zeros, (1, self.op_size)) for n in names)]
        )


def _with_global_node(batch: Graph, op: int) -> Graph:
    """Graphs with one more node, the last, of operation `op`, that reads each existing one."""
    last = ((0, 0), (0, 0), (0, 1))
    square = ((0, 0), *last, (0, 1))
    # Last in number, so that its edges go from lower to higher nodes like all others.
    adjacency = jnp.pad(batch.adjacency, square).at[:, :, 0, :-1, -1].set(batch.mask)
    joined = batch.mask.astype(batch.edge_ops.dtype)
    return Graph(
        jnp.pad(batch.node_ops, last, constant_values=op),
        jnp.pad(batch.edge_ops, square).at[:, :, 0, :-1, -1].set(joined),
        adjacency,
        jnp.pad(batch.mask, last, constant_values=True),
    )
