"""Kendall tau of predictors on NAS-Bench-301 by number of cells: two kinds of cell, two inputs.

Papers: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based
    NAS", ECCV 2020 (GATES, GCN, LSTM, MLP); Xu et al., "ReNAS", CVPR 2021; Sun et al., E2EPP, 2019
    (forests). None of them has these numbers.
Command: python -m experiments.nasbench301_predictors
Cost: 90 minutes beside other work, 28 of them BiFlow. Results are kept as they come.
Expected: GATES above both MLPs and the LSTM at 100, 500 and 2,000 cells.

Accuracies are predictions of NAS-Bench-301's official surrogate, not trainings. The 5,468 cells are
no uniform sample, and some are alike, so that cells held out at random are easier than new ones.
Training sets are random, one for each seed; all predictors see the same ones, and are tested on the
same cells. The networks share one training (the default of BiFlow), with fewer epochs the larger
the training set: all of it had to fit into an hour or two of two busy cores, and longer trainings
would help all of them. Parameters and FLOPs are those of the network, without any training. Seconds
are those of a machine with much else to do, compilation included.

The GCN, on line graphs, and BiFlow rank as well as GATES, and all three before what sees nodes in
the order of a vector.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        predictors: label → (name of the predictor, its settings).
        epochs: training cells → epochs of every network.
        training: settings of every network's training but the epochs.
        seeds: training sets of each size.
        num_test: held-out cells.
    """

    predictors: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "GATES": ("gates", {}),
            "MLP": ("mlp", {}),
            "MLP, one-hot": ("mlp", {"one_hot": True}),
            "LSTM": ("lstm", {}),
            "GCN": ("gcn", {}),
            "Forest": ("e2epp", {"num_trees": 100, "max_features": "all", "bootstrap": True}),
            "ReNAS": ("renas", {}),
            "BiFlow": ("biflow", {}),
        }
    )
    epochs: dict[int, int] = field(default_factory=lambda: {100: 150, 500: 60, 2000: 20})
    training: dict[str, Any] = field(
        default_factory=lambda: {"max_ratio": None, "schedule": "cosine", "batch_size": 64}
    )
    seeds: int = 3
    num_test: int = 2000


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    predictors={label: CONFIG.predictors[label] for label in ("GATES", "MLP", "Forest")},
    epochs={100: 2},
    seeds=2,
    num_test=200,
)
