"""Searches of all strategies on a surrogate of NAS-Bench-301: best cell by trainings.

Papers: Zela et al., "Surrogate NAS Benchmarks", ICLR 2022 (arXiv 2008.09777); White et al.,
    "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021 (arXiv 2005.02960);
    Schneider et al., "Mutation is all you need", 2021 (arXiv 2107.07343).
Command: python -m experiments.nasbench301_search
Cost: half an hour on 2 CPU cores, most of it searches guided by GATES.
Expected: evolution of 10 members and local search by the first better neighbour above random search
    from a hundred trainings on, the latter best of all, as Schneider et al. found of mutations of
    the best cell; local search that evaluates whole neighbourhoods (128 draws) below random search
    at first, which White et al. call its failure in the space of DARTS. Guided by GATES a third
    of the trainings of evolution until one is as good as the best of 60,000 random cells.

A training is one question to a network that was fitted to trainings of NAS-Bench-301 by the
authors of YAHPO Gym, without noise: these are predictions. They are 1.3 points above those of the
official surrogate, so that accuracies cannot be compared with published ones; the order of
strategies can. Most searches end above all of its 60,000 random cells, where nobody knows how well
it predicts.

Strategies with short trainings pay their share of 98 epochs, and their answer is the best of the
whole trainings. Few epochs rank cells better here than real ones do (Spearman of 8 epochs with 98:
.86, and of real trainings some .4), so that these rows flatter them.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jnas.predictors import Training

_FIDELITIES = {"min_epochs": 10, "max_epochs": 98}


@dataclass(frozen=True)
class Guided:
    """Searches guided by a predictor that is fitted again and again.

    Attributes:
        predictor, settings: of `jnas.predictors`.
        num_runs: S; a run is on the host, and not a row of one program.
        num_trainings: of a run.
        search: settings of `predictor_guided`.
        inner: settings of the evolution on the predictor.
    """

    predictor: str
    settings: dict[str, Any]
    num_runs: int = 20
    num_trainings: int = 200
    search: dict[str, Any] = field(
        default_factory=lambda: {
            "num_initial": 20,
            "batch_size": 20,
            "inner_steps": 400,
            "num_inner": 5,
        }
    )
    inner: dict[str, Any] = field(
        default_factory=lambda: {"population_size": 20, "sample_size": 5, "batch_size": 20}
    )


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        searches: label → (strategy of `jnas.search`, its settings, runs).
        guided: label → searches guided by a predictor.
        num_trainings: whole trainings that a search pays for.
        queries: at which numbers of trainings the best so far is reported.
        num_random: random cells whose best is a target, as many as NAS-Bench-301 trained.
        shown: labels in the picture.
    """

    searches: dict[str, tuple[str, dict[str, Any], int]] = field(
        default_factory=lambda: {
            "random": ("random", {}, 50),
            "regularized evolution, 10 members": ("regularized_evolution", {}, 50),
            "regularized evolution, 100 members": (
                "regularized_evolution",
                {"population_size": 100, "sample_size": 10},
                50,
            ),
            "genetic, 50 members": ("genetic", {"population_size": 50}, 50),
            "local search, best neighbour": ("local_search", {}, 50),
            "local search, first better": ("local_search", {"move": "first"}, 50),
            "reinforced evolution": ("reinforced_evolution", {}, 50),
            "REINFORCE, independent": ("reinforce", {"policy": "factorised"}, 50),
            "REINFORCE, LSTM": ("reinforce", {"policy": "lstm"}, 50),
            "successive halving": ("successive_halving", dict(_FIDELITIES), 50),
            "BOHB": ("bohb", dict(_FIDELITIES), 20),
        }
    )
    guided: dict[str, Guided] = field(
        default_factory=lambda: {
            "guided by an MLP, ends at 200": Guided(
                "mlp", {"training": Training(epochs=100, batch_size=64)}
            ),
            "guided by GATES, ends at 200": Guided(
                "gates", {"training": Training(epochs=100, batch_size=64)}
            ),
        }
    )
    num_trainings: int = 1000
    queries: tuple[int, ...] = (30, 100, 300, 1000)
    num_random: int = 60_000
    shown: tuple[str, ...] = (
        "random",
        "regularized evolution, 10 members",
        "local search, best neighbour",
        "local search, first better",
        "REINFORCE, LSTM",
        "BOHB",
        "guided by GATES, ends at 200",
    )


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG,
    searches={
        label: (*CONFIG.searches[label][:2], 3)
        for label in ("random", "local search, first better", "successive halving")
    },
    guided={
        "guided by an MLP, ends at 200": dataclasses.replace(
            CONFIG.guided["guided by an MLP, ends at 200"],
            settings={"training": Training(epochs=2)},
            num_runs=1,
            num_trainings=40,
            search={"num_initial": 20, "batch_size": 20, "inner_steps": 40, "num_inner": 2},
        )
    },
    num_trainings=40,
    queries=(10, 40),
    num_random=500,
    shown=("random", "local search, first better"),
)
