"""Encodings of architectures for predictors: pure functions `archs [B, D] -> features`.

Each factory takes a `types.Space` and returns the encoding of a whole population, jittable and
without any trainable part. They see `Space.graph`; `layers`, `renas` and `statistics` also see the
widths of its nodes. `node_graphs`, `renas` and `statistics` are for one kind of cell, the others
serve every space.
"""

from jnas import _renamed, _shown
from jnas.encodings.adjacency import adjacency
from jnas.encodings.graphs import graphs, graphs_tuple, node_graphs
from jnas.encodings.layers import layers
from jnas.encodings.renas import renas
from jnas.encodings.statistics import statistics, widths
from jnas.encodings.tokens import tokens, vocabulary

__all__ = [
    "adjacency",
    "graphs",
    "graphs_tuple",
    "layers",
    "node_graphs",
    "renas",
    "statistics",
    "tokens",
    "vocabulary",
    "widths",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
