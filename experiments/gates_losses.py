"""Losses, N@K and P@K on NAS-Bench-101, and GATES on NAS-Bench-201 (GATES tables 2 and 3, figure 3).

python -m experiments.gates_losses [largest size]            (configs/gates_losses.py)

Interrupted runs continue from results/gates_losses.json.
"""

import dataclasses
import functools
import sys
from typing import Any

import numpy as np

import jnas
from configs.gates_losses import CONFIG, Config
from experiments import common, ledger
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


def main(config: Config = CONFIG) -> None:
    """Run all jobs; print, plot and keep the tables."""
    if len(sys.argv) > 1:
        limit = int(sys.argv[1])
        sizes, sizes_201 = _up_to(config.sizes, limit), _up_to(config.sizes_201, limit)
        config = dataclasses.replace(config, sizes=sizes, sizes_201=sizes_201)
    book = ledger.Ledger("gates_losses", config)
    losses_of_101(config, book)
    ranking_or_regression(config, book)
    nasbench201(config, book)
    report(config, book)


def _up_to(sizes: tuple[int, ...], largest: int) -> tuple[int, ...]:
    return tuple(size for size in sizes if size <= largest)


def losses_of_101(config: Config, book: ledger.Ledger) -> None:
    """The table of six losses."""
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
    """N@K and P@K of each encoder with .1 % of the training cells, by hinge loss and by regression."""
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
    """The first half of NAS-Bench-201 trains, the second half tests."""
    space = jnas.spaces.nasbench201()
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    accuracy, half = table.column("test200_c10"), 7813
    test = table.archs[half:], accuracy[half:]
    for size in config.sizes_201:
        for label, predictor in _both_trainings(config, space):
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
    """What `ledger.train` measures, and P@K, which is also a mean over seeds and the last five epochs."""
    found = ledger.train(predictor, train, test, seeds, metrics=ledger.METRICS | PRECISION)
    kept = {
        name: value for name, value in found.items() if name.removeprefix("seeds_") not in PRECISION
    }
    return kept | {"precision_at": list(RATIOS), "precision": [found[name] for name in PRECISION]}


def report(config: Config, book: ledger.Ledger) -> None:
    """Tables beside the paper's, and the figures."""
    rows = [["Kendall tau (paper)", *(f"{size:,}" for size in config.sizes)]]
    for label, paper in config.paper.items():
        found = [book.jobs[f"loss {label} {size}"]["kendall_tau"] for size in config.sizes]
        rows.append(
            [label, *(f"{tau:.3f} ({p:.3f})" for tau, p in zip(found, paper, strict=False))]
        )
    print(ledger.markdown(rows) + "\n")
    rows = [["381 cells of NAS-Bench-101", "tau", "N@5", "N@10", "P@1 %"]]
    for job, found in book.jobs.items():
        if job.startswith("ranking "):
            values = (
                f"{found['kendall_tau']:.3f}",
                f"{found['n_at_5']:.0f}",
                f"{found['n_at_10']:.0f}",
            )
            rows.append([job.removeprefix("ranking "), *values, f"{found['precision'][2]:.3f}"])
    print(ledger.markdown(rows) + "\n")
    rows = [["NAS-Bench-201", "cells", "tau", "N@5", "N@10"]]
    for job, found in book.jobs.items():
        if job.startswith("nasbench201 "):
            values = (
                f"{found['kendall_tau']:.3f}",
                f"{found['n_at_5']:.1f}",
                f"{found['n_at_10']:.1f}",
            )
            rows.append(
                [
                    job.removeprefix("nasbench201 ").rpartition(" ")[0],
                    f"{found['num_train']:,}",
                    *values,
                ]
            )
    print(ledger.markdown(rows))
    _figures(config, book)
    print(f"written: {book.write()}")


def _figures(config: Config, book: ledger.Ledger) -> None:
    curves = {
        job.removeprefix("ranking "): list(
            zip(found["precision_at"], found["precision"], strict=True)
        )
        for job, found in book.jobs.items()
        if job.startswith("ranking ")
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
    jnas.population.one_device_per_core()
    main()
