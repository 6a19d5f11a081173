"""Fronts of accuracy against latency on five devices: searches beside the true front.

Papers: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002; latencies:
    Lee et al. (HELP), NeurIPS 2021 (arXiv 2106.08630), and Li et al. (HW-NAS-Bench), ICLR 2021
    (arXiv 2103.10584).
Command: python -m experiments.pareto_latency
Cost: eleven minutes on 2 CPU cores.
Expected: NSGA-II above random search on every device; the same search with the number of parameters
    in place of the latency nearly as good where parameters rank latencies well, and below it on
    the GPU, where they do so least.

Cells of NAS-Bench-201, mean validation accuracy on CIFAR-10 after 200 epochs; all are known, and so
is the true front. A search is as good as the area between its front and a reference point (the
hypervolume), in parts of that of the true front. The point is an accuracy of 80 % and the latency
of the fastest of the most accurate cells, and a tenth: what is less accurate or slower counts
nothing.

"Evolution within limits" is regularized evolution for accuracy alone, in five searches of a fifth
of the evaluations each, whose limits are quantiles of the latencies of random cells: what somebody
does who knows how many ms there are. "NSGA-II on parameters" sees no latency; latencies of all that
it has evaluated are looked up afterwards.
"""

import dataclasses
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        devices: columns of `benchmarks.hardware`.
        accuracy: column of the table that is maximised.
        reference: accuracy in % of the point that areas reach to.
        population_size: of NSGA-II.
        quantiles: of latencies, the limits of evolution.
        num_evaluations: T, of a search; all limits together.
        shown: numbers of evaluations that areas are reported after.
        pictures: device → file.
        seeds: S, of every search.
    """

    devices: tuple[str, ...] = (
        "latency:pixel3",
        "latency:raspi4",
        "latency:1080ti_1",
        "latency:gold_6226",
        "latency:fpga",
    )
    accuracy: str = "val_accuracy"
    reference: float = 80.0
    population_size: int = 50
    quantiles: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 1.0)
    num_evaluations: int = 1000
    shown: tuple[int, ...] = (50, 100, 200, 500, 1000)
    pictures: dict[str, str] = field(
        default_factory=lambda: {
            "latency:pixel3": "pareto_latency_pixel3.png",
            "latency:1080ti_1": "pareto_latency_1080ti.png",
        }
    )
    seeds: int = 20


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    devices=CONFIG.devices[:1],
    population_size=20,
    quantiles=(0.5, 1.0),
    num_evaluations=60,
    shown=(20, 60),
    pictures={"latency:pixel3": "pareto_latency_pixel3.png"},
    seeds=2,
)
