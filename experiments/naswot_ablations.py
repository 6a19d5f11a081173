"""NASWOT scores of ten cells under other images, initial weights and batches (figures 5 and 1).

python -m experiments.naswot_ablations              (configs/naswot_ablations.py)
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.naswot_ablations import CONFIG, QUICK, Config
from experiments import common, pages, program
from jnas.plots import style
from jnas.types import Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORK = jnas.networks.nasbench201()


def main(config: Config = CONFIG) -> None:
    """Score, print, plot and keep."""
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    accuracy = table.column(config.column)
    cell_key, kernel_key, key = jax.random.split(jax.random.key(config.seed), 3)
    rows = _one_of_each_band(accuracy, config.bands, cell_key)
    scores = _ablations(config, table.archs[rows], key)
    result = {name: _spread(values) for name, values in scores.items()}
    jnas.plots.save(_picture(scores, accuracy[rows]), common.RESULTS / "naswot_ablations.png")
    jnas.plots.save(
        _kernels(config, table, accuracy, kernel_key), common.RESULTS / "naswot_kernels.png"
    )
    kept = {name: np.round(values, 3).tolist() for name, values in scores.items()}
    cells = {
        "accuracy": accuracy[rows].tolist(),
        "cells": [table.space.to_string(arch) for arch in table.archs[rows]],
    }
    content = {"config": repr(config), **cells, "spread": result, "scores": kept}
    common.write_json("naswot_ablations", content)
    pages.show("naswot_ablations", page())


def page() -> pages.Page:
    """Deviations of the scores of a cell, and between cells, for each ablation."""
    rows = [["what varies", "deviation within cells", "between cells", "tau between repeats"]]
    for name, row in pages.read("naswot_ablations")["spread"].items():
        rows.append([name, *(f"{row[key]:.4f}" for key in ("within", "between", "agreement"))])
    plots = ("naswot_ablations.png", "naswot_kernels.png")
    return pages.Page(("naswot_ablations",), (rows,), plots)


def _one_of_each_band(accuracy: np.ndarray, bands: int, key: Key) -> np.ndarray:
    """`[bands]` rows, worst first: a random one of each equal share of the better half."""
    better = np.argsort(accuracy, kind="stable")[len(accuracy) // 2 :]
    parts = np.array_split(better, bands)
    places = np.asarray(jax.random.uniform(key, (bands,)))
    return np.array(
        [part[int(place * len(part))] for part, place in zip(parts, places, strict=True)]
    )


def _ablations(config: Config, archs: np.ndarray, key: Key) -> dict[str, np.ndarray]:
    """Name → scores `[repeats, cells]`; what does not vary is that of the first repeat."""
    keys = jax.random.split(key, config.num_repeats)

    def images(key: Key, num: int = config.num_images) -> jax.Array:
        return jnas.images.load("cifar10", num=num, key=key)

    def score(key: Key, batch: jax.Array) -> np.ndarray:
        naswot = jnas.zeroshot.naswot(NETWORK, batch)
        return np.asarray(jnas.population.score(naswot, archs, key, len(archs), progress=False))

    # One thing at a time varies: images, their kind, the weights.
    shape = (config.num_images, 32, 32, 3)
    scores = {
        "images": np.stack([score(keys[0], images(k)) for k in keys]),
        "noise": np.stack([score(keys[0], jax.random.normal(k, shape)) for k in keys]),
        "initial weights": np.stack([score(k, images(keys[0])) for k in keys]),
    }
    for num in config.batch_sizes:
        scores[f"{num} images"] = np.stack([score(k, images(k, num)) for k in keys])
        print(f"{num} images: done", flush=True)
    return scores


def _spread(scores: np.ndarray) -> dict[str, float]:
    """Deviations within and between cells over the mean score, and tau between two repeats."""
    scores = scores / scores.mean()
    pairs = [(i, j) for i in range(len(scores)) for j in range(i)]
    taus = [float(jnas.metrics.kendall_tau(scores[i], scores[j])) for i, j in pairs]
    within = np.sqrt(np.mean(np.var(scores, axis=0, ddof=1)))
    return {
        "within": round(float(within), 5),
        "between": round(float(np.std(scores.mean(axis=0), ddof=1)), 5),
        "agreement": round(float(np.mean(taus)), 4),
    }


def _picture(scores: dict[str, np.ndarray], accuracy: np.ndarray) -> "Figure":
    """A panel for each ablation; batch sizes together, each over its own minimum."""
    names = [name for name in scores if not name.endswith(" images")]
    panels = ["score" for _ in names] + ["score / lowest score"]
    figure, axes = style.new_figure("CIFAR-10 test accuracy of the cell (%)", *panels, height=3.2)
    for panel, name in zip(axes, names, strict=False):
        for repeat in scores[name]:
            panel.plot(accuracy, repeat, ".", color=style.POINTS, alpha=0.5)
        panel.set_title(
            f"20 draws of {name}" if name != "images" else "20 batches of images",
            fontsize=11,
            loc="left",
        )
    for k, (name, values) in enumerate((n, v) for n, v in scores.items() if n not in names):
        # Side by side, or sizes would hide one another.
        shifted = accuracy + 0.06 * (k - 1.5)
        for number, repeat in enumerate(values / values.min()):
            label = name if number == 0 else None
            axes[-1].plot(shifted, repeat, ".", color=style.COLOURS[k], alpha=0.6, label=label)
    axes[-1].set_title("other sizes of the batch", fontsize=11, loc="left")
    axes[-1].legend(frameon=False, fontsize=9)
    return figure


def _kernels(
    config: Config, table: jnas.benchmarks.Table, accuracy: np.ndarray, key: Key
) -> "Figure":
    """A picture of the Hamming kernels of cells, from the worst connected one to the best."""
    from matplotlib.figure import Figure

    images = jnas.images.load("cifar10", num=config.num_images, key=key)
    order = np.argsort(accuracy, kind="stable")
    rows = order[np.linspace(len(order) // 8, len(order) - 1, config.num_kernels).astype(int)]
    params = NETWORK.init(key)

    def kernel(arch: jax.Array) -> jax.Array:
        return jnas.zeroshot.hamming_kernel(NETWORK, params, arch, images)

    matrices = np.asarray(jax.lax.map(kernel, jnp.asarray(table.archs[rows])), np.float64)
    figure = Figure((8.4, 4.8), dpi=100, facecolor="white", layout="constrained")
    panels = figure.subplots(2, config.num_kernels // 2)
    for axes, matrix, row in zip(panels.ravel(), matrices, rows, strict=True):
        # The diagonal is the number of units: as shares, cells of any size have one scale.
        drawn = axes.imshow(matrix / matrix[0, 0], vmin=0.5, vmax=1, cmap="magma")
        axes.set_title(f"{accuracy[row]:.2f} %", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(drawn, ax=panels, label="share of ReLU units with the same code", shrink=0.8)
    figure.suptitle(
        "Hamming kernels of untrained networks, by the accuracy they reach", fontsize=12
    )
    return figure


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
