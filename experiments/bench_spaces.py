"""Seconds of a million moves in every space, and of enumerating NAS-Bench-101.

Command: python -m experiments.bench_spaces

Ratios are to one 4096x4096x4096 float32 matrix product of the same run. On a CPU seconds are those
of all its cores together, which other work on the machine changes least. A million moves are ten
calls of one program with a hundred thousand rows, the best of three; identities, parameters and
multiply-accumulates are ten times one call on the samples. An identity of a pair of cells is the
least code of all relabellings of each, up to 24 of four nodes and 120 of five.
"""

import functools
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common, pages, program
from jnas.types import Space

NUM = 1_000_000
_CALLS = 10
_MOVES, _FACTS = ("mutate", "sample", "crossover"), ("identity", "params", "flops")
_LIMIT = 3.0  # seconds of a million mutations


def main(num: int = NUM, names: tuple[str, ...] = jnas.spaces.NAMES) -> None:
    """Time enumeration with identities, then `num` moves in each of the spaces."""
    result: dict[str, Any] = {"yardstick_seconds": round(_yardstick(), 3)}
    result |= _enumeration()
    result["spaces"] = {name: _million(jnas.spaces.by_name(name), num) for name in names}
    # Before and after, for other work on the machine comes and goes.
    unit = result["yardstick_seconds"] = min(result["yardstick_seconds"], round(_yardstick(), 3))
    for row in result["spaces"].values():
        row["mutate_ratio"] = round(row["mutate"] / unit, 2)
    common.write_json(f"bench_spaces_{jax.default_backend()}", result)
    pages.show("bench_spaces", page())


def _enumeration() -> dict[str, Any]:
    """Seconds and memory of listing NAS-Bench-101 with identities."""
    space = jnas.spaces.nasbench101()
    found: list[jax.Array] = []

    def identify() -> jax.Array:
        archs = space.enumerate()
        found.append(jax.jit(jax.vmap(space.identity))(archs))
        return found[-1]

    (seconds,) = _seconds(identify)
    return {
        "enumerate_and_identify_seconds": round(seconds, 2),
        "cells": len(found[0]),
        "distinct_identities": len(np.unique(found[0], axis=0)),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _seconds(function: Callable[[], Any], repeats: int = 1) -> list[float]:
    """Seconds of each call: of all cores on a CPU, and elsewhere as they pass."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats):
        start = clock()
        jax.block_until_ready(function())
        times.append(clock() - start)
    return times


def _yardstick() -> float:
    """Least seconds, of five, of the matrix product."""
    x = jax.random.normal(jax.random.key(0), (4096, 4096))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(x, x))
    return min(_seconds(lambda: product(x, x), 5))


def _million(space: Space, num: int) -> dict[str, float]:
    """Seconds of a million of each move, and of what is told about as many architectures."""
    keys = jax.random.split(jax.random.key(0), num // _CALLS)
    programs = {name: jax.jit(jax.vmap(getattr(space, name))) for name in (*_MOVES, *_FACTS)}
    archs = jax.block_until_ready(programs["sample"](keys))
    given = {"sample": (keys,), "mutate": (keys, archs), "crossover": (keys, archs, archs[::-1])}
    found = {}
    for name, program_of in programs.items():
        call = functools.partial(program_of, *given.get(name, (archs,)))
        jax.block_until_ready(call())  # compiled
        rounds = [sum(_seconds(call, _CALLS)) for _ in range(3)] if name in _MOVES else []
        best = min(rounds) if rounds else _CALLS * _seconds(call, 1)[0]
        # Of the small variant, as if it had been a million.
        found[name] = round(best * NUM / num, 3)
    return found


def page() -> pages.Page:
    """Seconds and ratios on each kind of device."""
    found = pages.of_devices("bench_spaces")
    tables = [pages.values(name, found[name]) for name in found]
    tables += [_rows(name, found[name]["spaces"]) for name in found]
    slow = [
        f"{space} ({row['mutate']:.1f} s)"
        for name in found
        for space, row in found[name]["spaces"].items()
        if row["mutate"] > _LIMIT
    ]
    told = ", ".join(slow) if slow else "none"
    note = f"Spaces in which a million mutations take more than {_LIMIT:g} s: {told}."
    return pages.Page(tuple(found), tuple(tables), notes=(note,))


def _rows(name: str, spaces: dict[str, dict[str, float]]) -> pages.Rows:
    """Rows of all spaces on a device."""
    rows = [[f"{name}: seconds of a million", *_MOVES, *_FACTS, "mutations, in products"]]
    for space, row in spaces.items():
        cells = (f"{row[move]:.2f}" for move in (*_MOVES, *_FACTS))
        rows.append([space, *cells, f"{row['mutate_ratio']:.1f}"])
    return rows


if __name__ == "__main__":
    program.run(main, {"num": 10_000, "names": ("nasbench201", "enas")}, spread=False)
