"""Searches on real trainings, by the seconds that they take: how much is found how soon.

Papers: Falkner, Klein and Hutter, "BOHB", ICML 2018, https://arxiv.org/abs/1807.01774; Li et al.,
    "Hyperband", JMLR 2018, https://arxiv.org/abs/1603.06560; Real et al., "Regularized Evolution",
    AAAI 2019, https://arxiv.org/abs/1802.01548.
Command: python -m experiments.real_training
Cost: 8 minutes of a core.
Expected: strategies of several fidelities have seen more cells at any time; none of the three
    is ahead of random search by more than a training is off the mean of its cell.

Every score is a training: cells of NAS-Bench-201 in the network of configs/digits201.py, on its
images. A search is on validation accuracy; what is reported is the test accuracy of the best full
training so far. A training that is asked for more epochs goes on and pays for the rest alone.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        rows: label → strategy of `jnas.search` and its settings.
        seconds: of the processor, for each search.
        num_runs: of each strategy, each with a key of its own for search and trainings.
        num_evaluations: more than the seconds allow.
        overrides: changes of the settings of digits201.
    """

    rows: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "BOHB": ("bohb", {"min_epochs": 1}),
            "successive halving": ("successive_halving", {"min_epochs": 1}),
            "regularized evolution": ("regularized_evolution", {"population_size": 10}),
            "random search": ("random_search", {}),
        }
    )
    seconds: float = 30.0
    num_runs: int = 3
    num_evaluations: int = 2000
    overrides: dict[str, Any] = field(default_factory=dict)


CONFIG = Config()
QUICK: dict[str, Any] = {
    "seconds": 2.0,
    "num_runs": 1,
    "num_evaluations": 30,
    "overrides": {
        "network": {"channels": 2, "cells": 1, "stages": 1},
        "recipe": {"epochs": 3, "batch_size": 64},
    },
}
