"""RNAS Table 5: counts and accuracies of all NAS-Bench-101 cells by input-output distance.

python -m experiments.renas_table5                  (configs/renas_table5.py)
"""

import os
import time
from pathlib import Path

import jax
import numpy as np

import jnas
from configs.renas_table5 import PAPER
from experiments import common


def distances(archs: np.ndarray) -> np.ndarray:
    """`[A]`: edges on the shortest path from input to output of pruned cells `[A, 26]`."""
    adjacency = np.asarray(jax.jit(jax.vmap(lambda arch: jnas.spaces.nasbench101().graph(arch).adjacency))(archs))
    reached = np.zeros((len(archs), 7), bool)
    reached[:, 0] = True
    result = np.zeros(len(archs), int)
    for step in range(1, 7):
        reached = np.einsum("ax,axy->ay", reached, adjacency)
        result[(result == 0) & reached[:, 6]] = step
    return result


def main() -> None:
    """Print the table beside the paper's."""
    start = time.perf_counter()
    archs = jnas.spaces.nasbench101().enumerate()
    used = np.asarray(jax.jit(jax.vmap(lambda arch: jnas.spaces.nasbench101().graph(arch).mask))(archs))[:, 1:6]
    has_conv3x3 = np.any((archs[:, 21:] == 0) & used, axis=1)
    distance = distances(archs)
    print(f"{len(archs):,} cells in {time.perf_counter() - start:.1f} s, distances included")
    accuracy = None
    if (Path(os.environ.get("JNAS_DATA", "")) / "nasbench101.npz").is_file():
        table = jnas.benchmarks.nasbench101()
        accuracy = 100 * table.column("test_accuracy")[np.asarray(jax.jit(table.rows)(archs))]
        print(f"accuracy: {table.conventions['test_accuracy']}")
    rows = []
    for paper in PAPER:
        group = (has_conv3x3 == paper.has_conv3x3) & (distance == paper.distance)
        row: dict[str, float] = {"conv3x3": paper.has_conv3x3, "distance": paper.distance, "cells": int(group.sum())}
        if accuracy is not None:
            row |= {
                "best": round(float(accuracy[group].max()), 2),
                "mean": round(float(accuracy[group].mean()), 2),
            }
        rows.append({"jnas": row, "paper": {"cells": paper.num_cells, "best": paper.best, "mean": paper.mean}})
        print(row, "| paper:", paper.num_cells, paper.best, paper.mean)
    print(f"written: {common.write_json('renas_table5', {'rows': rows})}")


if __name__ == "__main__":
    main()
