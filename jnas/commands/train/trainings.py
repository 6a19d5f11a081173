"""Trainings by which architectures are compared: successive halving, and search strategies."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jnas import search, training, zeroshot
from jnas.commands.train import images
from jnas.commands.train import plan as plans
from jnas.commands.train.plan import Plan
from jnas.commands.train.settings import BUDGET, SHARE, recipe_of
from jnas.commands.train.sizes import Size
from jnas.commands.train.work import Work
from jnas.engine import checkpoints
from jnas.search import HostRun
from jnas.training import TrainingObjective
from jnas.types import Key, Searcher

SEARCH, PAUSED = "search", "trainings"  # folders of a run
_MEASURE = "validation_accuracy"


class Tried(NamedTuple):
    """Architectures that were looked at, `n` of them.

    Attributes:
        archs: `[n, D]` int32.
        sizes: of their networks.
        scores: name → `[n]`, without training.
        accuracies: epochs → `[n]` on validation images; NaN where not trained so long, or failed.
        failures: place → why its training failed, in words.
        chosen: place of the one that is trained in full.
    """

    archs: np.ndarray
    sizes: list[Size]
    scores: Mapping[str, np.ndarray] = MappingProxyType({})
    accuracies: Mapping[int, np.ndarray] = MappingProxyType({})
    failures: Mapping[int, str] = MappingProxyType({})
    chosen: int = 0


class DivergedError(ValueError):
    """Error of a training whose loss was not finite."""


class Evaluate:
    """Function `(arch [D], epochs) -> (score, seconds)` that trains what keeps the limits."""

    def __init__(self, work: Work, epochs: int) -> None:
        """Trainings of at most so many epochs."""
        self._work, self._epochs = work, epochs
        self._objective = objective(work, epochs)

    def __call__(self, arch: np.ndarray, epochs: int) -> tuple[float, float]:
        """Accuracy on validation images, and seconds; ValueError says why there is none."""
        if told := self._work.broken(arch):
            raise ValueError(told)
        done = epochs or self._epochs
        course = self._objective.course(np.asarray(arch, np.int32), done)
        losses = np.asarray(course.curves["train_loss"][:done])
        if not np.isfinite(losses).all():
            raise DivergedError(f"diverged in epoch {1 + int(np.argmin(np.isfinite(losses)))}")
        return course.curves[_MEASURE][done - 1], sum(course.seconds[:done])


def objective(work: Work, epochs: int) -> TrainingObjective:
    """Objective of trainings of so many epochs, paused ones kept in the folder."""
    recipe = recipe_of(work.settings, epochs)
    # Trainings of other lengths have other schedules, and folders of their own.
    out = work.folder / PAUSED / f"{epochs}"
    # A run that starts anew has forgotten them, and goes on with those of its own.
    resume = work.resume or True
    return training.objective(
        work.network,
        work.dataset,
        recipe,
        work.keys.train,
        out=out,
        # Where sizes differ hardly any two share a program, and their own are the quickest.
        own=work.network.bucket is not None,
        resume=resume,
    )


def seconds_of_epoch(work: Work, arch: np.ndarray) -> float:
    """Seconds of an epoch of an architecture `[D]` once its program is compiled."""
    epochs = work.recipe.epochs
    return objective(work, epochs).course(arch, min(2, epochs)).seconds[-1]


def halved(work: Work, plan: Plan, tried: Tried, first: np.ndarray) -> Tried:
    """Candidates with accuracies by successive halving, which begins with the places `first`.

    Paused trainings go on; the last one, in full, is left to a program of its own.
    """
    first = first[: plan.trained]
    archs = jnp.asarray(tried.archs[first])

    def init(key: Key, num: int) -> jnp.ndarray:
        del key, num
        return archs

    searcher = search.successive_halving(
        work.network.space,
        # The last rung, of twice the epochs, is never asked for.
        min_epochs=2 * plan.epochs // plan.trained,
        max_epochs=2 * plan.epochs,
        eta=plans.ETA,
        init=init,
    )
    num = sum(number for number, _ in plan.rungs)
    # A bracket counts the training in full, too.
    run = _run(work, searcher._replace(min_evaluations=1), plan.epochs, num, None)
    # The history is in the order of evaluation, and knows architectures alone.
    rows = {arch.tobytes(): place for place, arch in enumerate(tried.archs)}
    accuracies = {
        epochs: np.full(len(tried.archs), np.nan)
        for epochs in sorted({*np.asarray(run.history.epochs).tolist()})
    }
    failures: dict[int, str] = {}
    for slot, arch in enumerate(np.asarray(run.history.archs, np.int32)):
        place = rows[arch.tobytes()]
        accuracies[int(run.history.epochs[slot])][place] = run.history.scores[slot]
        failures |= {place: run.failures[slot]} if slot in run.failures else {}
    return tried._replace(accuracies=accuracies, failures=failures)


def searched(work: Work, plan: Plan) -> Tried:
    """Architectures that a strategy has trained, in its order."""
    settings, space = work.settings, work.network.space
    name = settings.strategy or ""
    needed: dict[str, Any] = {}
    if name == "area":
        # As many images as NASWOT's own experiments have.
        sample = images.batch(work.dataset, 128, work.keys.score)
        needed["estimator"] = zeroshot.naswot(work.network, sample)
    elif name == "nsga2":
        needed["costs"] = [space.params]
    options = {**settings.options, **needed}
    if "max_epochs" in search.defaults(name):
        options = {
            "max_epochs": plan.epochs,
            # Three numbers of epochs by the usual eta of 3: with a fourth, the shortest trainings
            # of "quick" would have one epoch.
            "min_epochs": max(1, plan.epochs // 9),
            **options,
        }
    searcher = search.by_name(name, space, **options)
    epochs = plan.epochs if searcher.epochs else max(1, plan.epochs // SHARE)
    # A population that never moves on would be random search.
    budget = settings.budget or max(BUDGET, 2 * searcher.min_evaluations)
    run = _run(work, searcher, epochs, budget, plan.max_seconds)
    num = int(run.history.num_evaluations)
    archs = np.asarray(run.history.archs, np.int32)[:num]
    asked = np.asarray(run.history.epochs)[:num]
    asked = np.where(asked == 0, epochs, asked)
    scores = np.asarray(run.history.scores)[:num]
    accuracies = {
        int(number): np.where(asked == number, scores, np.nan)
        for number in sorted({*asked.tolist()})
    }
    sizes = [work.sizes.of(arch) for arch in archs]
    return Tried(archs, sizes, {}, accuracies, run.failures)


def _run(
    work: Work, searcher: Searcher, epochs: int, num: int, max_seconds: float | None
) -> HostRun:
    """Search by trainings of at most `epochs`, which goes on where it was stopped."""
    try:
        return search.run_on_host(
            searcher,
            Evaluate(work, epochs),
            work.keys.search,
            num_evaluations=num,
            max_seconds=max_seconds,
            overrun="counted",
            # A strategy may ask for one cell twice; with several numbers of epochs it means to.
            identity=None if searcher.epochs else work.network.space.identity,
            out=work.folder / SEARCH,
            resume=work.resume,
            progress=work.progress,
        )
    # What makes ten trainings fail alike is the images, the recipe or a limit.
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def winner(tried: Tried, first: np.ndarray) -> int:
    """Place of the best of those with the longest trainings; without any, of the first.

    Raises:
        ValueError: all trainings have failed.
    """
    for epochs in sorted(tried.accuracies, reverse=True):
        values = tried.accuracies[epochs]
        if np.isfinite(values).any():
            return int(np.nanargmax(values))
    if tried.failures:
        why = "; ".join(sorted({*tried.failures.values()})[:3])
        raise ValueError(f"all {len(tried.failures)} trainings have failed: {why}")
    return int(first[0])


def forget(folder: Path) -> None:
    """Remove paused trainings, once all is done, or where everything starts anew."""
    paused = folder / PAUSED
    # From within: a folder goes with its last content, and one that has something else stays.
    for place in (*paused.glob("*/*"), *paused.glob("*"), paused):
        checkpoints.remove(place)
