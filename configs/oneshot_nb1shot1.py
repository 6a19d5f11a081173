"""Supernets of NAS-Bench-1Shot1: the first epochs of the published curve.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, figure 1, on sub-space 3 of Zela et al.,
    "NAS-Bench-1Shot1", ICLR 2020, https://arxiv.org/abs/2001.10422.
Command: python -m experiments.oneshot_nb1shot1, at any number of times: it goes on. --full trains
    three supernets for 40 epochs and ranks all cells, on a GPU.
Cost: 13 minutes an epoch of two cores, and as much for the scores after each.
Expected: Kendall tau of the negated loss .30 after one epoch of 157 steps, .40 after 5, .425 after
    20, .444 after 40, means of three supernets on 5,000 cells; the number of parameters has .51.
    Seen: .268 after one epoch, one supernet, 500 cells; the rest of the curve is not measured.

The network as published, 9 cells from 16 channels, trained on 40,000 images of CIFAR-10 (as JPEG
where the exact pixels are not at hand), one of 14,580 cells in a step of 256 images.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        network: arguments of `jnas.networks.nb1shot1`.
        recipe: changes of the recipe "nb1shot1".
        size: of the images.
        num_train: training images.
        num_validation: images that are scored with.
        batch_size: images a batch of the scores; the published ones have 256.
        epochs: after which cells are ranked.
        num_cells: that are ranked, different ones of the published list; None for all 5,000.
        seeds: of the supernets.
    """

    network: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    size: int = 32
    num_train: int = 40_000
    num_validation: int = 512
    batch_size: int = 256
    epochs: tuple[int, ...] = (1, 2, 5)
    num_cells: int | None = 500
    seeds: tuple[int, ...] = (0,)


CONFIG = Config()
FULL = Config(
    num_validation=10_000, epochs=(1, 2, 5, 10, 15, 20, 40), num_cells=None, seeds=(0, 1, 2)
)
QUICK = Config(
    network={"channels": 2, "cells": 1, "stacks": 2},
    recipe={"batch_size": 16},
    size=8,
    num_train=64,
    num_validation=32,
    batch_size=16,
    epochs=(1, 2),
    num_cells=40,
)
