"""BiFlow, a predictor of this library's own: GATES in both directions, with statistics of cells.

Additions to GATES (Ning et al., ECCV 2020), each measured alone in `experiments/beyond_gates.py`:
    Attributes: what gates a node is not its operation alone but also its width, depth, distance to
        the output and number of neighbours.
    Both directions: information also flows from the output to the input, with weights of its own.
    Statistics: counts of operations on paths, and parameters and FLOPs of the whole network, join
        the embedding (`encodings.statistics`). They are exact and cost no more than the encoding.
    Training: all pairs of a minibatch are compared, not a sample of them; minibatches are small, so
        that few architectures still make many steps; the learning rate falls to 0 (cosine); the
        head has one layer more.
    Voting: scores of several trainings are averaged.

Where operations are on edges, edges become the nodes of a line graph.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from flax import linen as nn
from jax import lax

from jnas import encodings
from jnas.encodings import graphs_tuple
from jnas.engine.pickles import pickled_by_call
from jnas.predictors import message_passing, recipes
from jnas.predictors.cells import of_cells
from jnas.predictors.ensemble import ensemble
from jnas.predictors.layers import EMBEDDING, Dense, uniform
from jnas.predictors.renas import Standardise
from jnas.predictors.training import Training
from jnas.types import Arch, Graph, Predictor, Space

# Minibatches of 64 for 100 epochs rank as well as 512 for 200 within the spread of training sets
# (`experiments/beyond_gates.py`).
_TRAINING = Training(max_ratio=None, schedule="cosine", batch_size=64, epochs=100)


class Features(NamedTuple):
    """Input of BiFlow, with a leading axis `B`: a graph and what is known of its nodes and cell.

    Attributes:
        graph: of `encodings.node_graphs`.
        nodes: `[B, C, N, A]` float attributes of nodes.
        statistics: `[B, F]` float, of `encodings.statistics`.
    """

    graph: Graph
    nodes: jax.Array
    statistics: jax.Array


_LARGEST = 5.0  # of a standardised statistic: a cell may lie far outside the training set


class BiFlow(nn.Module):
    """Encoder of cells with operations on nodes: `Features [B] -> [B, F]`.

    Kinds of cell differ in what their nodes begin with, as in GATES, and share all other weights.

    Attributes:
        num_ops: node operations, inputs (first) and output (last) included.
        layers: output sizes of each direction.
        op_size, hidden_size: of what gates a node, and of what the first layer reads.
        attributes: whether node attributes gate too.
        statistics: whether the cell's statistics join the embedding.
        both: whether information also flows backwards.
        weight: of the standardised statistics.
        num_inputs: nodes that read no other.
    """

    num_ops: int
    layers: tuple[int, ...] = (128, 128, 128, 128)
    op_size: int = 48
    hidden_size: int = 96
    attributes: bool = True
    statistics: bool = True
    both: bool = True
    weight: float = 0.3
    num_inputs: int = 1

    @nn.compact
    def __call__(self, features: Features, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, F]`: of both directions, then the weighted statistics."""
        del train
        graph = graphs_tuple(features.graph)
        num_rows, num_cells, num_nodes = features.graph.mask.shape
        num_graphs = num_rows * num_cells
        ops = self._operations(features)
        # Biases reach nodes that do not exist; the mask keeps them out of the read-out.
        mask = features.graph.mask.reshape(num_graphs, num_nodes, 1).astype(jnp.float32)
        flow = functools.partial(_Flow, self.layers, self.hidden_size, num_cells)
        found = [flow(self.num_inputs, name="forward")(graph, ops)]
        if self.both:
            # The reversed graph counts nodes from the output, so that edges go upwards again, as
            # `dense` wants. Gates are put in that order, and what has flowed is put back.
            backward = ops.reshape(num_graphs, num_nodes, -1)[:, ::-1].reshape(ops.shape)
            # It begins at the output alone.
            flowed = flow(1, name="backward")(message_passing.reverse(graph), backward)
            found.append(flowed.reshape(num_graphs, num_nodes, -1)[:, ::-1])
        # Divided by all places, as GATES does: a cell with fewer nodes has a smaller embedding.
        sums = [jnp.sum(x.reshape(*mask.shape[:2], -1) * mask, axis=1) for x in found]
        parts = [x.reshape(num_rows, -1) / num_nodes for x in sums]
        if self.statistics:
            # `where` matters at initialisation alone, when the moments are
            # those of the training set.
            summary = jnp.clip(Standardise()(features.statistics, where), -_LARGEST, _LARGEST)
            parts.append(self.weight * summary)
        return jnp.concatenate(parts, axis=-1)

    def _operations(self, features: Features) -> jax.Array:
        """Vectors `[B N, op_size]` that gate the nodes: operation, and attributes added to it."""
        table = self.param("operations", EMBEDDING, (self.num_ops, self.op_size))
        ops = jax.nn.one_hot(features.graph.node_ops.ravel(), self.num_ops) @ table
        if not self.attributes:
            return ops
        attributes = features.nodes.reshape(ops.shape[0], -1)
        own = nn.relu(
            Dense(self.op_size, name="attributes_1")(jnp.concatenate([ops, attributes], axis=-1))
        )
        return ops + Dense(self.op_size, name="attributes_2")(own)


class _Flow(nn.Module):
    """GATES in one direction: `[B N, layers[-1]]` from the `[B N, op_size]` of the gates.

    Attributes:
        layers, hidden_size: as in `BiFlow`.
        num_cells: kinds of cell.
        num_first: nodes that it begins at.
    """

    layers: tuple[int, ...]
    hidden_size: int
    num_cells: int
    num_first: int

    @nn.compact
    def __call__(self, graph: jraph.GraphsTuple, ops: jax.Array) -> jax.Array:
        """Features `[B N, layers[-1]]` of the nodes after the last layer."""
        num_graphs = graph.n_node.shape[0]
        num_nodes = ops.shape[0] // num_graphs
        weights = graph.edges["mask"].astype(jnp.float32)
        # Like GATES, only few kinds of node stand behind the first product: in each kind of cell
        # those that it begins at, and all others. Named float32, as 64-bit mode would make
        # these constants float64 beside float32 weights.
        num_kinds = self.num_first + 1
        start = self.param("nodes", EMBEDDING, (self.num_cells * num_kinds, self.hidden_size))
        which = np.minimum(np.arange(num_nodes), self.num_first)
        each = (which[None] + num_kinds * np.arange(self.num_cells)[:, None]).ravel()
        rows = jax.nn.one_hot(each, self.num_cells * num_kinds, dtype=jnp.float32)
        spread = jnp.tile(rows, (num_graphs // self.num_cells, 1))
        x = start
        for layer, size in enumerate(self.layers):
            # Not the inputs but the outputs are the fan, as in the published layers of GATES.
            init = uniform(size)
            sent = x @ self.param(f"kernel_{layer}", init, (x.shape[-1], size))
            sent = spread @ sent if layer == 0 else sent
            gates = nn.sigmoid(Dense(size, name=f"gate_{layer}")(ops))
            x = gates * (message_passing.dense(graph, sent, weights) + sent)
            x = x + self.param(f"bias_{layer}", init, (size,))[None]
            # The last layer stays linear, as in GATES.
            x = nn.relu(x) if layer + 1 < len(self.layers) else x
        return x


def _features(space: Space) -> Callable[[jax.Array], Features]:
    """Encoding `archs [B, D] -> Features`."""
    graph_of, statistics_of = encodings.node_graphs(space), encodings.statistics(space)

    def encode(archs: jax.Array) -> Features:
        graph = graph_of(archs)
        nodes = jax.vmap(functools.partial(_attributes, space))(archs, graph)
        return Features(graph, nodes, statistics_of(archs))

    return encode


def _attributes(space: Space, arch: Arch, graph: Graph) -> jax.Array:
    """Attributes `[C, N, 5]` of nodes, each in 0 … 1 and 0 for nodes that do not exist.

    They are depth, distance to the output, predecessors, successors, and share of the cell's width.
    """
    shares = encodings.widths(space, arch, graph)
    return jax.vmap(functools.partial(_of_cell, space.num_inputs))(graph, shares)


def _of_cell(num_inputs: int, cell: Graph, shares: jax.Array) -> jax.Array:
    """Attributes `[N, 5]` of the nodes of one cell, with widths `[N]`."""
    num_nodes, edges = cell.mask.shape[0], cell.adjacency[0].astype(float)
    # Turned around and transposed, the matrix is upper triangular from the output.
    depth = _longest_paths(edges, num_inputs)
    height = _longest_paths(edges[::-1, ::-1].T, 1)[::-1]
    columns = [
        depth / num_nodes,
        height / num_nodes,
        edges.sum(0) / num_nodes,
        edges.sum(1) / num_nodes,
        shares,
    ]
    return jnp.stack(columns, axis=-1) * cell.mask[:, None].astype(float)


def _longest_paths(edges: jax.Array, num_first: int) -> jax.Array:
    """Lengths `[N]` in edges of the longest paths from the first nodes; 0 where there is no path.

    `edges` `[N, N]` is upper triangular, without edges into the first nodes.
    """
    is_first = jnp.arange(edges.shape[0]) < num_first

    def visit(node: int, lengths: jax.Array) -> jax.Array:
        """Lengths with that of one more node, whose sources have theirs."""
        # Length 0 says "no path from an input" of all nodes but the inputs.
        reached = (edges[:, node] > 0) & ((lengths > 0) | is_first)
        return lengths.at[node].set(jnp.max(jnp.where(reached, lengths + 1, 0)))

    lengths: jax.Array = lax.fori_loop(
        num_first, edges.shape[0], visit, jnp.zeros(edges.shape[0]), unroll=8
    )
    return lengths


@functools.cache
@pickled_by_call
def biflow(
    space: Space,
    *,
    layers: tuple[int, ...] = (128, 128, 128, 128),
    attributes: bool = True,
    statistics: bool = True,
    both: bool = True,
    hidden: tuple[int, ...] = (200, 200),
    dropout: float = 0.1,
    weight: float = 0.3,
    num_members: int = 1,
    training: Training = _TRAINING,
) -> Predictor:
    """BiFlow, a predictor of this library's own; the module's text says what it adds to GATES.

    With four members it ranks better than GATES at every size in `experiments/beyond_gates.py`.

    Args:
        space: of any kind.
        layers: output sizes of each direction.
        attributes: whether node attributes gate too.
        statistics: whether the cell's statistics join the embedding.
        both: whether information also flows backwards.
        weight: of the standardised statistics.
        hidden: layers of the head.
        dropout: of the head.
        num_members: trainings whose scores are averaged; 1 is no ensemble.
        training: by default 100 epochs of minibatches of 64, all pairs, and a learning rate that
            falls to 0.
    """
    settings = {
        "layers": layers,
        "attributes": attributes,
        "statistics": statistics,
        "both": both,
        "hidden": hidden,
    }
    settings |= {"dropout": dropout, "weight": weight, "training": training}
    encoder = BiFlow(
        len(encodings.node_operations(space)),
        layers,
        attributes=attributes,
        statistics=statistics,
        both=both,
        weight=weight,
        num_inputs=space.num_inputs,
    )
    recipe = of_cells(space, _features, encoder, training, hidden, dropout)
    one = recipes.predictor("biflow", space, settings, recipe)
    return one if num_members == 1 else ensemble(one, num_members)
