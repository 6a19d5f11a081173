"""Scores of untrained networks, counts and predictors against trainings of the same networks.

Papers: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021; Krishnakumar et al.,
    "NAS-Bench-Suite-Zero", NeurIPS 2022.
Command: python -m experiments.digits201_scores, when configs/digits201.py has been run, or a part
    of it: its cells come in random order.
Cost: 5 minutes of a core for 1,000 cells, and 5 for the predictors.
Expected: counts of parameters are hard to beat; on NAS-Bench-201's CIFAR-10 the best scores reach
    tau .57 (zeroshot_proxies). How well another training of the same cell ranks stands in the last
    row. Predictors that see the graph of a cell (gates, biflow) pass all scores, from 300 cells.

Elsewhere a score is of one network and the truth of a larger one. Here both are of the network that
was trained, on the images that it was trained on.
"""

from dataclasses import dataclass

from configs.zeroshot_proxies import NASBENCH201


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        num_archs: cells at most, the first that were trained.
        num_images: of the training images.
        names: of `zeroshot.NAMES`.
        predictors: of `predictors.by_name`.
        num_train: cells whose validation accuracies predictors learn from; the others test them.
        num_fits: trainings of each predictor, of different keys.
        epochs: of each; None for a predictor's own.
        seed: everything random follows from it.
    """

    num_archs: int = 1000
    num_images: int = 64
    names: tuple[str, ...] = NASBENCH201.names
    predictors: tuple[str, ...] = ("gates", "biflow", "mlp", "lstm")
    num_train: int = 300
    num_fits: int = 3
    epochs: int | None = None
    seed: int = 0


CONFIG = Config()
# As small as it runs.
QUICK = Config(
    num_archs=24,
    num_images=8,
    names=("params", "naswot", "synflow"),
    predictors=("mlp",),
    num_train=12,
    num_fits=1,
    epochs=2,
)
