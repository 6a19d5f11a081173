"""Kendall tau of supernets of CLOSE and of plain ones, at equal steps and at equal time.

python -m experiments.oneshot_close (configs/oneshot_close.py); trainings go on after a kill, and
seeds are trained one after the other.
"""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.oneshot_close import CONFIG, QUICK, Config
from experiments import common, pages, program
from jnas import oneshot
from jnas.oneshot.samplers import representatives
from jnas.types import Dataset, Images, Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "oneshot_close"
TOP = 0.05  # share of P@top
_EQUAL = ", equal time"


def main(config: Config = CONFIG, part: str = "") -> None:
    """Train and rank by the supernets that are not kept yet; print, plot and keep the criteria.

    Args:
        config: of all parts.
        part: the only one to train; all of them by default.
    """
    path = common.RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    about = repr(dataclasses.replace(config, seeds=(), num_timed=0))
    if result.get("config") != about:
        result = {"config": about, "epochs": config.epochs, "seconds": {}, "supernets": {}}
    data = _dataset(config)
    archs, truth = _cells(config)
    space = jnas.spaces.nasbench201()
    for name, cost in (("params", space.params), ("flops", space.flops)):
        costs = np.asarray(jax.jit(jax.vmap(cost))(jnp.asarray(archs)))
        result[name] = _criteria(costs, truth)
    for label in config.methods:
        if label not in result["seconds"]:
            result["seconds"][label] = _seconds(config, label, data)
            common.write_json(NAME, result)
    for name in [part] if part else config.parts:
        images = common.first(data, config.parts[name][0])
        for seed in config.seeds:
            for label, num in _trainings(config, name, result["seconds"]).items():
                known = f"{name}; {label}; {seed}"
                if known not in result["supernets"]:
                    supernet = _supernet(config, known, label, num, seed, images)
                    result["supernets"][known] = _ranked(config, supernet, images, archs, truth)
                    common.write_json(NAME, result)
                    print(known, result["supernets"][known]["loss"], flush=True)
    jnas.plots.save(_picture(result), path.with_suffix(".png"))
    pages.show(NAME, page())


def _dataset(config: Config) -> Dataset:
    """Images to train on, and those that cells are ranked by for validation."""
    found = jnas.data.load(config.data, config.size, validation=config.num_validation)
    x, y = found.validation
    some = Images(x[: config.num_images], y[: config.num_images])
    return dataclasses.replace(found, validation=some)


def _cells(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Cells `[B, 6]`, random ones of those that stand for a class, and their accuracies `[B]`."""
    table = jnas.benchmarks.nasbench201()
    codes = np.asarray(jax.jit(jax.vmap(table.space.identity))(jnp.asarray(table.archs)))[:, 1]
    sums = np.bincount(codes, table.column("test_accuracy"))
    archs = representatives(table.space)
    chosen = np.random.default_rng(0).choice(len(archs), config.num_archs, replace=False)
    own = np.asarray(jax.jit(jax.vmap(table.space.identity))(jnp.asarray(archs[chosen])))[:, 1]
    return archs[chosen], (sums / np.maximum(np.bincount(codes), 1))[own]


def _epochs(config: Config) -> int:
    """Epochs of a training at equal steps."""
    return oneshot.recipe("quick", **config.recipe).training.epochs


def _method(config: Config, label: str, epochs: int) -> Network | oneshot.Sharing:
    """Network or sharing of a label, for a training of some epochs."""
    network = jnas.networks.nasbench201(**config.network)
    settings = config.methods[label.removesuffix(_EQUAL)]
    if settings is None:
        return network
    return oneshot.close.close(network, **{"epochs": epochs, "dropout": 0.0, **settings})


def _seconds(config: Config, label: str, data: Dataset) -> float:
    """Seconds of a step, the mean over a training of five epochs, in which all banks are opened."""
    recipe = oneshot.recipe("quick", **config.recipe)
    few = common.first(data, config.num_timed * recipe.training.batch_size)
    short = oneshot.recipe("quick", **(config.recipe | {"epochs": 5}))
    method = _method(config, label, 5)

    def train(seed: int) -> float:
        start = time.perf_counter()
        oneshot.train(method, few, short, seed)
        return time.perf_counter() - start

    train(0)  # compiles
    return min(train(seed) for seed in (1, 2, 3)) / (5 * config.num_timed)


def _trainings(config: Config, part: str, seconds: dict[str, float]) -> dict[str, int]:
    """Epochs of each training of a part, by its label."""
    epochs, labels = _epochs(config), config.parts[part][1]
    shorter = {
        f"{label}{_EQUAL}": max(4, math.floor(epochs * seconds[labels[0]] / seconds[label]))
        for label in config.equal_time
        if label in labels
    }
    return dict.fromkeys(labels, epochs) | shorter


def _supernet(
    config: Config, name: str, label: str, epochs: int, seed: int, data: Dataset
) -> oneshot.Supernet:
    """Supernet of a label, with its weights after the epochs that are asked for."""
    # At equal time there are fewer epochs, and the same shares of them.
    keep = tuple(max(1, round(epoch * epochs / _epochs(config))) for epoch in config.epochs)
    recipe = oneshot.recipe("quick", **(config.recipe | {"epochs": epochs}))
    folder = common.RUNS / NAME / "".join(c if c.isalnum() else "_" for c in name)
    method = _method(config, label, epochs)
    return oneshot.train(method, data, recipe, seed, keep=keep, out=folder)


def _ranked(
    config: Config, supernet: oneshot.Supernet, data: Dataset, archs: np.ndarray, truth: np.ndarray
) -> dict[str, Any]:
    """Criteria of a trained supernet, of -loss and of accuracy, after each of its kept epochs."""
    found: dict[str, Any] = {"asked": supernet.epochs, "accuracy": [], "loss": []}
    for epoch in supernet.epochs:
        suite = oneshot.suite(supernet.at(epoch), data, batch_size=config.batch_size)
        scores = jnas.population.score(suite, archs, jax.random.key(0), progress=False)
        for name in ("accuracy", "loss"):
            values = np.asarray(scores[name])
            found[name].append(_criteria(values, truth) | {"mean": float(np.mean(values))})
    curve = supernet.curves["loss"][0]
    return found | {"training_loss": [round(float(value), 4) for value in curve]}


def _criteria(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Kendall tau and P@top of scores."""
    return {
        "tau": float(jnas.metrics.kendall_tau(scores, truth)),
        "top": float(jnas.metrics.precision_at_top(scores, truth, TOP)),
    }


def _labels(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Part and label of each kind of supernet that there is, in order."""
    names = [tuple(name.split("; ")[:2]) for name in result["supernets"]]
    return [(part, label) for part, label in dict.fromkeys(names)]


def _runs(result: dict[str, Any], kind: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Seed → supernet of a part and label."""
    start = "; ".join(kind) + "; "
    return {
        name.removeprefix(start): run
        for name, run in result["supernets"].items()
        if name.startswith(start)
    }


def _values(runs: Mapping[str, dict[str, Any]], criterion: str, name: str) -> np.ndarray:
    """Criterion `[S, T]` of supernets, by seed and epoch."""
    return np.array([[at[name] for at in run[criterion]] for run in runs.values()])


def page() -> pages.Page:
    """Criteria by epoch, and the differences to the plain supernets of the same seeds."""
    result = pages.read(NAME)
    tables = [_taus(result, name) for name in ("loss", "accuracy")]
    tables += [_differences(result), _last(result)]
    counts = ", ".join(
        f"{title} {pages.number(result[name]['tau'])}"
        f" (P@top 5 % {pages.number(result[name]['top'])})"
        for name, title in (("params", "#params"), ("flops", "FLOPs"))
    )
    notes = (
        f"Kendall tau of {counts} on the same cells.",
        "Supernets at equal time have fewer epochs, and are ranked after the same shares of them.",
    )
    return pages.Page((NAME,), tuple(tables), (f"{NAME}.png",), notes)


def _spread(values: np.ndarray) -> str:
    """Mean and deviation of seeds, of one seed the value alone."""
    mean = pages.number(float(values.mean()))
    return mean if len(values) < 2 else f"{mean} ± {pages.number(float(values.std(ddof=1)))}"


def _taus(result: dict[str, Any], criterion: str) -> pages.Rows:
    """Table of tau by epoch."""
    title = "-loss" if criterion == "loss" else criterion
    header = [f"epoch {epoch}" for epoch in result["epochs"]]
    rows = [["trained on", f"tau of {title}", *header, "supernets"]]
    for kind in _labels(result):
        values = _values(_runs(result, kind), criterion, "tau")
        rows.append([*kind, *(_spread(column) for column in values.T), str(len(values))])
    return rows


def _differences(result: dict[str, Any]) -> pages.Rows:
    """Table of the paired differences of tau of -loss to the first method of a part."""
    header = [f"epoch {epoch}" for epoch in result["epochs"]]
    rows = [["trained on", "tau of -loss, above plain", *header, "pairs"]]
    first: dict[str, dict[str, dict[str, Any]]] = {}
    for part, label in _labels(result):
        runs = _runs(result, (part, label))
        plain = first.setdefault(part, runs)
        seeds = [seed for seed in runs if seed in plain]
        if runs is plain or not seeds:
            continue
        both = [_values({s: of[s] for s in seeds}, "loss", "tau") for of in (runs, plain)]
        columns = (both[0] - both[1]).T
        rows.append([part, label, *(_spread(column) for column in columns), str(len(seeds))])
    return rows


def _last(result: dict[str, Any]) -> pages.Rows:
    """Table of what a method costs and ends with."""
    rows = [["trained on", "method", "ms a step", "P@top 5 %, -loss", "mean accuracy", "last loss"]]
    for part, label in _labels(result):
        runs = _runs(result, (part, label))
        losses = np.array([run["training_loss"][-1] for run in runs.values()])
        seconds = result["seconds"][label.removesuffix(_EQUAL)]
        top, mean = _values(runs, "loss", "top"), _values(runs, "accuracy", "mean")
        cells = [_spread(values) for values in (top[:, -1], mean[:, -1], losses)]
        rows.append([part, label, pages.number(1000 * seconds, 1), *cells])
    return rows


def _picture(result: dict[str, Any]) -> "Figure":
    """Tau of -loss against the epochs, beside that of the number of parameters."""
    curves = {
        f"{label}, {part}": _values(_runs(result, (part, label)), "loss", "tau")
        for part, label in _labels(result)
    }
    return jnas.plots.search_curves(
        curves,
        np.asarray(result["epochs"], float),
        lines={"#params": result["params"]["tau"]},
        x_label="epochs (at equal time: the same share of fewer)",
        y_label="Kendall tau of -loss",
        title="CLOSE and plain supernets",
    )


def command(*, quick: bool = False, part: str = "") -> None:
    """All supernets, or tiny ones."""
    main(dataclasses.replace(CONFIG, **QUICK) if quick else CONFIG, part)


if __name__ == "__main__":
    parts = {"--part": {"choices": list(CONFIG.parts), "help": "the only part to train"}}
    program.run(command, {"quick": True}, parts, spread=False)
