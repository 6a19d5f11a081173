"""Forgetting in a supernet: what an architecture loses while the steps after its own train others.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, figure 13 and statement A3; Zhang et al., "Overcoming
    Multi-Model Forgetting in One-Shot NAS", AAAI 2020.
Command: python -m experiments.oneshot_forgetting
Cost: 10 minutes of a core.
Expected: forgetting values below 0 in the first epochs, when every step helps all, above 0 later,
    and towards 0 as the learning rate falls.

The supernets are those of digits201 (configs/oneshot_supernets.py, its base setting). After some of
their epochs the accuracy of each sampled architecture is measured right after the step that trained
it, and again some epochs later; the difference is its forgetting value.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        epochs: after which a window begins.
        window: epochs whose steps are looked at; later accuracies are those at its end.
        seeds: of the supernets.
    """

    epochs: tuple[int, ...] = (2, 20, 60, 100, 140, 180, 196)
    window: int = 4
    seeds: tuple[int, ...] = (0, 1, 2)


CONFIG = Config()
QUICK = Config(epochs=(1, 3), window=2, seeds=(0,))
