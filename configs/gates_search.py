"""GATES: queries of a predictor-guided search until it meets the best cells, beside random search and evolution.

Paper: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020.
Command: python -m experiments.gates_search
"""

from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training

# How many times fewer queries than random search and than evolution, on NAS-Bench-101.
PAPER = {"RS": 551.0, "EA": 59.25}

_SEARCH = {"num_initial": 40, "batch_size": 20, "inner_steps": 400, "num_inner": 20}
_TRAINING = Training(epochs=100, batch_size=128)


@dataclass(frozen=True)
class Benchmark:
    """What is searched.

    Attributes:
        column: the accuracy that is searched on, and that targets are defined by.
        num_top: cells that count as the top 0.01 %.
        max_queries: of a guided search.
        max_evaluations: of the others.
    """

    column: str
    num_top: int
    max_queries: int
    max_evaluations: int


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        benchmarks: name of a space → what is searched.
        guided: label → (predictor of `jnas.predictors`, its settings, settings of `predictor_guided`).
        inner: settings of the evolution on the predictor.
        others: label → (strategy of `jnas.search`, its settings).
        num_guided: runs of each guided search; run `s` has key `fold_in(key(0), first + s)`.
        first: number of the first run.
        num_runs: of each other search.
    """

    benchmarks: dict[str, Benchmark] = field(
        default_factory=lambda: {
            "nasbench101": Benchmark("test_accuracy", 42, 1000, 20000),
            "nasbench201": Benchmark("val_accuracy", 2, 500, 20000),
        }
    )
    guided: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = field(
        default_factory=lambda: {
            "GATES": ("gates", {"training": _TRAINING}, _SEARCH),
        }
    )
    inner: dict[str, Any] = field(default_factory=lambda: {"population_size": 20, "sample_size": 5, "batch_size": 20})
    others: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "RS": ("random_search", {}),
            "EA, 100 members, samples of 10": (
                "regularized_evolution",
                {"population_size": 100, "sample_size": 10},
            ),
            "EA, 50 members, samples of 10": (
                "regularized_evolution",
                {"population_size": 50, "sample_size": 10, "tournament": "without_replacement"},
            ),
            "EA, 10 members, samples of 3": ("regularized_evolution", {}),
        }
    )
    num_guided: int = 50
    first: int = 0
    num_runs: int = 500


CONFIG = Config()
