"""Evaluations of a search: a batch of candidates, or searches by a strategy from all seeds.

Axes are those of `types`: `S` searches of `T` evaluations.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import benchmarks, population, search
from jnas.benchmarks import Table
from jnas.commands import estimators
from jnas.commands.estimators import Materials
from jnas.commands.search import costs, methods, supernet, tables
from jnas.commands.search.costs import Weighed
from jnas.commands.search.methods import Outcome
from jnas.commands.search.settings import DEFAULT_BUDGET, Settings
from jnas.engine import checkpoints, readers, seeds
from jnas.engine.files import replacing
from jnas.engine.fingerprints import Fingerprint, Resume, fingerprint
from jnas.engine.messages import argument
from jnas.search import Cost
from jnas.search.history import make_history
from jnas.types import Arch, Estimator, History, Key, Objective, Searcher, Space

_HISTORIES, _KIND = "histories.npz", "history of searches"
_SCORES = "scores.npz"
_CHECKPOINT = "checkpoint"


class Batch(NamedTuple):
    """Batch of candidates `[T, D]` int32, and the estimator that scores them all with one key."""

    estimator: Estimator
    archs: jax.Array
    key: Key


class Seeds(NamedTuple):
    """Searches from keys `[S]`: what is maximised, and the estimator that area starts by."""

    keys: Key
    objective: Objective
    start: Estimator | None


class Job(NamedTuple):
    """Job of a search: all that its result depends on.

    Attributes:
        settings: with the defaults filled in.
        space: where to search, within the limits of the settings.
        weighed: what the score is weighed against; None for a strategy with one objective.
        work: what is evaluated, or how weights are shared by strategies that train them.
        plan: of the supernet that is trained before, and then judges (`judged_by`); None where
            something else judges.
        fidelities: of a search on a table, the column that tells the score after so many epochs;
            0 stands for any number. Empty where something else judges.
        min_evaluations: evaluations before the strategy searches.
        fingerprint: of all this.
    """

    settings: Settings
    space: Space
    weighed: Weighed | None
    work: Batch | Seeds | methods.Plan
    plan: supernet.Plan | None
    fidelities: dict[int, str]
    min_evaluations: int
    fingerprint: Fingerprint


def make_job(
    settings: Settings,
    space: Space,
    table: Table | None,
    plan: supernet.Plan | methods.Plan | None = None,
) -> Job:
    """Job of filled settings; ValueError names what is unknown or does not fit."""
    if isinstance(plan, methods.Plan):
        # Its dataset is hashed by content, so that other images below the same path are another
        # job.
        known = plan.network, plan.dataset, plan.method, plan.keys
        return Job(settings, space, None, plan, None, {}, 1, fingerprint(settings.facts(), *known))
    allowed = _within_table(settings, space, table)
    limits = [(costs.by_name(name, space, table), value) for name, value in settings.limits]
    if limits:
        allowed = search.limited(allowed, [(of.cost, value) for of, value in limits])
    weighed = costs.by_name(settings.against, space, table) if settings.against else None
    judged = _judged(settings, table)
    work: Batch | Seeds
    if settings.is_batch:
        work, least = _batch(settings, space, allowed, judged), 1
        fidelities = {0: judged[1]} if judged else {}
    else:
        make_searcher = functools.partial(_searcher, settings, allowed, weighed and weighed.cost)
        work, searcher = _seeds(settings, space, judged, make_searcher)
        least = searcher.min_evaluations
        fidelities = tables.fidelities(searcher, *judged) if judged else {}
    # The rows are no part of the work of a score that does not look at them.
    rows = [table.archs] if settings.within_table and table is not None else []
    # A supernet follows from its plan.
    shared = [] if plan is None else [plan.network, plan.dataset, plan.recipe, plan.key]
    # Sizes follow from the space, and columns from files.
    costly = [of for of in (weighed, *(of for of, _ in limits)) if of is not None]
    measured = [of.cost for of in costly if of.convention]
    job = fingerprint(settings.facts(), work, *rows, *shared, *measured)
    return Job(settings, allowed, weighed, work, plan, fidelities, least, job)


def judged_by(job: Job, estimator: Estimator) -> Job:
    """Job whose supernet is trained, by its estimator."""
    work = job.work
    if isinstance(work, Batch):
        return job._replace(work=work._replace(estimator=estimator))
    assert isinstance(work, Seeds)
    # The fingerprint stays that of the plan, from which the weights follow.
    return job._replace(work=work._replace(objective=search.objective(estimator)))


def is_begun(job: Job, folder: Path) -> bool:
    """Whether `folder` has a part of the work, by a call that was stopped."""
    is_shared = job.plan is not None or isinstance(job.work, methods.Plan)
    if is_shared and supernet.is_begun(folder):
        return True
    if isinstance(job.work, Batch):
        return (folder / _SCORES).exists()
    return any((folder / _CHECKPOINT).glob("[0-9]*"))


def score_batch(
    job: Job, folder: Path, chunk_size: int | None, resume: Resume, progress: bool
) -> tuple[History, np.ndarray]:
    """History of a batch, scored chunk by chunk; `scores.npz` in `folder` keeps the scores.

    Returns:
        The history `[1, T, ...]` of one search, and `[1]` classes of isomorphic architectures.
    """
    assert isinstance(job.work, Batch)
    estimator, archs, key = job.work
    scores = population.score(estimator, archs, key, chunk_size, folder / _SCORES, resume, progress)
    history, distinct = jax.jit(_one_batch, static_argnums=0)(job.space.identity, archs, scores)
    alone: History = jax.tree.map(lambda leaf: np.asarray(leaf)[None], history)
    return alone, np.asarray(distinct)[None]


def _one_batch(
    identity: Callable[[Arch], jax.Array], archs: jax.Array, scores: jax.Array
) -> tuple[History, jax.Array]:
    """History of a search that has evaluated `archs` `[T, D]` at no cost, and its classes."""
    history = history_of(archs, scores)
    return history, search.num_distinct(history, identity)


def history_of(archs: jax.Array, scores: jax.Array) -> History:
    """History of a search that has evaluated `archs` `[T, D]` at no cost."""
    no, num = jnp.asarray(False), len(archs)
    return make_history(
        archs,
        scores,
        jnp.zeros(num),
        jnp.zeros(num, jnp.int32),
        jnp.ones(num, bool),
        truncated=no,
        num_repeats=jnp.zeros((), jnp.int32),
        stalled=no,
    )


def search_all(
    job: Job, folder: Path, resume: Resume, progress: bool
) -> tuple[History, np.ndarray]:
    """Histories from all seeds, as one program; a checkpoint in `folder` keeps finished ones.

    Returns:
        Histories `[S, T, ...]`, and `[S]` classes of isomorphic architectures that were evaluated.
    """
    assert isinstance(job.work, Seeds)
    keys, objective, start = job.work
    history, distinct = seeds.run(
        functools.partial(_one, job.settings, job.space),
        keys,
        objective,
        start,
        job.weighed and job.weighed.cost,
        # Networks branch on the operations of an architecture; `vmap` would compute all branches.
        batching="map" if job.settings.uses_images else "vmap",
        progress=progress,
        label="searching",
        checkpoint=folder / _CHECKPOINT,
        resume=resume,
    )
    # Scores of one column can be compared, and those after few epochs with their like.
    if len(set(job.fidelities.values())) > 1:
        history = history._replace(best=np.asarray(jax.vmap(search.incumbents)(history)))
    # Within seconds a search may do far fewer evaluations than its history has room for.
    longest = max(int(history.num_evaluations.max()), 1)
    shortened = jax.tree.map(lambda leaf: leaf[:, :longest] if leaf.ndim > 1 else leaf, history)
    return shortened, distinct


def answered(outcome: Outcome) -> tuple[History, np.ndarray]:
    """Histories `[S, 1, ...]` of weight-sharing searches, which evaluate what they answer with."""
    # Of a search that diverged the architecture is none, and the score NaN.
    archs = np.maximum(outcome.searched.archs, 0)[:, None]
    scores = jnp.asarray(outcome.scores, jnp.float32)[:, None]
    history = jax.vmap(history_of)(jnp.asarray(archs, jnp.int32), scores)
    return jax.tree.map(np.asarray, history), np.ones(len(archs), np.int32)


def save(folder: Path, histories: History, distinct: np.ndarray) -> None:
    """Write `histories.npz`: the fields of `History` `[S, T, ...]`, and `distinct` `[S]`.

    The checkpoint of the searches is done with, and removed.
    """
    # In this order: killed in between, the searches are still in the checkpoint.
    with replacing(folder / _HISTORIES, _KIND, "out") as file:
        np.savez_compressed(file, allow_pickle=False, **histories._asdict(), distinct=distinct)
    checkpoints.remove(folder / _CHECKPOINT)


def load(folder: Path) -> tuple[History, np.ndarray]:
    """Histories and distinct classes as `save` wrote them; ValueError if they cannot be read."""
    wrong = f"cannot be read; search again with {argument('resume', False)}"
    with readers.arrays(folder / _HISTORIES, wrong) as file:
        # What is `truncated` was called `exhausted` in files of the last release.
        old = {"truncated": "exhausted"} if "exhausted" in file else {}
        fields = {name: file[old.get(name, name)] for name in History._fields}
        return History(**fields), file["distinct"]


def _within_table(settings: Settings, space: Space, table: Table | None) -> Space:
    """Space of the table's rows, if the search keeps to them."""
    if not settings.within_table:
        return space
    if table is None:
        raise ValueError(f"--within-table needs a table of {space.name}; give one with --table")
    return benchmarks.within(table, settings.column)


def _judged(settings: Settings, table: Table | None) -> tuple[Table, str] | None:
    """Table and its column that are searched on; None where something else judges."""
    if settings.estimator != "table" or table is None or settings.column is None:
        return None
    return table, settings.column


def _batch(
    settings: Settings, space: Space, allowed: Space, judged: tuple[Table, str] | None
) -> Batch:
    """Batch of random candidates from the allowed architectures."""
    # A key for each purpose, so that another estimator judges the same candidates.
    draw_key, image_key, score_key = jax.random.split(jax.random.key(settings.seed), 3)
    if judged:
        estimator = judged[0].estimator(judged[1])
    else:
        estimator = _judge(settings, space, settings.estimator, image_key)
    searcher = search.random_search(allowed, batch_size=settings.candidates or 0)
    # As random search draws them: a batch is that strategy with one large query.
    archs = jax.jit(lambda key: searcher.ask(key, searcher.init(key))[0].archs)(draw_key)
    return Batch(estimator, archs, score_key)


def _seeds(
    settings: Settings,
    space: Space,
    judged: tuple[Table, str] | None,
    make_searcher: Callable[[Estimator | None], Searcher],
) -> tuple[Seeds, Searcher]:
    """Searches from all seeds, by a strategy; ValueError names an option that this refuses."""
    # All seeds see the same images, so that their scores can be compared.
    image_key, search_key = jax.random.split(jax.random.key(settings.seed))
    judge = functools.partial(_judge, settings, space, key=image_key)
    start = judge(settings.start) if settings.start else None
    searcher = make_searcher(start)  # what is wrong with its options is said first
    if judged:
        objective = tables.objective(settings.seconds, searcher, *judged)
    else:
        objective = search.objective(judge(settings.estimator))
    return Seeds(jax.random.split(search_key, settings.seeds), objective, start), searcher


def _judge(settings: Settings, space: Space, name: str, key: Key) -> Estimator:
    """Estimator of a name; of a supernet that is not trained yet, one that has its place."""
    if name == supernet.NAME:
        return supernet.not_trained
    return estimators.estimator(name, space, Materials.of(settings), key)


def _searcher(
    settings: Settings, space: Space, cost: Cost | None, start: Estimator | None
) -> Searcher:
    """Strategy by its name and options, with what area and nsga2 need."""
    needed = {} if cost is None else {"costs": [cost]}
    chosen = {"estimator": start} if start is not None else {}
    return search.by_name(settings.strategy, space, **settings.options, **needed, **chosen)


def _one(
    settings: Settings,
    space: Space,
    key: Key,
    objective: Objective,
    start: Estimator | None,
    cost: Cost | None,
) -> tuple[History, jax.Array]:
    """History of a search, and the number of classes it evaluated."""
    # The strategy is made within the program, for what area starts by and the column that nsga2
    # weighs by are arguments of it.
    history = search.run(
        _searcher(settings, space, cost, start),
        objective,
        key,
        num_evaluations=settings.budget or DEFAULT_BUDGET,
        max_seconds=settings.max_seconds,
        identity=space.identity if settings.distinct else None,
    )
    return history, search.num_distinct(history, space.identity)
