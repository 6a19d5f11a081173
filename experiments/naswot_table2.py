"""Accuracies that searches of NAS-Bench-201 find in 12,000 simulated seconds (NASWOT, table 2).

python -m experiments.naswot_table2 scores          NASWOT scores of all 15,625 cells, resumable
python -m experiments.naswot_table2                 (configs/naswot_table2.py)
python -m experiments.naswot_table2 size FILE       table 2b, of NATS-Bench's size space

The rows that need scores are left out where results/naswot_scores_nasbench201.npz is absent.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnas
from configs.naswot_table2 import CONFIG, QUICK, SCORES, SIZE, Config, Search
from experiments import common, pages, program, searches
from jnas.benchmarks import Table
from jnas.types import History, Searcher

NAMES = {"c10": "CIFAR-10", "c100": "CIFAR-100", "in16": "ImageNet16-120"}
KINDS = {"val": "validation", "test": "test"}


def main(config: Config = CONFIG, file: str | None = None) -> None:
    """Print, plot and keep the rows and the sweep, of NAS-Bench-201 where no file is given."""
    table = _with_scores(
        jnas.benchmarks.load(file or common.data_file("nasbench201.npz"), config.space)
    )
    missing = [
        label
        for label, row in config.rows.items()
        if _needs_scores(row) and SCORES not in table.columns
    ]
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
                    curves[label] = _over_time(config, table, histories[config.reported[0]])
    if missing:
        print(
            f"missing, for want of scores: {', '.join(missing)}; the argument scores computes them"
        )
    _picture(config, table, curves)
    common.write_json(config.name, result)
    pages.show("naswot_table2", page())


def compute_scores(config: Config = CONFIG) -> None:
    """Score all cells, and keep the scores as a table; goes on where it was interrupted."""
    space = jnas.spaces.nasbench201()
    archs = space.enumerate()
    _, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    images = jnas.images.load("cifar10", num=config.num_images, key=image_key)
    naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), images)
    scores = jnas.population.score(
        naswot, archs, score_key, out=common.RUNS / "naswot-nasbench201.npz"
    )
    text = f"NASWOT score, {config.num_images} CIFAR-10 images, shared weights, live ReLUs"
    columns = {SCORES: np.asarray(scores)}
    table = jnas.benchmarks.make_table(
        space, archs, columns, conventions={SCORES: text}, source="jnas"
    )
    # A copy of the results, which jnas did not write here.
    score_file().unlink(missing_ok=True)
    jnas.benchmarks.save(table, score_file())


def score_file() -> Path:
    """The file of the scores of all cells."""
    return common.RESULTS / "naswot_scores_nasbench201.npz"


def _with_scores(table: Table) -> Table:
    """The table with the scores of its cells as a column, where they are known."""
    scores = jnas.benchmarks.load(score_file()) if score_file().exists() else None
    if scores is None or scores.space.name != table.space.name:
        return table
    column = scores.column(SCORES)[np.asarray(scores.rows(jnp.asarray(table.archs)))]
    columns, conventions = (
        {**table.columns, SCORES: column},
        {**table.conventions, SCORES: scores.conventions[SCORES]},
    )
    return jnas.benchmarks.make_table(
        table.space, table.archs, columns, conventions=conventions, source=table.source
    )


def _needs_scores(row: Search) -> bool:
    return row.column == SCORES or row.strategy == "area"


def _searcher(row: Search, table: Table) -> Searcher:
    given = dict(row.settings)
    if "learning_rate" in given:
        given["optimiser"] = optax.adam(given.pop("learning_rate"))
    positional = (
        (table.space, table.estimator(SCORES)) if row.strategy == "area" else (table.space,)
    )
    searcher: Searcher = getattr(jnas.search, row.strategy)(*positional, **given)
    return searcher


def _search(config: Config, table: Table, row: Search) -> dict[str, History]:
    """Reported column → all runs of its search; the keys of every row are the same."""
    key = jax.random.split(jax.random.key(config.seed), 3)[0]
    budget = {
        "num_evaluations": row.num_evaluations,
        "max_seconds": row.max_seconds,
        "overrun": row.overrun,
    }
    searcher, done = _searcher(row, table), {}
    # Several reported columns may be of one search, which then runs once.
    for column, seconds in dict.fromkeys(_searched(row, name) for name in config.reported):
        objective = table.objective(column, seconds=seconds, cost_epochs=row.cost_epochs)
        done[column, seconds] = searches.run_many(
            searcher, objective, key, config.num_runs, **budget
        )
    return {name: done[_searched(row, name)] for name in config.reported}


def _searched(row: Search, reported: str) -> tuple[str, str]:
    """The columns of scores and costs of the search that a column is reported of."""
    names = {"reported": reported, "dataset": reported.rpartition("_")[2]}
    return row.column.format(**names), row.seconds.format(**names)


def _summary(
    config: Config, table: Table, label: str, row: Search, histories: dict[str, History]
) -> dict[str, Any]:
    """Means and deviations of the reported columns, and how far they are from the paper's."""
    answers = {
        name: np.asarray(table.rows(jnp.asarray(searches.answers(runs))))
        for name, runs in histories.items()
    }
    values = np.stack([table.column(name)[rows] for name, rows in answers.items()], axis=1)
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, ddof=1, dtype=np.float64)
    paper = np.array(config.paper[row.paper or label]).reshape(-1, 2)
    off = (mean - paper[:, 0]) / paper[:, 1]
    return {
        "mean": np.round(mean, 3).tolist(),
        "std": np.round(std, 3).tolist(),
        "paper": row.paper or label,
        "difference": [None if np.isnan(x) else round(float(x), 2) for x in off],
        "searched": [
            table.conventions[column]
            for column in dict.fromkeys(_searched(row, name)[0] for name in config.reported)
        ],
        "evaluations": round(float(np.mean(histories[config.reported[0]].num_evaluations)), 1),
    }


def _times(config: Config) -> np.ndarray:
    """`[T]`, simulated seconds of the picture."""
    return np.linspace(0, max(row.max_seconds or 0 for row in config.rows.values()), 241)


def _over_time(config: Config, table: Table, history: History) -> np.ndarray:
    """`[S, T]`, the first reported accuracy of each run's answer so far; NaN before the first."""
    rows = jax.jit(jax.vmap(table.rows))(history.archs)
    accuracy, rising = table.column(config.reported[0])[np.asarray(rows)], []
    for of_run, best, seconds in zip(
        accuracy, np.asarray(history.best), np.asarray(history.seconds), strict=True
    ):
        last = (
            np.searchsorted(np.cumsum(seconds, dtype=np.float64), _times(config), side="right") - 1
        )
        rising.append(np.where(last < 0, np.nan, of_run[best[last]]))
    return np.stack(rising)


def _picture(config: Config, table: Table, curves: dict[str, np.ndarray]) -> None:
    figure = jnas.plots.search_curves(
        curves,
        _times(config),
        lines={"best of all cells": float(table.column(config.reported[0]).max())},
        x_label="simulated seconds",
        y_label="validation accuracy of the answer (%)",
        title=config.title,
    )
    jnas.plots.save(figure, common.RESULTS / f"{config.name}.png")


def page() -> pages.Page:
    """Rows and sweep beside the paper's, of each of the spaces that were searched."""
    known = [
        config for config in (CONFIG, SIZE) if (common.RESULTS / f"{config.name}.json").exists()
    ]
    tables = []
    for config in known:
        kept = pages.read(config.name)
        tables += [_rows(config, kept[part], part) for part in ("rows", "sweep") if kept[part]]
    names = tuple(config.name for config in known)
    return pages.Page(names, tuple(tables), tuple(f"{name}.png" for name in names))


def _rows(config: Config, found: dict[str, Any], part: str) -> pages.Rows:
    parts = (name.split("_") for name in config.reported)
    names = [f"{NAMES[dataset]} {KINDS[kind.rstrip('0123456789')]}" for kind, dataset in parts]
    first = f"{part}, {config.num_runs} runs (paper: difference in its deviations)"
    rows = [[first, *names, "evaluations"]]
    for label, kept in found.items():
        paper = np.reshape(config.paper[kept["paper"]], (-1, 2))
        columns = zip(kept["mean"], kept["std"], kept["difference"], paper, strict=True)
        rows.append([label, *(_cell(*column) for column in columns), f"{kept['evaluations']:.0f}"])
    return rows


def _cell(mean: float, std: float, off: float | None, paper: np.ndarray) -> str:
    known = "" if off is None else f" ({paper[0]:.2f} ± {paper[1]:.2f}: {off:+.1f})"
    return f"{mean:.2f} ± {std:.2f}{known}"


def command(what: str = "", file: str | None = None, config: Config = CONFIG) -> None:
    """The table, the scores that it needs, or the table of the size space from a file."""
    if what == "size" and file is None:
        raise SystemExit("the size space needs the FILE of its table")
    if what == "scores":
        compute_scores(config)
    else:
        main(SIZE if what == "size" else config, file)


if __name__ == "__main__":
    choices: dict[str, Any] = {"nargs": "?", "choices": ["scores", "size"]}
    program.run(
        command,
        {"config": QUICK},
        {
            "what": choices | {"help": "compute the scores, or search the size space in FILE"},
            "file": {"nargs": "?", "metavar": "FILE"},
        },
    )
