"""What searches of NAS-Bench-201 find in 12,000 simulated seconds (NASWOT table 2a).

python -m experiments.naswot_table2 scores          NASWOT scores of all 15,625 cells, resumable
python -m experiments.naswot_table2                 (configs/naswot_table2.py)

The rows that need scores are left out where results/naswot_scores_nasbench201.npz is absent.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnas
from configs.naswot_table2 import CONFIG, PAPER, SCORES, Config, Search
from experiments import common, ledger, searches
from jnas.benchmarks import Table
from jnas.types import History, Searcher

SCORE_FILE = common.RESULTS / "naswot_scores_nasbench201.npz"
NAMES = {"c10": "CIFAR-10", "c100": "CIFAR-100", "in16": "ImageNet16-120"}
KINDS = {"val200": "validation", "test200": "test"}


def main(config: Config = CONFIG) -> None:
    """Print, plot and keep the table and the sweep."""
    table = _with_scores(jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz")))
    missing = [label for label, row in config.rows.items() if _needs_scores(row) and SCORES not in table.columns]
    result: dict[str, Any] = {"config": repr(config), "missing": missing}
    result |= {"reported": {name: table.conventions[name] for name in config.reported}}
    curves: dict[str, np.ndarray] = {}
    for part, rows in (("rows", config.rows), ("sweep", config.sweep)):
        result[part] = {}
        for label, row in rows.items():
            if label not in missing:
                histories = _search(config, table, row)
                result[part][label] = _summary(config, table, label, row, histories)
                if part == "rows" and row.max_seconds:
                    curves[label] = _over_time(config, table, histories[0])
        print(_markdown(config, result[part], part) + "\n")
    if missing:
        print(f"missing, for want of scores: {', '.join(missing)}; the argument scores computes them")
    _picture(config, table, curves)
    print(f"written: {common.write_json('naswot_table2', result)}")


def compute_scores(config: Config = CONFIG) -> None:
    """Score all cells, and keep the scores as a table; goes on where it was interrupted."""
    space = jnas.spaces.nasbench201()
    archs = space.enumerate()
    _, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    images = jnas.images.load("cifar10", num=config.num_images, key=image_key)
    naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), images)
    scores = jnas.population.score(naswot, archs, score_key, out=Path("runs") / "naswot-nasbench201.npz")
    text = f"NASWOT score, {config.num_images} CIFAR-10 images, shared weights, live ReLUs"
    columns = {SCORES: np.asarray(scores)}
    table = jnas.benchmarks.make_table(space, archs, columns, conventions={SCORES: text}, source="jnas")
    jnas.benchmarks.save(table, SCORE_FILE)
    print(f"written: {SCORE_FILE}")


def _with_scores(table: Table) -> Table:
    """The table with the scores of its cells as a column, where they are known."""
    if not SCORE_FILE.exists():
        return table
    scores = jnas.benchmarks.load(SCORE_FILE)
    column = scores.column(SCORES)[np.asarray(scores.rows(jnp.asarray(table.archs)))]
    columns, conventions = {**table.columns, SCORES: column}, {**table.conventions, SCORES: scores.conventions[SCORES]}
    return jnas.benchmarks.make_table(table.space, table.archs, columns, conventions=conventions, source=table.source)


def _needs_scores(row: Search) -> bool:
    return row.column == SCORES or row.strategy == "area"


def _searcher(row: Search, table: Table) -> Searcher:
    given = dict(row.settings)
    if "learning_rate" in given:
        given["optimiser"] = optax.adam(given.pop("learning_rate"))
    positional = (table.space, table.estimator(SCORES)) if row.strategy == "area" else (table.space,)
    searcher: Searcher = getattr(jnas.search, row.strategy)(*positional, **given)
    return searcher


def _search(config: Config, table: Table, row: Search) -> list[History]:
    """All runs of a row, once for each column that is searched on; the keys of every row are the same."""
    key = jax.random.split(jax.random.key(config.seed), 3)[0]
    budget = {"num_steps": row.num_steps, "max_seconds": row.max_seconds, "overrun": row.overrun}
    searcher = _searcher(row, table)
    seconds, part_of = f"seconds{row.cost_epochs or 12}_c10", row.cost_epochs
    objectives = [table.objective(name, seconds=seconds, cost_epochs=part_of) for name in _searched(config, row)]
    return [searches.run_many(searcher, objective, key, config.num_runs, **budget) for objective in objectives]


def _searched(config: Config, row: Search) -> tuple[str, ...]:
    return (row.column,) if row.column else config.reported


def _summary(config: Config, table: Table, label: str, row: Search, histories: list[History]) -> dict[str, Any]:
    """Means and deviations of the reported columns, and how far they are from the paper's."""
    truth = np.stack([table.column(name) for name in config.reported], axis=1)
    reached = [truth[np.asarray(table.rows(jnp.asarray(searches.answers(history))))] for history in histories]
    # Each column of a row that searches on all of them is from the search on it.
    values = reached[0] if row.column else np.stack([each[:, k] for k, each in enumerate(reached)], axis=1)
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, ddof=1, dtype=np.float64)
    paper = np.array(PAPER[row.paper or label]).reshape(-1, 2)
    off = (mean - paper[:, 0]) / paper[:, 1]
    return {
        "mean": np.round(mean, 3).tolist(),
        "std": np.round(std, 3).tolist(),
        "paper": row.paper or label,
        "difference": [None if np.isnan(x) else round(float(x), 2) for x in off],
        "searched": [table.conventions[column] for column in _searched(config, row)],
        "evaluations": round(float(np.mean(histories[0].num_evaluations)), 1),
    }


def _times(config: Config) -> np.ndarray:
    """`[T]`, simulated seconds of the picture."""
    return np.linspace(0, max(row.max_seconds or 0 for row in config.rows.values()), 241)


def _over_time(config: Config, table: Table, history: History) -> np.ndarray:
    """`[S, T]`, the first reported accuracy of each run's answer so far; NaN before there is one."""
    rows = jax.jit(jax.vmap(table.rows))(history.archs)
    accuracy, rising = table.column(config.reported[0])[np.asarray(rows)], []
    for of_run, best, seconds in zip(accuracy, np.asarray(history.best), np.asarray(history.seconds), strict=True):
        last = np.searchsorted(np.cumsum(seconds, dtype=np.float64), _times(config), side="right") - 1
        rising.append(np.where(last < 0, np.nan, of_run[best[last]]))
    return np.stack(rising)


def _picture(config: Config, table: Table, curves: dict[str, np.ndarray]) -> None:
    figure = jnas.plots.search_curves(
        curves,
        _times(config),
        lines={"best of all cells": float(table.column(config.reported[0]).max())},
        x_label="simulated seconds",
        y_label="validation accuracy of the answer (%)",
        title="CIFAR-10 on NAS-Bench-201: searches on 12-epoch accuracy",
    )
    jnas.plots.save(figure, common.RESULTS / "naswot_table2.png")


def _markdown(config: Config, found: dict[str, Any], part: str) -> str:
    names = [f"{NAMES[d]} {KINDS[kind]}" for kind, d in (name.split("_") for name in config.reported)]
    rows = [[f"{part}, {config.num_runs} runs (paper: difference in its deviations)", *names, "evaluations"]]
    for label, kept in found.items():
        cells = []
        for k, (mean, std, off) in enumerate(zip(kept["mean"], kept["std"], kept["difference"], strict=True)):
            paper = PAPER[kept["paper"]][2 * k : 2 * k + 2]
            known = "" if off is None else f" ({paper[0]:.2f} ± {paper[1]:.2f}: {off:+.1f})"
            cells.append(f"{mean:.2f} ± {std:.2f}{known}")
        rows.append([label, *cells, f"{kept['evaluations']:.0f}"])
    return ledger.markdown(rows)


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    compute_scores() if sys.argv[1:] == ["scores"] else main()
