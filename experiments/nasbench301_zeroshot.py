"""Scores of untrained networks on cells of DARTS and NAS-Bench-301, beside #params and FLOPs.

python -m experiments.nasbench301_zeroshot [job ...]    (configs/nasbench301_zeroshot.py)

Interrupted runs continue from runs/nasbench301-*.npz; results are written after each job.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.nasbench301_zeroshot import (
    COLUMNS,
    JOBS,
    LAYERS,
    NUM_KERNELS,
    ONE_SHOT,
    PUBLISHED,
    QUICK,
    SEED,
    Job,
)
from experiments import common, pages, program
from jnas.engine.messages import nearest
from jnas.types import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "nasbench301_zeroshot"
_TITLES = {
    "nasbench301": "NAS-Bench-301, by its surrogate",
    "darts_214": "DARTS, trained for 600 epochs",
}


def main(names: Sequence[str] = (), jobs: Mapping[str, Job] = JOBS) -> None:
    """Score, print, plot and keep the jobs of these names; those kept before stay."""
    if unknown := [name for name in names if name not in jobs]:
        raise SystemExit(f"unknown job {unknown[0]!r}. {nearest(unknown[0], tuple(jobs))}")
    path = common.RESULTS / f"{NAME}.json"
    kept: dict[str, Any] = json.loads(path.read_text())["jobs"] if path.is_file() else {}
    for name in names or jobs:
        kept[name] = {"config": repr(jobs[name]), "rows": _job(name, jobs[name])}
        common.write_json(NAME, {"jobs": kept})
        print(
            name, {key: row["kendall_tau"] for key, row in kept[name]["rows"].items()}, flush=True
        )
        if name == "naswot":
            jnas.plots.save(_kernels(jobs[name]), common.RESULTS / f"{NAME}_kernels.png")
    pages.show(NAME, page())


def page() -> pages.Page:
    """Kendall tau of each score, beside those of costs over the same cells."""
    kept = pages.read(NAME)["jobs"]
    tables = tuple(_table(table, kept) for table in COLUMNS)
    plots = (*(f"{NAME}_{table}.png" for table in COLUMNS), f"{NAME}_kernels.png")
    return pages.Page((NAME,), tables, plots)


def _table(table: str, kept: dict[str, Any]) -> pages.Rows:
    head = "cells, channels, images, tau (paper), of #params, of FLOPs, of a supernet, Spearman"
    rows = [[_TITLES[table], *head.split(", ")]]
    found = [
        kept[name]["rows"] for name, job in JOBS.items() if job.table == table and name in kept
    ]
    for name, row in (item for of_job in found for item in of_job.items()):
        published = PUBLISHED.get(name) if table == "nasbench301" else None
        costs = (pages.number(row.get(key)) for key in ("params", "flops", "one_shot"))
        first = [name, *(str(row[key]) for key in ("cells", "channels", "images"))]
        rows.append([*first, pages.beside(row, published), *costs, pages.number(row["spearman"])])
    return rows


def _job(name: str, job: Job) -> dict[str, Any]:
    """Correlations by name of the score."""
    table = getattr(jnas.benchmarks, job.table)()
    # The first of one order: jobs of fewer cells have a part of the cells of the others.
    places = np.asarray(jax.random.permutation(_keys()[0], len(table.archs)))[: job.num_cells]
    archs, accuracy = table.archs[places], table.column(COLUMNS[job.table])[places]
    scores = _scores(name, job, archs)
    costs = _costs(archs, job.channels)
    about: dict[str, float] = {
        "cells": len(archs),
        "channels": job.channels,
        "images": job.num_images,
    }
    about |= {key: _tau(values, accuracy) for key, values in costs.items()}
    if ONE_SHOT in table.columns:
        # Those of three cells in ten are not known.
        one_shot = table.column(ONE_SHOT)[places]
        known = np.isfinite(one_shot)
        about["one_shot"] = _tau(one_shot[known], accuracy[known])
    if name.startswith("naswot"):
        figure = jnas.plots.score_against_accuracy(
            scores["naswot"],
            accuracy,
            score_label="NASWOT score of the untrained network",
            accuracy_label="CIFAR-10 accuracy (%)",
            title=_TITLES[job.table],
        )
        jnas.plots.save(figure, common.RESULTS / f"{NAME}_{job.table}.png")
    return {
        key: {
            "kendall_tau": _tau(values, accuracy),
            "spearman": round(float(jnas.metrics.spearman(values, accuracy)), 4),
            "unranked": int(np.sum(~np.isfinite(values))),
            **about,
        }
        for key, values in scores.items()
    }


def _keys() -> jax.Array:
    """Keys of rows, images and weights."""
    return jax.random.split(jax.random.key(SEED), 3)


def _tau(values: np.ndarray, accuracy: np.ndarray) -> float:
    return round(float(jnas.metrics.kendall_tau(values, accuracy)), 4)


def _scores(name: str, job: Job, archs: np.ndarray) -> dict[str, np.ndarray]:
    """Scores `[B]` by name."""
    images, labels = jnas.images.load_labelled("cifar10", num=job.num_images, key=_keys()[1])
    suite = jnas.zeroshot.suite(_network(job), images, labels, job.names)
    # Small chunks: what is done is kept after each.
    found = jnas.population.score(
        suite, archs, _keys()[2], 20, out=common.RUNS / f"nasbench301-{name}.npz"
    )
    return {key: np.asarray(values, np.float64) for key, values in found.items()}


def _network(job: Job) -> Network:
    return jnas.networks.nasbench301(channels=job.channels, layers=LAYERS)


def _costs(archs: np.ndarray, channels: int) -> dict[str, np.ndarray]:
    """Parameters and multiply-accumulates `[B]` of the networks that are scored."""
    space = jnas.spaces.nasbench301(channels=channels, layers=LAYERS)
    vectors = jnp.asarray(archs)
    functions = {"params": space.params, "flops": space.flops}
    return {
        name: np.asarray(jax.vmap(function)(vectors), np.float64)
        for name, function in functions.items()
    }


def _kernels(job: Job) -> "Figure":
    """Hamming kernels of cells of the first table, from the worst to the best."""
    from matplotlib.figure import Figure

    table = jnas.benchmarks.nasbench301()
    accuracy = table.column(COLUMNS["nasbench301"])
    order = np.argsort(accuracy, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, NUM_KERNELS).astype(int)]
    images = jnas.images.load("cifar10", num=job.num_images, key=_keys()[1])
    network = _network(job)
    params = network.init(_keys()[2])

    def kernel(arch: jax.Array) -> jax.Array:
        return jnas.zeroshot.hamming_kernel(network, params, arch, images)

    matrices = np.asarray(jax.lax.map(kernel, jnp.asarray(table.archs[rows])), np.float64)
    figure = Figure((8.4, 4.8), dpi=100, facecolor="white", layout="constrained")
    panels = figure.subplots(2, NUM_KERNELS // 2)
    for axes, matrix, row in zip(panels.ravel(), matrices, rows, strict=True):
        drawn = axes.imshow(matrix / matrix[0, 0], vmin=0.5, vmax=1, cmap="magma")
        axes.set_title(f"{accuracy[row]:.2f} %", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(drawn, ax=panels, label="share of ReLU units with the same code", shrink=0.8)
    figure.suptitle("Hamming kernels of untrained networks, by accuracy", fontsize=12)
    return figure


if __name__ == "__main__":
    names = {"nargs": "*", "metavar": "JOB", "help": ", ".join(JOBS)}
    program.run(main, {"jobs": QUICK}, {"names": names})
