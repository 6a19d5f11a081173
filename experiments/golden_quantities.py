"""Quantities that `experiments.golden` compares: name → array, by the first jnas on the path.

    PYTHONPATH=CHECKOUT JAX_NUM_CPU_DEVICES=2 python experiments/golden_quantities.py --out OUT.npz

This file is run by its path in checkouts of other commits, so it imports nothing of `experiments`,
and the few names that have changed since it was first written are bridged in one place.

A name is `<part>/<variant>/<quantity>`. Every part is small, and covers what a change of the
machinery could break: chunks and devices of scores, padding of trainings and seeds, blocks of
epochs, a search that goes on after a kill.
"""

import argparse
import contextlib
import dataclasses
import importlib
import inspect
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jnas
from jnas.types import Estimator, History, Key, Objective, Predictor, Searcher

Quantities = dict[str, Any]

# -- Names that have changed -----------------------------------------------------------------------


def _first_module(*names: str) -> Any:
    """The first of these modules that this jnas has."""
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise ModuleNotFoundError(f"none of {', '.join(names)} is here")


def _evaluations(run: Callable[..., Any], number: int) -> dict[str, int]:
    """The argument that says how many evaluations a search has."""
    now = "num_evaluations" in inspect.signature(run).parameters
    return {"num_evaluations" if now else "num_steps": number}


_FIELDS = (
    "archs",
    "scores",
    "seconds",
    "epochs",
    "best",
    "num_evaluations",
    "num_repeats",
    "stalled",
)


def _of_history(history: History) -> Quantities:
    """Every field, by its present name."""
    truncated = getattr(history, "truncated" if "truncated" in history._fields else "exhausted")
    return {name: getattr(history, name) for name in _FIELDS} | {"truncated": truncated}


def _renas(space: jnas.types.Space, **settings: Any) -> Predictor:
    factory: Any = getattr(jnas.predictors, "renas", None) or jnas.predictors.lenet
    made: Predictor = factory(space, **settings)
    return made


# -- Scores ----------------------------------------------------------------------------------------

SPACE = jnas.spaces.nasbench201()
CHUNKS = (7, 64)


def _rows(number: int, seed: int, space: jnas.types.Space = SPACE) -> np.ndarray:
    """`[number, D]` different architectures, in an order that says nothing."""
    drawn = jax.vmap(space.sample)(jax.random.split(jax.random.key(seed), 2 * number))
    _, first = np.unique(np.asarray(jax.vmap(space.code)(drawn)), axis=0, return_index=True)
    rows: np.ndarray = np.asarray(drawn)[np.sort(first)[:number]]
    return rows


def _naswot() -> Estimator:
    images = jax.random.normal(jax.random.key(1), (16, 32, 32, 3))
    return jnas.zeroshot.naswot(jnas.networks.nasbench201(), images)


def _table() -> Estimator:
    return jnas.benchmarks.nasbench201("cifar10").estimator("val_accuracy")


def _gates() -> Estimator:
    predictor = _shortly(jnas.predictors.gates, SPACE)
    return jnas.predictors.estimator(predictor, predictor.fit(jax.random.key(2), *_training_set()))


def scores(estimator: Estimator) -> Quantities:
    """Of the same 50 rows in chunks of two sizes."""
    rows, key = _rows(50, seed=3), jax.random.key(4)
    return {
        f"chunks of {size}/scores": jnas.population.score(
            estimator, rows, key, size, progress=False
        )
        for size in CHUNKS
    }


# -- Fits ------------------------------------------------------------------------------------------

_EPOCHS = 5
_SEEDS_OF_FITS = 3  # of which two devices get two each, one to fill up


def _shortly(factory: Callable[..., Predictor], space: jnas.types.Space) -> Predictor:
    """A predictor of few epochs with small minibatches, the last not full; else with defaults."""
    usual = factory(space).settings["training"]
    return factory(space, training=dataclasses.replace(usual, epochs=_EPOCHS, batch_size=16))


def _training_set(seed: int = 5, space: jnas.types.Space = SPACE) -> tuple[np.ndarray, np.ndarray]:
    """40 architectures and accuracies that depend on them."""
    rows = _rows(40, seed, space)
    choices = np.arange(1, 1 + rows.shape[1])
    return rows, 0.5 + np.sin(rows @ choices).astype(np.float32) / 4


def fits(predictor: Predictor, epochs: tuple[int, ...] | None = (2, _EPOCHS)) -> Quantities:
    """States, losses, measures and predictions of several seeds, each with its own training set."""
    space = predictor.space
    sets = [_training_set(6 + seed, space) for seed in range(_SEEDS_OF_FITS)]
    archs, targets = (np.stack(arrays) for arrays in zip(*sets, strict=True))
    others = _training_set(20, space)
    fitted = predictor.fit_many(
        jax.random.split(jax.random.key(7), _SEEDS_OF_FITS),
        archs,
        targets,
        evaluation=jnas.predictors.Evaluation(*others, epochs=epochs),
    )
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(fitted.states)]
    flat = [leaf.reshape(_SEEDS_OF_FITS, -1).astype(np.float64) for leaf in leaves]
    return {
        "fit/states": np.concatenate(flat, axis=1),
        "fit/layout": " ".join(f"{leaf.dtype}{leaf.shape}" for leaf in leaves),
        "fit/losses": fitted.losses,
        "fit/kendall_tau": fitted.metrics["kendall_tau"],
        "fit/predictions": predictor.predict_many(fitted.states, jax.numpy.asarray(others[0])),
    }


def _ensemble() -> Predictor:
    return jnas.predictors.ensemble(_shortly(jnas.predictors.mlp, SPACE), num_members=2)


# -- Searches --------------------------------------------------------------------------------------

_SEEDS = 5
_EVALUATIONS = 60


def _objective() -> Objective:
    return jnas.benchmarks.nasbench201("cifar10").objective("val_accuracy", seconds="seconds")


def histories(searcher: Searcher) -> Quantities:
    """Of five seeds, by the driver of seeds, and where there is one device by `vmap` as well."""
    objective, keys = _objective(), jax.random.split(jax.random.key(8), _SEEDS)

    def one(key: Key, objective: Objective) -> History:
        budget: dict[str, Any] = _evaluations(jnas.search.run, _EVALUATIONS)
        return jnas.search.run(searcher, objective, key, **budget)

    driver = _first_module("jnas.engine.seeds", "jnas.seeds")
    found = {"driver": driver.run(one, keys, objective)}
    if jax.local_device_count() == 1:
        found["vmap"] = jax.jit(jax.vmap(one, in_axes=(0, None)))(keys, objective)
    return {
        f"{how}/{name}": values
        for how, history in found.items()
        for name, values in _of_history(history).items()
    }


_HOST_EVALUATIONS = 20
_KILLED_AFTER = 7
# Evaluations. An environment variable, because settings of the function are part of the job.
_KILL = "JNAS_GOLDEN_KILL_AFTER"
_CALLS: list[int] = []


def evaluate(arch: np.ndarray, epochs: int) -> tuple[float, float]:
    """An accuracy and its seconds, by arithmetic; or a kill of this process during a call."""
    del epochs
    if len(_CALLS) == int(os.environ.get(_KILL, -1)):
        os.kill(os.getpid(), signal.SIGKILL)
    _CALLS.append(1)
    return float(np.sum(arch * np.arange(3, 9) ** 3) % 101), 10.0 + float(arch[1])


def _search_on_host(folder: str | None) -> History:
    """A search by evolution; kept in a folder, or not at all."""
    _CALLS.clear()
    searcher = jnas.search.regularized_evolution(SPACE, population_size=5)
    budget: dict[str, Any] = _evaluations(jnas.search.run_on_host, _HOST_EVALUATIONS)
    return jnas.search.run_on_host(
        searcher, evaluate, jax.random.key(9), out=folder, progress=False, **budget
    ).history


def host_search() -> Quantities:
    """Histories of a search that never stopped, and of one killed after 7 of 20 evaluations.

    Run it where this file is `__main__`: that name is part of the objective, and so of the job.
    """
    with tempfile.TemporaryDirectory() as folder:
        killed = subprocess.run(
            [sys.executable, __file__, "--search-in", folder],
            env=os.environ | {_KILL: str(_KILLED_AFTER)},
            check=False,
        )
        if killed.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the search was to be killed; it ended with {killed.returncode}")
        resumed, num_calls = _search_on_host(folder), len(_CALLS)
    found = {"whole": _search_on_host(None), "killed": resumed}
    return {"killed/calls after the kill": num_calls} | {
        f"{how}/{name}": values
        for how, history in found.items()
        for name, values in _of_history(history).items()
    }


# -- All of them -----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Quantities]] = {
    "naswot": lambda: scores(_naswot()),
    "table": lambda: scores(_table()),
    "GATES": lambda: scores(_gates()),
    "gates": lambda: fits(_shortly(jnas.predictors.gates, SPACE)),
    "gates of nasbench101": lambda: fits(
        _shortly(jnas.predictors.gates, jnas.spaces.nasbench101())
    ),
    "mlp": lambda: fits(_shortly(jnas.predictors.mlp, SPACE)),
    "lstm": lambda: fits(_shortly(jnas.predictors.lstm, SPACE)),
    "renas": lambda: fits(_shortly(_renas, SPACE)),
    "ensemble": lambda: fits(_ensemble(), epochs=None),
    "e2epp": lambda: fits(jnas.predictors.e2epp(SPACE, num_trees=50), epochs=None),
    "random search": lambda: histories(jnas.search.random_search(SPACE)),
    "regularized evolution": lambda: histories(jnas.search.regularized_evolution(SPACE)),
    "reinforce": lambda: histories(jnas.search.reinforce(SPACE)),
    "bohb": lambda: histories(jnas.search.bohb(SPACE)),
    "host search": host_search,
}
QUICK = "table", "random search"
ON_DEVICES = {"naswot": (1, 2, 8), "table": (1, 2, 8), "GATES": (1, 2, 8), "host search": (1,)}


def parts_on(num_devices: int) -> tuple[str, ...]:
    """The parts that are computed with so many devices."""
    return tuple(part for part in PARTS if num_devices in ON_DEVICES.get(part, (1, 2)))


def compute(parts: tuple[str, ...]) -> dict[str, np.ndarray]:
    """All quantities of some parts, on the devices of this process."""
    where, found = f"{jax.local_device_count()} devices", {}
    for part in parts:
        begin = time.process_time()
        for name, value in PARTS[part]().items():
            found[f"{part}/{where}/{name}"] = np.asarray(value)
        print(f"{part}, {where}: {time.process_time() - begin:.1f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Write the quantities to the file that the command line names."""
    parser = argparse.ArgumentParser(description="Quantities that experiments.golden compares.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", metavar="FILE", help="write the quantities, .npz")
    where.add_argument("--search-in", metavar="FOLDER", help="only search, in a folder")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    options = parser.parse_args()
    if options.search_in:
        _search_on_host(options.search_in)
        return
    print(f"{Path(jnas.__file__).parent.parent}, in seconds of processors:", file=sys.stderr)
    parts = parts_on(jax.local_device_count())
    found = compute(tuple(part for part in parts if part in QUICK or not options.quick))
    np.savez(options.out, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
