"""Search of ENAS' cells guided by GATES, beside evolution and random search, on real trainings.

Paper: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based
    NAS", ECCV 2020.
Command: python -m experiments.gates_enas [minutes]
Cost: some half an hour of a core, by a few trainings of each search; most of it is the trainings.
Expected: with as many trainings GATES finds cells of higher validation accuracy than evolution, and
    evolution than random search. Seen: in this order, but of five runs in pairs only the lead over
    random search is beyond its interval.

The paper searches cells of four nodes (two inputs a node, which may be one and the same; five
operations; all nodes in the output) for CIFAR-10: 800 trainings of 50 epochs, and then one of 600
epochs with 36 channels and 20 layers, whose test error is 2.58 %. Neither fits a CPU: `PAPER` is
that network and its recipe, for who has the hours. Here a training is a short one of a small
network on the 8x8 digits that come with scikit-learn, and a search has 200 of them.

All searches of a run see the same accuracies, those of trainings with the key of the run, so that
they are compared in pairs. Test accuracy is that of the best cell by validation accuracy.
"""

from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training

# The final network: `networks.enas(**PAPER["network"])`, trained by `training.recipe("darts",
# **PAPER["recipe"])`.
PAPER: dict[str, dict[str, Any]] = {
    "network": {"nodes": 4, "output": "all", "channels": 36, "layers": 20, "auxiliary": True},
    "recipe": {
        "learning_rate": 0.05,
        "final_learning_rate": 0.001,
        "batch_size": 128,
        "dropout": 0.1,
    },
}
_INNER = {"population_size": 20, "sample_size": 5, "batch_size": 20}
_GUIDED = {"num_initial": 20, "batch_size": 20, "inner_steps": 400, "num_inner": 20}


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        guided: label → predictor of `jnas.predictors`, its settings, those of the search that it
            guides and of the evolution on it.
        others: label → strategy of `jnas.search` and its settings.
        num_evaluations: trainings of a search.
        num_runs: searches of each, run `r` with `fold_in(key(0), r)` for search and trainings.
        network: settings of `networks.enas`.
        recipe: changes of the recipe "quick".
        parts: images for validation and for testing; the others are trained on.
    """

    guided: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = field(
        default_factory=lambda: {
            "GATES": (
                "gates",
                {"training": Training(epochs=100, batch_size=128)},
                _GUIDED,
                _INNER,
            )
        }
    )
    others: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "evolution": ("regularized_evolution", {"population_size": 20, "sample_size": 5}),
            "random search": ("random_search", {}),
        }
    )
    num_evaluations: int = 200
    num_runs: int = 5
    network: dict[str, Any] = field(
        default_factory=lambda: {"nodes": 4, "output": "all", "channels": 4, "layers": 3}
    )
    recipe: dict[str, Any] = field(
        default_factory=lambda: {"epochs": 2, "batch_size": 32, "warmup_epochs": 0.0}
    )
    parts: tuple[int, int] = (600, 600)


CONFIG = Config()
# As small as it runs.
QUICK: dict[str, Any] = {
    "num_evaluations": 40,
    "num_runs": 1,
    "network": {"nodes": 4, "output": "all", "channels": 2, "layers": 1},
    "recipe": {"epochs": 1, "batch_size": 128, "warmup_epochs": 0.0},
}
