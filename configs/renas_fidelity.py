"""Ranks of five widths of a network after cheap trainings and after the whole (figure 1).

Paper: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021,
    figure 1 (VGG-small on CIFAR-100, a part of the images and 5 to 200 epochs; its ratios of widths
    and its part are lost in the text).
Command: python -m experiments.renas_fidelity          (an eighth of the channels, 1,000 images of
    CIFAR-10 at 16x16, 40 epochs; `--full`: the paper's size, on a file cifar100.npz in the folder
    of data, or with `--images cifar10`)
Cost: 30 trainings of up to 1,240 steps, about 15 minutes on one CPU core.
Expected: ranks after a few epochs agree little with those at the end, and those of a part of the
    images do not agree fully, however long it is trained on.
"""

import dataclasses
from dataclasses import dataclass

from configs.naswot_training import SMALL
from jnas import training
from jnas.training import Recipe


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        ratios: of the widths to those of VGG-small.
        channels: of VGG-small's first two layers; the paper's has 128.
        images: "cifar10", or a file in the folder of data.
        size: height and width of the images.
        num_train: images that the whole training is on, None for all.
        num_test: images that are kept for testing, where the source has no test part of its own.
        part: share of the training images that a cheap training is on.
        stops: epochs after which accuracies are compared.
        recipe: of all trainings; those that are stopped follow its whole schedule, too.
        num_seeds: of orders, initial weights and augmentation.
    """

    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25)
    channels: int = 16
    images: str = "cifar10_4000.npz"
    size: int = 16
    num_train: int | None = 1000
    num_test: int = 1000
    part: float = 0.2
    stops: tuple[int, ...] = (1, 2, 3, 4, 40)
    recipe: Recipe = SMALL
    num_seeds: int = 3


CONFIG = Config()
FULL = dataclasses.replace(
    CONFIG,
    channels=128,
    images="cifar100.npz",
    size=32,
    num_train=None,
    part=0.1,
    stops=(5, 10, 15, 20, 200),
    recipe=training.recipe("nasbench201"),
)
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    ratios=(0.5, 1.0),
    channels=4,
    num_train=64,
    num_test=32,
    part=0.5,
    stops=(1, 2),
    recipe=training.recipe("nasbench201", epochs=2, batch_size=32),
    num_seeds=2,
)
