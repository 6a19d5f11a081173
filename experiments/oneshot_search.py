"""Weight-sharing searches of NAS-Bench-201, looked up in its table, beside the published rows.

python -m experiments.oneshot_search           (configs/oneshot_search.py)
python -m experiments.oneshot_search full      at the published size, for a GPU; into a folder --out
"""

import json
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.oneshot_search import CONFIG, FULL, QUICK, Config
from experiments import common, pages, program
from jnas.benchmarks import Table
from jnas.data import Augmentation
from jnas.oneshot import Method, Searched
from jnas.types import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "oneshot_search"
COLUMNS = {"validation": "val200_c10", "test": "test200_c10"}
# Test accuracy and its deviation over three searches, NAS-Bench-201, table 5.
PUBLISHED = {
    "RSPS": (87.66, 1.69),
    "DARTS, first order": (54.30, 0.0),
    "DARTS, second order": (54.30, 0.0),
    "GDAS": (93.51, 0.13),
    "SETN": (86.19, 4.63),
    "ENAS": (54.30, 0.0),
}
EARLY, PERTURBED = "stopped early", "by perturbation"


def main(config: Config = CONFIG) -> None:
    """Run the methods that have not ended yet; print, plot and keep what they found."""
    path = common.RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    if result.get("config") != repr(config):
        result = {"config": repr(config), "epochs": {}, "rows": {}}
    table = jnas.benchmarks.load(common.data_file("nasbench201.npz"), "nasbench201")
    result["random"] = {
        name: float(table.column(column).mean()) for name, column in COLUMNS.items()
    }
    data = common.first(jnas.data.load(config.data, config.size), config.num_train)
    for label in config.rows:
        if label not in result["rows"]:
            found = _searched(config, label, data)
            result["rows"] |= _rows(config, label, *found, data, table)
            common.write_json(NAME, result)
            print(label, result["rows"][label]["test"], flush=True)
    jnas.plots.save(_picture(result), path.with_suffix(".png"))
    pages.show(NAME, page())


def _searched(config: Config, label: str, data: Dataset) -> tuple[Searched, float]:
    """Searches of a method, and their seconds; these count anew where they went on."""
    num_classes = len(data.classes)
    network = jnas.networks.nasbench201(affine=False, num_classes=num_classes, **config.network)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    out = common.RUNS / "oneshot-search" / label.replace(", ", "-").replace(" ", "-").lower()
    begin = time.monotonic()
    searched = jnas.oneshot.search(network, data, method(config, label), keys, out=out)
    return searched, time.monotonic() - begin


def method(config: Config, label: str) -> Method:
    """Method of a row, with the changes of all of them."""
    name, changes = config.rows[label]
    recipe = dict(config.recipe)
    if "crop" in recipe:
        recipe["augmentation"] = Augmentation(flip=True, crop=recipe.pop("crop"))
    made = jnas.oneshot.method(name, **changes, **recipe)
    architecture = made.architecture
    rate = config.rate * architecture.learning_rate
    return made._replace(architecture=architecture._replace(learning_rate=rate))


def _rows(
    config: Config, label: str, searched: Searched, seconds: float, data: Dataset, table: Table
) -> dict[str, dict[str, Any]]:
    """Row of a method, and those of the remedies that start from it."""
    skip = table.space.edge_operations.index("skip_connect")
    paths = searched.probabilities.argmax(axis=-1)
    row = _found(table, searched.archs) | {
        "seconds": round(seconds, 1),
        "loss": np.round(searched.curves["loss"], 4).tolist(),
        "skips": (paths == skip).sum(axis=-1).tolist(),
        "path": [_accuracies(table, archs, "test") for archs in paths.astype(np.int32)],
        "probabilities": np.round(searched.probabilities[:, -1], 3).tolist(),
    }
    if label != config.remedy_of:
        return {label: row}
    early = [jnas.oneshot.before_skips(p, skip, config.num_skips) for p in searched.probabilities]
    begin = time.monotonic()
    perturbed = jnas.oneshot.perturbed(
        searched, data, config.seed, batches=config.batches, tune_epochs=config.tune_epochs
    )
    spent = {"seconds": round(time.monotonic() - begin, 1)}
    stopped = _found(table, np.stack([arch for _, arch in early]))
    return {
        label: row,
        f"{label}, {EARLY}": stopped | {"epochs": [epoch for epoch, _ in early]},
        f"{label}, {PERTURBED}": _found(table, perturbed) | spent,
    }


def _found(table: Table, archs: np.ndarray) -> dict[str, Any]:
    """Cells `[S, D]` as text, and their accuracies in %; NaN where a search diverged."""
    known = archs[:, 0] >= 0
    filled = np.where(known[:, None], archs, 0)
    texts = [
        table.space.to_string(arch) if is_known else None
        for arch, is_known in zip(filled, known, strict=True)
    ]
    accuracies = {
        name: np.where(known, _accuracies(table, filled, name), np.nan).tolist() for name in COLUMNS
    }
    return {"cells": texts, **accuracies}


def _accuracies(table: Table, archs: np.ndarray, name: str) -> list[float]:
    """Accuracies in % of cells `[B, D]`."""
    rows = np.asarray(table.rows(jnp.asarray(archs, jnp.int32)))
    return [round(float(value), 3) for value in table.column(COLUMNS[name])[rows]]


def page() -> pages.Page:
    """Accuracies of what was found, beside the published ones, and numbers of skips."""
    kept = pages.read(NAME)
    rows = [["method", "validation", "test", "deviation", "published test", "skips", "seconds"]]
    for label, row in kept["rows"].items():
        test, skips = np.asarray(row["test"]), [_skips(cell) for cell in row["cells"]]
        published = PUBLISHED.get(label)
        rows.append(
            [
                label,
                pages.number(float(np.mean(row["validation"])), 2),
                pages.number(float(test.mean()), 2),
                pages.number(float(test.std(ddof=1)) if len(test) > 1 else None, 2),
                pages.UNKNOWN if published is None else "{:.2f} ± {:.2f}".format(*published),
                ", ".join(map(str, skips)),
                f"{row['seconds']:.0f}" if "seconds" in row else pages.UNKNOWN,
            ]
        )
    chance = [pages.number(kept["random"][name], 2) for name in COLUMNS]
    rows.append(["mean of all cells", *chance, *[pages.UNKNOWN] * 4])
    note = (
        "Accuracies in % on CIFAR-10 by the table, means of the searches; skips of each cell found,"
        " among its 6 edges; seconds of all searches of a method."
    )
    return pages.Page((NAME,), (rows,), (f"{NAME}.png",), (note,))


def _skips(cell: str | None) -> int | str:
    """Number of skips in a cell, or a dash where a search diverged."""
    return pages.UNKNOWN if cell is None else cell.count("skip_connect")


def _picture(result: dict[str, Any]) -> "Figure":
    """Skips of the most probable cell by epoch, and below its test accuracy; means of searches."""
    from jnas.plots import style

    labels = ("skips of 6 edges", "test accuracy, %")
    figure, (skips, accuracies) = style.new_figure("epoch", *labels, height=3.6)
    # Without a distribution that learns there is no most probable cell.
    rows = {label: row for label, row in result["rows"].items() if label != "RSPS"}
    shown = {label: row for label, row in rows.items() if "skips" in row}
    for (label, row), colour in zip(shown.items(), style.COLOURS * 2, strict=False):
        for axes, name in ((skips, "skips"), (accuracies, "path")):
            values = np.mean(row[name], axis=0)
            style_of = {"color": colour, "label": label, "linewidth": 1.5}
            axes.plot(np.arange(1, len(values) + 1), values, **style_of)
    accuracies.axhline(result["random"]["test"], color="0.5", linestyle=":", label="mean cell")
    skips.legend(frameon=False, fontsize=8)
    style.set_title(figure, "The most probable cell of weight-sharing searches")
    return figure


def command(words: str = "small", *, quick: bool = False) -> None:
    """Searches at the scale of a CPU, at full size, or tiny ones."""
    main(QUICK if quick else FULL if words == "full" else CONFIG)


if __name__ == "__main__":
    options = {"words": {"nargs": "?", "choices": ("small", "full"), "help": "the scale"}}
    program.run(command, {"quick": True}, options, spread=False)
