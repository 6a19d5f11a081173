"""Accuracies that evolution finds on predictors of NAS-Bench-101 (ReNAS, tables 3, 4 and 6).

Paper: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021 (arXiv
    1910.01523).
Command: python -m experiments.renas_search
Cost: two hours on 2 CPU cores; results are kept as they come.
Expected: best of ten at least 93.90 % and on average among the best .04 % for v4; v1 < v2 < v3 < v4
    in mean rank.

Predictors are trained on 423 cells, drawn anew for every seed and the same for all methods; the
search meets them again, as in the paper. The ten cells of highest prediction that a search has met,
isomorphic ones counted once, are looked up; the best of them is the answer. Accuracies are mean
test accuracies, for training and for the answer.

The paper gives the genetic algorithm's probabilities, generations and size, but they did not
survive in the text at hand; those of `search.genetic` are used, for 500 generations. "By
parameters" and "by FLOPs" take cells at equal distances in the sorted list, from a random start. In
the sub-space, predictors are also trained on cells of it.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from configs.renas_table2 import PAIRS, REGRESSION
from jnas.predictors import Training

# Chosen on validation cells by `experiments.renas_table2`.
TRIPLETS = Training(
    loss="renas", max_ratio=None, batch_size=1024, phi="hinge", margin=1.0, continuity=10.0
)


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        predictor, settings: of `jnas.predictors`.
        sampling: how the training cells are chosen.
        is_promising: whether cells are trained on, and searched for, in the sub-space only.
        paper: accuracy in %, its standard deviation, rank in %; empty where there is no row.
    """

    predictor: str
    settings: dict[str, Any]
    sampling: Literal["random", "params", "flops"] = "random"
    is_promising: bool = False
    paper: tuple[float, ...] = ()


V4 = Row("renas", {"training": PAIRS}, paper=(93.90, 0.21, 0.04))


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        rows: label → row, of tables 3, 4 and 6.
        num_train: training cells, .1 % of 423,624.
        population_size, num_generations: of the genetic algorithm.
        num_best: cells of highest prediction that are looked up.
        seeds: of every row.
    """

    rows: dict[str, Row] = field(
        default_factory=lambda: {
            "Peephole": Row("peephole", {}, paper=(92.63, 0.31, 12.32)),
            "E2EPP": Row("e2epp", {}, paper=(93.47, 0.44, 1.23)),
            "v1 type + MSE": Row(
                "renas", {"type_only": True, "training": REGRESSION}, paper=(92.36, 0.27, 16.93)
            ),
            "v2 tensor + MSE": Row("renas", {"training": REGRESSION}, paper=(93.03, 0.21, 6.09)),
            "v3 type + pairs": Row(
                "renas", {"type_only": True, "training": PAIRS}, paper=(93.43, 0.26, 1.50)
            ),
            "v4 tensor + pairs": V4,
            "v4 + continuity": Row("renas", {"training": TRIPLETS}, paper=(93.95, 0.11, 0.02)),
            "v4, by parameters": V4._replace(sampling="params", paper=(93.84, 0.21, 0.08)),
            "v4, by FLOPs": V4._replace(sampling="flops", paper=(93.76, 0.13, 0.16)),
            "v4, sub-space": V4._replace(is_promising=True, paper=(94.02, 0.14, 0.01)),
        }
    )
    num_train: int = 423
    population_size: int = 64
    num_generations: int = 500
    num_best: int = 10
    seeds: int = 20


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    rows={"E2EPP": CONFIG.rows["E2EPP"]},
    population_size=16,
    num_generations=5,
    seeds=2,
)
