"""Kendall tau of NASWOT scores with trained accuracies (NASWOT, figure 3).

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, figure 3 (a) to (c)
    and NAS-Bench-101.
Command: python -m experiments.naswot_correlation, and with the argument nasbench101; with the
    argument all, of the scores of all NAS-Bench-201 that `experiments.naswot_table2 scores` keeps.
Cost: jobs of 1,000 networks, about 5 minutes each on 2 CPU cores.
Expected: on NAS-Bench-201 Kendall tau with CIFAR-10 accuracy at least 0.57 from CIFAR-10 images
    (paper: 0.574) and at least 0.50 from digits. The paper scores CIFAR-100 and ImageNet-16 with
    their own images (0.611 and 0.549); here one mini-batch serves all three columns. On
    NAS-Bench-101 at least 0.28 (paper: 0.285, with the best of three test accuracies of a cell;
    here their mean).
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        space: whose reference network is scored.
        num_archs: random architectures, drawn with replacement as in the paper.
        num_images: size of the mini-batch.
        jobs: sources of images and which ReLU modules count, each scored on its own.
        seed: everything random follows from it.
        columns: columns of the table to compare with, and the paper's Kendall tau.
    """

    space: str = "nasbench201"
    num_archs: int = 1000
    num_images: int = 128
    jobs: tuple[tuple[str, Literal["live", "all"]], ...] = (
        ("cifar10", "live"),
        ("cifar10", "all"),
        ("digits", "live"),
    )
    seed: int = 0
    columns: tuple[tuple[str, float], ...] = (
        ("test200_c10", 0.574),
        ("test200_c100", 0.611),
        ("test200_in16", 0.549),
    )


NASBENCH201 = Config()
NASBENCH101 = Config(
    space="nasbench101", jobs=(("cifar10", "live"),), columns=(("test_accuracy", 0.285),)
)
CONFIGS = {config.space: config for config in (NASBENCH201, NASBENCH101)}
# As small as it runs.
QUICK = dataclasses.replace(NASBENCH201, num_archs=8, num_images=8, jobs=(("digits", "live"),))
