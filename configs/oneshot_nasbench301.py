"""Supernets of NAS-Bench-301: a curve of ranking quality at a small size, beside the published one.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, figures 1 and 5.
Command: python -m experiments.oneshot_nasbench301, at any number of times: it goes on. --full
    trains three supernets as published and ranks all cells, on a GPU.
Cost: 9 minutes of two cores; full size about 16 hours a supernet on the authors' GPU.
Expected: Kendall tau of the negated loss .097 after 100 epochs of 157 steps, .495 after 1,000, of
    the accuracy .023 and .362, means of three supernets on 5,468 cells; #params has .508. What is
    small here: 16x16 pixels, 8 channels, batches of 64, and a cosine of few epochs in place of
    plateaus. Seen: a tau of -.02 after 1,248 steps, a thirteenth of those to the first published
    one: so early, weights know nothing of ranks.

The network as published otherwise: 8 cells, pools followed by batch norms, none of them with
scales, on images of CIFAR-10 (as JPEG where the exact pixels are not at hand), one uniform cell a
step. The truth is the surrogate's accuracy.
"""

from dataclasses import dataclass, field
from typing import Any

_NETWORK = {"affine": False, "pool_norm": True}
_SMALL = {"sampler": "uniform", "batch_size": 64}


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        network: arguments of `jnas.networks.nasbench301`.
        name: of the recipe.
        recipe: changes of it.
        size: of the images.
        num_train: training images.
        num_validation: images that are scored with.
        batch_size: images a batch of the scores; the published ones have 256.
        batches: the first so many batches alone; None for all.
        epochs: after which cells are ranked.
        num_cells: that are ranked, of the published list; None for all 5,468.
        seeds: of the supernets.
    """

    network: dict[str, Any] = field(default_factory=lambda: {**_NETWORK, "channels": 8})
    name: str = "quick"
    recipe: dict[str, Any] = field(default_factory=lambda: {**_SMALL, "epochs": 4})
    size: int = 16
    num_train: int = 20_000
    num_validation: int = 256
    batch_size: int = 128
    batches: int | None = 1
    epochs: tuple[int, ...] = (1, 2, 4)
    num_cells: int | None = 200
    seeds: tuple[int, ...] = (0,)


CONFIG = Config()
FULL = Config(
    network={**_NETWORK, "channels": 16},
    name="nasbench301",
    recipe={},
    size=32,
    num_train=40_000,
    num_validation=10_000,
    batch_size=256,
    batches=None,
    epochs=tuple(range(100, 1001, 100)),
    num_cells=None,
    seeds=(0, 1, 2),
)
QUICK = Config(
    network={**_NETWORK, "channels": 2, "layers": 1},
    recipe={**_SMALL, "batch_size": 16, "epochs": 2},
    size=8,
    num_train=64,
    num_validation=32,
    batch_size=16,
    epochs=(1, 2),
    num_cells=40,
)
