"""Pareto dominance: non-dominated fronts, crowding distances, and the front of a finished search.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
IEEE Transactions on Evolutionary Computation 6(2), 2002, https://doi.org/10.1109/4235.996017,
sections III-A and III-B.

A row dominates another if it is no worse in any objective and better in at least one. Objectives
are minimised: the first is the score with its sign changed, the others are costs. `M` counts
objectives, or costs where they are named so. Vectors that are equal in all objectives do not
dominate each other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.types import Arch, History

Cost: TypeAlias = Callable[[Arch], jax.Array]
"""`[D] -> []`, a number that depends on the architecture alone, lower is better: `space.params`,
`space.flops`, or a column of a table, `table.cost("latency")`. NaN or infinite where the
architecture has none."""


class Front(NamedTuple):
    """Architectures none of which dominates another, in ascending order of their first cost.

    Attributes:
        archs: `[F, D]` int32.
        scores: `[F]` float.
        costs: `[F, M]` float, a column for each cost.
        evaluations: `[F]` int, slots of the history they are from.
    """

    archs: np.ndarray
    scores: np.ndarray
    costs: np.ndarray
    evaluations: np.ndarray


def pareto_front(
    history: History, costs: Sequence[Cost], *, identity: Callable[[Arch], jax.Array] | None = None
) -> Front:
    """Front of a search: the evaluations that no other one dominates. Host only.

    In a program `is_on_front` tells them. An evaluation that failed, cannot be ranked (±inf), or
    has no finite cost, is not in it.

    Args:
        history: of one search, with any strategy.
        costs: what is paid for the score; see `Cost`.
        identity: `[D] -> [W]` uint32, equal for architectures that count as one, usually
            `space.identity`; by default those with equal vectors. Of several in the front the first
            evaluated is kept.

    Returns:
        A `Front`, empty where every evaluation failed.

    Raises:
        ValueError: there is no cost, one is no function `[D] -> []` or not finite for any
            evaluation that has a score, or the history is that of several searches.
    """
    if np.ndim(history.scores) != 1:
        raise ValueError(
            "needs the history of one search, scores [T]; "
            f"got scores {list(np.shape(history.scores))}"
        )
    values = np.asarray(cost_values(costs, history.archs))
    archs, scores = np.asarray(history.archs), np.asarray(history.scores)
    lost = np.isfinite(scores).any() & ~np.isfinite(values[np.isfinite(scores)]).any(axis=0)
    if lost.any():
        raise ValueError(f"cost {int(np.argmax(lost))} is not finite for any of the evaluations")
    on_front = np.flatnonzero(_is_on_front(history.scores, values))
    names = archs if identity is None else np.asarray(jax.jit(jax.vmap(identity))(history.archs))
    # The first of each name; `on_front` is in the order of evaluation.
    kept = on_front[np.unique(names[on_front], axis=0, return_index=True)[1]]
    # The last key sorts first: the first cost, then the others, the score, and of equals the
    # earlier.
    kept = kept[np.lexsort([kept, scores[kept], *values[kept].T[::-1]])]
    return Front(archs[kept], scores[kept], values[kept], kept)


def is_on_front(history: History, costs: Sequence[Cost]) -> jax.Array:
    """Mask `[T]` bool of the evaluations that no other one dominates, equal ones included.

    Pure: works under `jit` and `vmap`. As `pareto_front`, which see, but for what only the host can
    know: that a cost is never finite.
    """
    mask: jax.Array = _is_on_front(history.scores, cost_values(costs, history.archs))
    return mask


def hypervolume(front: Front, *, reference: tuple[float, float]) -> float:
    """Area between a front and a point, in units of score times cost; larger is better.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the
    strength Pareto approach", IEEE Transactions on Evolutionary Computation 3(4), 1999.

    Args:
        front: with one cost.
        reference: score and cost of the point; what has a lower score or a higher cost counts
            nothing. Fronts that are to be compared need the same point.

    Returns:
        At least 0, which is the area of an empty front.

    Raises:
        ValueError: the front has not exactly one cost, or the point is not finite.
    """
    if front.costs.shape[1] != 1 or not np.isfinite(reference).all():
        num = front.costs.shape[1]
        raise ValueError(
            f"needs a front with one cost and a finite reference; got {num} and {reference}"
        )
    # Float64: differences of costs of millions lose digits in float32.
    height = np.maximum(front.scores.astype(np.float64) - reference[0], 0)
    edges = np.minimum(np.append(front.costs[:, 0].astype(np.float64), reference[1]), reference[1])
    return float(np.sum(np.maximum.accumulate(height) * np.diff(edges)))


# --------------------------------------------------------------------------------------------------
# Inside programs.


def cost_values(costs: Sequence[Cost], archs: jax.Array) -> jax.Array:
    """Costs `[B, M]` float of `archs` `[B, D]`; see `check_costs`."""
    check_costs(costs, archs.shape[-1])
    columns = [jax.vmap(cost)(archs).astype(jnp.result_type(float)) for cost in costs]
    return jnp.stack(columns, axis=-1)


def check_costs(costs: Sequence[Cost], size: int) -> None:
    """ValueError unless there is a cost, and each is a function `[size] -> []`."""
    # Callable: `space.params` in place of `[space.params]` is a likely slip.
    if callable(costs) or not len(costs):
        raise ValueError(
            "costs must be a sequence of at least one function [D] -> [], such as [space.params]"
        )
    for i, cost in enumerate(costs):
        rule = f"cost {i} must be a function of one architecture, [D] -> []"
        try:
            shape = jax.eval_shape(cost, jax.ShapeDtypeStruct((size,), jnp.int32)).shape
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{rule}; a column of a table is table.cost(name): {error}") from error
        if shape:
            raise ValueError(f"{rule}; got the shape {list(shape)}")


def objectives(scores: jax.Array, costs: jax.Array) -> jax.Array:
    """Objectives `[P, 1 + M]`, all to be minimised, from scores `[P]` and costs `[P, M]`."""
    return jnp.concatenate([-scores[:, None].astype(costs.dtype), costs], axis=1)


def fronts(values: jax.Array, where: jax.Array) -> jax.Array:
    """Ranks of non-dominated sorting: 0 for rows that nobody dominates, 1 for the next front.

    Rank `k` is the front that remains once all lower ones are taken away (section III-A).

    Args:
        values: `[P, M]` float, finite where counted.
        where: `[P]` bool, the rows that are counted.

    Returns:
        `[P]` int32; `P` for the rows that are not counted.
    """
    num = len(values)
    # Rows of a population: `[P, P]` is small. Whole histories go through `_is_on_front`.
    dominates = _dominates(values) & where[:, None]

    def peel(
        carry: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        rank, ranks, left = carry
        front = left & ~jnp.any(dominates & left[:, None], axis=0)
        return rank + 1, jnp.where(front, rank, ranks), left & ~front

    start = (jnp.zeros((), jnp.int32), jnp.full(num, num, jnp.int32), where)
    ranks: jax.Array = lax.while_loop(lambda carry: jnp.any(carry[2]), peel, start)[1]
    return ranks


def crowding(values: jax.Array, ranks: jax.Array) -> jax.Array:
    """Crowding distance of every row: how far its neighbours in the front are apart.

    A sum over the objectives (section III-B), each in units of its range within the front; one
    without a range adds nothing. The first and the last in an objective are infinitely far. Of
    equal ones, the lower index comes first.

    Args:
        values: `[P, M]` float, finite.
        ranks: `[P]` int32, which front.

    Returns:
        `[P]` float.
    """
    index = jnp.arange(len(ranks), dtype=jnp.int32)

    def along(column: jax.Array) -> jax.Array:
        # One sort for all fronts, for within a program their number and sizes are not known.
        rank, value, order = lax.sort((ranks, column, index), num_keys=3)
        border = rank[1:] != rank[:-1]
        end = jnp.ones(1, bool)
        first, last = jnp.concatenate([end, border]), jnp.concatenate([border, end])
        starts = lax.cummax(jnp.where(first, index, 0))
        stops = lax.cummin(jnp.where(last, index, len(ranks)), reverse=True)
        extent = value[stops] - value[starts]
        # Wraps around, or into another front, only at ends, which are infinitely far anyway.
        gap = jnp.roll(value, -1) - jnp.roll(value, 1)
        # Two choices, so that nothing is divided by 0 even where the quotient is not taken.
        share = jnp.where(extent > 0, gap / jnp.where(extent > 0, extent, 1), 0)
        return jnp.zeros_like(value).at[order].set(jnp.where(first | last, jnp.inf, share))

    return jnp.sum(jax.vmap(along, 1)(values), axis=0)


@jax.jit
def _is_on_front(scores: jax.Array, costs: jax.Array) -> jax.Array:
    """Mask `[T]` bool from scores `[T]` and costs `[T, M]`; O(T log T) with one cost, or O(T²)."""
    values = objectives(scores, costs)
    counted = jnp.all(jnp.isfinite(values), axis=1)
    if costs.shape[1] == 1:
        return counted & ~_is_dominated_by_score_or_cost(
            *jnp.where(counted[:, None], values, jnp.inf).T
        )

    def is_dominated(row: jax.Array) -> jax.Array:
        return jnp.any(
            counted & jnp.all(values <= row[None], axis=1) & jnp.any(values < row[None], axis=1)
        )

    # A row at a time, for `[T, T]` is large for a whole space.
    dominated: jax.Array = lax.map(is_dominated, values)
    return counted & ~dominated


def _is_dominated_by_score_or_cost(loss: jax.Array, cost: jax.Array) -> jax.Array:
    """Mask `[T]` bool of what is dominated in two objectives `[T]`, both minimised.

    Infinite ones dominate nothing that is finite.
    """
    index = jnp.arange(len(loss), dtype=jnp.int32)
    cost, loss, order = lax.sort((cost, loss, index), num_keys=2)
    starts = lax.cummax(
        jnp.where(jnp.concatenate([jnp.ones(1, bool), cost[1:] != cost[:-1]]), index, 0)
    )
    # The best of all that cost less, and the best of all that cost the same: the first of these.
    cheaper = jnp.where(starts > 0, lax.cummin(loss)[starts - 1], jnp.inf)
    return jnp.zeros(len(loss), bool).at[order].set((cheaper <= loss) | (loss[starts] < loss))


def _dominates(values: jax.Array) -> jax.Array:
    """Dominance `[P, P]` bool: row `i` dominates row `j`."""
    no_worse = jnp.all(values[:, None] <= values[None], axis=-1)
    return no_worse & ~no_worse.T
