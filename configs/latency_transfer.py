"""Latencies of NAS-Bench-201's cells on a device, from those on another one and few measurements.

Paper: Lu, Yang, Jiang, Shi and Ren, "One Proxy Device Is Enough for Hardware-Aware Neural
    Architecture Search", SIGMETRICS 2022; measurements of Lee et al. (HELP), NeurIPS 2021, and Li
    et al. (HW-NAS-Bench), ICLR 2021. None of them has these numbers.
Command: python -m experiments.latency_transfer
Cost: 3 minutes of CPU.
Expected: transferred predictions above predictors from scratch at 10, 20 and 50 measurements, in
    Kendall tau and in relative error, on the mean over all pairs of devices.

A predictor of each source device has seen 1,000 cells there, and 10, 20 or 50 others are measured
on the target device. "Transfer" is `predictors.transfer`: linear in the predicted latency of the
source, in FLOPs and, with a penalty, in the operations; of a line alone the ranking is that of the
source. "From scratch" is the same predictor trained on those measurements alone. FLOPs and
parameters are put in the place of the source's predictor. Cells without a path from input to output
are left out: devices differ in whether they compute anything for them. Test cells are in no
training set, and the same for all.

Of 10 measurements FLOPs alone rank as well as a transfer, whose relative errors are smaller. Of
more, the operations count for more than which device was the source.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        sources: devices that predictors are fitted for.
        targets: devices that they are transferred to.
        sizes: measurements on the target device.
        num_source: cells that were measured on the source device.
        num_test: held-out cells.
        seeds: draws of the measured cells.
        predictor: settings of the MLP.
        training: of the MLP.
    """

    sources: tuple[str, ...] = ("titanx_32", "gold_6226", "pixel3")
    targets: tuple[str, ...] = (
        "raspi4",
        "samsung_a50",
        "silver_4114",
        "edgegpu",
        "eyeriss",
        "fpga",
    )
    sizes: tuple[int, ...] = (10, 20, 50)
    num_source: int = 1000
    num_test: int = 2000
    seeds: int = 5
    predictor: dict[str, Any] = field(
        default_factory=lambda: {"one_hot": True, "hidden": (100, 100), "dropout": 0.0}
    )
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "loss": "mse",
            "scaling": "standard",
            "schedule": "cosine",
            "batch_size": 50,
            "epochs": 100,
        }
    )


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    sources=("gold_6226",),
    targets=("raspi4", "fpga"),
    sizes=(10,),
    num_source=100,
    num_test=200,
    seeds=2,
)
