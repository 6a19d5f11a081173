"""Kendall tau of untrained scores and of predictors with trainings of the networks on digits201.

python -m experiments.digits201_scores (configs/digits201_scores.py); scores go on after a kill.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.digits201 import CONFIG as BENCHMARK
from configs.digits201_scores import CONFIG, QUICK, Config
from experiments import common, digits201, digits201_trainings, pages, program
from jnas.types import Predictor

TOP = 0.05  # share of P@top
COUNTS = ("params", "flops")  # known without a network


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
    validation = found["validation_accuracy"][rows, -1]
    result = {
        "config": repr(config),
        "data": digits201.describe(BENCHMARK),
        "cells": len(rows),
        "num_train": config.num_train,
        "num_fits": config.num_fits,
        "scores": taus,
        "again": again and {"cells": len(left), **again},
        "predictors": _predictors(config, archs, validation, accuracy)
        | _without_training(config, scores, validation, accuracy),
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


def _predictors(
    config: Config, archs: np.ndarray, validation: np.ndarray, accuracy: np.ndarray
) -> dict[str, dict[str, float | None]]:
    """Kendall tau of predictors of the first cells with the accuracy `[B]` of the others.

    They learn from validation accuracies `[B]`, which is what a search would have.
    """
    num = config.num_train
    keys = jax.random.split(jax.random.key(config.seed), config.num_fits)
    # All fits from the same cells: what differs between them is the luck of the training alone.
    cells, targets = (np.repeat(x[None, :num], len(keys), axis=0) for x in (archs, validation))
    found: dict[str, dict[str, float | None]] = {}
    for name in config.predictors:
        predictor = _predictor(config, name)
        fitted = predictor.fit_many(keys, cells, targets)
        ranked = predictor.predict_many(fitted.states, jnp.asarray(archs[num:]))
        taus = [float(jnas.metrics.kendall_tau(row, accuracy[num:])) for row in ranked]
        deviation = round(float(np.std(taus, ddof=1)), 4) if len(taus) > 1 else None
        found[name] = {"kendall_tau": round(float(np.mean(taus)), 4), "std": deviation}
        print(name, found[name], flush=True)
    return found


def _predictor(config: Config, name: str) -> Predictor:
    """Predictor of this name, trained for the epochs that are asked for."""
    predictor = jnas.predictors.by_name(name, digits201_trainings.SPACE)
    if config.epochs is None:
        return predictor
    training = dataclasses.replace(predictor.settings["training"], epochs=config.epochs)
    settings = {**predictor.settings, "training": training}
    return jnas.predictors.by_name(name, predictor.space, **settings)


def _without_training(
    config: Config,
    scores: dict[str, np.ndarray],
    validation: np.ndarray,
    accuracy: np.ndarray,
) -> dict[str, dict[str, float | None]]:
    """Kendall tau on the cells that test predictors, of parameters and of the best other score."""
    known, test = slice(config.num_train), slice(config.num_train, None)
    others = {name: scores[name] for name in scores if name not in COUNTS}
    # The best by what the predictors know, too, and not by the cells that it is measured on.
    tau = jnas.metrics.kendall_tau
    taus = {name: float(tau(values[known], validation[known])) for name, values in others.items()}
    best = max(taus, key=lambda name: -1.0 if np.isnan(taus[name]) else taus[name])
    found = {f"{best}, untrained": others[best], "number of parameters": scores["params"]}
    return {
        name: {
            "kendall_tau": round(float(tau(values[test], accuracy[test])), 4),
            "std": None,
        }
        for name, values in found.items()
    }


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
    return pages.Page(("digits201_scores",), (rows, _table(kept)), notes=(note,))


def _table(kept: Mapping[str, Any]) -> pages.Rows:
    """Predictors beside the best score and parameters, on the same cells."""
    num = kept["num_train"]
    rows = [
        [
            f"learned from {num:,} cells, tested on {kept['cells'] - num:,}",
            "Kendall tau",
            f"deviation of {kept['num_fits']} fits",
        ]
    ]
    found = kept["predictors"]
    for name in sorted(found, key=lambda name: -found[name]["kendall_tau"]):
        values = (pages.number(found[name][key]) for key in ("kendall_tau", "std"))
        rows += [[name, *values]]
    return rows


def command(*, quick: bool = False) -> None:
    """Scores of all cells, or of a few."""
    main(QUICK if quick else CONFIG)


if __name__ == "__main__":
    program.run(command, {"quick": True})
