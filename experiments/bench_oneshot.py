"""Seconds of a supernet's step and of a one-shot score, beside those of networks alone.

Command: JAX_NUM_CPU_DEVICES=1 python -m experiments.bench_oneshot
Expected: a step takes at most 1.1 times that of a network in the program of a population, mean over
the same cells; a score takes what the forward passes of its images take.

Both are measured in turn on one device, on noise: steps of SGD without augmentation, the supernet's
with one cell after the other; scores of one batch, and the same batch through `Network.apply`. The
supernet moves the same weights that each network of a population holds, those of all operations.
As a population is trained in as many parts at a time as there are cores, so are several supernets,
of which there are as many here; "one supernet" is a single one, whose steps leave cores idle.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jnas
from experiments import bench_training, common, pages, program
from experiments.bench_training import ROWS, Row
from jnas.data import normalise
from jnas.engine import devices
from jnas.oneshot import steps
from jnas.oneshot.samplers import Sampler
from jnas.types import Dataset, Network


def main(
    rows: Sequence[str] = ("middle", "small"), archs: int = 20, turns: int = 3, quick: bool = False
) -> None:
    """Measure rows; keep and print them. Rows that are not measured stay as they were."""
    file = f"bench_oneshot_{jax.default_backend()}_{jax.local_device_count()}"
    result = pages.read(file) if (common.RESULTS / f"{file}.json").exists() else {}
    result["num_archs"] = archs
    for name in rows:
        row = ROWS[name]._replace(steps=1) if quick else ROWS[name]
        result[name] = _measure(row, archs, turns)
        print(f"{name:8} {result[name]}", flush=True)
        common.write_json(file, result)
    pages.show("bench_oneshot", page())


def _measure(row: Row, num: int, turns: int) -> dict[str, dict[str, float]]:
    """Seconds of both steps and both passes of a row, and their ratios."""
    network = jnas.networks.nasbench201(channels=row.channels, cells=row.cells)
    drawn = jax.vmap(network.space.sample)(jax.random.split(jax.random.key(1), num))
    archs, data = np.asarray(drawn), bench_training.noise(row)
    alone = _alone(network, archs, row, data)
    pairs = {
        "step": (alone, _steps(network, archs, row, data, devices.num_parts(num))),
        "step, one supernet": (alone, _steps(network, archs, row, data, 1)),
        "score": (_passes(network, archs, data), _scores(network, archs, data)),
    }
    found = {}
    for name, both in pairs.items():
        for run in both:
            run()  # compiles
        seconds = np.array([[run() for run in both] for _ in range(turns)])
        alone, shared = np.median(seconds, axis=0)
        # Of each turn: what else the machine does slows both of them.
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        known = {"alone": alone, "shared": shared, "ratio": ratio}
        found[name] = {key: round(float(value), 5) for key, value in known.items()}
    return found


def _alone(network: Network, archs: np.ndarray, row: Row, data: Dataset) -> Callable[[], float]:
    """Function that gives the seconds of a step of a network in the program of a population."""
    return bench_training.population(network, row, data)(archs)


def _steps(
    network: Network, archs: np.ndarray, row: Row, data: Dataset, num: int
) -> Callable[[], float]:
    """Function that gives the seconds of a step of one of `num` supernets, of each cell in turn."""
    # As a population is trained: no clipping, and moments of the same optimiser.
    plain = jnas.training.recipe(
        "nasbench201", batch_size=row.batch, augmentation=jnas.data.Augmentation()
    )
    made = jnas.oneshot.recipe("quick")._replace(training=plain)
    of = steps.Setup(jnas.oneshot.Sharing(network), made, 1)
    in_turn = Sampler(_in_turn, jnp.asarray(archs))

    def train(state: steps.State, shared: tuple[Sampler, Dataset]) -> steps.State:
        sampler, data = shared

        def one(number: Any, state: steps.State) -> steps.State:
            key = jax.random.key(2)
            return steps.step(of, sampler, state, key, number, data.train, data)[0]

        last: steps.State = lax.fori_loop(0, row.steps * len(archs), one, state)
        return last

    program = devices.spread(devices.each(train, "map"))
    start = jax.jit(jax.vmap(lambda key: steps.start(of, key, 0)))
    states = start(jax.random.split(jax.random.key(0), num))
    return _seconds(lambda: program(states, (in_turn, data)), row.steps * len(archs) * num)


def _in_turn(archs: jax.Array, key: Any, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Architecture `[1, D]` of a step, by its number."""
    del key
    return archs[number % len(archs)][None], jnp.ones(1, bool)


def _passes(network: Network, archs: np.ndarray, data: Dataset) -> Callable[[], float]:
    """Function that gives the seconds of the forward pass of a network, of one batch."""

    @jax.jit
    def run(params: Any, archs: jax.Array, data: Dataset) -> jax.Array:
        x = normalise(data.train.x, data)
        logits: jax.Array = lax.map(lambda arch: network.apply(params, arch, x), archs)
        return logits

    params = jax.jit(network.init)(jax.random.key(0))
    return _seconds(lambda: run(params, jnp.asarray(archs), data), len(archs))


def _scores(network: Network, archs: np.ndarray, data: Dataset) -> Callable[[], float]:
    """Function that gives the seconds of a one-shot score, of one batch."""
    params = jax.jit(network.init)(jax.random.key(0))
    params, none = jax.tree.map(lambda leaf: leaf[None], params), jnp.zeros(1, jnp.int32)
    state = steps.State(params, (), steps.first_rate(), none, none, none, ())
    made = jnas.oneshot.recipe("quick")
    supernet = jnas.oneshot.Supernet(jnas.oneshot.Sharing(network), state, (), {}, (made,), data)
    seen = dataclasses.replace(data, validation=data.train)
    estimator = jax.jit(jnas.oneshot.estimator(supernet, seen, "loss"))
    return _seconds(lambda: estimator(jax.random.key(0), jnp.asarray(archs)), len(archs))


def _seconds(call: Callable[[], Any], num: int) -> Callable[[], float]:
    """Function that gives the seconds of one of the `num` parts of a call."""

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(call())
        return (time.perf_counter() - start) / num

    return run


def page() -> pages.Page:
    """Seconds and ratios of each row on each kind of device."""
    found, tables = pages.of_devices("bench_oneshot"), []
    for name, kept in found.items():
        table = [[name, "of", "alone, s", "shared, s", "ratio"]]
        for row in ROWS:
            table += [
                [bench_training.title(ROWS[row]), what]
                + [pages.number(costs[key], 5) for key in ("alone", "shared")]
                + [pages.number(costs["ratio"], 2)]
                for what, costs in kept.get(row, {}).items()
            ]
        tables.append(table)
    return pages.Page(tuple(found), tuple(tables))


OPTIONS: program.Options = {
    "--rows": {"nargs": "+", "choices": tuple(ROWS), "help": "middle and small by default"},
    "--archs": {"type": int, "help": "random cells; 20"},
    "--turns": {"type": int, "help": "of which medians are taken; 3"},
}

if __name__ == "__main__":
    program.run(
        main, {"rows": ("small",), "archs": 2, "turns": 1, "quick": True}, OPTIONS, spread=False
    )
