"""Accuracy of the best of ENAS' cells after each training of searches: GATES, evolution, random.

python -m experiments.gates_enas            (configs/gates_enas.py)
python -m experiments.gates_enas 20         stops after 20 minutes; the same command goes on

Searches that have ended are kept in results/gates_enas.json, and the accuracies of all cells that
were trained in results/gates_enas_cells.npz: a search that was stopped is run again on these.
"""

import dataclasses
import functools
import time
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.gates_enas import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.training import Recipe
from jnas.types import Estimator, Key, Network, Searcher

MINUTES: program.Options = {
    "minutes": {
        "nargs": "?",
        "type": float,
        "help": "after which no search begins another training",
    }
}


# No `Exception`, which a search would take for a training that failed.
class OutOfTimeError(BaseException):
    """The minutes are over."""


def main(config: Config = CONFIG, minutes: float | None = None) -> None:
    """Run the searches that have not ended; print, plot and keep what they found."""
    book = ledger.Ledger("gates_enas", config)
    end = np.inf if minutes is None else time.monotonic() + 60 * minutes
    cells = Cells(config, end)
    # The same for all runs: new ones would be compiled anew.
    searchers = {label: _searcher(config, label) for label in (*config.guided, *config.others)}
    try:
        # Run by run, so that those that there are can be compared in pairs.
        for run in range(config.num_runs):
            for label, searcher in searchers.items():
                function = functools.partial(search, cells, searcher, run)
                book.once(f"{label} {run}", _about(config, label), function)
    except OutOfTimeError:
        print("out of time; the same command goes on from here", flush=True)
    cells.write()
    runs = _whole(book.jobs, searchers)
    curves = {
        label: np.stack(
            [_curve(book.jobs[f"{label} {run}"], config.num_evaluations) for run in runs]
        )
        for label in searchers
        if runs
    }
    if curves:
        figure = jnas.plots.search_curves(
            {label: 100 * values for label, values in curves.items()},
            x_label="trainings",
            y_label="best validation accuracy so far (%)",
            title="Cells of ENAS on digits",
        )
        jnas.plots.save(figure, common.RESULTS / "gates_enas.png")
        book.write()
        pages.show("gates_enas", page(config))


def _about(config: Config, label: str) -> dict[str, Any]:
    """What a search depends on, as JSON values."""
    settings = config.guided.get(label) or config.others[label]
    shared = {name: getattr(config, name) for name in ("num_evaluations", "network", "recipe")}
    return {"strategy": repr(settings), "parts": repr(config.parts)} | shared


class Cells:
    """Validation accuracies of cells, each trained once a run, and kept in a file."""

    def __init__(self, config: Config, end: float) -> None:
        """Go on with `results/gates_enas_cells.npz` where it is of the same trainings."""
        self.config, self.end = config, end
        self.path = common.RESULTS / "gates_enas_cells.npz"
        self.about = repr((config.network, config.recipe, config.parts))
        self.known: dict[tuple[int, ...], float] = {}
        self.seconds = 0.0
        if self.path.exists():
            with np.load(self.path) as file:
                if str(file["about"]) == self.about:
                    rows = zip(file["cells"].tolist(), file["accuracy"].tolist(), strict=True)
                    self.known = {tuple(cell): accuracy for cell, accuracy in rows}

    def __call__(self, run: int, arch: np.ndarray) -> float:
        """Validation accuracy of a cell in a run; OutOfTimeError where it is not known in time."""
        space = network_of(self.config).space
        # By identity: cells that are isomorphic are trained once.
        name = (run, *np.asarray(_identity(space)(jnp.asarray(arch))).tolist())
        if name not in self.known:
            if time.monotonic() > self.end:
                raise OutOfTimeError
            begin = time.process_time()
            self.known[name] = train(self.config, run, arch)
            self.seconds += time.process_time() - begin
            if len(self.known) % 50 == 0:
                self.write()
        return self.known[name]

    def write(self) -> None:
        """Keep the accuracies."""
        cells = np.array([*self.known], np.uint32)
        accuracy = np.array([*self.known.values()], np.float32)
        common.write_npz(self.path, {"about": self.about, "cells": cells, "accuracy": accuracy})


def network_of(config: Config) -> Network:
    """Network whose cells are searched, for digits."""
    return jnas.networks.enas(num_classes=10, in_channels=1, **config.network)


@functools.cache
def _identity(space: Any) -> Any:
    return jax.jit(space.identity)


def train(config: Config, run: int, arch: np.ndarray, *, on_test: bool = False) -> float:
    """Validation or test accuracy of one training with the key of the run."""
    recipe = jnas.training.recipe("quick", **config.recipe)
    judge = _estimator(network_of(config), config.parts, recipe, on_test)
    return float(_judged(judge, _key(run), jnp.asarray(arch)[None])[0])


@jax.jit
def _judged(judge: Estimator, key: Key, archs: jax.Array) -> jax.Array:
    return judge(key, archs)


@functools.cache
def _estimator(
    network: Network, parts: tuple[int, int], recipe: Recipe, on_test: bool
) -> Estimator:
    """Estimator by training; test images in place of those for validation are the same program."""
    validation, test = parts
    data = jnas.data.load("digits", 8, key=jax.random.key(0), validation=validation, test=test)
    if on_test:
        data = dataclasses.replace(data, validation=data.test)
    return jnas.training.estimator(network, jax.tree.map(jnp.asarray, data), recipe)


def _key(run: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(0), run)


def search(cells: Cells, searcher: Searcher, run: int) -> dict[str, Any]:
    """One search: its improvements, the best cell, and the test accuracy of that."""
    config, begin = cells.config, cells.seconds
    space = network_of(config).space

    def evaluate(arch: np.ndarray, epochs: int) -> float:
        del epochs
        return cells(run, arch)

    found = jnas.search.run_on_host(
        searcher, evaluate, _key(run), num_evaluations=config.num_evaluations, progress=False
    )
    scores = np.asarray(found.history.scores)
    best = np.maximum.accumulate(scores)
    improved = np.flatnonzero(np.diff(best, prepend=np.float32(-np.inf)))
    arch = np.asarray(found.history.archs)[int(scores.argmax())]
    return {
        "improvements": " ".join(f"{1 + i}:{best[i]:.9g}" for i in improved),
        "best": float(best[-1]),
        "test": train(config, run, arch, on_test=True),
        "mean": float(scores.mean()),
        "cell": space.to_string(arch),
        "seconds_of_training": round(cells.seconds - begin, 1),
    }


def _searcher(config: Config, label: str) -> Searcher:
    """Strategy of that label."""
    space = network_of(config).space
    if label in config.others:
        strategy, options = config.others[label]
        made: Searcher = getattr(jnas.search, strategy)(space, **options)
        return made
    predictor, settings, guiding, inner = config.guided[label]
    evolution = jnas.search.regularized_evolution(space, **inner)
    model = getattr(jnas.predictors, predictor)(space, **settings)
    return jnas.search.predictor_guided(model, evolution, **guiding)


# -- What is reported ------------------------------------------------------------------------------


def _whole(jobs: dict[str, Any], labels: Iterable[str]) -> list[int]:
    """Runs of which all searches have ended."""
    runs = {int(name.rpartition(" ")[2]) for name in jobs}
    return [run for run in sorted(runs) if all(f"{label} {run}" in jobs for label in labels)]


def _curve(job: dict[str, Any], num: int) -> np.ndarray:
    """`[num]`, the best so far, from its improvements `training:accuracy`."""
    pairs = [pair.split(":") for pair in job["improvements"].split()]
    steps, scores = (np.array(column, float) for column in zip(*pairs, strict=True))
    return scores[np.searchsorted(steps, np.arange(1, num + 1), side="right") - 1]


def page(config: Config = CONFIG) -> pages.Page:
    """Means of the best, and paired differences of GATES to the others."""
    jobs = pages.read("gates_enas")["jobs"]
    labels = [*config.guided, *config.others]
    runs = _whole(jobs, labels)
    found = {label: [jobs[f"{label} {run}"] for run in runs] for label in labels}
    rows = [["search", "validation accuracy of the best (%)", "its test accuracy (%)", "all cells"]]
    for label, of in found.items():
        means = (100 * np.mean([job[name] for job in of]) for name in ("best", "test", "mean"))
        rows.append([label, *(f"{mean:.2f}" for mean in means)])
    gains = [["GATES minus", "validation accuracy (%, 95 %)", "test accuracy (%, 95 %)"]]
    for label in config.others:
        cells = (_gain(found["GATES"], found[label], name) for name in ("best", "test"))
        gains.append([label, *cells])
    note = (
        f"{len(runs)} of {config.num_runs} runs, each of one search a row with "
        f"{config.num_evaluations} trainings."
    )
    return pages.Page(("gates_enas",), (rows, gains), ("gates_enas.png",), (note,))


def _gain(one: list[dict[str, Any]], other: list[dict[str, Any]], name: str) -> str:
    """Mean of the differences of runs, with its interval where there are several."""
    pairs = zip(one, other, strict=True)
    differences = 100 * np.array([a[name] - b[name] for a, b in pairs])
    half = ledger.half_interval(differences)
    return f"{differences.mean():+.2f}" + (f" ± {half:.2f}" if np.isfinite(half) else "")


def command(minutes: float | None = None, *, quick: bool = False) -> None:
    """All searches, or short ones."""
    main(dataclasses.replace(CONFIG, **QUICK) if quick else CONFIG, minutes)


if __name__ == "__main__":
    program.run(command, {"quick": True}, MINUTES, spread=False)
