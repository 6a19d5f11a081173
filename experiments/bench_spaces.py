"""Seconds of enumerating NAS-Bench-101 and of a million moves in it.

Command: python -m experiments.bench_spaces

Ratios are to one 4096x4096x4096 float32 matrix product of the same run.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jnas
from experiments import common, pages, program

NUM = 1_000_000


def main(num: int = NUM) -> None:
    """Time enumeration with identities, then `num` samples, mutations and crossovers."""
    space, unit = jnas.spaces.nasbench101(), common.yardstick()
    start = time.perf_counter()
    archs = space.enumerate()
    identities = np.asarray(jax.jit(jax.vmap(space.identity))(archs))
    result = {
        "yardstick_seconds": round(unit, 3),
        "enumerate_and_identify_seconds": round(time.perf_counter() - start, 2),
        "cells": len(archs),
        "distinct_identities": len(np.unique(identities, axis=0)),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    keys = jax.random.split(jax.random.key(0), num)
    sample, mutate, crossover = (
        jax.jit(jax.vmap(move)) for move in (space.sample, space.mutate, space.crossover)
    )
    parents = jax.block_until_ready(sample(keys))
    moves: dict[str, Callable[[], Any]] = {
        "sample": lambda: sample(keys),
        "mutate": lambda: mutate(keys, parents),
        "crossover": lambda: crossover(keys, parents, parents[::-1]),
    }
    for name, move in moves.items():
        start = time.perf_counter()
        jax.block_until_ready(move())
        first = time.perf_counter() - start
        # Of the small variant, as if it had been a million.
        best = min(common.seconds(move)) * NUM / num
        result[f"{name}_first_call_seconds"] = round(first, 2)
        result[f"{name}_million_seconds"] = round(best, 2)
        result[f"{name}_million_ratio"] = round(best / unit, 2)
    common.write_json(f"bench_spaces_{jax.default_backend()}", result)
    pages.show("bench_spaces", page())


def page() -> pages.Page:
    """Seconds and ratios on each kind of device."""
    found = pages.of_devices("bench_spaces")
    return pages.Page(tuple(found), tuple(pages.values(name, found[name]) for name in found))


if __name__ == "__main__":
    program.run(main, {"num": 10_000}, spread=False)
