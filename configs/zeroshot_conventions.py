"""Spearman correlations of zero-cost proxies with the width, batch and images that were published.

Paper: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021: its NAS-Bench-101
    scores are of networks of 128 channels with 256 images, its ImageNet16-120 scores of images of
    16x16 pixels and 120 classes; every network has initial weights of its own.
Command: python -m experiments.zeroshot_conventions, or with the names of some of the variants
Cost: about 50 minutes on 2 CPU cores.
Expected: on NAS-Bench-101 wider networks bring SNIP, grad_norm and Fisher nearer to the published
    correlations, and larger batches GraSP, which depends on the draw more than all others; initial
    weights of their own change little. On NAS-Bench-201 images and classes as those of
    ImageNet16-120 bring GraSP there.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A way to score the cells of `zeroshot_proxies`.

    Attributes:
        space: whose sample.
        num_archs: cells, the first of the sample; beyond it the same random order goes on.
        names: of `zeroshot.NAMES`.
        num_images: size of the mini-batch.
        image_size: height and width of the images.
        num_labels: None takes the images' own classes; a number draws as many at random, as of a
            data set with so many classes.
        shared_init: whether all cells have the same initial weights.
        network: arguments of the network beside those of the sample.
    """

    space: str
    num_archs: int
    names: tuple[str, ...]
    num_images: int = 64
    image_size: int = 32
    num_labels: int | None = None
    shared_init: bool = True
    network: dict[str, Any] = field(default_factory=dict)


_LOSS = ("grad_norm", "snip", "grasp", "fisher", "plain", "jacob_cov")

_IMAGENET16: dict[str, Any] = {"image_size": 16, "num_labels": 120, "network": {"num_classes": 120}}

VARIANTS = {
    "nasbench101_own_weights": Variant("nasbench101", 150, (*_LOSS, "synflow"), shared_init=False),
    "nasbench101_256_images": Variant("nasbench101", 150, _LOSS, num_images=256),
    "nasbench101_64_channels": Variant("nasbench101", 80, _LOSS, network={"channels": 64}),
    "nasbench101_128_channels": Variant(
        "nasbench101", 500, ("synflow",), network={"channels": 128}
    ),
    "nasbench101_5000_cells": Variant("nasbench101", 5000, ("synflow", "params", "relu_count")),
    "nasbench201_imagenet16": Variant("nasbench201", 1000, (*_LOSS, "synflow"), **_IMAGENET16),
    "nasbench201_imagenet16_4000_cells": Variant(
        "nasbench201", 4000, ("grad_norm", "snip", "fisher"), **_IMAGENET16
    ),
    "nasbench201_own_weights": Variant(
        "nasbench201", 1000, ("grad_norm", "snip", "fisher"), shared_init=False
    ),
}
# As small as it runs.
QUICK = {
    "nasbench201_own_weights": Variant(
        "nasbench201", 8, ("grad_norm", "snip"), num_images=8, shared_init=False
    )
}
