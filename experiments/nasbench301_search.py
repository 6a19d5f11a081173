"""Best cell of a surrogate of NAS-Bench-301 by trainings, with every strategy.

python -m experiments.nasbench301_search            (configs/nasbench301_search.py)

Interrupted runs continue from results/nasbench301_search.json.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.nasbench301_search import CONFIG, QUICK, Config, Guided
from experiments import common, ledger, pages, program, queries, searches
from jnas.benchmarks.surrogate301 import ABOUT, MAX_EPOCHS, Surrogate
from jnas.types import History, Key

RANDOM = "random cells"
_ROOM = 5  # evaluations of a strategy with short trainings, for each whole one that it pays
_RUNS = 100  # that choose the largest of random cells


class Found(NamedTuple):
    """Results of `S` searches.

    Attributes:
        curves: `[S, T]`, best so far in % after each number of trainings; NaN where there is none.
        answers: `[S, D]`, their last ones.
    """

    curves: np.ndarray
    answers: np.ndarray


def main(config: Config = CONFIG) -> None:
    """Search, print, plot and keep the tables."""
    surrogate = jnas.benchmarks.nasbench301_surrogate()
    book = ledger.Ledger("nasbench301_search", config)
    drawn = book.once(RANDOM, {"num": config.num_random}, lambda: _random(config, surrogate))
    rows = {
        label: (
            {"name": name, "runs": num, "trainings": config.num_trainings} | settings,
            functools.partial(_search, config, surrogate, name, settings, num),
        )
        for label, (name, settings, num) in config.searches.items()
    }
    rows |= {
        label: (
            {"name": "predictor_guided", "settings": repr(guided)},
            functools.partial(_guided, config, surrogate, guided),
        )
        for label, guided in config.guided.items()
    }
    for label, (about, search) in rows.items():
        book.once(label, about, functools.partial(_judged, config, surrogate, drawn, search))
    report(config, book)


# -- Searches --------------------------------------------------------------------------------------


def _search(
    config: Config, surrogate: Surrogate, strategy: str, settings: dict[str, Any], num_runs: int
) -> Found:
    """Searches by a strategy, as one program."""
    searcher = jnas.search.by_name(strategy, surrogate.space, **settings)
    # Searches with short trainings do more evaluations for the same price.
    num = config.num_trainings * (_ROOM if searcher.epochs else 1)
    key, objective = jax.random.key(0), surrogate.objective()
    history = searches.run_many(searcher, objective, key, num_runs, num_evaluations=num)
    return by_trainings(history, config.num_trainings)


def by_trainings(history: History, num: int) -> Found:
    """Best whole trainings of searches by what is paid, in whole trainings, up to `num`.

    RuntimeError where a search has paid for fewer.
    """
    epochs = np.where(np.asarray(history.epochs) == 0, MAX_EPOCHS, history.epochs)
    paid = np.cumsum(epochs, axis=1)
    if paid[:, -1].min() < num * MAX_EPOCHS:
        raise RuntimeError(f"a search has paid for less than {num} trainings")
    # Scores of short trainings are no accuracies of a trained network.
    scores = np.where(epochs == MAX_EPOCHS, np.asarray(history.scores, np.float64), -np.inf)
    budgets = MAX_EPOCHS * np.arange(1, num + 1)
    # The last evaluation that is paid with so many trainings; -1 where none is.
    last = np.stack([np.searchsorted(row, budgets, "right") - 1 for row in paid])
    best = np.take_along_axis(np.maximum.accumulate(scores, axis=1), np.maximum(last, 0), axis=1)
    scores[np.arange(scores.shape[1]) > last[:, -1:]] = -np.inf
    answers = np.asarray(history.archs)[np.arange(len(scores)), scores.argmax(axis=1)]
    return Found(np.where((last >= 0) & np.isfinite(best), best, np.nan), answers)


def _guided(config: Config, surrogate: Surrogate, guided: Guided) -> Found:
    """Searches that fit a predictor again and again, one after the other; NaN after their end."""
    space = surrogate.space
    predictor = jnas.predictors.by_name(guided.predictor, space, **guided.settings)
    inner = jnas.search.regularized_evolution(space, **guided.inner)
    # The same one for all runs: every new one would be compiled anew.
    searcher = jnas.search.predictor_guided(predictor, inner, **guided.search)
    judge = jax.jit(surrogate.estimator())

    def evaluate(arch: np.ndarray, epochs: int) -> float:
        del epochs
        return float(judge(jax.random.key(0), jnp.asarray(arch)[None])[0])

    curves, answers = [], []
    for seed in range(guided.num_runs):
        key = jax.random.fold_in(jax.random.key(0), seed)
        history = jnas.search.run_on_host(
            searcher, evaluate, key, num_evaluations=guided.num_trainings, progress=False
        ).history
        scores = np.asarray(history.scores, np.float64)
        rest = config.num_trainings - len(scores)
        curves.append(np.append(np.maximum.accumulate(scores), np.full(rest, np.nan)))
        answers.append(np.asarray(history.archs)[scores.argmax()])
    return Found(np.stack(curves), np.stack(answers))


def _random(config: Config, surrogate: Surrogate) -> dict[str, Any]:
    """Best of random cells, and what the largest ones of some of them are predicted to reach."""

    @jax.jit
    def draw(keys: Key) -> tuple[jax.Array, jax.Array]:
        archs = jax.vmap(surrogate.space.sample)(keys)
        return surrogate.predict(archs).accuracy, jax.vmap(surrogate.space.params)(archs)

    accuracy, params = map(np.asarray, draw(jax.random.split(jax.random.key(1), config.num_random)))
    order = np.random.default_rng(0)
    picked = order.choice(len(accuracy), (_RUNS, min(config.num_trainings, len(accuracy) // 2)))
    largest = np.take_along_axis(picked, params[picked].argmax(axis=1)[:, None], axis=1)
    return {
        "best": round(float(accuracy.max()), 4),
        "median": round(float(np.median(accuracy)), 4),
        "largest": _mean(accuracy[largest[:, 0]].astype(np.float64)),
        "params": round(float(np.median(params)) / 1e6, 4),
    }


# -- What is reported ------------------------------------------------------------------------------


def _judged(
    config: Config, surrogate: Surrogate, drawn: dict[str, Any], search: Callable[[], Found]
) -> dict[str, Any]:
    """Summary of searches: best so far, trainings until random cells are beaten, answers."""
    begin = time.perf_counter()
    curves, answers = search()
    params = jax.jit(jax.vmap(surrogate.space.params))(answers)
    shown = curves[:, _shown(config) - 1]
    return {
        "best": [_mean(curves[:, num - 1]) for num in config.queries],
        "to_best_random": queries.summary(queries.first(curves >= drawn["best"])),
        "params": round(float(np.median(np.asarray(params))) / 1e6, 4),
        # A line each, for the picture.
        "curves": [" ".join(f"{value:.3f}" for value in row) for row in shown],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _mean(values: np.ndarray) -> dict[str, Any]:
    """Mean, deviation and number of runs; None where some have nothing."""
    mean, std = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return {
        "mean": round(mean, 3) if np.isfinite(mean) else None,
        "std": round(std, 3) if np.isfinite(std) else None,
        "runs": len(values),
    }


def _shown(config: Config) -> np.ndarray:
    """Numbers of trainings in the picture."""
    return np.unique(np.geomspace(1, config.num_trainings, 40).astype(int))


def page(config: Config = CONFIG) -> pages.Page:
    """Best so far of each strategy, trainings until random cells are beaten, and caveats."""
    jobs = pages.read("nasbench301_search")["jobs"]
    drawn = jobs[RANDOM]
    header = ["surrogate: best after … trainings (%)", *(f"{num:,}" for num in config.queries)]
    header += [f"trainings to {drawn['best']:.2f}, median", "params of answers (M)", "runs"]
    rows = [header]
    for label in (*config.searches, *config.guided):
        job = jobs[label]
        cells = [_cell(found) for found in job["best"]]
        median = job["to_best_random"]["median"]
        needed = f"> {config.num_trainings:,}" if median is None else f"{median:,.0f}"
        if median is None and label in config.guided:
            needed = f"> {config.guided[label].num_trainings:,}"
        rows.append([label, *cells, needed, f"{job['params']:.2f}", f"{job['best'][0]['runs']}"])
    notes = (
        f"{drawn['best']:.2f} % is the best of {config.num_random:,} random cells (median "
        f"{drawn['median']:.2f} %, {drawn['params']:.2f} M parameters). Of "
        f"{config.num_trainings:,} random cells the one with the most parameters has "
        f"{_cell(drawn['largest'])} %, for one training.",
        f"Surrogate: {ABOUT}",
    )
    plots = ("nasbench301_search.png",)
    return pages.Page(("nasbench301_search",), (rows,), plots, notes)


def _cell(found: dict[str, Any]) -> str:
    """Mean and deviation, or a dash where a run has nothing."""
    if found["mean"] is None:
        return pages.UNKNOWN
    return f"{found['mean']:.2f} ± {pages.number(found['std'], 2)}"


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figure, the result and its page."""
    figure = jnas.plots.search_curves(
        {label: _curve(book.jobs[label]) for label in config.shown},
        _shown(config),
        lines={f"best of {config.num_random:,} random cells": book.jobs[RANDOM]["best"]},
        x_label="whole trainings (98 epochs), or their price",
        y_label="best predicted validation accuracy so far (%)",
        title="NAS-Bench-301 by a surrogate: all strategies, noise-free predictions",
    )
    jnas.plots.save(figure, common.RESULTS / "nasbench301_search.png")
    book.write()
    pages.show("nasbench301_search", page(config))


def _curve(job: dict[str, Any]) -> np.ndarray:
    """`[S, T]`; a search that has ended keeps its answer."""
    rows = np.array([line.split() for line in job["curves"]], float)
    last = np.maximum.accumulate(np.where(np.isfinite(rows), np.arange(rows.shape[1]), 0), axis=1)
    return np.take_along_axis(rows, last, axis=1)


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
