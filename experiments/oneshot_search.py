"""Weight-sharing searches of NAS-Bench-201, looked up in its table, beside the published rows.

python -m experiments.oneshot_search SCALE     digits201, 16x16, or full, which is for a GPU

Scales, cost and expectation: configs/oneshot_search.py. A search that was stopped goes on; methods
that have ended stay.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.oneshot_search import QUICK, SCALES, Config
from experiments import common, pages, program
from jnas.benchmarks import Table
from jnas.data import Augmentation
from jnas.oneshot import Method, Searched
from jnas.types import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "oneshot_search"
COLUMNS = {
    "nasbench201": {"validation": "val200_c10", "test": "test200_c10"},
    "digits201": {"validation": "val9", "test": "test9"},
}
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


def main(scale: str | Config = "digits201") -> None:
    """Run the methods that have not ended yet; print, plot and keep what they found."""
    config = SCALES[scale] if isinstance(scale, str) else scale
    title = scale if isinstance(scale, str) else "quick"
    path = common.RESULTS / f"{NAME}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"scales": {}}
    result = kept["scales"].get(title, {})
    if result.get("config") != repr(config):
        result = {"config": repr(config), "rows": {}}
    kept["scales"][title] = result
    table, columns = _table(config), COLUMNS[config.truth]
    for of, pick in (("random", np.mean), ("best", np.max)):
        values = (pick(table.column(column)) for column in columns.values())
        result[of] = {name: float(value) for name, value in zip(columns, values, strict=True)}
    data = common.first(jnas.data.load(config.data, config.size), config.num_train)
    for label in config.rows:
        if label not in result["rows"]:
            found = _searched(config, title, label, data)
            result["rows"] |= _rows(config, label, *found, data, table)
            common.write_json(NAME, kept)
            print(title, label, result["rows"][label]["test"], flush=True)
    for each, content in kept["scales"].items():
        jnas.plots.save(_picture(each, content), path.with_name(f"{NAME}_{each}.png"))
    pages.show(NAME, page())


def _table(config: Config) -> Table:
    """Table of the trained cells that are the truth."""
    if config.truth == "digits201":
        return jnas.benchmarks.digits201()
    return jnas.benchmarks.load(common.data_file("nasbench201.npz"), "nasbench201")


def _searched(config: Config, title: str, label: str, data: Dataset) -> tuple[Searched, float]:
    """Searches of a method, and their seconds; these count anew where they went on."""
    num_classes = len(data.classes)
    network = jnas.networks.nasbench201(affine=False, num_classes=num_classes, **config.network)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    out = (
        common.RUNS / f"oneshot-search-{title}" / label.replace(", ", "-").replace(" ", "-").lower()
    )
    begin = time.monotonic()
    searched = jnas.oneshot.search(network, data, method(config, label), keys, out=out)
    return searched, time.monotonic() - begin


def method(config: Config, label: str) -> Method:
    """Method of a row, with the changes of all of them."""
    name, changes = config.rows[label]
    recipe = dict(config.recipe)
    if config.augmentation is not None:
        recipe["augmentation"] = Augmentation(**config.augmentation)
    made = jnas.oneshot.method(name, **changes, **recipe)
    architecture = made.architecture
    rate = config.rate * architecture.learning_rate
    return made._replace(architecture=architecture._replace(learning_rate=rate))


def _rows(
    config: Config, label: str, searched: Searched, seconds: float, data: Dataset, table: Table
) -> dict[str, dict[str, Any]]:
    """Row of a method, and those of the remedies that start from it."""
    skip = table.space.edge_operations.index("skip_connect")
    paths, test = searched.probabilities.argmax(axis=-1), COLUMNS[config.truth]["test"]
    row = _found(config, table, searched.archs) | {
        "seconds": round(seconds, 1),
        "loss": np.round(searched.curves["loss"], 4).tolist(),
        "skips": (paths == skip).sum(axis=-1).tolist(),
        "path": [_accuracies(table, test, archs) for archs in paths.astype(np.int32)],
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
    stopped = _found(config, table, np.stack([arch for _, arch in early]))
    return {
        label: row,
        f"{label}, {EARLY}": stopped | {"epochs": [epoch for epoch, _ in early]},
        f"{label}, {PERTURBED}": _found(config, table, perturbed) | spent,
    }


def _found(config: Config, table: Table, archs: np.ndarray) -> dict[str, Any]:
    """Cells `[S, D]` as text, and their accuracies in %; NaN where a search diverged."""
    known = archs[:, 0] >= 0
    filled = np.where(known[:, None], archs, 0)
    texts = [
        table.space.to_string(arch) if is_known else None
        for arch, is_known in zip(filled, known, strict=True)
    ]
    accuracies = {
        name: np.where(known, _accuracies(table, column, filled), np.nan).tolist()
        for name, column in COLUMNS[config.truth].items()
    }
    return {"cells": texts, **accuracies}


def _accuracies(table: Table, column: str, archs: np.ndarray) -> list[float]:
    """Accuracies in % of cells `[B, D]`."""
    rows = np.asarray(table.rows(jnp.asarray(archs, jnp.int32)))
    return [round(float(value), 3) for value in table.column(column)[rows]]


def page() -> pages.Page:
    """Accuracies of what was found, beside the published ones, and numbers of skips."""
    kept = pages.read(NAME)["scales"]
    note = (
        "Accuracies in % by the table of the scale, means of the searches; published ones are those"
        " of CIFAR-10 at full size; skips of each cell found, among its 6 edges; seconds of all"
        " searches of a method."
    )
    tables = tuple(_rows_of(title, result) for title, result in kept.items())
    return pages.Page((NAME,), tables, tuple(f"{NAME}_{title}.png" for title in kept), (note,))


def _rows_of(title: str, result: dict[str, Any]) -> pages.Rows:
    """Table of a scale."""
    rows = [[title, "validation", "test", "deviation", "published, CIFAR-10", "skips", "seconds"]]
    for label, row in result["rows"].items():
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
    for label, of in (("mean of all cells", "random"), ("best of all cells", "best")):
        values = (pages.number(value, 2) for value in result[of].values())
        rows.append([label, *values, *[pages.UNKNOWN] * 4])
    return rows


def _skips(cell: str | None) -> int | str:
    """Number of skips in a cell, or a dash where a search diverged."""
    return pages.UNKNOWN if cell is None else cell.count("skip_connect")


def _picture(title: str, result: dict[str, Any]) -> "Figure":
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
    skips.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    style.set_title(figure, f"The most probable cell of weight-sharing searches, {title}")
    return figure


def command(scale: str = "digits201", *, quick: bool = False) -> None:
    """Searches of a scale, or tiny ones."""
    main(QUICK if quick else scale)


if __name__ == "__main__":
    options: program.Options = {
        "scale": {"nargs": "?", "choices": tuple(SCALES), "help": "of the searches (digits201)"}
    }
    program.run(command, {"quick": True}, options, spread=False)
