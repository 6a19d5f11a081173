"""Ranking quality of supernets of NAS-Bench-301 by epoch, beside the published curves.

python -m experiments.oneshot_nasbench301 [--full] (configs/oneshot_nasbench301.py)
"""

import dataclasses
import json
from typing import Any

import numpy as np

import jnas
from configs.oneshot_nasbench301 import CONFIG, FULL, QUICK, Config
from experiments import common, oneshot_curves, pages, program
from experiments.oneshot_nb1shot1 import ranked, rounded, stacked
from jnas.oneshot import published

NAME = "oneshot_nasbench301"


def main(config: Config = CONFIG) -> None:
    """Train, rank and keep each supernet; draw its curve beside the published ones."""
    path = common.RESULTS / f"{NAME}.json"
    archs, truth = cells(config)
    costs = jnas.oneshot.costs(jnas.spaces.nasbench301(), archs)
    network = jnas.networks.nasbench301(**config.network)
    recipe = jnas.oneshot.recipe(config.name, **config.recipe)
    about = {
        "config": repr(dataclasses.replace(config, seeds=())),
        "cells": len(archs),
        "steps": config.num_train // recipe.training.batch_size,
        "baselines": {name: rounded(values, truth) for name, values in costs.items()},
    }
    # Seeds go on where they were kept with the same settings, and begin anew with others.
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    seeds = kept["seeds"] if kept.get("config") == about["config"] else {}
    for seed in config.seeds:
        if str(seed) not in seeds:
            parts = network, recipe, None, archs, truth, config.batches
            seeds[str(seed)] = ranked(config, seed, *parts)
            common.write_json(NAME, {**about, "seeds": seeds})
            print(seed, seeds[str(seed)]["loss"]["kendall"], flush=True)
    runs = list(seeds.values())
    # Steps and not epochs, which have other batches here.
    mine = {
        f"{label}, jnas": (
            np.array(runs[0]["epochs"]) * about["steps"] / published.CURVES["nasbench301"].steps,
            stacked(runs, name),
        )
        for name, label in (("accuracy", "accuracy"), ("loss", "−loss"))
    }
    title = "NAS-Bench-301; epochs of 157 steps"
    figure = oneshot_curves.over("nb301", mine, log=True, title=title)
    jnas.plots.save(figure, path.with_suffix(".png"))
    pages.show(NAME, page())


def cells(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Cells `[A, 22]` of the published list, and their accuracies `[A]` by the surrogate."""
    table = jnas.benchmarks.nasbench301(common.data_file("nasbench301_ose.npz"))
    chosen = np.random.default_rng(0).permutation(len(table))[: config.num_cells]
    return table.archs[chosen], np.asarray(table.column("val_accuracy"), np.float64)[chosen]


def page() -> pages.Page:
    """Criteria by epoch, those of the costs, and where the published curves begin and end."""
    kept = pages.read(NAME)
    runs = list(kept["seeds"].values())
    header = ["steps", "tau of −loss", "of accuracy", "P@top 5 %, −loss", "mean accuracy"]
    rows = [["after epoch", *header]]
    for place, epoch in enumerate(runs[0]["epochs"]):
        values = (
            np.mean([run[score][name][place] for run in runs])
            for score, name in (
                ("loss", "kendall"),
                ("accuracy", "kendall"),
                ("loss", "p_top@0.05"),
                ("accuracy", "mean"),
            )
        )
        numbers = (pages.number(float(value)) for value in values)
        rows.append([str(epoch), f"{epoch * kept['steps']:,}", *numbers])
    for epoch in (100, 500, 1000):
        taus = (published.NASBENCH301[score][epoch] for score in ("loss", "accuracy"))
        steps = f"{epoch * published.CURVES['nasbench301'].steps:,}"
        numbers = (pages.number(tau) for tau in taus)
        rows.append([f"published: {epoch:,}", steps, *numbers, *[pages.UNKNOWN] * 2])
    for name, one in kept["baselines"].items():
        found = (pages.number(one["kendall"]), pages.UNKNOWN, pages.number(one["p_top@0.05"]))
        rows.append([f"#{name}", pages.UNKNOWN, *found, pages.UNKNOWN])
    note = (
        f"{kept['cells']:,} cells, accuracy by the surrogate; {runs[0]['data']}; supernets: "
        f"{len(runs)}, {runs[0]['seconds_of_training']:,.0f} seconds of training and "
        f"{runs[0]['seconds_of_scores']:,.0f} of scores. The published values are of 5,468 cells."
    )
    return pages.Page((NAME,), (rows,), (f"{NAME}.png",), (note,))


def command(*, full: bool = False, quick: bool = False) -> None:
    """A small supernet, three as published, or a tiny one."""
    main(QUICK if quick else FULL if full else CONFIG)


if __name__ == "__main__":
    options: program.Options = {
        "--full": {"action": "store_true", "help": "three supernets of full size, all cells"}
    }
    program.run(command, {"quick": True}, options, spread=False)
