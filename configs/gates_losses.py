"""Kendall tau, N@K and P@K of predictors by loss (GATES, tables 2 and 3, figure 3).

Paper: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based
    NAS", ECCV 2020.
Command: python -m experiments.gates_losses
Cost: about 20 minutes on 2 CPU cores.
Expected: ranking losses far above regression; on NAS-Bench-201 Kendall tau of GATES at least .73
    from 78 cells, and N@5 = 1 from half of the training pool.

Labels: mean test accuracy (NAS-Bench-101: 108 epochs, three runs; NAS-Bench-201: CIFAR-10, 200
epochs). Regressions see targets scaled to mean 0 and variance 1 and have a linear output; the
paper's sigmoid on raw accuracies saturates.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        losses: label → (predictor, its settings), for the table of losses on NAS-Bench-101.
        sizes: training cells of that table.
        paper: label → the paper's Kendall tau at each of those sizes.
        encoders: label → (predictor, settings) for N@K and P@K, with hinge and regression loss.
        sizes_201: training cells on NAS-Bench-201: 1, 5, 10, 50 and 100 % of its first half.
        seeds: of every training; `slow_seeds` for the two largest sizes on NAS-Bench-201.
        slow_seeds: see `seeds`.
        num_test: cells at the end of the table of NAS-Bench-101.
    """

    losses: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "MSE + GCN": ("gcn", {"training": Training(loss="mse", scaling="standard")}),
            "MSE + GATES": ("gates", {"training": Training(loss="mse", scaling="standard")}),
            "BCE": ("gates", {"training": Training(loss="logistic")}),
            "Comparator": ("gates", {"pairing": "diff"}),
            "Hinge": ("gates", {}),
            "ListMLE": ("gates", {"training": Training(loss="list_mle")}),
        }
    )
    sizes: tuple[int, ...] = (190, 381, 1906, 3812)
    paper: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "MSE + GCN": (0.4536, 0.5058, 0.5587, 0.5699),
            "MSE + GATES": (0.4935, 0.5425, 0.5739, 0.6323),
            "BCE": (0.7460, 0.7696, 0.8352, 0.8550),
            "Comparator": (0.7250, 0.7622, 0.8367, 0.8540),
            "Hinge": (0.7634, 0.7789, 0.8434, 0.8594),
            "ListMLE": (0.7359, 0.7604, 0.8312, 0.8558),
        }
    )
    encoders: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "MLP": ("mlp", {}),
            "LSTM": ("lstm", {}),
            "GCN": ("gcn", {}),
            "GATES": ("gates", {}),
        }
    )
    sizes_201: tuple[int, ...] = (78, 390, 781, 3906, 7813)
    seeds: int = 5
    slow_seeds: int = 2
    num_test: int = 42362


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    losses={label: CONFIG.losses[label] for label in ("Hinge", "ListMLE")},
    sizes=(190,),
    paper={label: CONFIG.paper[label][:1] for label in ("Hinge", "ListMLE")},
    encoders={"MLP": ("mlp", {})},
    sizes_201=(78,),
    seeds=2,
    num_test=1000,
)
