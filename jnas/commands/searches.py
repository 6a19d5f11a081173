"""Searches: one strategy from many seeds as one program, and how good the architectures are that it finds.

Axes are those of `types`: `S` searches of `T` evaluations.
"""

import dataclasses
import functools
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import benchmarks, search, spaces
from jnas.benchmarks import Table
from jnas.commands import checks, judges
from jnas.commands.checks import Check
from jnas.commands.judges import Materials
from jnas.commands.search_settings import DEFAULT_BUDGET, Settings
from jnas.engine import seeds
from jnas.engine.files import earlier_facts, replacing
from jnas.search import Front
from jnas.types import Arch, Estimator, History, Key, Objective, Searcher, Space

_FILE = "histories.npz"
_NO_LIMIT = 2**31 - 1  # the largest number of parameters that can be told


class Searches(NamedTuple):
    """Finished searches.

    Attributes:
        settings: what they were asked for, with the defaults filled in.
        space: where they searched.
        histories: `[S, T, ...]`, `T` being the evaluations of the longest one.
        distinct: `[S]`, classes of isomorphic architectures that were evaluated.
        best: `[S, T]`, the best score so far; NaN while there is none.
        archs: `[S, D]` int32, the answers: the best architecture of each search, the first of equal ones.
        params, flops: `[S]`, their costs.
        chosen: the search with the best answer.
        checks: one for each column of trained accuracies.
        against: `[S, T]`, what the score is weighed against; None for a strategy with one objective, as is `front`.
        front: what all searches together found that is best for its cost.
        seconds: wall time, compilation included.
    """

    settings: Settings
    space: Space
    histories: History
    distinct: np.ndarray
    best: np.ndarray
    archs: np.ndarray
    params: np.ndarray
    flops: np.ndarray
    chosen: int
    checks: tuple[Check, ...]
    against: np.ndarray | None
    front: Front | None
    seconds: float


def run(settings: Settings, folder: Path, resume: bool = True, progress: bool = False) -> Searches:
    """Search from all seeds as one program, and look the answers up.

    Args:
        settings: what to do.
        folder: where the searches are reported; those that are finished there are taken over.
        resume: False starts anew.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown name, a budget that does not suit the strategy, nothing allowed, a folder of another
            job, or no architecture that can be ranked.
        OSError: a table or predictor cannot be read.
    """
    space = spaces.by_name(settings.space)
    table = _table(settings, space)
    full = _filled(settings, table)
    earlier = earlier_facts(folder, dataclasses.asdict(full)) if resume else {}
    columns = checks.columns(table, (full.column, full.test_column), full.table is None)
    started = time.monotonic()
    histories, distinct = _load(folder) if earlier else _search(full, space, table, progress)
    seconds = earlier.get("seconds", round(time.monotonic() - started, 2))
    return _summarise(full, space, histories, distinct, columns, seconds)


def save(folder: Path, result: Searches) -> None:
    """Write `histories.npz`, all that was evaluated: the fields of `History` `[S, T, ...]`, and `distinct` `[S]`."""
    arrays = result.histories._asdict() | {"distinct": result.distinct}
    with replacing(folder / _FILE) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _load(folder: Path) -> tuple[History, np.ndarray]:
    """What `save` wrote; ValueError if it cannot be read."""
    try:
        with np.load(folder / _FILE, allow_pickle=False) as file:
            # What is `truncated` was called `exhausted` in files of the last release.
            old = {"truncated": "exhausted"} if "exhausted" in file else {}
            fields = {name: file[old.get(name, name)] for name in History._fields}
            return History(**fields), file["distinct"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{folder / _FILE} cannot be read; search again with --no-resume"
        ) from error


# ------------------------------------------------------------------------------------------------------
# What the settings say.


def _table(settings: Settings, space: Space) -> Table | None:
    """The trained accuracies to search on, or to check answers against; None where there are none."""
    try:
        return benchmarks.of_space(space, settings.table)
    except FileNotFoundError:
        if (
            settings.estimator == "table"
            or settings.table
            or settings.column
            or settings.test_column
        ):
            raise
        return None


def _filled(settings: Settings, table: Table | None) -> Settings:
    """The settings with every default that is used, and None for what is not used."""
    own = search.defaults(settings.strategy)
    full = dataclasses.replace(
        settings,
        budget=settings.budget or DEFAULT_BUDGET,
        population_size=settings.population_size or own.get("population_size"),
        sample_size=settings.sample_size or own.get("sample_size"),
        start=settings.start or ("naswot" if settings.strategy == "area" else None),
        against=settings.against or ("params" if settings.strategy == "nsga2" else None),
        min_epochs=settings.min_epochs or own.get("min_epochs"),
        max_epochs=settings.max_epochs or own.get("max_epochs"),
        column=settings.column or (benchmarks.usual_column(table) if table else None),
        images=settings.images if settings.uses_images else None,
        num_images=settings.num_images if settings.uses_images else None,
    )
    if table is None or full.column is None or full.estimator != "table":
        return full
    cost = full.seconds or table.cost_column(full.column)
    if full.max_seconds is not None and cost is None:
        raise ValueError(
            f"{table.source} has no column of seconds for max_seconds; name it with --seconds"
        )
    return dataclasses.replace(full, seconds=cost)


def _is_allowed(settings: Settings, space: Space) -> Callable[[Arch], jax.Array] | None:
    """The condition that the limits make, or None where there is none."""
    if settings.max_params is None and settings.max_flops is None:
        return None
    params = min(settings.max_params or _NO_LIMIT, _NO_LIMIT)
    flops = settings.max_flops or float("inf")
    return lambda arch: (space.params(arch) <= params) & (space.flops(arch) <= flops)


# ------------------------------------------------------------------------------------------------------
# What is computed.


def _search(
    settings: Settings, space: Space, table: Table | None, progress: bool
) -> tuple[History, np.ndarray]:
    """Histories `[S, T, ...]`, and `[S]` classes that were evaluated."""
    image_key, search_key = jax.random.split(jax.random.key(settings.seed))
    materials = Materials(
        settings.images or "", settings.num_images or 0, settings.table, settings.column
    )
    judge = functools.partial(judges.estimator, space=space, materials=materials, key=image_key)
    if settings.estimator == "table" and table is not None and settings.column is not None:
        objective = _look_up(settings, space, table, settings.column)
    else:
        objective = search.objective(judge(settings.estimator))
    history, distinct = seeds.run(
        functools.partial(_one, settings, space),
        jax.random.split(search_key, settings.seeds),
        objective,
        judge(settings.start) if settings.start else None,
        batching="map" if settings.uses_images else "vmap",
        progress=progress,
        label="searching",
    )
    longest = max(int(history.num_evaluations.max()), 1)
    return jax.tree.map(
        lambda leaf: leaf[:, :longest] if leaf.ndim > 1 else leaf, history
    ), distinct


def _look_up(settings: Settings, space: Space, table: Table, column: str) -> Objective:
    """Scores after the epochs asked for, if the table has them all, or else of the whole training.

    What is paid for is what is asked for; a strategy that asks for no epochs pays for the whole training.
    """
    if settings.max_epochs is None:
        return table.objective(column, seconds=settings.seconds)
    curve = table.learning_curve(column)
    asked = _searcher(settings, space, None).epochs
    if set(asked) <= set(curve):
        return table.objective(curve, seconds=settings.seconds, cost_epochs=max(curve))
    return table.objective(column, seconds=settings.seconds, cost_epochs=settings.max_epochs)


def _costs(settings: Settings, space: Space) -> list[search.Cost]:
    """What the score is weighed against; nothing for a strategy with one objective."""
    return [getattr(space, settings.against)] if settings.against else []


def _one(
    settings: Settings, space: Space, key: Key, objective: Objective, start: Estimator | None
) -> tuple[History, jax.Array]:
    """One search, and how many classes it evaluated."""
    history = search.run(
        _searcher(settings, space, start),
        objective,
        key,
        num_evaluations=settings.budget or DEFAULT_BUDGET,
        max_seconds=settings.max_seconds,
        identity=space.identity if settings.distinct else None,
    )
    return history, search.num_distinct(history, space.identity)


def _searcher(settings: Settings, space: Space, start: Estimator | None) -> Searcher:
    options: dict[str, Any] = {
        "population_size": settings.population_size,
        "sample_size": settings.sample_size,
        "min_epochs": settings.min_epochs,
        "max_epochs": settings.max_epochs,
        "costs": _costs(settings, space) or None,
        "estimator": start,
        "is_allowed": _is_allowed(settings, space),
    }
    given = {name: value for name, value in options.items() if value is not None}
    return search.by_name(settings.strategy, space, **given)


def _summarise(
    settings: Settings,
    space: Space,
    histories: History,
    distinct: np.ndarray,
    columns: checks.Columns,
    seconds: float,
) -> Searches:
    so_far = np.arange(settings.seeds)[:, None], np.asarray(histories.best)
    scores, incumbents = (np.asarray(rows)[so_far] for rows in (histories.scores, histories.archs))
    best = np.where(np.isfinite(scores), scores, np.nan)
    if not np.isfinite(best[:, -1]).any():
        num = int(histories.num_evaluations.sum())
        why = (
            f"none of the {num:,} evaluations can be ranked"
            if num
            else "no evaluation ends within max_seconds"
        )
        raise ValueError(f"{why}, so there is no answer; search with a larger budget or limit")
    archs = incumbents[:, -1]
    against, front = _weigh(histories, space, _costs(settings, space))
    return Searches(
        settings=settings,
        space=space,
        histories=histories,
        distinct=distinct,
        best=best,
        archs=archs,
        params=np.asarray(jax.vmap(space.params)(jnp.asarray(archs))),
        flops=np.asarray(jax.vmap(space.flops)(jnp.asarray(archs))),
        chosen=int(np.nanargmax(best[:, -1])),
        checks=tuple(
            checks.look_up(name, *where, incumbents, np.isfinite(best))
            for name, where in columns.items()
        ),
        against=against,
        front=front,
        seconds=seconds,
    )


def _weigh(
    histories: History, space: Space, costs: list[search.Cost]
) -> tuple[np.ndarray | None, Front | None]:
    """The only cost `[S, T]` of all that was evaluated, and the front of all searches together; None without a cost."""
    if not costs:
        return None, None
    pooled = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]) if leaf.ndim > 1 else leaf, histories
    )
    front = search.pareto_front(pooled, costs, identity=space.identity)
    return np.asarray(jax.jit(jax.vmap(costs[0]))(pooled.archs)).reshape(
        histories.scores.shape
    ), front
