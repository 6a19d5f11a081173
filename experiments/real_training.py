"""Searches of NAS-Bench-201's cells on real trainings, by the seconds that these take.

python -m experiments.real_training (configs/real_training.py); a call that was stopped goes on
after the searches that had ended.
"""

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import jnas
from configs.digits201 import CONFIG as BENCHMARK
from configs.real_training import CONFIG, QUICK, Config
from experiments import common, digits201_trainings, pages, program
from jnas.training import TrainingObjective
from jnas.types import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.1, 0.25, 0.5, 1.0)  # of the budget, at which the table tells what was found


def main(config: Config = CONFIG) -> None:
    """Run the searches that have not ended yet; print, plot and keep what they found."""
    path = common.RESULTS / "real_training.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    # More runs of the same searches go on.
    about = repr(dataclasses.replace(config, num_runs=0))
    if result.get("config") != about:
        result = {"config": about, "seconds": config.seconds, "searches": {}}
    for run in range(config.num_runs):
        for label in config.rows:
            name = f"{label}, {run}"
            if name not in result["searches"]:
                result["searches"][name] = search(config, label, run)
                common.write_json("real_training", result)
                print(name, flush=True)
    jnas.plots.save(_picture(config, result["searches"]), path.with_suffix(".png"))
    pages.show("real_training", page())


def search(config: Config, label: str, run: int) -> dict[str, Any]:
    """One search: seconds, epochs and accuracies of its evaluations, and how many cells it saw."""
    settings = dataclasses.replace(BENCHMARK, **config.overrides)
    data = jnas.data.load(settings.data)
    network = digits201_trainings.network(settings, data)
    recipe = jnas.training.recipe("nasbench201", **digits201_trainings.changes(settings))
    strategy, options = config.rows[label]
    # Of several fidelities: the longest is the whole training.
    if "min_epochs" in options:
        options = {**options, "max_epochs": recipe.epochs}
    searcher = getattr(jnas.search, strategy)(network.space, **options)
    # Compiled before the clock starts, by an objective whose trainings are thrown away.
    jnas.training.objective(network, data, recipe).course(np.zeros(6, np.int32), 1)
    objective = jnas.training.objective(network, data, recipe, jax.random.key(run))

    def evaluate(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        # Of the processor: what else the machine does must not count.
        begin = time.process_time()
        score, _ = objective(arch, epochs)
        return score, time.process_time() - begin

    found = jnas.search.run_on_host(
        searcher,
        evaluate,
        jax.random.key(run),
        num_evaluations=config.num_evaluations,
        max_seconds=config.seconds,
        progress=False,
    ).history
    return _summary(objective, found, recipe.epochs)


def _summary(objective: TrainingObjective, history: History, most: int) -> dict[str, Any]:
    """Search as JSON values: at each second after which the best full training is another one."""
    num = int(history.num_evaluations)
    archs, scores = np.asarray(history.archs)[:num], np.asarray(history.scores)[:num]
    epochs = np.asarray(history.epochs)[:num]
    elapsed, best = np.cumsum(np.asarray(history.seconds)[:num]), -np.inf
    # Accuracies after fewer epochs are no answers: the best is one of the whole trainings.
    steps: list[list[float]] = []
    for arch, score, asked, second in zip(archs, scores, epochs, elapsed, strict=True):
        # 0 epochs are those of the recipe.
        if asked in (0, most) and score > best:
            best = float(score)
            test = objective.course(arch, most).curves["test_accuracy"][most - 1]
            steps.append([round(float(second), 2), round(best, 5), round(test, 5)])
    full = int(np.isin(epochs, (0, most)).sum())
    cells = len(np.unique(archs, axis=0))
    return {"steps": steps, "evaluations": num, "full": full, "cells": cells}


def curve(found: dict[str, Any], seconds: np.ndarray) -> np.ndarray:
    """Test accuracy `[T]` of the best so far at each of `seconds` `[T]`; NaN before the first."""
    steps = np.asarray(found["steps"], float).reshape(-1, 3)
    place = np.searchsorted(steps[:, 0], seconds, side="right") - 1
    return np.where(place >= 0, np.append(steps[:, 2], np.nan)[place], np.nan)


def _of(label: str, searches: dict[str, Any]) -> list[dict[str, Any]]:
    """Searches of a strategy."""
    return [found for name, found in searches.items() if name.rpartition(", ")[0] == label]


def page() -> pages.Page:
    """Means of what was found at parts of the budget, and how much was seen."""
    kept = pages.read("real_training")
    searches, budget = kept["searches"], kept["seconds"]
    labels = list(dict.fromkeys(name.rpartition(", ")[0] for name in searches))
    header = ["strategy", *(f"test accuracy at {share * budget:g} s" for share in SHARES)]
    rows = [[*header, "deviation", "cells", "trainings in full"]]
    for label in labels:
        runs = _of(label, searches)
        values = np.stack([curve(found, np.asarray(SHARES) * budget) for found in runs])
        means = [pages.number(float(value)) for value in values.mean(axis=0)]
        spread = pages.number(float(values[:, -1].std(ddof=1)) if len(runs) > 1 else None, 4)
        counts = [f"{np.mean([found[name] for found in runs]):.1f}" for name in ("cells", "full")]
        rows.append([label, *means, spread, *counts])
    note = f"Means of {len(_of(labels[0], searches))} searches of {budget:g} seconds each."
    return pages.Page(("real_training",), (rows,), ("real_training.png",), (note,))


def _picture(config: Config, searches: dict[str, Any]) -> "Figure":
    """Test accuracy of the best so far against the seconds."""
    seconds = np.linspace(0, config.seconds, 200)
    curves = {
        label: np.stack([curve(found, seconds) for found in _of(label, searches)])
        for label in config.rows
    }
    return jnas.plots.search_curves(
        curves,
        seconds,
        x_label="seconds of training",
        y_label="test accuracy of the best so far",
        title="Searches on real trainings",
    )


def command(*, quick: bool = False) -> None:
    """All searches, or short ones."""
    main(dataclasses.replace(CONFIG, **QUICK) if quick else CONFIG)


if __name__ == "__main__":
    program.run(command, {"quick": True}, spread=False)
