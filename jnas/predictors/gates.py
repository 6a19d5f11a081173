"""GATES, encoders of cells: operations gate the information that flows through a cell.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS",
ECCV 2020, https://arxiv.org/abs/2004.01899, section 3. Where operations are on nodes, layer `l` is
`x' = σ(o W_o + b_o) ⊙ (Aᵀ (x W)) [+ x W] + b`; where they are on edges, the gate `σ(o W_o + b_o)`
of each edge multiplies what it carries. Nodes have no number that the network sees, so isomorphic
cells have one embedding.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jnas.encodings import graphs_tuple
from jnas.predictors import message_passing
from jnas.predictors.layers import EMBEDDING, Dense, uniform
from jnas.predictors.message_passing import Aggregate
from jnas.types import Graph


class GatesOnNodes(nn.Module):
    """Encoder of cells with operations on nodes: `Graph [B] -> [B, C · layers[-1]]`.

    Attributes:
        num_ops: node operations, input (0) and output (last) included.
        layers: output sizes.
        node_size, hidden_size, op_size: of the embeddings of nodes, of what the first layer reads,
            and of the embeddings of operations.
        plus_identity: add `I` to `Aᵀ`, so that a node also gates itself. The published settings for
            NAS-Bench-101 have it in some files and the residual in others; only this one reaches
            the published ranking.
        residual: add `x W` to all nodes (None), or to the first few only (0 is none).
        num_inputs: nodes that read no other; each has its own embedding.
        aggregate: how nodes gather what their predecessors send.
    """

    num_ops: int
    layers: tuple[int, ...] = (128, 128, 128, 128)
    node_size: int = 48
    hidden_size: int = 96
    op_size: int = 48
    plus_identity: bool = True
    residual: int | None = 0
    num_inputs: int = 1
    aggregate: Aggregate = message_passing.dense

    @nn.compact
    def __call__(self, batch: Graph, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, C · layers[-1]]` of a batch."""
        del where, train
        graph = graphs_tuple(batch)
        num_rows, num_cells, num_nodes = batch.mask.shape
        num_graphs = num_rows * num_cells
        weights = graph.edges["mask"].astype(jnp.float32)
        ops = jax.nn.one_hot(batch.node_ops.ravel(), self.num_ops)
        # Few distinct rows stand behind all nodes before the first product: those are multiplied,
        # then spread. float32 by name, as 64-bit mode would make the constants float64.
        x = self._first_nodes()
        which = np.minimum(np.arange(num_nodes), self.num_inputs)
        spread = jax.nn.one_hot(which, self.num_inputs + 1, dtype=jnp.float32)
        spread = jnp.tile(spread, (num_graphs, 1))
        table = self._operations()
        for layer, size in enumerate(self.layers):
            # The fan is the number of outputs: the published code divides by the second size of a
            # kernel that it keeps as [in, out].
            init = uniform(size)
            sent = x @ self.param(f"kernel_{layer}", init, (x.shape[-1], size))
            sent = spread @ sent if layer == 0 else sent
            # The sigmoid of each operation, not of each node: the one-hot product only picks rows.
            gates = ops @ nn.sigmoid(Dense(size, name=f"gate_{layer}")(table))
            received = self.aggregate(graph, sent, weights)
            x = gates * (received + sent if self.plus_identity else received)
            x = x + _residual(sent, self.residual, num_nodes)
            x = x + self.param(f"bias_{layer}", init, (size,))[None]
            x = nn.relu(x) if layer + 1 < len(self.layers) else x
        # Gates and biases reach nodes that do not exist, too; they must not reach the read-out.
        mask = batch.mask.reshape(num_graphs, num_nodes)
        x = jnp.where(mask[..., None], x.reshape(num_graphs, num_nodes, -1), 0)
        inner = x[:, self.num_inputs :]
        # Over all places and not over those in use, as published.
        return (jnp.sum(inner, axis=1) / inner.shape[1]).reshape(num_rows, -1)

    def _first_nodes(self) -> jax.Array:
        """Features `[num_inputs + 1, hidden_size]` of the input nodes and of every other node."""
        first = self.param("input_node", EMBEDDING, (self.num_inputs, self.node_size))
        # Zero at first, but learned, as published.
        other = self.param("other_node", nn.initializers.zeros, (1, self.node_size))
        return Dense(self.hidden_size, name="node_to_hidden")(jnp.concatenate([first, other]))

    def _operations(self) -> jax.Array:
        """Embeddings `[num_ops, op_size]` of operations; the input's is zero and stays so."""
        inner = self.param("operations", EMBEDDING, (self.num_ops - 2, self.op_size))
        output = self.param("output_operation", EMBEDDING, (1, self.op_size))
        return jnp.concatenate([jnp.zeros_like(output), inner, output])


class GatesOnEdges(nn.Module):
    """Encoder of cells with operations on edges: `Graph [B] -> [B, C · layers[-1]]`.

    The embeddings of the `C` kinds of cell (in ENAS and DARTS two of them) are concatenated.

    Attributes:
        num_ops: edge operations, of which 0 ("none") carries nothing.
        layers, node_size, hidden_size, op_size: as in `GatesOnNodes`.
        num_inputs: nodes that read no other; each has its own embedding in each kind of cell.
        reduce: "sum" over incoming edges, or "mean" over `num_slots` input slots of a node.
        num_slots: what "mean" divides by.
        residual: add `x W` to all nodes (None), or to the first few only.
        learns_nodes: whether what other nodes begin with is learned, for each kind of cell; it is
            zeros at first.
        use_bias: whether layers have a bias.
        readout: "output" for the last node, "mean" over all nodes but the inputs, or "nodes" for
            all of them, one after the other: `[B, C · N · layers[-1]]`.
        aggregate: how nodes gather what their predecessors send.
    """

    num_ops: int
    layers: tuple[int, ...] = (128,) * 5
    node_size: int = 48
    hidden_size: int = 96
    op_size: int = 48
    num_inputs: int = 1
    reduce: str = "sum"
    num_slots: int = 2
    residual: int | None = 1
    learns_nodes: bool = False
    use_bias: bool = False
    readout: str = "output"
    aggregate: Aggregate = message_passing.dense

    @nn.compact
    def __call__(self, batch: Graph, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, C · layers[-1]]` of a batch."""
        del where, train
        num_rows, num_cells, num_nodes = batch.mask.shape
        graph = graphs_tuple(batch)
        ops = jnp.where(
            graph.edges["mask"][:, None], jax.nn.one_hot(graph.edges["op"], self.num_ops), 0
        )
        # Rows of zeros, for "none" and for missing edges alike: what must be 0 is the gate, not the
        # embedding, as σ(b) of a zero embedding would still carry.
        ops = ops.at[:, 0].set(0)
        x = self._first_nodes(num_cells, num_nodes)
        table = self.param("operations", EMBEDDING, (self.num_ops, self.op_size))
        for layer, size in enumerate(self.layers):
            init = uniform(size)
            sent = x @ self.param(f"kernel_{layer}", init, (x.shape[-1], size))
            # Before the first gate all cells of a kind have the same nodes: one product serves all.
            sent = jnp.tile(sent, (num_rows, 1)) if layer == 0 else sent
            gates = ops @ nn.sigmoid(Dense(size, name=f"gate_{layer}")(table))
            # A mean over slots, not over edges: a slot that reads nothing counts as zero.
            x = self.aggregate(graph, sent, gates) / (
                self.num_slots if self.reduce == "mean" else 1
            )
            x = x + _residual(sent, self.residual, num_nodes)
            if self.use_bias:
                x = x + self.param(f"bias_{layer}", init, (size,))[None]
            x = nn.relu(x) if layer + 1 < len(self.layers) else x
        cells = x.reshape(num_rows * num_cells, num_nodes, -1)
        return self._read(cells, batch.mask.reshape(-1, num_nodes)).reshape(num_rows, -1)

    def _first_nodes(self, num_cells: int, num_nodes: int) -> jax.Array:
        """Features `[C · N, hidden_size]` of nodes: learned for inputs, from zeros for others."""
        first = self.param("input_nodes", EMBEDDING, (num_cells, self.num_inputs, self.node_size))
        # Zeros that are not learned where the published settings have them so.
        one = (num_cells, 1, self.node_size)
        other = (
            self.param("other_nodes", nn.initializers.zeros, one)
            if self.learns_nodes
            else jnp.zeros(one)
        )
        others = jnp.repeat(other, num_nodes - self.num_inputs, axis=1)
        nodes = jnp.concatenate([first, others], axis=1)
        return Dense(self.hidden_size, name="node_to_hidden")(nodes.reshape(-1, self.node_size))

    def _read(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Embeddings `[B C, ...]` of the cells from features `[B C, N, F]` of their nodes."""
        if self.readout == "output":
            return x[:, -1]
        if self.readout == "nodes":
            return x.reshape(len(x), -1)
        # The mean is over nodes that exist, at least one lest it be 0 / 0.
        inner = mask[:, self.num_inputs :, None]
        return jnp.sum(jnp.where(inner, x[:, self.num_inputs :], 0), 1) / jnp.maximum(
            jnp.sum(inner, 1, x.dtype), 1
        )


def _residual(sent: jax.Array, first: int | None, num_nodes: int) -> Any:
    """Residual `[B N, F]`: `sent` of all nodes, or of the first ones and 0 for the others."""
    if first is None:
        return sent
    if first == 0:
        return 0.0
    keep = (jnp.arange(num_nodes) < first).astype(sent.dtype)
    return sent * jnp.tile(keep, sent.shape[0] // num_nodes)[:, None]
