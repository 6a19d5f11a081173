"""Encodings of architectures for predictors: pure functions `archs [B, D] -> features`.

Each factory takes a `types.Space` and returns the encoding of a whole population, jittable and
without any trainable part. They see `Space.graph`; `layers`, `renas` and `statistics` also see the
widths of its nodes. All of them serve every space: kinds of cell stand one after the other, and
what a graph does not show, the network's own width and depth, follows them (`graphs`, `node_graphs`
and `statistics` leave it to `sizes`).
"""

from jnas import _renamed, _shown
from jnas.encodings.adjacency import adjacency
from jnas.encodings.graphs import (
    graphs,
    graphs_tuple,
    node_graphs,
    node_operations,
    operations_on_edges,
)
from jnas.encodings.layers import layers, num_types
from jnas.encodings.renas import renas
from jnas.encodings.sizes import sizes
from jnas.encodings.statistics import statistics, widths
from jnas.encodings.tokens import tokens, vocabulary

__all__ = [
    "adjacency",
    "graphs",
    "graphs_tuple",
    "layers",
    "node_graphs",
    "node_operations",
    "num_types",
    "operations_on_edges",
    "renas",
    "sizes",
    "statistics",
    "tokens",
    "vocabulary",
    "widths",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
