"""Types of jnas: architectures, spaces, networks, estimators, searchers. There is no logic here.

An architecture is a short integer vector. A search strategy proposes vectors, an estimator judges
them; everything else builds one or the other.

Axis legend, used in every docstring of the package:
    `B` batch of architectures, `D` choices in one architecture, `C` kinds of cell, `N` nodes, `E`
    edges, `O` operations, `P` population, `S` seeds, `T` evaluations of a search.

Of networks and their images, `N` counts the images of a mini-batch and `C` channels.

Functions named here take one architecture unless their shape says `[B, D]`; batch them with
`jax.vmap`. All of them are pure, and all but the three host functions of `Space` (`to_string`,
`from_string`, `enumerate`) work under `jit`, `vmap` and `scan`.
"""

from jnas import _renamed, _shown
from jnas.types.architecture import Arch, Graph, Key, Params, Space
from jnas.types.network import Dataset, Hooks, Images, Network, Pass, Relu
from jnas.types.search import (
    Estimator,
    History,
    Objective,
    Outcome,
    Policy,
    Predictor,
    Query,
    Searcher,
    Suite,
    Trainer,
)

__all__ = [
    "Arch",
    "Dataset",
    "Estimator",
    "Graph",
    "History",
    "Hooks",
    "Images",
    "Key",
    "Network",
    "Objective",
    "Outcome",
    "Params",
    "Pass",
    "Policy",
    "Predictor",
    "Query",
    "Relu",
    "Searcher",
    "Space",
    "Suite",
    "Trainer",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
