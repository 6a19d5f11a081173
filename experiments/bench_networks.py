"""Seconds of scores of untrained networks for their multiply-accumulates, space by space.

Command: python -m experiments.bench_networks --archs 2

One device, random architectures, images of 32x32x3; networks of NAS-Bench-201 have 16 channels and
5 cells a stage, those of NAS-Bench-301 have 32 channels and 8 cells. Costs are seconds of an
architecture over billions of multiply-accumulates of its forward pass on the batch, and the ratio
is to those of NAS-Bench-201 in the same run, each the least of some repeats in turn: what else the
machine does only adds to them. It did much besides, when these were taken: only ratios say much.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common, pages, program
from jnas.types import Estimator

SPACES = ("nasbench201", "nasbench301")
CASES = {"naswot": 128, "snip": 64}  # score → images
REPEATS = 3


class Program(NamedTuple):
    """Estimator, its architectures `[B, D]`, and 10^9 multiply-accumulates of one."""

    estimator: Estimator
    archs: jax.Array
    billions: float


def main(archs: int = 6) -> None:
    """Measure, keep and print."""
    result: dict[str, Any] = {"num_archs": archs}
    for score, num in CASES.items():
        programs = {name: _program(name, score, num, archs) for name in SPACES}
        costs: dict[str, dict[str, float]] = {name: {} for name in programs}
        for of in programs.values():
            _seconds(of)  # to compile
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(REPEATS):
            # In turn, for what the machine does besides changes within a minute.
            for name, of in programs.items():
                times[name].append(_seconds(of) / len(of.archs))
        for name, of in programs.items():
            costs[name]["seconds_per_arch"] = round(min(times[name]), 4)
            costs[name]["seconds_per_gmac"] = round(min(times[name]) / of.billions, 5)
        base = costs[SPACES[0]]["seconds_per_gmac"]
        for cost in costs.values():
            cost["ratio"] = round(cost["seconds_per_gmac"] / base, 2)
        result[score] = costs
    common.write_json(f"bench_networks_{jax.default_backend()}", result)
    pages.show("bench_networks", page())


def page() -> pages.Page:
    """Costs of each score on each network."""
    found, tables = pages.of_devices("bench_networks"), []
    for kept in found.values():
        keys = ("seconds_per_arch", "seconds_per_gmac", "ratio")
        header = ("score", "network", "images", "s an architecture", "s a 10^9 MACs", "ratio")
        rows = [[*header]]
        for score, num in CASES.items():
            for name in SPACES:
                values = (f"{kept[score][name][key]:g}" for key in keys)
                rows.append([score, name, str(num), *values])
        tables.append(rows)
    return pages.Page(tuple(found), tuple(tables))


def _program(space: str, score: str, num_images: int, num: int) -> Program:
    network = jnas.networks.by_name(space)
    images = jax.random.normal(jax.random.key(0), (num_images, 32, 32, 3))
    labels = jnp.arange(num_images) % 10
    archs = jax.vmap(network.space.sample)(jax.random.split(jax.random.key(1), num))
    macs = float(np.mean(np.asarray(jax.vmap(network.space.flops)(archs), np.float64)))
    estimator = jnas.zeroshot.by_name(score, network, images, labels)
    return Program(estimator, archs, macs * num_images / 1e9)


def _seconds(of: Program) -> float:
    """Seconds of the architectures of a program."""
    start = time.perf_counter()
    key, num = jax.random.key(3), len(of.archs)
    jnas.population.score(of.estimator, of.archs, key, num, progress=False)
    return time.perf_counter() - start


OPTIONS: program.Options = {"--archs": {"type": int, "help": "architectures a network; 6"}}

if __name__ == "__main__":
    program.run(main, {"archs": 1}, OPTIONS, spread=False)
