"""Accuracies that searches of NAS-Bench-101 find, by number of queries (NASWOT, table 1).

python -m experiments.naswot_table1                 (configs/naswot_table1.py)
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.naswot_table1 import COLUMN, CONFIG, PAPER, QUICK, Config
from experiments import common, pages, program, searches
from jnas.benchmarks import Table
from jnas.types import History, Key, Searcher

SPACE = jnas.spaces.nasbench101()


def flops(key: Key, archs: jax.Array) -> jax.Array:
    """Multiply-accumulates as an estimator."""
    del key
    return jax.vmap(SPACE.flops)(archs)


def main(config: Config = CONFIG) -> None:
    """Print, plot and keep the table."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    accuracy = 100 * table.column(COLUMN).astype(np.float64)
    random = {"mean": round(float(accuracy.mean()), 3), "std": round(float(accuracy.std()), 3)}
    result: dict[str, Any] = {
        "config": repr(config),
        "column": table.conventions[COLUMN],
        "Random": random,
    }
    result["NASWOT"] = _naswot(config, table)
    rows, curves = {}, {}
    for label, (strategy, settings, paper) in config.rows.items():
        history = searches.run_many(
            _searcher(strategy, settings),
            table.objective(COLUMN),
            jax.random.key(config.seed),
            config.num_runs,
            num_evaluations=max(config.queries),
        )
        curves[label] = 100 * np.asarray(history.best_so_far, np.float64)
        rows[label] = [
            _summary(config, history, curves[label][:, num - 1], num, paper)
            for num in config.queries
        ]
    result["rows"] = rows
    figure = jnas.plots.search_curves(
        curves,
        lines={"best of all cells": float(accuracy.max())},
        x_label="queries",
        y_label="best mean test accuracy so far (%)",
        title="NAS-Bench-101",
    )
    jnas.plots.save(figure, common.RESULTS / "naswot_table1.png")
    common.write_json("naswot_table1", result)
    pages.show("naswot_table1", page(config))


def _naswot(config: Config, table: Table) -> dict[str, float]:
    """Accuracy of the cell with the best score of each sample, %."""
    with np.load(common.RESULTS / "naswot_sample_nasbench101_cifar10_live.npz") as file:
        archs, scores = file["archs"].astype(np.int32), file["scores"]
    accuracy = 100 * table.column(COLUMN)[np.asarray(table.rows(archs))].astype(np.float64)
    # The best of a random sample of what is scored already, run by run.
    key, shape = jax.random.key(config.seed), (config.num_runs, config.naswot_sample)
    drawn = np.asarray(jax.random.randint(key, shape, 0, len(scores)))
    best = accuracy[np.take_along_axis(drawn, scores[drawn].argmax(axis=1)[:, None], axis=1)[:, 0]]
    return {"mean": round(float(best.mean()), 3), "std": round(float(best.std(ddof=1)), 3)}


def _searcher(strategy: str, settings: dict[str, Any]) -> Searcher:
    positional = (SPACE, flops) if strategy == "area" else (SPACE,)
    searcher: Searcher = getattr(jnas.search, strategy)(*positional, **settings)
    return searcher


def _summary(
    config: Config, history: History, best: np.ndarray, num: int, paper: str
) -> dict[str, Any]:
    """Mean and deviation of best accuracies `[S]` after `num` queries, and distinct cells."""

    @jax.jit
    @jax.vmap
    def distinct(run: History) -> jax.Array:
        # As of a search that ended here: what comes behind is not counted.
        return jnas.search.num_distinct(
            run._replace(num_evaluations=jnp.asarray(num)), SPACE.identity
        )

    mean, std = float(best.mean()), float(best.std(ddof=1))
    found = {"queries": num, "mean": round(mean, 3), "std": round(std, 3)}
    found |= {"distinct": round(float(np.mean(distinct(history))), 1)}
    if paper and num == config.queries_of_paper:
        found |= {"difference": round((mean - PAPER[paper][0]) / PAPER[paper][1], 2)}
    return found


def page(config: Config = CONFIG) -> pages.Page:
    """Accuracies, beside the paper's at its number of queries, and distinct cells."""
    kept = pages.read("naswot_table1")
    sizes = [f"{num:,}" for num in config.queries]
    rows = [["mean test accuracy in % by queries (paper: difference in its deviations)", *sizes]]
    distinct = [["distinct cells by queries", *sizes]]
    for label, row in kept["rows"].items():
        rows.append([label, *(_cell(found, config.rows[label][2]) for found in row)])
        distinct.append([label, *(f"{found['distinct']:.0f}" for found in row)])
    without = [["no training", "mean test accuracy in % (paper)"]]
    for label in ("Random", "NASWOT"):
        mine, paper = kept[label], PAPER[label]
        cell = f"{mine['mean']:.2f} ± {mine['std']:.2f} ({paper[0]:.2f} ± {paper[1]:.2f})"
        without.append([label, cell])
    return pages.Page(("naswot_table1",), (rows, distinct, without), ("naswot_table1.png",))


def _cell(found: dict[str, Any], paper: str) -> str:
    known = ""
    if "difference" in found:
        mean, std = PAPER[paper]
        known = f" ({mean:.2f} ± {std:.2f}: {found['difference']:+.1f})"
    return f"{found['mean']:.2f} ± {found['std']:.2f}{known}"


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
