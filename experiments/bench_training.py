"""Seconds of a training step, beside an eager PyTorch loop of the same network.

Command: JAX_NUM_CPU_DEVICES=2 python -m experiments.bench_training
Expected: populations 1.3, 1.5 and 5.5 times as fast as PyTorch on random cells, and .9, 1.15 and
3.5 times where every edge is a 3x3 convolution, in the three rows; one network alone .9 times.
    Not reached: .98, 1.28 and 4.0; .84, .85 and 3.2; alone .51, .58 and 1.65 (PyTorch 2.13).

One step of SGD (`jnas.training`, no augmentation) on NAS-Bench-201's network, and the same with
`experiments/eager.py`, in turn. A population is trained by one program, a network a device; ratios
are PyTorch's seconds a network over those of jnas. "Alone" is one network by its own program, one
call a step, with all cores; it is measured on 3x3 convolutions. Where PyTorch is not installed,
ratios are to a 4096x4096x4096 float32 matrix product.

Seen: XLA for CPUs has slow paths for many convolutions of the population program: those of at most
16 channels (now two pixels or more are computed as one with more channels), those of 2x2 pixels
(now a matrix product), and the gradients at stride 2, which take four times the products needed. A
convolution with images and channels swapped is the fastest weight gradient; products of shifted
images, expected to be faster, are not.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jnas
from experiments import common, eager, pages, program
from jnas import training
from jnas.engine import devices
from jnas.spaces.nasbench201 import CONV3X3
from jnas.training import steps


class Row(NamedTuple):
    """A size: channels, cells a stage, pixels a side, images a batch, and steps that are timed."""

    channels: int
    cells: int
    pixels: int
    batch: int
    steps: int


ROWS = {
    "large": Row(16, 5, 32, 64, 1),
    "middle": Row(16, 1, 16, 128, 5),
    "small": Row(8, 1, 8, 64, 20),
}


def main(rows: Sequence[str] = (), archs: int = 8, turns: int = 3, quick: bool = False) -> None:
    """Measure rows; keep and print them. Rows that are not measured stay as they were."""
    file = f"bench_training_{jax.default_backend()}_{jax.local_device_count()}"
    result = pages.read(file) if (common.RESULTS / f"{file}.json").exists() else {}
    result |= {"num_archs": archs, "yardstick": yardstick_name()}
    for name in rows or ROWS:
        row = ROWS[name]._replace(steps=1) if quick else ROWS[name]
        result[name] = _measure(row, archs, turns)
        print(f"{name:8} {result[name]}", flush=True)
    common.write_json(file, result)
    pages.show("bench_training", page())


def yardstick_name() -> str:
    """What jnas is compared with."""
    return f"PyTorch {eager.version()}" if eager.is_installed() else "matrix product"


def page() -> pages.Page:
    """Seconds and ratios of each row on each kind of device."""
    found, tables = pages.of_devices("bench_training"), []
    for name, kept in found.items():
        table = [[name, "networks", f"{kept['yardstick']}, s", "jnas, s", "ratio"]]
        for row in ROWS:
            table += [
                [title(ROWS[row]), case.replace("_", " ")]
                + [pages.number(costs[key], 4) for key in ("other_seconds", "seconds")]
                + [pages.number(costs["ratio"], 2)]
                for case, costs in kept.get(row, {}).items()
            ]
        tables.append(table)
    return pages.Page(tuple(found), tuple(tables))


def title(row: Row) -> str:
    """Sizes of a row in words."""
    cells = "cell" if row.cells == 1 else "cells"
    size = f"{row.pixels}x{row.pixels}"
    return f"{row.channels} channels, {row.cells} {cells}, {size}, batch {row.batch}"


def _measure(row: Row, num: int, turns: int) -> dict[str, Any]:
    """Costs of a row: a population of 3x3 convolutions, random cells, one network alone."""
    network = jnas.networks.nasbench201(channels=row.channels, cells=row.cells)
    drawn = jax.vmap(network.space.sample)(jax.random.split(jax.random.key(1), num))
    dense = np.full((jax.local_device_count(), 6), CONV3X3, np.int32)
    data = noise(row)
    together = population(network, row, data)
    cases = {"all_3x3": (together, dense), "random_cells": (together, np.asarray(drawn))}
    alone = _alone(network, row, data), dense[:1]
    return {
        name: _in_turn(run(archs), archs, row, data, turns)
        for name, (run, archs) in (cases | {"alone_3x3": alone}).items()
    }


def noise(row: Row) -> jnas.types.Dataset:
    """Data set of one batch of noise."""
    # What is seen has no influence on the seconds of a step.
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (row.batch, row.pixels, row.pixels, 3), dtype=np.uint8)
    part = jnas.types.Images(images, (np.arange(row.batch) % 10).astype(np.int32))
    none = jnas.types.Images(images[:0], part.y[:0])
    mean = np.full(3, 0.5, np.float32)
    names = tuple(map(str, range(10)))
    return jnas.types.Dataset(part, none, none, mean, mean, 255.0, names, "noise", False)


def _setup(network: jnas.types.Network, row: Row, data: jnas.types.Dataset) -> steps.Setup:
    """Setup of NAS-Bench-201's recipe without augmentation."""
    plain = training.Recipe().augmentation
    recipe = training.recipe("nasbench201", batch_size=row.batch, augmentation=plain)
    return steps.setup(network, recipe, data)


def _step(of: steps.Setup, state: steps.State, arch: jax.Array, data: Any) -> steps.State:
    """State after one step on the whole data set."""
    one = jnp.ones((), jnp.int32)
    state, seen = steps.step(of, state, arch, jax.random.key(2), one, data.train, data)
    # Moving averages of batch norms are part of a step, of PyTorch's as well.
    averages = steps.averaged(0.1, state.statistics, seen.moments)
    return state._replace(statistics=averages, loss=seen.loss)


def population(
    network: jnas.types.Network, row: Row, data: jnas.types.Dataset
) -> Callable[[np.ndarray], Callable[[], float]]:
    """Function of architectures that makes one of no arguments: seconds a step and network."""
    of = _setup(network, row, data)

    def train(job: tuple[steps.State, jax.Array], data: Any) -> Any:
        state, arch = job
        # All steps in one call, as an epoch of `training.train` has them.
        return lax.fori_loop(0, row.steps, lambda _, state: _step(of, state, arch, data), state)

    program = devices.spread(devices.each(train, "map"))
    start = jax.jit(jax.vmap(lambda key, arch: steps.start(of, key, arch)))

    def of_archs(archs: np.ndarray) -> Callable[[], float]:
        states = start(jax.random.split(jax.random.key(0), len(archs)), jnp.asarray(archs))
        call = lambda: program((states, jnp.asarray(archs)), data)  # noqa: E731
        return lambda: common.seconds(call, 1)[0] / len(archs) / row.steps

    return of_archs


def _alone(
    network: jnas.types.Network, row: Row, data: jnas.types.Dataset
) -> Callable[[np.ndarray], Callable[[], float]]:
    """Function of one architecture as `population`, by its own program, one call a step."""

    def of_archs(archs: np.ndarray) -> Callable[[], float]:
        of = steps.own_setup(_setup(network, row, data), archs[0])
        step = jax.jit(lambda state, data: _step(of, state, jnp.asarray(archs[0]), data))
        state = jax.jit(lambda key: steps.start(of, key, jnp.asarray(archs[0])))(jax.random.key(0))

        def run() -> float:
            start, now = time.perf_counter(), state
            for _ in range(row.steps):
                now = step(now, data)
            jax.block_until_ready(now)
            return (time.perf_counter() - start) / row.steps

        return run

    return of_archs


def _in_turn(
    run: Callable[[], float], archs: np.ndarray, row: Row, data: jnas.types.Dataset, turns: int
) -> dict[str, float]:
    """Medians over the turns of both, in seconds a step and network, and of their ratio."""
    images = (np.asarray(data.train.x, np.float32) / 255 - 0.5) / 0.5
    # Equal architectures are one to PyTorch, which trains one after the other.
    others = (
        [
            eager.step(arch, images, data.train.y, row.channels, row.cells)
            for arch in np.unique(archs, axis=0)
        ]
        if eager.is_installed()
        else []
    )
    run()  # compiles
    mine, other = [], []
    for _ in range(turns):
        other.append(_eager_seconds(others, row.steps) if others else common.yardstick())
        mine.append(run())
    # Of each turn: what else the machine does slows both of them.
    ratios = np.array(other) / np.array(mine)
    found = {"other_seconds": other, "seconds": mine, "ratio": ratios}
    return {name: round(float(np.median(values)), 5) for name, values in found.items()}


def _eager_seconds(others: list[Callable[[], float]], num: int) -> float:
    """Mean seconds of a step of PyTorch over all networks, the first step left out."""
    total = 0.0
    for step in others:
        # PyTorch chooses algorithms and takes memory in the first step.
        step()
        start = time.perf_counter()
        for _ in range(num):
            step()
        total += time.perf_counter() - start
    return total / len(others) / num


OPTIONS: program.Options = {
    "--rows": {"nargs": "+", "choices": tuple(ROWS), "help": "all by default"},
    "--archs": {"type": int, "help": "random cells; 8"},
    "--turns": {"type": int, "help": "of which medians are taken; 3"},
}

if __name__ == "__main__":
    program.run(main, {"rows": ("small",), "archs": 2, "turns": 1, "quick": True}, OPTIONS)
