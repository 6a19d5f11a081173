"""Counts and accuracies of NAS-Bench-101 cells by distance and presence of a 3x3 (RNAS, table 5).

python -m experiments.renas_table5                  (configs/renas_table5.py)
"""

import os
import time
from pathlib import Path

import jax
import numpy as np

import jnas
from configs.renas_table5 import PAPER
from experiments import cells, common, pages, program


def main(every: int = 1) -> None:
    """Group all cells, or one of `every` so many; print and keep the table."""
    start = time.perf_counter()
    archs = jnas.spaces.nasbench101().enumerate()[::every]
    has_conv3x3, distance = (
        np.asarray(jax.jit(jax.vmap(f))(archs)) for f in (cells.has_3x3, cells.distance)
    )
    print(f"{len(archs):,} cells in {time.perf_counter() - start:.1f} s, distances included")
    # Cells are counted without the table, which not everybody has.
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
        if accuracy is not None and group.any():
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
    common.write_json("renas_table5", {"rows": rows})
    pages.show("renas_table5", page())


def page() -> pages.Page:
    """Counts and accuracies of each group of cells beside the paper's."""
    header = ["has a 3x3", "distance", "cells (paper)", "best, % (paper)", "mean, % (paper)"]
    rows = [header]
    for row in pages.read("renas_table5")["rows"]:
        mine, paper = row["jnas"], row["paper"]
        cells = f"{mine['cells']:,} ({paper['cells']:,})"
        accuracies = (
            f"{mine[name]:.2f} ({paper[name]:.2f})" if name in mine else f"({paper[name]:.2f})"
            for name in ("best", "mean")
        )
        has = "yes" if mine["conv3x3"] else "no"
        rows.append([has, str(mine["distance"]), cells, *accuracies])
    return pages.Page(("renas_table5",), (rows,))


if __name__ == "__main__":
    program.run(main, {"every": 10}, spread=False)
