"""Published curves of how well supernets rank while they are trained, to lay new ones over.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
https://arxiv.org/abs/2008.03064, figure 1: means over the three supernets of a space, from the
criteria that its authors have stored for each checkpoint.
"""

from typing import NamedTuple

SOURCE = "Ning et al., NeurIPS 2021, figure 1"
SHARE = 0.1  # of the architectures that P@top is about

_NASBENCH201 = (
    # epoch, Kendall's tau-b and P@top of the accuracy
    (40, 0.053, 0.208),
    (80, 0.197, 0.287),
    (120, 0.403, 0.362),
    (160, 0.461, 0.381),
    (200, 0.464, 0.376),
    (280, 0.570, 0.432),
    (400, 0.614, 0.449),
    (480, 0.676, 0.525),
    (560, 0.722, 0.554),
    (600, 0.730, 0.558),
    (680, 0.729, 0.562),
    (760, 0.742, 0.572),
    (840, 0.748, 0.563),
    (920, 0.749, 0.565),
    (1000, 0.744, 0.560),
)
_NB1SHOT1 = (
    # epoch, Kendall's tau-b of −loss and of the accuracy, P@top of −loss
    (1, 0.300, 0.228, 0.511),
    (2, 0.372, 0.301, 0.473),
    (5, 0.398, 0.333, 0.528),
    (10, 0.400, 0.344, 0.503),
    (20, 0.425, 0.370, 0.569),
    (40, 0.444, 0.419, 0.529),
    (100, 0.394, 0.371, 0.587),
    (200, 0.408, 0.405, 0.593),
    (400, 0.400, 0.390, 0.576),
    (600, 0.384, 0.374, 0.604),
    (1000, 0.382, 0.374, 0.617),
)
_NASBENCH301 = (
    # epoch, Kendall's tau-b of −loss and of the accuracy, P@top of −loss
    (100, 0.097, 0.023, 0.053),
    (200, 0.170, 0.110, 0.084),
    (300, 0.124, 0.097, 0.063),
    (400, 0.155, 0.093, 0.070),
    (500, 0.266, 0.225, 0.158),
    (600, 0.325, 0.272, 0.239),
    (700, 0.386, 0.302, 0.287),
    (800, 0.426, 0.320, 0.358),
    (900, 0.477, 0.354, 0.412),
    (1000, 0.495, 0.362, 0.435),
)


class Curve(NamedTuple):
    """Published curve of one score.

    Attributes:
        score: "accuracy" or "loss" (negated), of one-shot weights on validation images.
        kendall: epoch → Kendall's tau-b.
        p_top: epoch → P@top 10 %.
        params: Kendall's tau-b of #params with the same truth.
        steps: in an epoch.
        about: architectures, truth, images and seeds, in words.
    """

    score: str
    kendall: dict[int, float]
    p_top: dict[int, float]
    params: float
    steps: int
    about: str

    @property
    def num_epochs(self) -> int:
        """Epochs of the training."""
        return max(self.kendall)


NB1SHOT1 = {
    "loss": {epoch: tau for epoch, tau, _, _ in _NB1SHOT1},
    "accuracy": {epoch: tau for epoch, _, tau, _ in _NB1SHOT1},
}
"""Score → epoch → Kendall's tau-b, on sub-space 3 of NAS-Bench-1Shot1."""

NASBENCH301 = {
    "loss": {epoch: tau for epoch, tau, _, _ in _NASBENCH301},
    "accuracy": {epoch: tau for epoch, _, tau, _ in _NASBENCH301},
}
"""Score → epoch → Kendall's tau-b, on NAS-Bench-301."""

CURVES = {
    "nasbench201": Curve(
        "accuracy",
        {epoch: tau for epoch, tau, _ in _NASBENCH201},
        {epoch: top for epoch, _, top in _NASBENCH201},
        0.605,
        79,
        "all 6,466 classes; truth: mean test accuracy on CIFAR-10; 10,000 validation images of "
        "CIFAR-10; mean of three supernets of full size",
    ),
    "nb1shot1": Curve(
        "loss",
        NB1SHOT1["loss"],
        {epoch: top for epoch, *_, top in _NB1SHOT1},
        0.510,
        157,
        "5,000 cells with repeats; truth: test accuracy on CIFAR-10 of one training each; 10,000 "
        "validation images of CIFAR-10; mean of three supernets of full size, of two different "
        "ones up to epoch 15",
    ),
    "nasbench301": Curve(
        "loss",
        NASBENCH301["loss"],
        {epoch: top for epoch, *_, top in _NASBENCH301},
        0.508,
        157,
        "5,468 cells; truth: accuracy on CIFAR-10 by the surrogate of NAS-Bench-301; 10,000 "
        "validation images of CIFAR-10; mean of three supernets of full size",
    ),
}
"""Name of a space → its curve."""
