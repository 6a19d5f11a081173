"""Searches of NAS-Bench-101 on predictors trained on 400 cells, and on true accuracies (Alshubaily 2019).

python -m experiments.alshubaily            (configs/alshubaily.py)

Interrupted runs continue from results/alshubaily.json.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from scipy import stats

import jnas
from configs.alshubaily import COLUMN, CONFIG, PAPER, Config
from experiments import common, ledger, queries, searches
from jnas.benchmarks import Table
from jnas.types import Estimator, History, Key, Predictor, Searcher, Space

TRUTH = jnas.spaces.nasbench101()
UNIFORM = jnas.spaces.nasbench101(sample="uniform")


def main(config: Config = CONFIG) -> None:
    """Train, search, print, plot and keep the tables."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    book = ledger.Ledger("alshubaily", config)
    for label in config.predictors:
        model = _predictor(config, label, table.space)
        book.run(label, model, functools.partial(judged, config, table, model))
    curves = {label: true_curves(config, table, label) for label in config.searches}
    rows = {label: _at(config, curves[label]) for label in curves}
    trained = np.array(book.jobs[next(iter(config.predictors))]["best_trained"])
    answers = {
        f"{search} on {label}": _answer(config, np.array(book.jobs[label][search]), trained, curves)
        for label in config.predictors
        for search in config.on_predictors
    }
    report(config, rows, trained, answers)
    shown = {label: curves[label] for label in ("evolution", "REINFORCE, LSTM", "random")}
    for label in config.predictors:
        shown[f"evolution on {label}"] = _later(config, np.array(book.jobs[label]["evolution"]))
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
    print(f"written: {common.write_json('alshubaily', content)}")


# -- On true accuracies ----------------------------------------------------------------------------------------------


def true_curves(config: Config, table: Table, label: str) -> np.ndarray:
    """`[S, T]`, the best accuracy so far in %."""
    strategy, settings, num_runs = config.searches[label]
    searcher = _searcher(strategy, settings)
    objective = table.objective(COLUMN)
    history = searches.run_many(searcher, objective, jax.random.key(0), num_runs, num_steps=config.num_steps)
    return 100 * searches.best_scores(history).astype(np.float64)


def _searcher(strategy: str, settings: dict[str, Any]) -> Searcher:
    """Random search draws cells as training sets are drawn, the others as the benchmark's authors do."""
    space = UNIFORM if strategy == "random_search" else TRUTH
    searcher: Searcher = getattr(jnas.search, strategy)(space, **settings)
    return searcher


def _at(config: Config, curves: np.ndarray) -> list[dict[str, Any]]:
    return [{"queries": num} | _mean(curves[:, num - 1]) for num in config.queries]


def _mean(values: np.ndarray) -> dict[str, Any]:
    spread = float(values.std(ddof=1))
    return {"mean": round(float(values.mean()), 3), "std": round(spread, 3), "runs": len(values)}


# -- On predictors ---------------------------------------------------------------------------------------------------


def _predictor(config: Config, label: str, space: Space) -> Predictor:
    name, settings, num_members = config.predictors[label]
    one: Predictor = getattr(jnas.predictors, name)(space, **settings)
    return one if num_members == 1 else jnas.predictors.ensemble(one, num_members)


def judged(config: Config, table: Table, model: Predictor) -> dict[str, Any]:
    """For each seed the best trained cell, and for each search the truth about its best predicted cells, in %."""
    begin, truth = time.perf_counter(), 100 * table.column(COLUMN).astype(np.float64)
    rows, _ = ledger.random_rows(len(truth), 0, config.num_train, config.seeds)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(config.seeds))
    states = model.fit_many(keys, table.archs[rows], table.column(COLUMN)[rows]).states
    result: dict[str, Any] = {"best_trained": np.round(truth[rows].max(axis=1), 4).tolist()}
    for label in config.on_predictors:
        searcher = _searcher(*config.searches[label][:2])
        history = _searches(config, model, searcher, states, jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys))
        found = [
            _top(table, jax.tree.map(lambda x, s=seed: x[s], history), config.num_top) for seed in range(len(keys))
        ]
        result[label] = np.round(truth[np.array(found)], 4).tolist()
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


def _searches(config: Config, model: Predictor, searcher: Searcher, states: Any, keys: Key) -> History:
    """One search on each of `S` fitted predictors."""

    def one(arguments: tuple[Key, Any]) -> History:
        key, state = arguments
        judge = jnas.search.objective(_estimator(model, state))
        return jnas.search.run(searcher, judge, key, num_steps=config.num_steps)

    histories: History = jax.device_get(jax.jit(functools.partial(jax.lax.map, one))((keys, states)))
    return histories


def _estimator(model: Predictor, state: Any) -> Estimator:
    """The score; of the classifier the probability, which is what the report rewards."""
    estimator = jnas.predictors.estimator(model, state)
    return Partial(_probability, estimator) if model.name == "rnn_classifier" else estimator


def _probability(estimator: Estimator, key: Key, archs: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(estimator(key, archs))


def _top(table: Table, history: History, num: int) -> np.ndarray:
    """`[num]`, rows of the best predicted cells of one search, the first of equals first."""
    rows = np.asarray(table.rows(jnp.asarray(history.archs)))
    ranked = rows[np.argsort(-history.scores, kind="stable")]
    _, places = np.unique(ranked, return_index=True)
    return ranked[np.sort(places)[:num]]


def _later(config: Config, top: np.ndarray) -> np.ndarray:
    """`[S, T]`: the best so far of the predicted cells `[S, K]`, trained after the training set; NaN before."""
    curves = np.full((len(top), config.num_steps), np.nan)
    best = np.maximum.accumulate(top, axis=1)
    curves[:, config.num_train :] = best[:, -1:]
    curves[:, config.num_train : config.num_train + top.shape[1]] = best
    return curves


# -- What is reported ------------------------------------------------------------------------------------------------


def _answer(config: Config, top: np.ndarray, trained: np.ndarray, curves: dict[str, np.ndarray]) -> dict[str, Any]:
    """Of the predicted cells `[S, K]` of one predictor and search: how good, and what others need to be as good."""
    first, best = top[:, 0], top.max(axis=1)
    result: dict[str, Any] = {"first": _mean(first), f"best of {top.shape[1]}": _mean(best)}
    for name, values in (("first", first), (f"best of {top.shape[1]}", best)):
        gain = values - trained
        half = stats.t(len(gain) - 1).ppf(0.975) * gain.std(ddof=1) / np.sqrt(len(gain))
        result[name] |= {"over_trained": [round(float(gain.mean() + side * half), 3) for side in (-1, 0, 1)]}
        result[name] |= {label: _needed(rows, float(values.mean())) for label, rows in curves.items()}
        result[name] |= {"cells": config.num_train + (1 if name == "first" else top.shape[1])}
    return result


def _needed(curves: np.ndarray, accuracy: float) -> float | None:
    """Queries until the mean best so far of `[S, T]` is as good; None where it never is."""
    return queries.finite(queries.first(curves.mean(axis=0) >= accuracy))


def report(config: Config, rows: dict[str, Any], trained: np.ndarray, answers: dict[str, Any]) -> None:
    """Searches by number of cells, then answers of predictors and what others need for the same."""
    lines = [["on true accuracies: best so far (%)", *(f"{num:,}" for num in config.queries)]]
    for label, row in rows.items():
        lines.append([label, *(f"{found['mean']:.2f} ± {found['std']:.2f}" for found in row)])
    print(ledger.markdown(lines) + "\n")
    mean, std = float(trained.mean()), float(trained.std(ddof=1))
    print(f"the best of the {config.num_train} cells that predictors learn from: {mean:.2f} ± {std:.2f}\n")
    lines = [["on predictors", "answer", "true accuracy (%)", "over the best trained (95 %)"]]
    lines[0] += [f"cells that {label} needs for it" for label in config.searches]
    for label, names in answers.items():
        for name, found in names.items():
            low, gain, high = found["over_trained"]
            cells = [f"{found['mean']:.2f} ± {found['std']:.2f}", f"{gain:+.2f} ({low:+.2f} to {high:+.2f})"]
            for search in config.searches:
                needed = found[search]
                times = "" if needed is None else f" ({needed / found['cells']:.1f}x)"
                cells.append(f"> {config.num_steps:,}" if needed is None else f"{needed:,.0f}{times}")
            lines.append([label, name, *cells])
    print(ledger.markdown(lines))
    claims = ", ".join(f"{PAPER[label]:,} with {label}" for label in config.on_predictors)
    print(f"\nthe report: {PAPER['predictor']} cells instead of {claims}", flush=True)


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main()
