"""Deviations of NASWOT scores under other images, initial weights and batch sizes (figures 1, 5).

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, figure 5 (ten
    NAS-Bench-201 cells, one from each band of five percentiles of CIFAR-10 accuracy from the 50th
    on, 20 repeats each) and figure 1 (kernels of good and bad cells).
Command: python -m experiments.naswot_ablations
Cost: 1,400 scores, about 6 minutes on 2 CPU cores.
Expected: scores of a cell vary far less between images, noise or initialisations than between
    cells, and their order hardly changes.
"""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        num_repeats: scores of each cell in each ablation.
        num_images: size of the mini-batch where it is not what varies.
        batch_sizes: where it is.
        bands: number of bands of equal size from the 50th to the 100th percentile of accuracy.
        column: accuracy that the bands are of.
        num_kernels: cells of figure 1, from the worst to the best.
        seed: everything random follows from it.
    """

    num_repeats: int = 20
    num_images: int = 128
    batch_sizes: tuple[int, ...] = (32, 64, 128, 256)
    bands: int = 10
    column: str = "test200_c10"
    num_kernels: int = 8
    seed: int = 0


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG, num_repeats=2, num_images=8, batch_sizes=(4, 8), bands=3, num_kernels=2
)
