"""Kendall tau of supernets of CLOSE and of plain ones, at equal steps and at equal time.

python -m experiments.oneshot_close SCALE (configs/oneshot_close.py); trainings go on after a kill,
and the seeds of a method are trained side by side.
"""

import dataclasses
import json
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.oneshot_close import CONFIG, QUICK, QUICK_SCALE, Config
from configs.oneshot_supernets import SCALES, Scale, Setting
from experiments import common, oneshot_supernets, pages, program
from jnas import oneshot
from jnas.oneshot import samplers
from jnas.oneshot.sharing import as_sharing
from jnas.oneshot.steps import Setup
from jnas.oneshot.train import Job, Shared, trainer
from jnas.types import Dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "oneshot_close"
_EQUAL = ", equal time"
_CRITERIA = ("kendall", "p_top@0.05")


def main(
    scale: str | Scale = "digits201", methods: Iterable[str] = (), config: Config = CONFIG
) -> None:
    """Train and rank by the supernets that are not kept yet; print, plot and keep the criteria."""
    chosen = SCALES[scale] if isinstance(scale, str) else scale
    title = scale if isinstance(scale, str) else "quick"
    path = common.RESULTS / f"{NAME}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"scales": {}}
    about, known = repr((chosen, config)), oneshot_supernets.truth(chosen)
    found = kept["scales"].get(title)
    if found is None or found["config"] != about:
        costs = oneshot.costs(oneshot_supernets.SPACE, known.archs)
        counts = {name: _criteria(values, known.accuracy) for name, values in costs.items()}
        found = {"config": about, "truth": known.about, "counts": counts}
        found |= {"milliseconds": {}, "supernets": {}}
    kept["scales"][title] = found
    data = oneshot_supernets.dataset(chosen)
    labels = tuple(methods) or tuple(config.methods)
    for label in dict.fromkeys((next(iter(config.methods)), *labels)):
        if label not in found["milliseconds"]:
            found["milliseconds"][label] = _milliseconds(config, chosen, label, data)
    for label, epochs in _trainings(config, chosen, labels, found["milliseconds"]).items():
        runs = found["supernets"].setdefault(label, {})
        seeds = [seed for seed in chosen.seeds if str(seed) not in runs]
        if seeds:
            out = common.RUNS / f"{NAME}-{title}" / f"{label}-{'-'.join(map(str, seeds))}"
            runs |= _measured(config, chosen, label, epochs, seeds, data, out)
            common.write_json(NAME, kept)
            print(title, label, [run["loss"]["kendall"] for run in runs.values()], flush=True)
    for each, content in kept["scales"].items():
        jnas.plots.save(_picture(each, content), path.with_name(f"{NAME}_{each}.png"))
    pages.show(NAME, page())


def _recipe(scale: Scale, epochs: int | None = None) -> oneshot.Recipe:
    """Recipe of a scale, for its own number of epochs or another one."""
    made = oneshot_supernets.recipe(scale, Setting())
    if epochs is None:
        return made
    return made._replace(training=made.training._replace(epochs=epochs))


def _sharing(config: Config, scale: Scale, label: str, epochs: int) -> oneshot.Sharing:
    """Sharing of a label, for a training of some epochs."""
    network = oneshot_supernets.network(scale, Setting())
    settings = config.methods[label.removesuffix(_EQUAL)]
    if settings is None:
        return as_sharing(network)
    dropout = _recipe(scale).training.dropout
    return oneshot.close.close(network, **{"epochs": epochs, "dropout": dropout, **settings})


def _milliseconds(config: Config, scale: Scale, label: str, data: Dataset) -> float:
    """Milliseconds of the processor for a step with all banks open, the median of five epochs."""
    recipe, num = _recipe(scale, 5), config.num_timed
    sharing = _sharing(config, scale, label, 5)
    few = common.first(data, num * recipe.training.batch_size)
    made = trainer(Setup(sharing, recipe, num), 5)
    shared = Shared(few, samplers.deiso(sharing.network.space))
    job = Job(jax.random.key(0), jnp.int32(0), ())
    state, epoch = jax.jit(made.init)(job, shared), jax.jit(made.epoch)
    times = []
    # Four epochs open the banks; of the processor, for what else the machine does must not count.
    for number in range(1, 10):
        begin = time.process_time()
        here = job._replace(key=jax.random.key(number))
        state, _ = jax.block_until_ready(epoch(here, jnp.int32(min(number, 5)), state, shared))
        times.append(time.process_time() - begin)
    return round(float(np.median(times[4:])) / num * 1000, 2)


def _trainings(
    config: Config, scale: Scale, labels: Iterable[str], milliseconds: dict[str, float]
) -> dict[str, int]:
    """Epochs of each training, by its label: those of the scale, or fewer at equal time."""
    epochs, plain = _recipe(scale).training.epochs, milliseconds[next(iter(config.methods))]
    shorter = {
        f"{label}{_EQUAL}": max(5, math.floor(epochs * plain / milliseconds[label]))
        for label in config.equal_time
        if label in labels
    }
    return dict.fromkeys(labels, epochs) | shorter


def _measured(
    config: Config,
    scale: Scale,
    label: str,
    epochs: int,
    seeds: Sequence[int],
    data: Dataset,
    out: Path,
) -> dict[str, dict[str, Any]]:
    """Criteria of the supernets of seeds, by seed, of both scores after their kept epochs."""
    known = oneshot_supernets.truth(scale)
    keep = tuple(max(round(share * epochs), 1) for share in config.shares)
    supernet = oneshot.train(
        _sharing(config, scale, label, epochs),
        data,
        _recipe(scale, epochs),
        jax.vmap(jax.random.key)(np.array(seeds)),
        keep=keep,
        out=out,
    )
    study = oneshot.study(
        supernet, data, known.archs, known.accuracy, epochs=keep, batch_size=scale.batch_size
    )
    found = {criterion: study.criteria(criterion) for criterion in ("loss", "accuracy")}
    runs: dict[str, dict[str, Any]] = {}
    for place, seed in enumerate(seeds):
        runs[str(seed)] = {
            "epochs": list(study.epochs),
            "training_loss": np.round(supernet.curves["loss"][place], 4).tolist(),
        } | {
            criterion: {
                name: np.round(values[name][:, place].astype(float), 4).tolist()
                for name in (*_CRITERIA, "mean")
            }
            for criterion, values in found.items()
        }
    return runs


def _criteria(scores: np.ndarray, accuracy: np.ndarray) -> dict[str, float]:
    """Criteria of scores `[A]`, rounded."""
    found = oneshot.criteria(scores, accuracy)
    return {name: round(float(found[name]), 4) for name in _CRITERIA}


def _values(runs: dict[str, Any], criterion: str, name: str) -> np.ndarray:
    """Criterion `[S, T]` of supernets, by seed and epoch."""
    return np.array([run[criterion][name] for run in runs.values()], float)


def page() -> pages.Page:
    """Criteria by epoch, and the differences to the plain supernets of the same seeds."""
    kept = pages.read(NAME)
    tables, notes = [], []
    for title, found in kept["scales"].items():
        tables += [_taus(title, found), _differences(title, found), _last(title, found)]
        counts = ", ".join(
            f"#{name} {pages.number(values['kendall'])}"
            f" (P@top 5 % {pages.number(values['p_top@0.05'])})"
            for name, values in found["counts"].items()
        )
        notes.append(f"{title}: {found['truth']}; Kendall tau of {counts} on the same cells.")
    notes.append("Supernets at equal time have fewer epochs, and are ranked at the same shares.")
    plots = tuple(f"{NAME}_{title}.png" for title in kept["scales"])
    return pages.Page((NAME,), tuple(tables), plots, tuple(notes))


def _header(found: dict[str, Any]) -> list[str]:
    """Epochs after which the supernets at equal steps are ranked."""
    first = next(iter(next(iter(found["supernets"].values())).values()))
    return [f"epoch {epoch}" for epoch in first["epochs"]]


def _taus(title: str, found: dict[str, Any]) -> pages.Rows:
    """Table of tau by epoch, and of that of accuracy at the end."""
    rows = [[f"{title}: tau of -loss", *_header(found), "of accuracy, at the end", "supernets"]]
    for label, runs in found["supernets"].items():
        values = _values(runs, "loss", "kendall")
        last = oneshot_supernets.spread(_values(runs, "accuracy", "kendall")[:, -1])
        cells = [oneshot_supernets.spread(column) for column in values.T]
        rows.append([label, *cells, last, str(len(runs))])
    return rows


def _differences(title: str, found: dict[str, Any]) -> pages.Rows:
    """Table of the paired differences of tau to the plain supernets."""
    rows = [[f"{title}: tau of -loss, above plain", *_header(found), "pairs"]]
    plain = next(iter(found["supernets"].values()))
    for label, runs in list(found["supernets"].items())[1:]:
        seeds = [seed for seed in runs if seed in plain]
        if seeds:
            both = [
                _values({seed: of[seed] for seed in seeds}, "loss", "kendall")
                for of in (runs, plain)
            ]
            cells = [oneshot_supernets.spread(column) for column in (both[0] - both[1]).T]
            rows.append([label, *cells, str(len(seeds))])
    return rows


def _last(title: str, found: dict[str, Any]) -> pages.Rows:
    """Table of what a method costs and ends with."""
    header = ["epochs", "ms a step", "P@top 5 %, -loss", "mean accuracy", "training loss"]
    rows = [[f"{title}: at the end", *header]]
    for label, runs in found["supernets"].items():
        epochs = str(next(iter(runs.values()))["epochs"][-1])
        losses = np.array([run["training_loss"][-1] for run in runs.values()])
        cost = pages.number(found["milliseconds"][label.removesuffix(_EQUAL)], 1)
        top = _values(runs, "loss", "p_top@0.05")[:, -1]
        mean = _values(runs, "accuracy", "mean")[:, -1]
        ends = [oneshot_supernets.spread(values) for values in (top, mean, losses)]
        rows.append([label, epochs, cost, *ends])
    return rows


def _picture(title: str, found: dict[str, Any]) -> "Figure":
    """Tau of -loss and of accuracy against the share of the epochs, beside that of #params."""
    shown = {name: runs for name, runs in found["supernets"].items() if not name.endswith(_EQUAL)}
    panels = {}
    for criterion, label in (("loss", "tau of −loss"), ("accuracy", "tau of accuracy")):
        panels[label] = {
            name: (_percent(runs), _values(runs, criterion, "kendall").T)
            for name, runs in shown.items()
        }
    params = {"#params": found["counts"]["params"]["kendall"]}
    return jnas.plots.criterion_curves(
        panels,
        dict.fromkeys(panels, params),
        x_label="% of the epochs",
        title=f"CLOSE and plain supernets at equal steps, {title}",
    )


def _percent(runs: dict[str, Any]) -> np.ndarray:
    """Epochs after which the supernets were ranked, in % of all."""
    epochs = np.asarray(next(iter(runs.values()))["epochs"], float)
    percent: np.ndarray = 100 * epochs / epochs[-1]
    return percent


def command(
    scale: str = "digits201", methods: list[str] | None = None, *, quick: bool = False
) -> None:
    """All methods on a scale, some of them, or tiny ones."""
    if quick:
        main(QUICK_SCALE, (), dataclasses.replace(CONFIG, **QUICK))
    else:
        main(scale, methods or ())


if __name__ == "__main__":
    options: program.Options = {
        "scale": {"nargs": "?", "choices": tuple(SCALES), "help": "of the supernets (digits201)"},
        "--methods": {"nargs": "+", "choices": tuple(CONFIG.methods), "help": "to train (all)"},
    }
    program.run(command, {"quick": True}, options, spread=False)
