"""Seconds of training and using a predictor.

Command: python -m experiments.bench_predictors

Yardsticks are 4096x4096x4096 float32 matrix products of the same run, 137 GFLOP each. By hand,
GATES on 381 cells of 7 nodes: four layers of 7 x 128 x 128 and a head of 128 x 200 are 0.8 MFLOP a
cell forwards and three times that with gradients: 0.9 GFLOP an epoch, 180 GFLOP for 200 epochs;
423,624 cells are 350 GFLOP. ReNAS' LeNet on 423 cells is 6.4 MFLOP a cell: 1.6 TFLOP for 200 epochs
with gradients. With JAX_NUM_CPU_DEVICES=2 there is a device a core, as the command line has it.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common, pages, program
from jnas.predictors import Training, cells, fit, many, message_passing
from jnas.predictors.layers import Scorer
from jnas.predictors.prediction import Recipe

SPACE = jnas.spaces.nasbench101()
SEEDS = 10


def main(num_cells: int = 423, num_scored: int | None = None, seeds: int = SEEDS) -> None:
    """Print and keep every figure, each beside the yardstick of the same run."""
    archs = SPACE.enumerate()
    rows = archs[np.random.default_rng(0).permutation(len(archs))[:num_cells]]
    # No accuracies are needed: a training takes as long whatever it learns.
    targets = np.random.default_rng(1).normal(0.9, 0.05, len(rows))
    unit = common.yardstick()
    result: dict[str, Any] = {"yardstick_seconds": round(unit, 3)}
    recipe = _gates(message_passing.dense)
    result |= _training("gates", recipe, rows[:381], targets[:381])
    result |= {
        "gates_10_seeds_each": round(_seconds(recipe, rows[:381], targets[:381], seeds) / seeds, 2)
    }
    result |= _aggregations(rows[:381], targets[:381])
    result |= {"gates_eager_loop": round(_eager(rows[:381], targets[:381]), 1)}
    lenet = _recipe(jnas.encodings.renas, jnas.predictors.renas(SPACE))
    result |= _training("lenet", lenet, rows, targets)
    result |= _scoring(archs[:num_scored], rows[:381], targets[:381])
    result |= {"yardstick_seconds_after": round(common.yardstick(), 3)}
    common.write_json(
        f"bench_predictors_{jax.default_backend()}_{jax.local_device_count()}", result
    )
    pages.show("bench_predictors", page())


def page() -> pages.Page:
    """Seconds and yardsticks on each kind of device."""
    found, tables = pages.of_devices("bench_predictors"), []
    for name, kept in found.items():
        unit, rows = kept["yardstick_seconds"], [[name, "seconds", "yardsticks"]]
        for label, value in kept.items():
            if isinstance(value, float) and "yardstick" not in label:
                rows.append([label.replace("_", " "), f"{value:.2f}", f"{value / unit:.2f}"])
        tables.append(rows)
    return pages.Page(tuple(found), tuple(tables))


def _gates(aggregate: message_passing.Aggregate, **changes: Any) -> Recipe:
    encoder = gates_module(aggregate)
    return Recipe(cells.cached(_graphs, SPACE), Scorer(encoder), Training(**changes))


def gates_module(aggregate: message_passing.Aggregate) -> Any:
    """The encoder of `predictors.gates` with another aggregation."""
    from jnas.predictors.gates import GatesOnNodes

    return GatesOnNodes(len(SPACE.node_operations), aggregate=aggregate)


def _graphs(space: jnas.types.Space) -> Callable[[jax.Array], jnas.types.Graph]:
    return jax.vmap(space.graph)


def _seconds(recipe: Recipe, archs: np.ndarray, targets: np.ndarray, seeds: int) -> float:
    """Seconds of one call that is already compiled."""
    keys = jax.random.split(jax.random.key(0), seeds)
    data = keys, np.repeat(archs[None], seeds, 0), np.repeat(targets[None], seeds, 0)
    run = functools.partial(many.fit_many, SPACE, recipe, *data)
    run()  # compiles
    begin = time.perf_counter()
    jax.block_until_ready(run().states)
    return time.perf_counter() - begin


def _training(
    name: str, recipe: Recipe, archs: np.ndarray, targets: np.ndarray
) -> dict[str, float]:
    """Seconds of one training, and of compiling it."""
    begin = time.perf_counter()
    many.fit_many(SPACE, recipe, jax.random.split(jax.random.key(0), 1), archs[None], targets[None])
    first = time.perf_counter() - begin
    again = _seconds(recipe, archs, targets, 1)
    return {f"{name}_1_seed": round(again, 2), f"{name}_compilation": round(first - again, 2)}


def _aggregations(archs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Seconds of 20 epochs with each way to aggregate."""
    ways = {"dense": message_passing.dense, "segment_sum": message_passing.by_segments()}
    return {
        f"gates_20_epochs_{name}": round(_seconds(_gates(way, epochs=20), archs, targets, 1), 2)
        for name, way in ways.items()
    }


def _eager(archs: np.ndarray, targets: np.ndarray) -> float:
    """Seconds of 200 epochs of the same training as an eager loop, from three epochs."""
    recipe = _gates(message_passing.dense)
    data = fit.Data(
        jax.random.key(0),
        jnp.asarray(archs),
        jnp.asarray(targets, jnp.float32),
        jnp.ones(len(archs), bool),
    )
    progress = fit._start(recipe, fit.Job(data, ()), ())
    features = recipe.encode(data.archs)
    rate, times = jnp.asarray(1e-3), []
    # A few epochs are enough: without compilation all of them take as long.
    with jax.disable_jit():
        for epoch in range(4):
            begin = time.perf_counter()
            key = jax.random.key(epoch)
            progress, _ = fit._update(
                recipe, key, features, data.targets, data.where, rate, progress
            )
            jax.block_until_ready(progress.state)
            times.append(time.perf_counter() - begin)
    # The first has imports and caches to fill.
    return 200 * float(np.median(times[1:]))


def _scoring(archs: np.ndarray, rows: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Seconds of scoring all cells of the space by a fitted GATES, encoding included."""
    predictor = jnas.predictors.gates(SPACE, training=dataclasses.replace(Training(), epochs=2))
    estimator = jnas.predictors.estimator(
        predictor, predictor.fit(jax.random.key(0), rows, targets)
    )
    score = functools.partial(
        jnas.population.score, estimator, archs, jax.random.key(0), progress=False
    )
    score()
    best = min(common.seconds(score, 2))
    return {
        "gates_all_423624_cells": round(best, 2),
        "gates_cells_a_second": round(len(archs) / best),
    }


def _recipe(encoding: Any, predictor: jnas.types.Predictor) -> Recipe:
    from jnas.predictors.renas import LeNet

    return Recipe(
        cells.cached(encoding, SPACE), Scorer(LeNet(), ()), predictor.settings["training"]
    )


if __name__ == "__main__":
    program.run(main, {"num_cells": 64, "num_scored": 1000, "seeds": 2}, spread=False)
