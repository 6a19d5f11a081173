"""Finished searches, of a batch of candidates or by a strategy, and how good their answers are.

Axes are those of `types`: `S` searches of `T` evaluations. A batch of candidates is random search
in one batch: one search, whose evaluations are the candidates.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas import oneshot, spaces
from jnas.benchmarks import Table
from jnas.commands import folder as folders
from jnas.commands import supernets, truth
from jnas.commands.estimators import Materials
from jnas.commands.search import evaluation, fronts, methods, supernet
from jnas.commands.search.costs import Weighed
from jnas.commands.search.evaluation import Job
from jnas.commands.search.methods import Outcome
from jnas.commands.search.quality import Quality
from jnas.commands.search.settings import Settings, filled
from jnas.commands.truth import Check, Columns
from jnas.engine.fingerprints import Resume
from jnas.oneshot import Supernet
from jnas.search import Front
from jnas.types import History, Space


class Searches(NamedTuple):
    """Results of finished searches.

    Attributes:
        settings: what they were asked for, with the defaults filled in.
        space: where they searched.
        histories: `[S, T, ...]`, `T` being the evaluations of the longest one.
        distinct: `[S]`, classes of isomorphic architectures that were evaluated.
        scores: `[S, T]` float, of all that was evaluated; on a table the values of the column as
            they are, and otherwise those of the histories.
        best: `[S, T]`, the best of them so far; NaN while there is none.
        archs: `[S, D]` int32, the answers: the best of each search, the first of equal ones.
        params, flops: `[S]`, their costs.
        chosen: the search with the best answer.
        minimize: whether a smaller score is better; only a column of a table can be so.
        fidelities: see `Job`.
        num_missing: evaluations that failed because the table has no value for them.
        num_before_search: searches that ended before their strategy had its first population.
        table: its name, and its number of architectures, for people; empty without a table.
        checks: one for each column of trained accuracies.
        weighed: what the score is weighed against; None for a strategy with one objective, as are
            `against` and `front`.
        against: `[S, T]`, its values.
        front: what all searches together found that is best for its cost.
        true_front: what of all allowed architectures is; None where some are not known, too.
        seconds: wall time, compilation included.
        resumed: whether a part was done before, by a call that was stopped.
        fingerprint: of the job, and of the code that ran it.
        supernet: that has judged; None where something else has.
        outcome: of strategies that train the weights of their own; None of others.
        quality: of a supernet that is trained here, where accuracies are known; or else None.
    """

    settings: Settings
    space: Space
    histories: History
    distinct: np.ndarray
    scores: np.ndarray
    best: np.ndarray
    archs: np.ndarray
    params: np.ndarray
    flops: np.ndarray
    chosen: int
    minimize: bool
    fidelities: Mapping[int, str]
    num_missing: int
    num_before_search: int
    table: str
    checks: tuple[Check, ...]
    weighed: Weighed | None
    against: np.ndarray | None
    front: Front | None
    true_front: Front | None
    seconds: float
    resumed: bool
    fingerprint: Mapping[str, Any]
    supernet: Supernet | None = None
    outcome: Outcome | None = None
    quality: Quality | None = None


def run(
    settings: Settings,
    folder: Path,
    resume: Resume = True,
    progress: bool = False,
    chunk_size: int | None = None,
) -> Searches:
    """Results of searches, with their answers looked up.

    Args:
        settings: what to do.
        folder: where the searches are kept; those that are finished there are taken over, or
            extended where more evaluations are asked for, and a batch of candidates goes on where
            it stopped.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.
        chunk_size: candidates that are scored at a time.

    Raises:
        ValueError: an unknown name, a budget that does not suit the strategy, nothing allowed, a
            folder of another job, or no architecture that can be ranked.
        OSError: a table or predictor cannot be read.
    """
    if chunk_size is not None and not settings.is_batch:
        raise ValueError(
            "--chunk-size does not go with searches by a strategy; their evaluations are the "
            "--budget"
        )
    space = spaces.by_name(settings.space)
    table = _table(settings, space)
    full = filled(settings, table)
    plan = _plan(full, space, progress)
    if plan is not None:
        # Defaults that depend on images are known by now, and belong to what tells jobs apart.
        full = dataclasses.replace(full, supernet=plan.options)
    # Before the search, so that a column that the table lacks is an error at once.
    columns = truth.columns(table, (full.column, full.test_column), full.table is None)
    # A table is read for the checks of other judges, too; only of a search on it are scores the
    # table's own.
    judge = table if full.estimator == "table" else None
    job = evaluation.make_job(full, space, table, plan)
    # Of the job as it is planned: with the weights of a supernet, whose training may differ in the
    # last bits between machines, a folder would not know its own search again.
    earlier = _earlier_facts(job, table, folder, resume)
    resumed = resume is not False and evaluation.is_begun(job, folder)
    started = time.monotonic()
    with folders.begun(folder, earlier):
        outcome, shared, ranks = None, None, None
        if isinstance(job.work, methods.Plan):
            outcome = methods.run(job.work, folder, resume, progress)
            shared, evaluated = outcome.supernet, evaluation.answered(outcome)
        else:
            job, shared, ranks = _judged(job, columns, folder, resume, progress)
            evaluated = _evaluated(job, folder, earlier, chunk_size, resume, progress)
        # What was finished before has taken what it took then.
        facts = {"seconds": round(time.monotonic() - started, 2), "resumed": resumed, **earlier}
        # Within the block: searches without an answer are an error, after which no job is left.
        found = _look_up(job, *evaluated, judge, columns, facts)
        return found._replace(supernet=shared, outcome=outcome, quality=ranks)


def _plan(settings: Settings, space: Space, progress: bool) -> supernet.Plan | methods.Plan | None:
    """Plan of the weights that are trained and shared; None where none are."""
    images = settings.images or "digits"
    if not settings.owns_weights:
        if settings.estimator != supernet.NAME:
            return None
        return supernet.plan(settings.supernet, space, images, settings.seed, progress)
    # The same split whatever is searched, so that two methods with one seed begin alike.
    key = supernet.key_of(settings.seed)
    by = settings.strategy, settings.options, settings.supernet
    return methods.plan(*by, space, images, jax.random.split(key, settings.seeds), progress)


def _judged(
    job: Job, columns: Columns, folder: Path, resume: Resume, progress: bool
) -> tuple[Job, Supernet | None, Quality | None]:
    """Job with its estimator, the supernet behind it, trained or of a file, and how it ranks."""
    name, plan = job.settings.estimator, job.plan
    if plan is None:
        return job, (oneshot.load(name) if supernets.is_saved(name) else None), None
    trained, ranks = supernet.train(plan, folder, resume, progress, columns)
    judge = supernets.estimator(trained, plan.dataset)
    return evaluation.judged_by(job, judge), trained, ranks


def _evaluated(
    job: Job,
    folder: Path,
    earlier: Mapping[str, Any],
    chunk_size: int | None,
    resume: Resume,
    progress: bool,
) -> tuple[History, np.ndarray]:
    """Histories and numbers of classes, of a folder that may have finished or begun them."""
    if job.settings.is_batch:
        return evaluation.score_batch(job, folder, chunk_size, resume, progress)
    if "seconds" in earlier:  # finished, for only `result.json` has them
        return evaluation.load(folder)
    return evaluation.search_all(job, folder, resume, progress)


def _earlier_facts(job: Job, table: Table | None, folder: Path, resume: Resume) -> dict[str, Any]:
    """Facts of an earlier run in a folder, as `folders.earlier_facts`; none where it is extended.

    A search of more evaluations begins with those of one of fewer, which may have left its folder.
    """
    name = "candidates" if job.settings.is_batch else "budget"
    # "seconds" cannot be extended so: a limit of time ends searches at different evaluations.
    num = folders.finished_settings(folder).get(name) if resume else None
    if not isinstance(num, int) or not 0 < num < getattr(job.settings, name):
        return folders.earlier_facts(folder, job.fingerprint, resume)
    changes: dict[str, Any] = {name: num}
    fewer = dataclasses.replace(job.settings, **changes)
    shorter = evaluation.make_job(fewer, spaces.by_name(fewer.space), table, job.plan)
    folders.earlier_facts(folder, shorter.fingerprint, resume)  # refuses what differs in more
    # Without the earlier run's seconds, which stand for a search that has nothing left to do.
    return {"fingerprint": job.fingerprint._asdict()}


def _table(settings: Settings, space: Space) -> Table | None:
    """Table of trained accuracies to search on or to check answers by; None where there is none."""
    try:
        return Materials.of(settings).read(space, settings.test_column)[0]
    except FileNotFoundError:
        # A check of the answers is welcome where it is to be had, and not more.
        is_asked = settings.table or settings.column or settings.test_column
        if settings.estimator == "table" or is_asked:
            raise
        return None


def _look_up(
    job: Job,
    histories: History,
    distinct: np.ndarray,
    table: Table | None,
    columns: Columns,
    facts: Mapping[str, Any],
) -> Searches:
    """Answers of searches, what they cost, and how good they are by trained accuracies."""
    # An answer needs a rank: places whose score is NaN or infinite count as unknown.
    archs, places = map(np.asarray, (histories.archs, histories.best))
    scores = _scores(job, histories, table)
    so_far = np.take_along_axis(scores, places, axis=1)
    best = np.where(np.isfinite(so_far), so_far, np.nan)
    nums = np.asarray(histories.num_evaluations)
    is_used = np.arange(scores.shape[1]) < nums[:, None]
    num_missing = 0 if table is None else int(np.isnan(scores[is_used]).sum())
    if not np.isfinite(best[:, -1]).any():
        raise ValueError(_why_no_answer(job.settings, histories, table, num_missing))
    # The last place of the running best, and not an argmax: of equal scores the first counts.
    answers = np.take_along_axis(archs, places[:, -1:, None], axis=1)[:, 0]
    against, front = fronts.weigh(histories, scores, job)
    minimize = table is not None and table.minimizes(job.settings.column or "")
    return Searches(
        settings=job.settings,
        space=job.space,
        histories=histories,
        distinct=distinct,
        scores=scores,
        best=best,
        archs=answers,
        params=np.asarray(jax.jit(jax.vmap(job.space.params))(answers)),
        flops=np.asarray(jax.jit(jax.vmap(job.space.flops))(answers)),
        # These are the values of the column; those of the program are all larger for better.
        chosen=int((np.nanargmin if minimize else np.nanargmax)(best[:, -1])),
        minimize=minimize,
        fidelities=job.fidelities,
        num_missing=num_missing,
        num_before_search=int(np.sum(nums < job.min_evaluations)),
        table="" if table is None else f"{table.source} ({len(table):,} architectures)",
        checks=tuple(
            truth.look_up(name, *where, archs, places, np.isfinite(best))
            for name, where in columns.items()
        ),
        weighed=job.weighed,
        against=against,
        front=front,
        true_front=fronts.of_table(job, table),
        seconds=facts["seconds"],
        resumed=facts["resumed"],
        fingerprint=facts["fingerprint"],
    )


def _scores(job: Job, histories: History, table: Table | None) -> np.ndarray:
    """Scores `[S, T]` float of what was evaluated, those of a table as they are in it."""
    if table is None:
        return np.asarray(histories.scores)
    epochs = np.asarray(histories.epochs)
    # The widest of the columns: in float32 an accuracy would be printed with digits that the table
    # does not have.
    kind = np.result_type(*(table.column(name) for name in job.fidelities.values()))
    scores = np.full(epochs.shape, np.nan, kind)
    for asked, column in job.fidelities.items():
        scores = np.where(epochs == asked, table.look_up(column, histories.archs), scores)
    # Of what the program did not count, such as a slot that is not in use, there is no score.
    return np.where(np.isnan(histories.scores), np.nan, scores)


def _why_no_answer(
    settings: Settings, histories: History, table: Table | None, num_missing: int
) -> str:
    """Message about searches without an answer, and what might help."""
    num = int(np.asarray(histories.num_evaluations).sum())
    if settings.owns_weights:
        return f"none of the {num:,} searches by {settings.strategy} can be ranked; they diverged"
    if table is not None and num and num == num_missing:
        return (
            f"none of the {num:,} evaluations can be ranked, for {table.source} "
            f"({len(table):,} architectures) has no {settings.column} of them; --within-table "
            "keeps to those that it has"
        )
    if settings.is_batch:
        return f"none of the {num:,} candidates can be ranked; draw more of them"
    why = (
        f"none of the {num:,} evaluations can be ranked"
        if num
        else "no evaluation ends within max_seconds"
    )
    return f"{why}, so there is no answer; search with a larger budget or limit"
