"""Kendall tau of five encoders on NAS-Bench-101 by number of trained cells (GATES, table 1).

Paper: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based
    NAS", ECCV 2020.
Command: python -m experiments.gates_encoders
Cost: about two hours on 2 CPU cores, most of it 5 and 10 %; 50 and 100 % need a GPU. Results are
    kept as they come.
Expected: Kendall tau of GATES at least .743, .768, .823, .846 at 190, 381, 1,906 and 3,812 cells.

The split is the paper's: cells in the order of their hashes, the last 42,362 for testing, training
sets from the front. The labels are not: mean *test* accuracy of three runs (validation accuracy,
which the paper uses, is not in the table), so that the paper's figures are a guide. Seeds differ in
all that is random in a training, not in its cells.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        encoders: label → (name of the predictor, its settings). Those of the graph networks, which
            are not published, were chosen on validation cells (`experiments.gates_validation`).
        sizes: training cells: .05, .1, .5, 1, 5, 10, 50 and 100 % of 381,262.
        largest_on_cpu: the last size that is trained without an accelerator, unless asked for.
        seeds: label → seeds, for sizes up to `large`.
        large_seeds: label → seeds beyond that.
        large: the last size that all seeds are spent on.
        num_test: cells at the end of the table.
        paper: label → the paper's Kendall tau at each size.
    """

    encoders: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "MLP": ("mlp", {}),
            "LSTM": ("lstm", {}),
            "GCN": ("gcn", {}),
            "GCN + global": ("gcn", {"global_node": True, "layers": (128, 128, 128)}),
            "GATES": ("gates", {}),
        }
    )
    sizes: tuple[int, ...] = (190, 381, 1906, 3812, 19063, 38126, 190631, 381262)
    largest_on_cpu: int = 38126
    seeds: int = 5
    large_seeds: dict[str, int] = field(default_factory=lambda: {"GATES": 5})
    large: int = 3812
    num_test: int = 42362
    paper: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "MLP": (0.3971, 0.5272, 0.6463, 0.7312, 0.8592, 0.8718, 0.8893, 0.8955),
            "LSTM": (0.5509, 0.5993, 0.7112, 0.7747, 0.8440, 0.8576, 0.8859, 0.8931),
            "GCN": (0.3992, 0.4628, 0.6963, 0.8243, 0.8626, 0.8721, 0.8910, 0.8952),
            "GCN + global": (0.5343, 0.5790, 0.7915, 0.8277, 0.8641, 0.8747, 0.8918, 0.8950),
            "GATES": (0.7634, 0.7789, 0.8434, 0.8594, 0.8841, 0.8922, 0.9001, 0.9030),
        }
    )


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    encoders={label: CONFIG.encoders[label] for label in ("MLP", "GATES")},
    sizes=(190,),
    seeds=2,
    num_test=1000,
    paper={label: CONFIG.paper[label][:1] for label in ("MLP", "GATES")},
)
