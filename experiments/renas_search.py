"""Accuracies that evolution finds with a trained predictor as fitness (ReNAS, tables 3, 4, 6).

python -m experiments.renas_search            (configs/renas_search.py)

Interrupted runs continue from results/renas_search.json.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.renas_search import CONFIG, QUICK, Config, Row
from experiments import cells, common, ledger, pages, program, searches
from jnas.benchmarks import Table
from jnas.types import Key, Predictor

COLUMN = "test_accuracy"
TRAINED = "best of the training cells"


def main(config: Config = CONFIG) -> None:
    """Run all jobs; print, plot and keep the tables."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    book = ledger.Ledger("renas_search", config)
    for label, row in config.rows.items():
        predictor = jnas.predictors.by_name(row.predictor, table.space, **row.settings)
        book.run(label, predictor, functools.partial(search, config, table, row, predictor))
    if TRAINED not in book.jobs:
        rows = _training_rows(config, table, next(iter(config.rows.values())))
        book.jobs[TRAINED] = _answers(table, table.column(COLUMN)[rows].max(axis=1))
    report(config, book)


def search(config: Config, table: Table, row: Row, predictor: Predictor) -> dict[str, Any]:
    """Accuracies and ranks of the best predicted cells of a search, with every seed."""
    begin = time.perf_counter()
    rows, accuracy = _training_rows(config, table, row), table.column(COLUMN)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(config.seeds))
    states = predictor.fit_many(keys, table.archs[rows], accuracy[rows]).states
    trained = time.perf_counter()
    evolve = jax.jit(functools.partial(_evolve, config, row, predictor))
    of_best, tops, curves = [], [], []
    for seed, key in enumerate(keys):
        archs, scores, incumbents = evolve(
            jnas.predictors.state(states, seed), jax.random.fold_in(key, 1)
        )
        tops.append(accuracy[searches.best_predicted(table, archs, scores)[: config.num_best]])
        of_best.append(tops[-1][0])
        curves.append(accuracy[np.asarray(table.rows(incumbents))])
    result = _answers(table, np.max(tops, axis=1))
    result |= {"best_predicted": _answers(table, np.array(of_best))}
    result |= {"curve": np.round(100 * np.stack(curves), 3).tolist()}
    end = time.perf_counter()
    return result | {
        "training_seconds": round(trained - begin, 1),
        "search_seconds": round(end - trained, 1),
    }


def _training_rows(config: Config, table: Table, row: Row) -> np.ndarray:
    """`[S, n]`, rows of the table to train on."""
    archs = jnp.asarray(table.archs)
    pool = np.arange(len(archs))
    if row.is_promising:
        pool = np.flatnonzero(jax.jit(jax.vmap(cells.is_promising))(archs))
    # By cost, so that equal steps through the sorted pool are equal shares of it.
    if row.sampling != "random":
        cost = np.asarray(jax.jit(jax.vmap(getattr(table.space, row.sampling)))(archs[pool]))
        pool = pool[np.argsort(cost, kind="stable")]
    rows = []
    for seed in range(config.seeds):
        rng = np.random.default_rng(1 + seed)
        if row.sampling == "random":
            rows.append(rng.choice(pool, config.num_train, replace=False))
        else:
            rows.append(
                pool[
                    (
                        (np.arange(config.num_train) + rng.uniform()) * len(pool) / config.num_train
                    ).astype(int)
                ]
            )
    return np.stack(rows)


def _evolve(
    config: Config, row: Row, predictor: Predictor, state: Any, key: Key
) -> tuple[jax.Array, ...]:
    """What was met `[T, D]`, its predictions `[T]`, and the best after some generations."""
    space = predictor.space
    if row.is_promising:
        space = jnas.search.constrained(space, cells.is_promising)
    searcher = jnas.search.genetic(space, population_size=config.population_size)
    objective = jnas.search.objective(jnas.predictors.estimator(predictor, state))
    history = jnas.search.run(
        searcher, objective, key, num_evaluations=config.population_size * config.num_generations
    )
    return history.archs, history.scores, history.archs[history.best[_shown(config) - 1]]


def _shown(config: Config) -> np.ndarray:
    """Numbers of predictions after some of the generations."""
    return config.population_size * np.unique(
        np.geomspace(1, config.num_generations, 40).astype(int)
    )


def _answers(table: Table, accuracy: np.ndarray) -> dict[str, Any]:
    """Means over seeds of the answers' accuracies `[S]`, and of their ranks, both in %."""
    known = np.sort(table.column(COLUMN))
    ranks = 100 * (1 + len(known) - np.searchsorted(known, accuracy, side="right")) / len(known)
    mean, std = 100 * accuracy.mean(dtype=np.float64), 100 * accuracy.std(ddof=1, dtype=np.float64)
    return {
        "accuracy": round(float(mean), 3),
        "std": round(float(std), 3),
        "rank": round(float(ranks.mean()), 4),
        "rank_half_interval": round(ledger.half_interval(ranks), 4),
        "median_rank": round(float(np.median(ranks)), 4),
        "seeds_accuracy": np.round(100 * accuracy.astype(np.float64), 3).tolist(),
        "seeds_rank": np.round(ranks, 4).tolist(),
    }


def page(config: Config = CONFIG) -> pages.Page:
    """Accuracies and ranks of the answers beside the paper's."""
    jobs = pages.read("renas_search")["jobs"]
    header = ["best of ten, mean of the searches", "test accuracy in % (paper)"]
    header += ["rank in % ± half 95 % interval (paper)", "median rank in %"]
    rows = [header]
    for label in (*config.rows, TRAINED):
        job, paper = jobs[label], config.rows[label].paper if label in config.rows else ()
        known = [f" ({paper[0]:.2f} ± {paper[1]:.2f})", f" ({paper[2]:.2f})"] if paper else ["", ""]
        accuracy = f"{job['accuracy']:.2f} ± {job['std']:.2f}{known[0]}"
        rank = f"{job['rank']:.3f} ± {job['rank_half_interval']:.3f}{known[1]}"
        rows.append([label, accuracy, rank, f"{job['median_rank']:.3f}"])
    return pages.Page(("renas_search",), (rows,), ("renas_search.png",))


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figure of accuracy against predictions made, the result and its page."""
    figure = jnas.plots.search_curves(
        {label: book.jobs[label]["curve"] for label in config.rows if "," not in label},
        _shown(config),
        x_label="predictions",
        y_label="test accuracy of the cell of highest prediction (%)",
        title=f"NAS-Bench-101: evolution on predictors trained with {config.num_train} cells",
    )
    jnas.plots.save(figure, common.RESULTS / "renas_search.png")
    book.write()
    pages.show("renas_search", page(config))


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
