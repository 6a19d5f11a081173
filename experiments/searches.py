"""What the experiments with searches share: many runs as one program, spread over the devices."""

import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

import jnas
from jnas.types import History, Key, Objective, Searcher


def program(searcher: Searcher, num_runs: int, **budget: Any) -> Any:
    """`(objective, keys [S]) -> History [S, ...]`, jitted; `S` is `num_runs`.

    Each device runs its own share of the searches where the shares are equal; otherwise the first runs them all.
    """
    devices = jax.local_devices()
    mesh = Mesh(np.array(devices if num_runs % len(devices) == 0 else devices[:1]), ("runs",))
    by_run = PartitionSpec("runs")
    search = jax.vmap(functools.partial(jnas.search.run, searcher, **budget), (None, 0))
    return jax.jit(
        jax.shard_map(search, mesh=mesh, in_specs=(PartitionSpec(), by_run), out_specs=by_run, check_vma=False)
    )


def run_many(searcher: Searcher, objective: Objective, key: Key, num_runs: int, **budget: Any) -> History:
    """`num_runs` searches from one key; RuntimeError where the steps of one ended before its budget in seconds."""
    history: History = program(searcher, num_runs, **budget)(objective, jax.random.split(key, num_runs))
    if bool(np.any(history.exhausted)):
        raise RuntimeError(f"num_steps={budget['num_steps']} are too few for the budget in seconds")
    return history


def answers(history: History) -> np.ndarray:
    """`[S, D]`, the best architecture of each run."""
    best = np.asarray(history.best)[:, -1]
    archs: np.ndarray = np.asarray(history.archs)[np.arange(len(best)), best]
    return archs


def best_scores(history: History) -> np.ndarray:
    """`[S, T]`, the best score of each run so far."""
    return np.take_along_axis(np.asarray(history.scores), np.asarray(history.best), axis=1)
