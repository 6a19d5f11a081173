"""Queries of searches until they meet a target, and their medians.

A target is "one of the best K cells" of a table. A query is one evaluation, that of a cell met
before included; queries of distinct cells are counted beside. A run that ended before its target
counts as infinitely long, never as absent.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import jnas
from jnas.benchmarks import Table
from jnas.engine import seeds
from jnas.types import Key, Objective, Searcher

_TOGETHER = 50  # runs whose histories a program holds at a time


def thresholds(table: Table, column: str, targets: tuple[int, ...]) -> np.ndarray:
    """`[K]` float32, the least score of a target, in the precision that searches see."""
    scores = np.sort(table.column(column).astype(np.float32))
    least: np.ndarray = scores[-np.array(targets)]
    return least


def first(reached: np.ndarray) -> np.ndarray:
    """`[..., T]` bool to `[...]` float, queries until it was reached; inf where it never was."""
    steps: np.ndarray = np.where(reached.any(axis=-1), 1.0 + np.argmax(reached, axis=-1), np.inf)
    return steps


def count(
    searcher: Searcher,
    table: Table,
    column: str,
    least: np.ndarray,
    *,
    num_runs: int,
    num_evaluations: int,
    num_shown: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries until each target, of searches that run as one program.

    Args:
        searcher: the strategy.
        table: what is searched.
        column: the accuracy.
        least: `[K]`, of each target.
        num_runs: S.
        num_evaluations: queries of a run.
        num_shown: T.

    Returns:
        `[S, K]` queries until each target, the same of distinct cells, both inf where it was not
        reached, and the best so far `[S, T]` of the first queries.
    """

    def one(
        key: Key, objective: Objective, least: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        history = jnas.search.run(searcher, objective, key, num_evaluations=num_evaluations)
        best = history.scores[history.best]
        reached = best[None] >= least[:, None]
        queries = jnp.where(
            jnp.any(reached, axis=1), jnp.argmax(reached, axis=1) + 1, num_evaluations + 1
        )

        def distinct(num: jax.Array) -> jax.Array:
            used = history._replace(num_evaluations=jnp.minimum(num, num_evaluations))
            return jnas.search.num_distinct(used, table.space.identity)

        return queries, jnp.stack([distinct(num) for num in queries]), best[:num_shown]

    def several(key: Key, *arguments: Any) -> Any:
        return jax.vmap(lambda key: one(key, *arguments))(jax.random.split(key, _TOGETHER))

    keys = jax.random.split(jax.random.key(0), -(-num_runs // _TOGETHER))
    parts = seeds.run(several, keys, table.objective(column), jnp.asarray(least), batching="map")
    queries, distinct, curves = (part.reshape(-1, part.shape[-1])[:num_runs] for part in parts)
    return *(
        np.where(queries > num_evaluations, np.inf, number) for number in (queries, distinct)
    ), curves


# -- Random search, exactly ------------------------------------------------------------------------


def geometric(probability: float) -> dict[str, float]:
    """Mean and median of the draws until the first success."""
    return {"mean": 1 / probability, "median": float(np.ceil(np.log(0.5) / np.log1p(-probability)))}


def without_repetition(num: int, wanted: int) -> dict[str, float]:
    """Mean and median of the draws until one of `wanted` of `num` cells, each cell drawn once."""
    with np.errstate(divide="ignore"):  # one of the last `wanted` draws is certain
        missed = np.cumsum(np.log1p(-wanted / np.arange(num, wanted - 1, -1)))
    return {
        "mean": (num + 1) / (wanted + 1),
        "median": 1.0 + float(np.argmax(missed <= np.log(0.5))),
    }


def hit_probability(table: Table, rows: np.ndarray) -> float:
    """The exact probability that one draw of the space's sampler is one of these rows.

    NAS-Bench-201 draws vectors uniformly. NAS-Bench-101 draws valid matrices of 7 x 7 and
    operations uniformly, so the ways to write a cell as such a matrix are counted.
    """
    space, num_edges, num_ops = table.space, 21, 5
    if len(table.archs) == math.prod(space.cardinalities):
        return len(rows) / len(table.archs)
    identify = jax.jit(jax.vmap(lambda arch: (space.is_valid(arch), space.identity(arch))))

    def numbers(archs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid, words = (np.asarray(part) for part in identify(jnp.asarray(archs)))
        return valid, words[:, 0].astype(np.uint64) << np.uint64(32) | words[:, 1]

    def without_ops(edges: np.ndarray) -> np.ndarray:
        return np.concatenate([edges, np.zeros((len(edges), num_ops), np.int32)], axis=1)

    wanted = numbers(table.archs[rows])[1]
    shapes = numbers(without_ops(table.archs[rows][:, :num_edges]))[1]
    operations = np.stack(np.unravel_index(np.arange(3**num_ops), (3,) * num_ops), axis=1).astype(
        np.int32
    )
    num_valid, ways = 0, 0
    for part in np.split(np.arange(1 << num_edges), 16):
        edges = (part[:, None] >> np.arange(num_edges) & 1).astype(np.int32)
        valid, found = numbers(without_ops(edges))
        num_valid += int(valid.sum())
        for row in edges[valid & np.isin(found, shapes)]:
            every = np.concatenate(
                [np.repeat(row[None], len(operations), axis=0), operations], axis=1
            )
            ways += int(np.isin(numbers(every)[1], wanted).sum())
    return ways / (num_valid * len(operations))


# -- Medians with infinities -----------------------------------------------------------------------


def summary(queries: np.ndarray) -> dict[str, Any]:
    """Lower median of `[S]` with its 95 % interval, quantiles, and the share that is finite.

    What is not finite is None.
    """
    ordered, num = np.sort(queries), len(queries)
    low = int(stats.binom(num, 0.5).ppf(0.025))
    places = {"median": (num - 1) // 2, "low": max(low - 1, 0), "high": min(num - low, num - 1)}
    places |= {"quantile_05": int(0.05 * (num - 1)), "quantile_95": int(np.ceil(0.95 * (num - 1)))}
    values = {name: finite(ordered[at]) for name, at in places.items()}
    return values | {"reached": round(float(np.mean(np.isfinite(queries))), 4), "runs": num}


def ratio(slow: np.ndarray, fast: np.ndarray, num: int = 2000) -> dict[str, float | None]:
    """Lower median of `slow` over that of `fast`, with a bootstrapped 95 % interval.

    None where a median is not known.
    """
    random = np.random.default_rng(0)

    def medians(values: np.ndarray) -> np.ndarray:
        drawn: np.ndarray = _lower_median(
            values[random.integers(len(values), size=(num, len(values)))]
        )
        return drawn

    with np.errstate(invalid="ignore"):
        drawn = np.sort(medians(slow) / medians(fast))  # NaN, two unknown medians, goes last
        numbers = {"ratio": _lower_median(slow) / _lower_median(fast)}
    numbers |= {"low": drawn[int(0.025 * num)], "high": drawn[int(0.975 * num)]}
    return {
        name: finite(np.round(value, 2)) if value > 0 else None for name, value in numbers.items()
    }


def _lower_median(values: np.ndarray) -> Any:
    """`[..., S]` to `[...]`."""
    return np.sort(values, axis=-1)[..., (values.shape[-1] - 1) // 2]


def finite(value: Any) -> float | None:
    """The number as JSON can hold it."""
    return float(value) if np.isfinite(value) else None
