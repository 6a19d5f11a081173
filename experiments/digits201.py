"""Trainings of every different cell of NAS-Bench-201 on composed digits, in parts.

python -m experiments.digits201 train   trains what no part has yet, on all cores, one a cell
python -m experiments.digits201 pack    joins the parts to the file of `jnas.benchmarks.digits201`
python -m experiments.digits201         tau between seeds and with NAS-Bench-201; picture

Settings, cost and expectation: configs/digits201.py.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.digits201 import CONFIG, QUICK, Config
from experiments import common, pages, program
from experiments import digits201_trainings as trainings
from jnas.benchmarks.digits201 import PACKAGED
from jnas.benchmarks.trainings import contents, functions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = ("validation_accuracy", "test_accuracy", "validation_loss", "test_loss")


def pack(config: Config, folder: Path, path: Path) -> None:
    """Write all trainings as one file, of which `benchmarks.digits201` makes a table."""
    found: dict[str, Any] = trainings.joined(config, folder)
    found["data"] = np.array(describe(config))
    contents(found, path.name)  # raises where a cell is lacking
    common.write_npz(path, found)
    print(f"written: {path}, {path.stat().st_size / 2**20:.1f} MiB")


def describe(config: Config) -> str:
    """Words on the data and the network, for the conventions of the table."""
    data = jnas.data.load(config.data)
    sizes = [f"{len(part.y):,}" for part in (data.train, data.validation, data.test)]
    shape = "x".join(map(str, data.train.x.shape[1:]))
    stages, cells = (config.network.get(name, 1) for name in ("stages", "cells"))
    return (
        f"{data.name}, {shape}, {len(data.classes)} classes, {sizes[0]} training, {sizes[1]} "
        f"validation and {sizes[2]} test images; {config.network['channels']} channels, stages: "
        f"{stages}, cells a stage: {cells}"
    )


def report(config: Config, folder: Path) -> None:
    """Print, plot and keep what is known from the trainings that are finished."""
    found = trainings.finished(config, folder)
    first = found["seeds"] == config.seeds[0]
    chosen = {name: values[first] for name, values in found.items()}
    result = {
        "config": repr(config),
        "data": describe(config),
        "cells": int(first.sum()),
        "cells_wanted": len(trainings.cells(config)),
        "seconds": quantiles(chosen["seconds"]),
        "accuracy": [quantiles(values) for values in chosen["test_accuracy"].T],
        "failed": int((found["failed_at"] > 0).sum()),
        "with_final": _with_final(chosen),
        "between_seeds": between_seeds(found, config.seeds),
        "elsewhere": _elsewhere(chosen),
    }
    common.write_json("digits201", result)
    jnas.plots.save(_picture(chosen["test_accuracy"], result), common.RESULTS / "digits201.png")
    pages.show("digits201", page())


def quantiles(values: np.ndarray) -> list[float]:
    """Least, 10 %, median, 90 % and largest value."""
    return [round(float(x), 4) for x in np.quantile(values, [0, 0.1, 0.5, 0.9, 1])]


def pairs(found: Mapping[str, np.ndarray], one: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Trainings `[N]` with one seed and `[N]` with another, of the cells that have both."""
    # By function and not by vector, for it is functions that are trained.
    codes = functions(trainings.SPACE, found["archs"])
    rows = [np.flatnonzero(found["seeds"] == seed) for seed in (one, other)]
    _, left, right = np.intersect1d(codes[rows[0]], codes[rows[1]], return_indices=True)
    return rows[0][left], rows[1][right]


def is_connected(archs: np.ndarray) -> np.ndarray:
    """`[N]` bool, whether a path of operations leads from the input of a cell to its output."""
    # The smallest code of those that compute nothing is that of the cell without operations, 0.
    connected: np.ndarray = functions(trainings.SPACE, archs) != 0
    return connected


def between_seeds(found: Mapping[str, np.ndarray], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Mean Kendall tau of two seeds, by measure and epoch, of all cells and those connected."""
    kept: dict[str, Any] = {}
    couples = [(a, b) for a in seeds for b in seeds if a < b]
    rows = [pairs(found, *couple) for couple in couples]
    rows = [pair for pair in rows if len(pair[0]) > 1]
    # Second seeds are trained last, and a table may be wanted before.
    if not rows:
        return kept
    kept["cells"] = len(rows[0][0])
    for name in MEASURES:
        values = found[name]
        kept[name] = [
            _mean_tau(values[:, epoch], rows, found["archs"], connected=False)
            for epoch in range(values.shape[1])
        ]
    final = found["test_accuracy"][:, -1]
    kept["connected"] = _mean_tau(final, rows, found["archs"], connected=True)
    # The deviation of one training from the mean of all trainings of its cell.
    squares = [np.mean((final[left] - final[right]) ** 2) / 2 for left, right in rows]
    kept["deviation"] = round(float(np.sqrt(np.mean(squares))), 5)
    return kept


def _mean_tau(
    values: np.ndarray,
    rows: list[tuple[np.ndarray, np.ndarray]],
    archs: np.ndarray,
    *,
    connected: bool,
) -> float:
    """Mean over pairs of seeds of Kendall's tau of values `[R]`."""
    taus = []
    for left, right in rows:
        kept = is_connected(archs[left]) if connected else np.ones(len(left), bool)
        taus.append(float(jnas.metrics.kendall_tau(values[left][kept], values[right][kept])))
    return round(float(np.mean(taus)), 4)


def _with_final(chosen: Mapping[str, np.ndarray]) -> list[float]:
    """Kendall tau of the validation accuracy after each epoch with the final test accuracy."""
    final = chosen["test_accuracy"][:, -1]
    taus = (jnas.metrics.kendall_tau(values, final) for values in chosen["validation_accuracy"].T)
    return [round(float(tau), 4) for tau in taus]


def _elsewhere(chosen: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Kendall tau of the final test accuracy with other numbers of the same cells."""
    archs = jnp.asarray(chosen["archs"], jnp.int32)
    final = chosen["test_accuracy"][:, -1]
    space = trainings.SPACE
    others = {
        f"NAS-Bench-201 {name}": jnas.benchmarks.nasbench201(name).look_up("val_accuracy", archs)
        for name in jnas.benchmarks.DATASETS
    }
    others["number of parameters"] = np.asarray(jax.vmap(space.params)(archs), np.float64)
    return {
        name: round(float(jnas.metrics.kendall_tau(values, final)), 4)
        for name, values in others.items()
    }


def page() -> pages.Page:
    """What there is, tau between seeds by epoch, and tau with other numbers."""
    kept = pages.read("digits201")
    spans = ["least", "10 %", "median", "90 %", "largest"]
    epochs: pages.Rows = [["epoch", *(f"test accuracy, {span}" for span in spans)]]
    seeds = kept["between_seeds"]
    names = [name for name in MEASURES if name in seeds]
    epochs[0] += ["tau of validation with final test accuracy"]
    epochs[0] += [f"tau of two seeds, {name.replace('_', ' ')}" for name in names]
    for number, values in enumerate(kept["accuracy"]):
        taus = [pages.number(kept["with_final"][number])]
        taus += [pages.number(seeds[name][number]) for name in names]
        epochs.append([str(number + 1), *(f"{value:.1%}" for value in values), *taus])
    others = [["Kendall tau of the final test accuracy with", "tau"]]
    others += [[name, pages.number(value)] for name, value in kept["elsewhere"].items()]
    least, _, median, _, most = kept["seconds"]
    notes = [
        f"{kept['cells']:,} of {kept['cells_wanted']:,} different cells are trained: "
        f"{kept['data']}. A training takes {least:.1f} to {most:.1f} seconds of a core, "
        f"{median:.1f} in the median; {kept['failed']} failed."
    ]
    if seeds:
        notes.append(
            f"Two seeds: {seeds['cells']} cells; tau of the final test accuracy over those that "
            f"are connected {seeds['connected']:.3f}. One training is {seeds['deviation']:.2%} "
            "(standard deviation) off the mean of its cell."
        )
    return pages.Page(("digits201",), (epochs, others), ("digits201.png",), tuple(notes))


def _picture(accuracy: np.ndarray, result: Mapping[str, Any]) -> "Figure":
    """Bands of the learning curves `[N, E]`, and below them how well each epoch ranks."""
    from jnas.plots import style

    labels = ("test accuracy", "Kendall tau")
    figure, (curves, taus) = style.new_figure("epoch", *labels, height=3.6)
    epochs = np.arange(1, accuracy.shape[1] + 1)
    for ends, alpha, label in (
        ((0, 1), 0.15, "all cells"),
        ((0.1, 0.9), 0.35, "80 % of the cells"),
    ):
        low, high = np.quantile(accuracy, ends, axis=0)
        band: dict[str, Any] = {
            "color": style.POINTS,
            "alpha": alpha,
            "linewidth": 0,
            "label": label,
        }
        curves.fill_between(epochs, low, high, **band)
    curves.plot(epochs, np.median(accuracy, axis=0), color=style.POINTS, label="median")
    lines = {"validation with final test accuracy": result["with_final"]}
    if seeds := result["between_seeds"]:
        lines["test accuracy of two seeds"] = seeds["test_accuracy"]
        lines["validation loss of two seeds"] = seeds["validation_loss"]
    for (label, values), colour in zip(lines.items(), style.COLOURS, strict=False):
        taus.plot(epochs, values, "o-", color=colour, markersize=4, label=label)
    for axes in (curves, taus):
        axes.legend(frameon=False, fontsize=10)
    style.set_title(figure, f"{len(accuracy):,} different cells on digits201")
    return figure


def command(
    words: str = "report", *, quick: bool = False, parts: Path | None = None, cores: int = 0
) -> None:
    """Train, pack or report."""
    config = dataclasses.replace(CONFIG, **QUICK) if quick else CONFIG
    folder = parts or (common.RUNS / "digits201" if quick else trainings.PARTS)
    if words == "train" or quick:
        trainings.train(config, folder, cores or None)
    if words == "pack":
        pack(config, folder, PACKAGED)
    if words == "report":
        report(config, folder)


if __name__ == "__main__":
    choice = {"nargs": "?", "choices": ("train", "pack", "report"), "help": "what to do (report)"}
    options: program.Options = {
        "words": choice,
        "--parts": {"type": Path, "metavar": "FOLDER", "help": f"of the parts ({trainings.PARTS})"},
        "--cores": {"type": int, "metavar": "N", "help": "processes that train (one a core)"},
    }
    program.run(command, {"quick": True}, options, spread=False)
