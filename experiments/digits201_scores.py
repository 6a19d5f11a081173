"""Kendall tau of scores of untrained networks with trainings of these networks on digits201.

python -m experiments.digits201_scores (configs/digits201_scores.py); scores go on after a kill.
"""

from typing import Any

import jax
import numpy as np

import jnas
from configs.digits201 import CONFIG as BENCHMARK
from configs.digits201_scores import CONFIG, QUICK, Config
from experiments import common, digits201, digits201_trainings, pages, program

TOP = 0.05  # share of P@top


def main(config: Config = CONFIG) -> None:
    """Score the cells that are trained; print and keep how they are ranked."""
    found = digits201_trainings.finished(BENCHMARK, digits201_trainings.PARTS)
    first, second = BENCHMARK.seeds[:2]
    rows = np.flatnonzero(found["seeds"] == first)[: config.num_archs]
    archs, accuracy = found["archs"][rows].astype(np.int32), found["test_accuracy"][rows, -1]
    scores = _scores(config, archs)
    taus = {name: _criteria(values, accuracy) for name, values in scores.items()}
    for epoch in range(found["validation_accuracy"].shape[1]):
        values = found["validation_accuracy"][rows, epoch]
        taus[f"validation accuracy, epoch {epoch + 1}"] = _criteria(values, accuracy)
    left, right = digits201.pairs(found, first, second)
    final = found["test_accuracy"][:, -1]
    again = _criteria(final[right], final[left]) if len(left) > 1 else None
    result = {
        "config": repr(config),
        "data": digits201.describe(BENCHMARK),
        "cells": len(rows),
        "scores": taus,
        "again": again and {"cells": len(left), **again},
    }
    common.write_json("digits201_scores", result)
    pages.show("digits201_scores", page())


def _scores(config: Config, archs: np.ndarray) -> dict[str, np.ndarray]:
    """Scores `[B]` by name, of a batch of the training images."""
    data = jnas.data.load(BENCHMARK.data)
    images = jnas.data.normalise(data.train.x[: config.num_images], data)
    labels = data.train.y[: config.num_images]
    network = digits201_trainings.network(BENCHMARK, data)
    suite = jnas.zeroshot.suite(network, images, labels, config.names)
    key = jax.random.key(config.seed)
    # A name for each number of cells, whose scores are another job.
    out = common.RUNS / f"digits201-scores-{len(archs)}.npz"
    scored = jnas.population.score(suite, archs, key, out=out)
    return {name: np.asarray(values, np.float64) for name, values in scored.items()}


def _criteria(scores: np.ndarray, accuracy: np.ndarray) -> dict[str, float]:
    """Kendall tau, Spearman and precision at the top of scores `[B]`."""
    metrics = jnas.metrics
    found: dict[str, Any] = {
        "kendall_tau": metrics.kendall_tau(scores, accuracy),
        "spearman": metrics.spearman(scores, accuracy),
        "precision_at_top": metrics.precision_at_top(scores, accuracy, TOP),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def page() -> pages.Page:
    """Scores and epochs, the best first, and what another training says."""
    kept = pages.read("digits201_scores")
    rows = [[f"{kept['cells']:,} cells", "Kendall tau", "Spearman", f"P@top {TOP:.0%}"]]
    taus = {name: found["kendall_tau"] for name, found in kept["scores"].items()}
    # A score that is the same for all cells has no tau, and comes last.
    order = sorted(taus, key=lambda name: (np.isnan(taus[name]), -taus[name]))
    known = [(name, kept["scores"][name]) for name in order]
    # Second seeds are trained last.
    if again := kept["again"]:
        known += [(f"test accuracy with another seed ({again['cells']:,} cells)", again)]
    for name, found in known:
        names = ("kendall_tau", "spearman", "precision_at_top")
        rows.append([name, *(pages.number(found[key]) for key in names)])
    note = f"With the final test accuracy of one training; {kept['data']}."
    return pages.Page(("digits201_scores",), (rows,), notes=(note,))


def command(*, quick: bool = False) -> None:
    """Scores of all cells, or of a few."""
    main(QUICK if quick else CONFIG)


if __name__ == "__main__":
    program.run(command, {"quick": True})
