"""Accuracies of searches on a predictor of 400 cells, and on true accuracies (Alshubaily).

Paper: Alshubaily, "Speeding Up Neural Architecture Search By Using Performance Prediction", 2019.
Command: python -m experiments.alshubaily
Cost: about half an hour on 2 CPU cores.
Expected: the classifier's favourite worse than the best of the 400 cells it learned from, for
    "above 90 %" is true of most cells; that of a ranking predictor better.

The report trains a recurrent network on 400 cells to say whether one reaches 90 %, and evolution on
its answers gets where evolution on true accuracies is after some 1,200 cells: three times fewer. It
plots simulated training time, which the table does not have; cost is counted here in trained cells,
400 for the predictor and one for each answer that is checked. Accuracy is the mean test accuracy of
three trainings, the only one of the table, for labels, rewards and answers alike (the report:
validation accuracy).

Sizes of populations and samples are not given: they are those of NAS-Bench-101's authors. The
controller is Zoph and Le's, with independent positions beside it. Training sets are uniform over
the cells of the table.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

COLUMN = "test_accuracy"

# Trained cells: of the predictor, and those that evolution and REINFORCE need on true accuracies.
PAPER = {"predictor": 400, "evolution": 1200, "REINFORCE, LSTM": 900}


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        predictors: label → (predictor of `jnas.predictors`, its settings).
        searches: label → (strategy of `jnas.search`, its settings, runs on true accuracies).
        on_predictors: labels of the searches that run on predictors.
        num_train: cells that a predictor is trained on.
        seeds: training sets, and searches, of a predictor.
        num_evaluations: evaluations of a search.
        num_top: best predicted cells of a search on a predictor that are trained.
        queries: at which searches on true accuracies are reported.
    """

    predictors: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            "RNN, above 90 %?": ("rnn_classifier", {}),
            "LSTM, ranking": ("lstm", {}),
            "GATES, ranking": ("gates", {}),
        }
    )
    searches: dict[str, tuple[str, dict[str, Any], int]] = field(
        default_factory=lambda: {
            "evolution": ("regularized_evolution", {"population_size": 50, "sample_size": 10}, 500),
            "reinforced evolution": (
                "reinforced_evolution",
                {"population_size": 50, "sample_size": 10},
                500,
            ),
            "REINFORCE, LSTM": ("reinforce", {"policy": "lstm"}, 50),
            "REINFORCE, independent": ("reinforce", {"policy": "factorised"}, 500),
            "random": ("random_search", {}, 500),
        }
    )
    on_predictors: tuple[str, ...] = ("evolution", "REINFORCE, LSTM")
    num_train: int = 400
    seeds: int = 20
    num_evaluations: int = 2000
    num_top: int = 10
    queries: tuple[int, ...] = (100, 400, 410, 900, 1200, 2000)


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    predictors={"LSTM, ranking": ("lstm", {})},
    searches={
        label: (*CONFIG.searches[label][:2], 5)
        for label in ("evolution", "REINFORCE, LSTM", "random")
    },
    num_train=100,
    seeds=2,
    num_evaluations=200,
    num_top=5,
    queries=(10, 200),
)
