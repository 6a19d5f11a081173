"""Benchmark of our own: NAS-Bench-201's cells in a small network, trained on composed digits.

Paper: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326, whose cells and
    recipe (but for epochs, batch and augmentation) these are.
Command: python -m experiments.digits201 train, at any number of times: it goes on with the parts
    that are not there yet. Then python -m experiments.digits201 pack, which writes the file of the
    package, and python -m experiments.digits201 for the table and the picture.
Cost: 65 minutes on 2 cores: 6,414 trainings of 1.2 seconds of a core; the file has 0.9 MiB.
Expected: Kendall tau of two seeds .6 or more in the last epoch (.71 in the pilot, which chose these
    settings: experiments/digits201_pilot.py), some .4 with NAS-Bench-201's CIFAR-10 accuracies.

One stage has no residual blocks, so that nothing but a stem stands beside the cells.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the benchmark.

    Attributes:
        data: name of the data set, as `jnas.data.load` takes it.
        network: arguments of `jnas.networks.nasbench201`, but for the classes and channels of the
            images.
        recipe: changes of NAS-Bench-201's recipe.
        num_cells: how many of the different cells are trained, in random order; None for all.
        seeds: keys of the trainings: all cells with the first.
        num_again: how many of them with the other seeds.
        part: trainings of a file, which is what a kill can lose.
    """

    data: str = "digits201"
    network: dict[str, int] = field(
        default_factory=lambda: {"channels": 8, "cells": 2, "stages": 1}
    )
    recipe: dict[str, Any] = field(default_factory=lambda: {"epochs": 9, "batch_size": 64})
    num_cells: int | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    num_again: int = 512
    part: int = 64


CONFIG = Config()
QUICK: dict[str, Any] = {
    "network": {"channels": 2, "cells": 1, "stages": 1},
    "recipe": {"epochs": 2, "batch_size": 64},
    "num_cells": 6,
    "num_again": 2,
    "part": 4,
}
