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
from experiments import cells, common


def main() -> None:
    """Print the table beside the paper's."""
    start = time.perf_counter()
    archs = jnas.spaces.nasbench101().enumerate()
    has_conv3x3, distance = (
        np.asarray(jax.jit(jax.vmap(f))(archs)) for f in (cells.has_3x3, cells.distance)
    )
    print(f"{len(archs):,} cells in {time.perf_counter() - start:.1f} s, distances included")
    accuracy = None
    if (Path(os.environ.get("JNAS_DATA", "")) / "nasbench101.npz").is_file():
        table = jnas.benchmarks.nasbench101()
        accuracy = 100 * table.column("test_accuracy")[np.asarray(jax.jit(table.rows)(archs))]
        print(f"accuracy: {table.conventions['test_accuracy']}")
    rows = []
    for paper in PAPER:
        group = (has_conv3x3 == paper.has_conv3x3) & (distance == paper.distance)
        row: dict[str, float] = {
            "conv3x3": paper.has_conv3x3,
            "distance": paper.distance,
            "cells": int(group.sum()),
        }
        if accuracy is not None:
            row |= {
                "best": round(float(accuracy[group].max()), 2),
                "mean": round(float(accuracy[group].mean()), 2),
            }
        rows.append(
            {
                "jnas": row,
                "paper": {"cells": paper.num_cells, "best": paper.best, "mean": paper.mean},
            }
        )
        print(row, "| paper:", paper.num_cells, paper.best, paper.mean)
    print(f"written: {common.write_json('renas_table5', {'rows': rows})}")


if __name__ == "__main__":
    main()
