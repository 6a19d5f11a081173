"""Accuracies of searches on predictors trained on 400 cells, and on true accuracies.

python -m experiments.alshubaily            (configs/alshubaily.py)

Interrupted runs continue from results/alshubaily.json.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

import jnas
from configs.alshubaily import COLUMN, CONFIG, PAPER, QUICK, Config
from experiments import common, ledger, pages, program, queries, searches
from jnas.benchmarks import Table
from jnas.types import Estimator, History, Key, Predictor, Searcher

SPACE = jnas.spaces.nasbench101()
UNIFORM = jnas.spaces.nasbench101(sample="uniform")

Program = Callable[[Key, Any], History]


def main(config: Config = CONFIG) -> None:
    """Train, search, print, plot and keep the tables."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    book = ledger.Ledger("alshubaily", config)
    found = {label: _of_predictor(config, book, table, label) for label in config.predictors}
    curves = {label: true_curves(config, table, label) for label in config.searches}
    rows = {label: _at(config, curves[label]) for label in curves}
    trained = next(iter(found.values()))["best_trained"]
    answers = {
        f"{search} on {label}": _answer(config, found[label][search], trained, curves)
        for label in config.predictors
        for search in config.on_predictors
    }
    shown = {label: curves[label] for label in ("evolution", "REINFORCE, LSTM", "random")}
    for label in config.predictors:
        shown[f"evolution on {label}"] = _later(config, found[label]["evolution"])
    figure = jnas.plots.search_curves(
        shown,
        lines={"best of all cells": 100 * float(table.column(COLUMN).max())},
        x_label="trained cells",
        y_label="best mean test accuracy so far (%)",
        title=f"NAS-Bench-101: predictors learn from {config.num_train} cells",
    )
    jnas.plots.save(figure, common.RESULTS / "alshubaily.png")
    content = {"config": book.config, "column": table.conventions[COLUMN], "jobs": book.jobs}
    content |= {"searches": rows, "answers": answers}
    common.write_json("alshubaily", content)
    pages.show("alshubaily", page(config))


# -- On true accuracies ----------------------------------------------------------------------------


def true_curves(config: Config, table: Table, label: str) -> np.ndarray:
    """`[S, T]`, the best accuracy so far in %."""
    strategy, settings, num_runs = config.searches[label]
    searcher = _searcher(strategy, settings)
    objective = table.objective(COLUMN)
    history = searches.run_many(
        searcher, objective, jax.random.key(0), num_runs, num_evaluations=config.num_evaluations
    )
    return 100 * np.asarray(history.best_so_far, np.float64)


def _searcher(strategy: str, settings: dict[str, Any]) -> Searcher:
    """A strategy; random search draws cells as training sets are drawn, others as published."""
    space = UNIFORM if strategy == "random_search" else SPACE
    searcher: Searcher = getattr(jnas.search, strategy)(space, **settings)
    return searcher


def _at(config: Config, curves: np.ndarray) -> list[dict[str, Any]]:
    return [{"queries": num} | _mean(curves[:, num - 1]) for num in config.queries]


def _mean(values: np.ndarray) -> dict[str, Any]:
    spread = float(values.std(ddof=1))
    return {"mean": round(float(values.mean()), 3), "std": round(spread, 3), "runs": len(values)}


# -- On predictors ---------------------------------------------------------------------------------


def _of_predictor(
    config: Config, book: ledger.Ledger, table: Table, label: str
) -> dict[str, np.ndarray]:
    """Results of `judged`, of all seeds."""
    name, settings = config.predictors[label]
    model = getattr(jnas.predictors, name)(table.space, **settings)
    programs = {search: _search_on(config, model, search) for search in config.on_predictors}

    def run(seed: int) -> dict[str, Any]:
        return book.run(
            f"{label} {seed}",
            model,
            functools.partial(judged, config, table, model, programs, seed),
        )

    jobs = [run(seed) for seed in range(config.seeds)]
    return {
        key: np.array([job[key] for job in jobs]) for key in ("best_trained", *config.on_predictors)
    }


def judged(
    config: Config, table: Table, model: Predictor, programs: dict[str, Program], seed: int
) -> dict[str, Any]:
    """Accuracies in %: of the best trained cell, and of each search's best predicted cells."""
    begin, accuracy = time.perf_counter(), table.column(COLUMN)
    rows = ledger.random_rows(len(accuracy), 0, config.num_train, seed + 1)[0][seed]
    # Folded in, so that a seed stays what it is however many there are.
    key = jax.random.fold_in(jax.random.key(0), seed)
    state = model.fit(key, table.archs[rows], accuracy[rows])
    truth = 100 * accuracy.astype(np.float64)
    result: dict[str, Any] = {"best_trained": round(float(truth[rows].max()), 4)}
    for label, search in programs.items():
        history = search(jax.random.fold_in(key, 1), state)
        found = searches.best_predicted(table, history.archs, history.scores)[: config.num_top]
        result[label] = np.round(truth[found], 4).tolist()
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


def _search_on(config: Config, model: Predictor, label: str) -> Program:
    """A search on a fitted predictor, compiled once for all seeds."""
    searcher = _searcher(*config.searches[label][:2])

    @jax.jit
    def search(key: Key, state: Any) -> History:
        judge = jnas.search.objective(_estimator(model, state))
        return jnas.search.run(searcher, judge, key, num_evaluations=config.num_evaluations)

    return search


def _estimator(model: Predictor, state: Any) -> Estimator:
    """The score as an estimator; of the classifier the probability, as the report has it."""
    estimator = jnas.predictors.estimator(model, state)
    return Partial(_probability, estimator) if model.name == "rnn_classifier" else estimator


def _probability(estimator: Estimator, key: Key, archs: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(estimator(key, archs))


def _later(config: Config, top: np.ndarray) -> np.ndarray:
    """`[S, T]`, the best so far of predicted cells `[S, K]` that are trained last; NaN before."""
    curves = np.full((len(top), config.num_evaluations), np.nan)
    best = np.maximum.accumulate(top, axis=1)
    # Training sets cost as many queries, and nothing is answered before they are trained.
    curves[:, config.num_train :] = best[:, -1:]
    curves[:, config.num_train : config.num_train + top.shape[1]] = best
    return curves


# -- What is reported ------------------------------------------------------------------------------


def _answer(
    config: Config, top: np.ndarray, trained: np.ndarray, curves: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Accuracies of the predicted cells `[S, K]`, and queries that others need for the same."""
    first, best = top[:, 0], top.max(axis=1)
    result: dict[str, Any] = {"first": _mean(first), f"best of {top.shape[1]}": _mean(best)}
    for name, values in (("first", first), (f"best of {top.shape[1]}", best)):
        # Of the same seed: how lucky its training set was counts on both sides.
        gain = values - trained
        half = ledger.half_interval(gain)
        result[name] |= {
            "over_trained": [round(float(gain.mean() + side * half), 3) for side in (-1, 0, 1)]
        }
        result[name] |= {
            label: _needed(rows, float(values.mean())) for label, rows in curves.items()
        }
        result[name] |= {"cells": config.num_train + (1 if name == "first" else top.shape[1])}
    return result


def _needed(curves: np.ndarray, accuracy: float) -> float | None:
    """Queries until the mean best so far of `[S, T]` is as good; None where it never is."""
    return queries.finite(queries.first(curves.mean(axis=0) >= accuracy))


def page(config: Config = CONFIG) -> pages.Page:
    """Searches by number of cells, then answers of predictors and what others need for the same."""
    kept = pages.read("alshubaily")
    first = [["on true accuracies: best so far (%)", *(f"{num:,}" for num in config.queries)]]
    for label, row in kept["searches"].items():
        first.append([label, *(f"{found['mean']:.2f} ± {found['std']:.2f}" for found in row)])
    second = [["on predictors", "answer", "true accuracy (%)", "over the best trained (95 %)"]]
    second[0] += [f"cells that {label} needs for it" for label in config.searches]
    for label, answers in kept["answers"].items():
        second += [[label, name, *_cells(config, found)] for name, found in answers.items()]
    jobs = (kept["jobs"][f"{next(iter(config.predictors))} {k}"] for k in range(config.seeds))
    trained = np.array([job["best_trained"] for job in jobs])
    notes = (
        f"The best of the {config.num_train} cells that predictors learn from has "
        f"{trained.mean():.2f} ± {trained.std(ddof=1):.2f} %.",
        f"The report: {PAPER['predictor']} cells instead of "
        + ", ".join(f"{PAPER[label]:,} with {label}" for label in config.on_predictors)
        + ".",
    )
    return pages.Page(("alshubaily",), (first, second), ("alshubaily.png",), notes)


def _cells(config: Config, found: dict[str, Any]) -> list[str]:
    """Accuracy of an answer, its gain, and how many cells each search needs for the same."""
    low, gain, high = found["over_trained"]
    accuracy = f"{found['mean']:.2f} ± {found['std']:.2f}"
    needed = [found[search] for search in config.searches]
    return [
        accuracy,
        f"{gain:+.2f} ({low:+.2f} to {high:+.2f})",
        *(f"> {config.num_evaluations:,}" if num is None else f"{num:,.0f}" for num in needed),
    ]


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
