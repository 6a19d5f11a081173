"""Kendall tau by loss, N@K and P@K (GATES, tables 2 and 3, figure 3).

python -m experiments.gates_losses [largest size]            (configs/gates_losses.py)

Interrupted runs continue from results/gates_losses.json.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

import jnas
from configs.gates_losses import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.predictors import Training
from jnas.types import Predictor, Space

TRAININGS: dict[str, dict[str, Any]] = {
    "hinge": {},
    "regression": {"training": Training(loss="mse", scaling="standard")},
}
RATIOS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5)
PRECISION = {
    f"precision_at_{ratio}": functools.partial(jnas.metrics.precision_at_top, ratio=ratio)
    for ratio in RATIOS
}


def main(config: Config = CONFIG, largest: int | None = None) -> None:
    """Run all jobs; print, plot and keep the tables."""
    if largest is not None:
        sizes, sizes_201 = _up_to(config.sizes, largest), _up_to(config.sizes_201, largest)
        config = dataclasses.replace(config, sizes=sizes, sizes_201=sizes_201)
    book = ledger.Ledger("gates_losses", config)
    losses_of_101(config, book)
    ranking_or_regression(config, book)
    nasbench201(config, book)
    report(config, book)


def _up_to(sizes: tuple[int, ...], largest: int) -> tuple[int, ...]:
    return tuple(size for size in sizes if size <= largest)


def losses_of_101(config: Config, book: ledger.Ledger) -> None:
    """Run the jobs of the table of six losses."""
    space, archs, accuracy = _nasbench101()
    test = archs[-config.num_test :], accuracy[-config.num_test :]
    for size in config.sizes:
        for label, (name, settings) in config.losses.items():
            predictor = jnas.predictors.by_name(name, space, **settings)
            train = archs[:size], accuracy[:size]
            job = f"loss {label} {size}"
            book.run(
                job,
                predictor,
                functools.partial(ledger.train, predictor, train, test, config.seeds),
            )


def ranking_or_regression(config: Config, book: ledger.Ledger) -> None:
    """Run the jobs of N@K and P@K: each encoder from 381 cells, by hinge loss and regression."""
    space, archs, accuracy = _nasbench101()
    test = archs[-config.num_test :], accuracy[-config.num_test :]
    train = archs[:381], accuracy[:381]
    for label, predictor in _both_trainings(config, space):
        book.run(
            f"ranking {label}",
            predictor,
            functools.partial(_precision, predictor, train, test, config.seeds),
        )


def nasbench201(config: Config, book: ledger.Ledger) -> None:
    """Run the jobs of NAS-Bench-201, whose first half trains and whose second half tests."""
    space = jnas.spaces.nasbench201()
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    accuracy, half = table.column("test200_c10"), 7813
    test = table.archs[half:], accuracy[half:]
    for size in config.sizes_201:
        for label, predictor in _both_trainings(config, space):
            # The two largest are for one question: how far half of the cells can take GATES.
            if size > 781 and label != "GATES, hinge":
                continue
            seeds = config.slow_seeds if size > 781 else config.seeds
            train = table.archs[:size], accuracy[:size]
            job = f"nasbench201 {label} {size}"
            book.run(job, predictor, functools.partial(ledger.train, predictor, train, test, seeds))


def _nasbench101() -> tuple[Space, np.ndarray, np.ndarray]:
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    return table.space, table.archs, table.column("test_accuracy")


def _both_trainings(config: Config, space: Space) -> list[tuple[str, Predictor]]:
    return [
        (f"{label}, {loss}", jnas.predictors.by_name(name, space, **settings, **changes))
        for label, (name, settings) in config.encoders.items()
        for loss, changes in TRAININGS.items()
    ]


def _precision(predictor: Predictor, train: Any, test: Any, seeds: int) -> dict[str, Any]:
    """Results of `ledger.train` with P@K, also a mean over seeds and the last five epochs."""
    found = ledger.train(predictor, train, test, seeds, metrics=ledger.METRICS | PRECISION)
    kept = {
        name: value for name, value in found.items() if name.removeprefix("seeds_") not in PRECISION
    }
    return kept | {"precision_at": list(RATIOS), "precision": [found[name] for name in PRECISION]}


def page(config: Config = CONFIG) -> pages.Page:
    """Losses beside the paper's, N@K and P@K of each encoder, and NAS-Bench-201."""
    jobs = pages.read("gates_losses")["jobs"]
    losses = [["Kendall tau (paper)", *(f"{size:,}" for size in config.sizes)]]
    for label, paper in config.paper.items():
        found = [jobs.get(f"loss {label} {size}") for size in config.sizes]
        losses.append([label, *map(pages.beside, found, paper)])
    ranking = [["381 cells of NAS-Bench-101", "Kendall tau", "N@5", "N@10", "P@1 %"]]
    for label, job in _of_part(jobs, "ranking"):
        ranks = (f"{job[name]:.0f}" for name in ("n_at_5", "n_at_10"))
        ranking.append([label, pages.beside(job), *ranks, f"{job['precision'][2]:.3f}"])
    others = [["NAS-Bench-201", "cells", "Kendall tau", "N@5", "N@10"]]
    for label, job in _of_part(jobs, "nasbench201"):
        ranks = (f"{job[name]:.1f}" for name in ("n_at_5", "n_at_10"))
        num = job["num_train"]
        others.append([label.removesuffix(f" {num}"), f"{num:,}", pages.beside(job), *ranks])
    plots = ("gates_losses.png", "gates_precision.png")
    return pages.Page(("gates_losses",), (losses, ranking, others), plots)


def _of_part(jobs: dict[str, Any], part: str) -> list[tuple[str, dict[str, Any]]]:
    """Labels and results of the jobs of one part of the experiment."""
    return [
        (name.removeprefix(f"{part} "), job)
        for name, job in jobs.items()
        if name.startswith(f"{part} ")
    ]


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figures, the result and its page."""
    _figures(config, book)
    book.write()
    pages.show("gates_losses", page(config))


def _figures(config: Config, book: ledger.Ledger) -> None:
    curves = {
        label: list(zip(job["precision_at"], job["precision"], strict=True))
        for label, job in _of_part(book.jobs, "ranking")
    }
    figure = jnas.plots.precision_by_share(curves, title="381 training cells of NAS-Bench-101")
    jnas.plots.save(figure, common.RESULTS / "gates_precision.png")
    jobs = {
        label: [book.jobs[f"loss {label} {size}"] for size in config.sizes]
        for label in config.losses
    }
    taus = {
        label: [(job["num_train"], job["kendall_tau"], job["std"]) for job in found]
        for label, found in jobs.items()
    }
    paper = {
        label: list(zip(config.sizes, values, strict=False))
        for label, values in config.paper.items()
    }
    figure = jnas.plots.tau_by_size(taus, paper, title="Losses on NAS-Bench-101")
    jnas.plots.save(figure, common.RESULTS / "gates_losses.png")


if __name__ == "__main__":
    program.run(main, {"config": QUICK}, program.LARGEST)
