"""CLOSE against the plain supernet: what the sharing extent and its gate are worth.

Papers: Zhou et al., "CLOSE", ECCV 2022, https://arxiv.org/abs/2207.07868; Ning et al., "Evaluating
    Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
    https://arxiv.org/abs/2008.03064.
Command: python -m experiments.oneshot_close [digits201 | 16x16 | full], at any number of times: it
    goes on with the supernets that are not there yet. --methods NAME ... trains those alone.
Cost: of two cores, about a minute a supernet of digits201 and 10 minutes one of 16x16; full size is
    for a GPU.
Expected: CLOSE ranks no worse than the plain supernet after any epoch, at equal steps.
    Seen on digits201: it ranks worse by .05, whichever gradient its gate has, and an untrained gate
    is better than a trained one. Sharing makes the single cells better all the same: one bank has
    the lowest training loss and the highest mean accuracy, and a worse ranking than plain weights.

Scales, their cells and truths, their recipe and keys are those of configs/oneshot_supernets.py.
"""

from dataclasses import dataclass, field
from typing import Any

from configs import oneshot_supernets


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        methods: label → settings of `oneshot.close.close`; None is the plain supernet, the first.
        equal_time: labels of methods that are also trained for as many steps as take the time of
            the plain supernet.
        shares: of the epochs, after which the cells are ranked: the last before a bank is opened.
        num_timed: steps whose time is measured.
    """

    methods: dict[str, dict[str, Any] | None] = field(
        default_factory=lambda: {
            "plain": None,
            "CLOSE, selected": {"gate_gradient": "selected"},
            "CLOSE, all": {"gate_gradient": "all"},
            "CLOSE, weights": {"gate_gradient": "weights"},
            "CLOSE, untrained gate": {"gate_gradient": None},
            "one bank": {"schedule": (1,), "gate_gradient": None},
        }
    )
    equal_time: tuple[str, ...] = ("CLOSE, selected", "CLOSE, all")
    shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    num_timed: int = 10


CONFIG = Config()
QUICK: dict[str, Any] = {
    "methods": {"plain": None, "CLOSE, selected": {"gate_gradient": "selected"}},
    "equal_time": ("CLOSE, selected",),
    "num_timed": 1,
}
QUICK_SCALE = oneshot_supernets.QUICK["scale"]
