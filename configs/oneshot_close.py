"""CLOSE against the plain supernet: what the sharing extent and its gate are worth.

Papers: Zhou et al., "CLOSE", ECCV 2022, https://arxiv.org/abs/2207.07868; Ning et al., "Evaluating
    Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
    https://arxiv.org/abs/2008.03064.
Command: python -m experiments.oneshot_close
Cost: an hour of two cores for each part.
Expected: CLOSE ranks no worse than the plain supernet after any epoch, at equal steps.

Small networks on small images: CIFAR-10 (JPEG 75), averaged to 16x16; 16 channels, one cell a
stage; a cosine from .05 over 20 epochs of 128 images a step. All supernets rank the same cells by
the same validation images; the truth is NAS-Bench-201's test accuracy, the mean of the cells of a
class. All methods are compared on a quarter of the training images, the best way on all of them.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        data: name of the images.
        size: their height and width.
        num_validation: images that are kept for validation.
        network: settings of `networks.nasbench201`.
        recipe: changes of the recipe "quick" of `oneshot`.
        methods: label → settings of `oneshot.close`; None is the plain supernet.
        parts: name → number of training images, None for all, and the methods that are trained on
            them; the first is the plain one.
        equal_time: labels of methods that are also trained for as many steps as take the time of
            the plain supernet.
        epochs: after which the cells are ranked.
        num_archs: cells, one a class, that are ranked.
        num_images: validation images that they are ranked by.
        batch_size: of these.
        seeds: of the supernets.
        num_timed: steps an epoch whose time is measured, in five epochs.
    """

    data: str = "cifar10"
    size: int = 16
    num_validation: int = 10_000
    network: dict[str, Any] = field(
        default_factory=lambda: {"cells": 1, "affine": False, "bias": False}
    )
    recipe: dict[str, Any] = field(default_factory=dict)
    methods: dict[str, dict[str, Any] | None] = field(
        default_factory=lambda: {
            "plain": None,
            "CLOSE, selected": {"gate_gradient": "selected"},
            "CLOSE, all": {"gate_gradient": "all"},
            "CLOSE, weights": {"gate_gradient": "weights"},
            "CLOSE, untrained gate": {"gate_gradient": None},
            "one bank": {"schedule": (1,), "gate_gradient": None},
        }
    )
    parts: dict[str, tuple[int | None, tuple[str, ...]]] = field(
        default_factory=lambda: {
            "10,000 images": (
                10_000,
                (
                    "plain",
                    "CLOSE, selected",
                    "CLOSE, all",
                    "CLOSE, weights",
                    "CLOSE, untrained gate",
                    "one bank",
                ),
            ),
            "40,000 images": (None, ("plain", "CLOSE, selected")),
        }
    )
    equal_time: tuple[str, ...] = ("CLOSE, all",)
    epochs: tuple[int, ...] = (8, 14, 20)
    num_archs: int = 300
    num_images: int = 500
    batch_size: int = 500
    seeds: tuple[int, ...] = (0, 1, 2)
    num_timed: int = 8


CONFIG = Config()
QUICK: dict[str, Any] = {
    "num_validation": 100,
    "network": {"channels": 2, "stages": 1, "cells": 1, "affine": False, "bias": False},
    "recipe": {"epochs": 5, "batch_size": 32},
    "methods": {"plain": None, "CLOSE, selected": {"gate_gradient": "selected"}},
    "parts": {"128 images": (128, ("plain", "CLOSE, selected"))},
    "equal_time": ("CLOSE, selected",),
    "epochs": (2, 5),
    "num_archs": 20,
    "num_images": 100,
    "batch_size": 50,
    "seeds": (0,),
    "num_timed": 2,
}
