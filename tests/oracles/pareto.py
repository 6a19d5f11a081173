"""Fronts and crowding as their definitions say, and histories of what somebody wrote down."""

import math

import jax.numpy as jnp
import numpy as np

from jnas.types import History


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def naive_fronts(values: np.ndarray, where: np.ndarray) -> list[int]:
    """Take away whom nobody left dominates, again and again."""
    ranks, left, rank = [len(values)] * len(values), {i for i in range(len(values)) if where[i]}, 0
    while left:
        front = {j for j in left if not any(dominates(values[i], values[j]) for i in left)}
        for j in front:
            ranks[j] = rank
        left, rank = left - front, rank + 1
    return ranks


def naive_crowding(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The algorithm of section III-B, front by front."""
    distances = np.zeros(len(values))
    for rank in set(ranks.tolist()):
        members = np.flatnonzero(ranks == rank)
        for column in values.T:
            order = members[np.argsort(column[members], kind="stable")]
            span = column[order[-1]] - column[order[0]]
            distances[order[0]] = distances[order[-1]] = math.inf
            for before, at, after in zip(order, order[1:], order[2:], strict=False):
                distances[at] += (column[after] - column[before]) / span if span else 0.0
    return distances


def history_of(
    archs: np.ndarray, scores: list[float] | np.ndarray, num_used: int | None = None
) -> History:
    """The history of a search that evaluated these, slots behind the first `num_used` unused."""
    num = len(archs) if num_used is None else num_used
    scores = np.where(np.arange(len(archs)) < num, scores, np.nan).astype(np.float32)
    order = np.where(np.isnan(scores), -np.inf, scores)
    zeros, no = jnp.zeros(len(archs)), jnp.asarray(False)
    return History(
        archs=jnp.asarray(np.asarray(archs, np.int32)),
        scores=jnp.asarray(scores),
        seconds=zeros,
        epochs=zeros.astype(jnp.int32),
        best=jnp.asarray([int(np.argmax(order[: t + 1])) for t in range(len(order))], jnp.int32),
        num_evaluations=jnp.int32(num),
        truncated=no,
        num_repeats=jnp.int32(0),
        stalled=no,
    )
