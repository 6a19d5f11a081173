"""NASWOT scores of ten good cells while they are trained (figure 6).

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, figure 6 (ten
    NAS-Bench-201 cells of high validation accuracy, SGD for 100 epochs, a score after each).
Command: python -m experiments.naswot_training         (1,000 images at 16x16, one cell a stage, 40
    epochs of 31 steps; `--full`: all of CIFAR-10 at 32x32, five cells a stage, 100 epochs)
Cost: about 15 minutes on one CPU core.
Expected: as in the paper, scores rise in the first epoch, by about as much for every cell, and
    hardly change from then on; their order stays similar.
"""

import dataclasses
from dataclasses import dataclass

from jnas import training
from jnas.data import Augmentation
from jnas.training import Recipe

# Of small images; also that of `configs.renas_fidelity`.
SMALL = training.recipe(
    "nasbench201", epochs=40, batch_size=32, augmentation=Augmentation(flip=True, crop=2)
)


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        num_cells: cells that are trained, drawn at random among the good ones.
        column: accuracy of the table by which cells are good; the figure's is on validation.
        threshold: that it exceeds, in %; the number itself is lost in the paper's text.
        images: "cifar10", or a file in the folder of data.
        size: height and width of the images.
        num_train: images that are trained on, None for all.
        num_test: images that are kept for testing, where the source has no test part of its own.
        channels: of the first stage.
        cells: a stage.
        recipe: of the trainings.
        num_scored: training images that the scores are of.
        seed: everything random follows from it.
    """

    num_cells: int = 10
    column: str = "val200_c10"
    threshold: float = 90.0
    images: str = "cifar10_4000.npz"
    size: int = 16
    num_train: int | None = 1000
    num_test: int = 500
    channels: int = 16
    cells: int = 1
    recipe: Recipe = SMALL
    num_scored: int = 128
    seed: int = 0


CONFIG = Config()
FULL = dataclasses.replace(
    CONFIG,
    images="cifar10",
    size=32,
    num_train=None,
    cells=5,
    recipe=training.recipe("nasbench201", epochs=100),
)
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    num_cells=3,
    num_train=96,
    num_test=32,
    channels=4,
    recipe=training.recipe("nasbench201", epochs=2, batch_size=32),
    num_scored=16,
)
