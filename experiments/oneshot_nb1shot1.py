"""Ranking quality of supernets of NAS-Bench-1Shot1 by epoch, over the published curves.

python -m experiments.oneshot_nb1shot1 [--full] (configs/oneshot_nb1shot1.py)
"""

import dataclasses
import json
import time
from typing import Any

import jax
import numpy as np

import jnas
from configs.oneshot_nb1shot1 import CONFIG, FULL, QUICK, Config
from experiments import common, oneshot_curves, pages, program
from jnas.oneshot import published, samplers
from jnas.types import Images, Network

SPACE = jnas.spaces.nb1shot1(subspace=3)
CRITERIA = ("kendall", "spearman", "p_top@0.05", "p_bottom@0.05", "mean")


def main(config: Config = CONFIG) -> None:
    """Train, rank and keep each supernet; draw its curve over the published ones."""
    path = common.RESULTS / "oneshot_nb1shot1.json"
    archs, truth = cells(config)
    costs = jnas.oneshot.costs(SPACE, archs)
    about = {
        "config": repr(dataclasses.replace(config, seeds=())),
        "cells": len(archs),
        "baselines": {name: rounded(values, truth) for name, values in costs.items()},
    }
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    seeds = kept["seeds"] if kept.get("config") == about["config"] else {}
    for seed in config.seeds:
        if str(seed) not in seeds:
            seeds[str(seed)] = measured(config, seed, archs, truth)
            common.write_json("oneshot_nb1shot1", {**about, "seeds": seeds})
            print(seed, seeds[str(seed)]["loss"]["kendall"], flush=True)
    runs = list(seeds.values())
    mine = {
        f"{label}, jnas": (runs[0]["epochs"], stacked(runs, name))
        for name, label in (("accuracy", "accuracy"), ("loss", "−loss"))
    }
    title = "NAS-Bench-1Shot1, sub-space 3"
    figure = oneshot_curves.over("nb1shot1_s3", mine, log=True, title=title)
    jnas.plots.save(figure, path.with_suffix(".png"))
    pages.show("oneshot_nb1shot1", page())


def cells(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Cells `[A, 10]` of the published list, and their mean test accuracies `[A]`."""
    with np.load(common.data_file("nb1shot1_s3.npz")) as file:
        archs, rows = oneshot_curves.s3_archs(file), file["row"]
    with np.load(common.data_file("nasbench101.npz")) as file:
        # Of three runs each; the published truth is one of them.
        truth = file["test_accuracy"][rows].astype(np.float64)
    if config.num_cells is None:
        return archs, truth
    _, first = np.unique(rows, return_index=True)
    chosen = np.random.default_rng(0).permutation(np.sort(first))[: config.num_cells]
    return archs[chosen], truth[chosen]


def measured(config: Config, seed: int, archs: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Criteria of one supernet after each of the epochs."""
    network = jnas.networks.nb1shot1(**config.network)
    recipe = jnas.oneshot.recipe("nb1shot1", **config.recipe)
    sampler = samplers.listed(jnas.spaces.nb1shot1_chained())
    return ranked(config, seed, network, recipe, sampler, archs, truth)


def ranked(
    config: Any,
    seed: int,
    network: Network,
    recipe: jnas.oneshot.Recipe,
    sampler: samplers.Sampler | None,
    archs: np.ndarray,
    truth: np.ndarray,
    batches: int | None = None,
) -> dict[str, Any]:
    """Criteria of one supernet after each of `config.epochs`, trained up to the last of them."""
    data = jnas.data.load("cifar10", config.size, validation=10_000)
    x, y = data.validation
    few = Images(x[: config.num_validation], y[: config.num_validation])
    data = dataclasses.replace(common.first(data, config.num_train), validation=few)
    out, begin = common.RUNS / f"oneshot-{network.space.name}-{seed}", time.perf_counter()
    supernet = jnas.oneshot.train(
        network,
        data,
        recipe,
        jax.random.key(seed),
        sampler=sampler,
        keep=config.epochs,
        until=max(config.epochs),
        out=out,
        progress=True,
    )
    middle, scores = time.perf_counter(), out.with_name(f"{out.name}-scores")
    options: dict[str, Any] = {"batch_size": config.batch_size, "batches": batches}
    study = jnas.oneshot.study(supernet, data, archs, truth, out=scores, **options)
    found: dict[str, Any] = {
        "data": data.name,
        "epochs": list(study.epochs),
        "training": {k: np.round(v[0], 4).tolist() for k, v in supernet.curves.items()},
        "seconds_of_training": round(middle - begin, 1),
        "seconds_of_scores": round(time.perf_counter() - middle, 1),
    }
    for criterion in ("accuracy", "loss"):
        values = study.criteria(criterion)
        found[criterion] = {
            name: np.round(values[name][:, 0].astype(float), 4).tolist() for name in CRITERIA
        }
    return found


def rounded(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Criteria of scores `[A]`."""
    found = jnas.oneshot.criteria(scores, truth)
    return {name: round(float(found[name]), 4) for name in CRITERIA[:-1]}


def stacked(runs: list[dict[str, Any]], criterion: str) -> dict[str, np.ndarray]:
    """Criteria `[E, S]` of all supernets."""
    return {name: np.array([run[criterion][name] for run in runs]).T for name in CRITERIA}


def page() -> pages.Page:
    """Criteria by epoch, beside the published ones and those of the costs."""
    kept = pages.read("oneshot_nb1shot1")
    runs = list(kept["seeds"].values())
    header = ["Kendall tau of −loss", "published", "of accuracy", "published", "P@top 5 %"]
    rows = [["after epoch", *header]]
    for place, epoch in enumerate(runs[0]["epochs"]):
        row = [str(epoch)]
        for name in ("loss", "accuracy"):
            taus = np.array([run[name]["kendall"][place] for run in runs])
            known = published.NB1SHOT1[name].get(epoch)
            row += [pages.number(float(taus.mean())), pages.number(known)]
        tops = [run["loss"]["p_top@0.05"][place] for run in runs]
        rows.append([*row, pages.number(float(np.mean(tops)))])
    for name, one in kept["baselines"].items():
        unknown = [pages.UNKNOWN] * 3
        top = pages.number(one["p_top@0.05"])
        rows.append([f"#{name}", pages.number(one["kendall"]), *unknown, top])
    note = (
        f"{kept['cells']:,} different cells, mean test accuracy of three trainings; "
        f"{runs[0]['data']}; supernets: {len(runs)}. The published values are of 5,000 cells with "
        "repeats and one training each."
    )
    return pages.Page(("oneshot_nb1shot1",), (rows,), ("oneshot_nb1shot1.png",), (note,))


def command(*, full: bool = False, quick: bool = False) -> None:
    """One supernet for few epochs, three for all of the curve's rise, or a small one."""
    main(QUICK if quick else FULL if full else CONFIG)


if __name__ == "__main__":
    options: program.Options = {
        "--full": {"action": "store_true", "help": "three supernets, 40 epochs, all cells"}
    }
    program.run(command, {"quick": True}, options, spread=False)
