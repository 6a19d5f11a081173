"""Kendall tau of BiFlow and of GATES from the same training sets.

Command: python -m experiments.beyond_gates [largest size]
Cost: about 40 minutes on 2 CPU cores, half of it the largest size; results are kept as they come.
Expected: on NAS-Bench-101 Kendall tau at least .78, .80, .85, .87 from 190, 381, 1,906 and 3,812
    cells; on both spaces the 95 % interval of the paired difference with GATES above zero at every
    size.

Training sets are random, one for each split; both predictors see the same ones. Test cells are in
none of them. All settings were chosen on cells outside the test sets (`JUDGED` in the config).
Labels are mean test accuracy; inputs are what the encoding knows of a cell, no zero-shot score is
used.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training, biflow
from jnas.spaces import nasbench101

_OWN = biflow(nasbench101()).settings["training"]

# Rows of NAS-Bench-101 that settings were judged on: outside the last 42,362 rows, which test.
JUDGED = range(300_000, 308_000)


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        sizes: space → training cells.
        splits: training sets of each size.
        predictors: label → (predictor, settings); the first is the baseline.
        ablations: label → settings of a single BiFlow, from `ablation_size` cells of NAS-Bench-101.
        ablation_size: see `ablations`.
        num_test: test cells, the last of each table.
    """

    sizes: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {
            "nasbench101": (190, 381, 1906, 3812),
            "nasbench201": (78, 390, 781),
        }
    )
    splits: int = 5
    predictors: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "GATES": ("gates", {}),
            "BiFlow x 4": ("biflow", {"num_members": 4}),
        }
    )
    ablations: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "GATES": ("gates", {}),
            "GATES, training of BiFlow": ("gates", {"training": _OWN}),
            "GATES, training and head of BiFlow": (
                "gates",
                {"training": _OWN, "hidden": (200, 200)},
            ),
            "BiFlow": ("biflow", {}),
            "BiFlow, training of GATES": ("biflow", {"training": Training()}),
            "BiFlow, sampled pairs": (
                "biflow",
                {"training": dataclasses.replace(_OWN, max_ratio=4.0)},
            ),
            "BiFlow, constant learning rate": (
                "biflow",
                {"training": dataclasses.replace(_OWN, schedule="constant")},
            ),
            "BiFlow, minibatches of 512, 200 epochs": (
                "biflow",
                {"training": dataclasses.replace(_OWN, batch_size=512, epochs=200)},
            ),
            "BiFlow, one hidden layer": ("biflow", {"hidden": (200,)}),
            "BiFlow without attributes": ("biflow", {"attributes": False}),
            "BiFlow without statistics": ("biflow", {"statistics": False}),
            "BiFlow forwards only": ("biflow", {"both": False}),
        }
    )
    ablation_size: int = 381
    num_test: dict[str, int] = field(
        default_factory=lambda: {"nasbench101": 42362, "nasbench201": 7812}
    )


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    sizes={"nasbench201": (78,)},
    splits=2,
    predictors={"GATES": ("gates", {}), "BiFlow": ("biflow", {})},
    ablations={label: CONFIG.ablations[label] for label in ("GATES", "BiFlow")},
    ablation_size=78,
)
