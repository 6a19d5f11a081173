"""Kendall tau of ReNAS and its rivals on NAS-Bench-101 (ReNAS, table 2, figures 3 and 4).

Paper: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021 (arXiv
    1910.01523).
Command: python -m experiments.renas_table2
Cost: three hours on 2 CPU cores, most of it 4,236 cells.
Expected: Kendall tau of v4 at least .65 from 423 cells and .81 from 1 %, v1 < v2 < v3 < v4 from
    423, E2EPP at least .53.

Training sets are random, one for each seed and the same for all methods, as the released code draws
them; all other cells of the table test, of which a random part (`num_test`) is taken. Labels are
mean test accuracy. Margin and λ, which the paper leaves out, are chosen on a validation split of
423 training cells; the test cells have no part in it.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training

PAIRS = Training(loss="logistic", max_ratio=None, batch_size=1024)
REGRESSION = Training(loss="mse", scaling="minmax", batch_size=1024)


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        methods: label → (predictor, settings).
        sizes: training cells: .1 and 1 % of 423,624.
        seeds: size → seeds.
        paper: label → the paper's Kendall tau at those sizes.
        num_test: random cells outside all training sets.
        continuity, margins: values of λ and of the hinge's margin, tried on the validation split.
    """

    methods: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "Peephole": ("peephole", {}),
            "E2EPP": ("e2epp", {}),
            "v1 type + MSE": ("renas", {"type_only": True, "training": REGRESSION}),
            "v2 tensor + MSE": ("renas", {"training": REGRESSION}),
            "v3 type + pairs": ("renas", {"type_only": True, "training": PAIRS}),
            "v4 tensor + pairs": ("renas", {"training": PAIRS}),
        }
    )
    sizes: tuple[int, ...] = (423, 4236)
    seeds: dict[int, int] = field(default_factory=lambda: {423: 6, 4236: 2})
    paper: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "Peephole": (0.4556, 0.4769),
            "E2EPP": (0.5038, 0.6734),
            "v1 type + MSE": (0.3465, 0.5911),
            "v2 tensor + MSE": (0.4856, 0.6090),
            "v3 type + pairs": (0.6039, 0.7943),
            "v4 tensor + pairs": (0.6335, 0.8136),
        }
    )
    num_test: int = 42362
    continuity: tuple[float, ...] = (0.0, 0.1, 1.0, 3.0, 10.0)
    margins: tuple[float, ...] = (0.1, 1.0)


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    methods={"E2EPP": ("e2epp", {})},
    sizes=(423,),
    seeds={423: 2},
    paper={"E2EPP": CONFIG.paper["E2EPP"][:1]},
    num_test=1000,
    continuity=(0.0,),
    margins=(0.1,),
)
