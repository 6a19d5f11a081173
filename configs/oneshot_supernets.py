"""Supernets of NAS-Bench-201: what helps shared weights to rank cells, and what does not.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, sections 4.1 to 4.5 (isomorphic or not, samples a step,
    FairNAS, affine batch norms, temporal ensembles, pruning, proxies, batches).
Command: python -m experiments.oneshot_supernets [digits201 | 16x16 | full], at any number of times:
    it goes on with the supernets that are not there yet. --settings NAME ... trains those alone.
Cost: of two cores, 25 minutes on digits201 and 8 minutes a supernet of 16x16; full size is for a
    GPU.
Expected: de-isomorphic sampling is ahead of isomorphic; most of the quality comes when the learning
    rate falls; a ranking by #params is hard to beat. On NAS-Bench-201 of full size Kendall tau .464
    after 200 of 1,000 epochs by plateaus, .744 at their end.
    Seen at 16x16, where the truth is of another network: moved and flipped images rank far worse
    than images as they are. At a rate of .1 throughout tau goes up and down by .1 from epoch to
    epoch: the last has .49, the mean score of the last three checkpoints .57, #params .63. Where
    the rate falls from .05 these are .46 and .47, of one seed.

On "digits201" the network whose accuracies are the truth is the one that shares its weights; on
"16x16" it is a small one on small images (CIFAR-10 as JPEG, means of 2 x 2 pixels), and the truth
NAS-Bench-201's own.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Scale:
    """Scale of the supernets, and what is ranked.

    Attributes:
        data: name of the data set.
        size: height and width of its images; None leaves them.
        num_train: images that weights are trained on; None for all of the training part.
        num_validation: images that are scored with.
        truth: "digits201" or "nasbench201": whose test accuracies are the truth.
        num_archs: cells that are ranked, drawn from all classes of equal ones; None for all.
        network: arguments of `jnas.networks.nasbench201`.
        recipe: changes of the recipe "quick".
        batch_size: images a batch of the scores.
        seeds: of each setting.
    """

    data: str
    size: int | None
    num_train: int | None
    num_validation: int
    truth: str
    num_archs: int | None
    network: dict[str, Any]
    recipe: dict[str, Any]
    batch_size: int = 512
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Setting:
    """One way to train a supernet.

    Attributes:
        recipe: further changes of the recipe.
        network: changes of the network's arguments.
        epochs: times those of the scale.
        without: operations that are never sampled, and whose cells are not ranked either.
        start: setting whose supernets this one goes on from, after that share of its epochs.
        keep_best: share of the cells that stays in the space from there on, by score.
    """

    recipe: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    epochs: float = 1.0
    without: tuple[str, ...] = ()
    start: float | None = None
    keep_best: float | None = None


_SHARED: dict[str, Any] = {"affine": False, "bias": False}
SCALES = {
    "digits201": Scale(
        data="digits201",
        size=None,
        num_train=None,
        num_validation=500,
        truth="digits201",
        num_archs=1000,
        network={"channels": 8, "cells": 2, "stages": 1, "in_channels": 1, **_SHARED},
        recipe={"epochs": 200, "batch_size": 64, "augmentation": None},
    ),
    "16x16": Scale(
        data="cifar10",
        size=16,
        num_train=40_000,
        num_validation=1000,
        truth="nasbench201",
        num_archs=1000,
        network={"channels": 16, "cells": 1, **_SHARED},
        recipe={},
    ),
    "full": Scale(
        data="cifar10",
        size=32,
        num_train=40_000,
        num_validation=10_000,
        truth="nasbench201",
        num_archs=None,
        network=_SHARED,
        recipe={"epochs": 250, "batch_size": 512, "dropout": 0.1},
    ),
}
SETTINGS = {
    "de-isomorphic": Setting(),
    "isomorphic": Setting({"sampler": "uniform"}),
    "3 samples a step": Setting({"num_samples": 3}),
    "3 samples, by samples": Setting({"num_samples": 3, "average": "samples"}),
    "FairNAS": Setting({"sampler": "fairnas"}),
    "strata of FLOPs": Setting({"sampler": "strata"}),
    "affine batch norms": Setting(network={"affine": True}),
    "masked": Setting({"is_masked": True}),
    "without augmentation": Setting({"augmentation": None}),
    "at .1 without augmentation": Setting(
        {"augmentation": None, "learning_rate": 0.1, "final_learning_rate": 0.1}
    ),
    "constant rate": Setting({"final_learning_rate": 0.05}),
    "twice the rate": Setting({"learning_rate": 0.1}),
    "a quarter of the epochs": Setting(epochs=0.25),
    "half the channels": Setting(network={"channels": 0.5}),
    "half the cells": Setting(network={"cells": 0.5}),
    "without pool": Setting(without=("avg_pool_3x3",)),
    "without none": Setting(without=("none",)),
    "best 50 % from 60 % on": Setting(start=0.6, keep_best=0.5),
    "best 25 % from 60 % on": Setting(start=0.6, keep_best=0.25),
    "best 10 % from 60 % on": Setting(start=0.6, keep_best=0.1),
}
QUICK: dict[str, Any] = {
    "scale": Scale(
        data="digits201",
        size=None,
        num_train=128,
        num_validation=64,
        truth="digits201",
        num_archs=160,
        network={"channels": 2, "cells": 2, "stages": 1, "in_channels": 1, **_SHARED},
        recipe={"epochs": 5, "batch_size": 64, "augmentation": None},
        seeds=(0, 1),
    ),
    "settings": ("de-isomorphic", "best 50 % from 60 % on", "half the channels"),
}
