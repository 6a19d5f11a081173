"""Many runs of a search as one program, and what they found."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jnas
from jnas.benchmarks import Table
from jnas.engine import seeds
from jnas.types import History, Key, Objective, Searcher


def one(searcher: Searcher, **budget: Any) -> Callable[[Key, Objective], History]:
    """A function that runs one search, for `jnas.engine.seeds`."""

    def run(key: Key, objective: Objective) -> History:
        return jnas.search.run(searcher, objective, key, **budget)

    return run


def run_many(
    searcher: Searcher, objective: Objective, key: Key, num_runs: int, **budget: Any
) -> History:
    """Histories of `num_runs` searches; RuntimeError where steps ran out before the budget."""
    history: History = seeds.run(
        one(searcher, **budget), jax.random.split(key, num_runs), objective
    )
    # Their best would be that of shorter searches than the table says.
    if bool(np.any(history.truncated)):
        raise RuntimeError(
            f"num_evaluations={budget['num_evaluations']} are too few for the budget in seconds"
        )
    return history


def best_predicted(table: Table, archs: jax.Array, scores: jax.Array) -> np.ndarray:
    """Rows of the table that a search met, the best scores first, isomorphic cells once."""
    rows = np.asarray(table.rows(archs))[np.argsort(-np.asarray(scores), kind="stable")]
    # `unique` sorts by row, hence its first places are put back into the order of scores.
    first: np.ndarray = rows[np.sort(np.unique(rows, return_index=True)[1])]
    return first


def answers(history: History) -> np.ndarray:
    """`[S, D]`, the best architecture of each run."""
    best = np.asarray(history.best)[:, -1]
    archs: np.ndarray = np.asarray(history.archs)[np.arange(len(best)), best]
    return archs
