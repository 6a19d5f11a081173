"""Batches that a supernet is scored with: how rankings change, and what one batch ties.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, figure 8 and statement O7.
Command: python -m experiments.oneshot_batches
Cost: 2 minutes of two cores.
Expected: more batches rank better once a supernet is trained, less so or not at all before; cells
    that one batch gives the same accuracy are told apart by ten in part: most taus inside such
    levels are above 0.

The supernets are those of digits201 (configs/oneshot_supernets.py, its base setting).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        batch_size: images of a batch.
        batches: numbers of batches that cells are scored with; levels are of the first and ranked
            by the last.
        shares: of the epochs, after which cells are scored.
        fewest: cells of a level that is looked at.
    """

    batch_size: int = 50
    batches: tuple[int, ...] = (1, 2, 3, 5, 10)
    shares: tuple[float, ...] = (0.1, 1.0)
    fewest: int = 20


CONFIG = Config()
QUICK = Config(batch_size=16, batches=(1, 4), shares=(0.4, 1.0), fewest=5)
