"""What searches of NAS-Bench-101 find by number of queries, and how many distinct cells they query (NASWOT table 1).

python -m experiments.naswot_table1                 (configs/naswot_table1.py)
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.naswot_table1 import COLUMN, CONFIG, PAPER, Config
from experiments import common, ledger, searches
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
        curves[label] = 100 * searches.best_scores(history).astype(np.float64)
        rows[label] = [
            _summary(config, history, curves[label][:, num - 1], num, paper)
            for num in config.queries
        ]
    result["rows"] = rows
    report(config, result)
    figure = jnas.plots.search_curves(
        curves,
        lines={"best of all cells": float(accuracy.max())},
        x_label="queries",
        y_label="best mean test accuracy so far (%)",
        title="NAS-Bench-101",
    )
    jnas.plots.save(figure, common.RESULTS / "naswot_table1.png")
    print(f"written: {common.write_json('naswot_table1', result)}")


def _naswot(config: Config, table: Table) -> dict[str, float]:
    """Accuracy of the cell with the best score of each sample, %."""
    with np.load(common.RESULTS / "naswot_sample_nasbench101_cifar10_live.npz") as file:
        archs, scores = file["archs"].astype(np.int32), file["scores"]
    accuracy = 100 * table.column(COLUMN)[np.asarray(table.rows(archs))].astype(np.float64)
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
    """What is kept of the first `num` queries of each run, whose best accuracies are `best` `[S]`."""

    @jax.jit
    @jax.vmap
    def distinct(run: History) -> jax.Array:
        return jnas.search.num_distinct(
            run._replace(num_evaluations=jnp.asarray(num)), SPACE.identity
        )

    mean, std = float(best.mean()), float(best.std(ddof=1))
    found = {"queries": num, "mean": round(mean, 3), "std": round(std, 3)}
    found |= {"distinct": round(float(np.mean(distinct(history))), 1)}
    if paper and num == config.queries_of_paper:
        found |= {"difference": round((mean - PAPER[paper][0]) / PAPER[paper][1], 2)}
    return found


def report(config: Config, result: dict[str, Any]) -> None:
    """Two tables: accuracies, and distinct cells."""
    rows = [
        [f"mean test accuracy, {config.num_runs} runs", *(f"{num:,}" for num in config.queries)]
    ]
    for label, row in result["rows"].items():
        paper = PAPER.get(config.rows[label][2], (0, 0))
        differences = [
            f" ({paper[0]} ± {paper[1]}: {x['difference']:+.1f})" if "difference" in x else ""
            for x in row
        ]
        cells = [
            f"{x['mean']:.2f} ± {x['std']:.2f}{off}"
            for x, off in zip(row, differences, strict=True)
        ]
        rows.append([label, *cells])
    print(ledger.markdown(rows) + "\n")
    rows = [["distinct cells", *rows[0][1:]]]
    rows += [
        [label, *(f"{x['distinct']:.0f}" for x in row)] for label, row in result["rows"].items()
    ]
    print(ledger.markdown(rows) + "\n")
    for label in ("Random", "NASWOT"):
        found, paper = result[label], PAPER[label]
        print(
            f"{label}, no training: {found['mean']:.2f} ± {found['std']:.2f} ({paper[0]} ± {paper[1]})"
        )


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main()
