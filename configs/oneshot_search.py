"""Weight-sharing searches of NAS-Bench-201: what they find, and how skips take over.

Papers: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326, table 5; its
    rows stand in Mellor et al., "Neural Architecture Search without Training", ICML 2021,
    https://arxiv.org/abs/2006.04647, table 2, too.
Command: python -m experiments.oneshot_search [digits201 | 16x16 | full]
Cost: of two cores, 15 minutes on digits201 and two hours on 16x16; full size is for a GPU, on
    CPUs it would take weeks.
Expected: published at full size, GDAS is the best (93.51 %), DARTS of both orders and ENAS end with
    skips alone (54.30 %), and a random cell has 86.6 %. On 16x16 a search takes 800 steps of
    64 images and not 97,750 (DARTS 19,550), so that the published order need not appear.

On "digits201" the network that is searched is the one whose accuracies are the truth, in 1,600
steps. On "16x16" cells are looked up in the table of NAS-Bench-201, trained there for 200 epochs at
full size. What was shrunk there: images (JPEG, area-averaged to 16x16, 4,096 of them in both
halves), cells (one a stage), epochs (25, of DARTS and its kin, too, which have 50), padding of the
crops (2), updates of ENAS' controller (5 an epoch in place of 50). In return the distribution
learns ten times as fast.
Batch norms have the statistics of the batch, where the published RSPS, SETN and ENAS had running
averages. "full" is the published setting.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        rows: label → method of `oneshot.METHODS` and its changes.
        remedy_of: row whose distribution and weights the two remedies start from.
        num_skips: skips of a cell that are too many.
        batches: of 512 images, by which selection by perturbation judges an operation.
        tune_epochs: after each decided edge.
        data: of `jnas.data.load`.
        size: height and width of the images.
        num_train: training images, both halves together; None takes all.
        truth: table that cells are looked up in.
        network: settings of the network.
        augmentation: of the images, in place of that of the methods.
        recipe: changes of the recipe of the weights, of all methods.
        rate: factor of the learning rate of the distribution.
        seeds: searches of each method.
        seed: everything random follows from it.
    """

    rows: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "RSPS": ("rsps", {}),
            "GDAS": ("gdas", {}),
            "SETN": ("setn", {}),
            "DARTS, first order": ("darts", {"order": 1}),
            "PC-DARTS": ("pc_darts", {"begin": 7}),
            "ENAS": ("enas", {"num_updates": 5}),
            "DrNAS": ("drnas", {}),
            "DARTS, second order": ("darts", {"order": 2}),
        }
    )
    remedy_of: str = "DARTS, first order"
    num_skips: int = 2
    batches: int | None = None
    tune_epochs: int = 2
    data: str = "cifar10"
    size: int | None = 16
    num_train: int | None = 4096
    truth: str = "nasbench201"
    network: dict[str, Any] = field(default_factory=lambda: {"cells": 1})
    augmentation: dict[str, Any] | None = field(default_factory=lambda: {"flip": True, "crop": 2})
    recipe: dict[str, Any] = field(default_factory=lambda: {"epochs": 25})
    rate: float = 10.0
    seeds: int = 3
    seed: int = 0


_SMALL = Config()
_FULL = Config(
    rows={
        label: (name, {key: value for key, value in changes.items() if key == "order"})
        for label, (name, changes) in _SMALL.rows.items()
    },
    tune_epochs=5,
    size=None,
    num_train=None,
    network={},
    augmentation=None,
    recipe={},
    rate=1.0,
)
_DIGITS = Config(
    rows=_SMALL.rows | {"PC-DARTS": ("pc_darts", {"begin": 60})},
    data="digits201",
    size=None,
    num_train=None,
    truth="digits201",
    network={"channels": 8, "cells": 2, "stages": 1, "in_channels": 1},
    augmentation={},
    recipe={"epochs": 200},
)
SCALES = {"digits201": _DIGITS, "16x16": _SMALL, "full": _FULL}
# As small as it runs.
QUICK = Config(
    rows={
        "RSPS": ("rsps", {"num_archs": 4}),
        "DARTS, first order": ("darts", {"order": 1}),
        "GDAS": ("gdas", {}),
    },
    tune_epochs=1,
    data="digits",
    size=8,
    num_train=64,
    network={"channels": 4, "stages": 1, "cells": 1, "in_channels": 1},
    augmentation={},
    recipe={"epochs": 2, "batch_size": 16},
    seeds=2,
)
