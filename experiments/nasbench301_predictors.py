"""Kendall tau of predictors on NAS-Bench-301 by number of training cells.

python -m experiments.nasbench301_predictors            (configs/nasbench301_predictors.py)

Interrupted runs continue from results/nasbench301_predictors.json.
"""

import functools
from typing import Any

import jax
import numpy as np

import jnas
from configs.nasbench301_predictors import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.predictors import Training
from jnas.types import Predictor

NAME = "nasbench301_predictors"
COSTS = ("params", "flops")


def main(config: Config = CONFIG) -> None:
    """Train every predictor at every size; print, plot and keep the table."""
    table = jnas.benchmarks.nasbench301(common.data_file("nasbench301_ose.npz"))
    accuracy = table.column("val_accuracy")
    book = ledger.Ledger(NAME, config)
    # The first of the largest training set of a seed are those of its smaller ones.
    rows, test = ledger.random_rows(
        len(accuracy), config.num_test, max(config.epochs), config.seeds
    )
    test_set = table.archs[test], accuracy[test]
    for cost in COSTS:
        about = {"cost": cost, "num_test": config.num_test}
        book.once(cost, about, functools.partial(_cost, table.space, cost, test_set))
    for label in config.predictors:
        for size in config.epochs:
            predictor = made(config, label, size)
            train_set = table.archs[rows[:, :size]], accuracy[rows[:, :size]]
            fit = functools.partial(ledger.train, predictor, train_set, test_set, config.seeds)
            book.run(f"{label} {size}", predictor, fit)
    report(config, book)


def made(config: Config, label: str, size: int) -> Predictor:
    """Predictor of a label, with the training of this size; a forest has none."""
    name, settings = config.predictors[label]
    space = jnas.spaces.nasbench301()
    if name != "e2epp":
        training = Training(epochs=config.epochs[size], **config.training)
        settings = settings | {"training": training}
    return jnas.predictors.by_name(name, space, **settings)


def _cost(
    space: jnas.types.Space, cost: str, test_set: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Kendall tau of a cost of the network on the test cells."""
    archs, accuracy = test_set
    values = jax.jit(jax.vmap(getattr(space, cost)))(archs).astype(float)
    return {"kendall_tau": round(float(jnas.metrics.kendall_tau(values, accuracy)), 4)}


def page(config: Config = CONFIG) -> pages.Page:
    """Kendall tau and its standard deviation over seeds, and the seconds of all trainings."""
    jobs = pages.read(NAME)["jobs"]
    rows = [["Kendall tau", *(f"{size:,} cells" for size in config.epochs)]]
    seconds = [["seconds of all seeds", *(f"{size:,} cells" for size in config.epochs)]]
    for label in config.predictors:
        found = [jobs.get(f"{label} {size}") for size in config.epochs]
        rows.append([label, *(_with_spread(job) for job in found)])
        seconds.append([label, *(pages.number(job and job["seconds"], 0) for job in found)])
    for cost, name in zip(COSTS, ("Parameters", "FLOPs"), strict=True):
        rows.append([name, *[pages.beside(jobs.get(cost))] * len(config.epochs)])
    return pages.Page((NAME,), (rows, seconds), (f"{NAME}.png",))


def _with_spread(job: dict[str, Any] | None) -> str:
    """Kendall tau and in brackets its standard deviation over seeds."""
    return pages.beside(job, job["std"] if job else None)


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figure, the result and its page."""
    curves: dict[str, list[tuple[int, float, float]]] = {}
    for label in config.predictors:
        found = [(size, book.jobs.get(f"{label} {size}")) for size in config.epochs]
        done = [(n, job["kendall_tau"], job["std"] or 0.0) for n, job in found if job]
        curves |= {label: done} if done else {}
    params = book.jobs["params"]["kendall_tau"]
    curves["Parameters"] = [(size, params, 0.0) for size in config.epochs]
    title = f"NAS-Bench-301, {config.seeds} training sets of each size"
    jnas.plots.save(jnas.plots.tau_by_size(curves, title=title), common.RESULTS / f"{NAME}.png")
    book.write()
    pages.show(NAME, page(config))


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
