"""Choice of an architecture: as given, by scores and short trainings, or by a search strategy."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jnas import spaces
from jnas.commands.train import plan as plans
from jnas.commands.train import trainings, untrained
from jnas.commands.train.plan import Plan
from jnas.commands.train.settings import Settings
from jnas.commands.train.trainings import Tried
from jnas.commands.train.work import Work
from jnas.engine.messages import argument


class Choice(NamedTuple):
    """Choice of an architecture.

    Attributes:
        arch: `[D]` int32.
        how: it was chosen, in words.
        epochs: of its training in full.
        tried: everything that was looked at; None where the architecture was given.
        cuts: what was left out for lack of time, in words.
    """

    arch: np.ndarray
    how: str
    epochs: int
    tried: Tried | None = None
    cuts: Sequence[str] = ()


def named(settings: Settings) -> str | None:
    """Text of the architecture that is named, or of the best of a run folder; None without either.

    Raises:
        ValueError: the folder holds no finished search.
    """
    # Read at the beginning: the folder may be searched anew while this one trains.
    if settings.from_run is not None:
        return best_of(settings.from_run, settings.space)
    return settings.arch


def best_of(run: Path, space: str) -> str:
    """Text of the best architecture of a run folder of `jnas search`; ValueError for another."""
    try:
        facts = json.loads((run / "result.json").read_text())
        text, searched = str(facts["best"]["architecture"]), str(facts["settings"]["space"])
    # A folder of `jnas train` has a `result.json`, too, and only its content tells.
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{run} holds no finished jnas search, whose result.json names the best architecture"
        ) from error
    if searched != space:
        raise ValueError(
            f"{run} searched {searched}; give {argument('space')} {searched} as well"
            if searched in spaces.NAMES
            else f"{run} searched {searched}, which is no space"
        )
    return text


def choose(work: Work) -> Choice:
    """Choice of an architecture as the settings say.

    Raises:
        ValueError: nothing is allowed by the limits, or nothing could be ranked.
        RuntimeError: the first ten trainings of a strategy have failed alike.
    """
    settings = work.settings
    if work.arch is None:
        return by_strategy(work) if settings.strategy else by_vote(work)
    # An architecture that is given is held to the limits as well, before any time goes into it.
    work.check(work.arch)
    plan = timed(work, work.arch, trained=1)
    how = "given" if settings.arch else f"the best of {settings.from_run}"
    return Choice(work.arch, how, plan.epochs, None, plan.cuts)


def by_vote(work: Work) -> Choice:
    """Choice among random candidates: a vote of scores without training, then short trainings."""
    tried, cuts = untrained.scored(work)
    # The best that keep the limits: latency is measured, and for two hundred candidates that would
    # take longer than their scores.
    first = untrained.best(work, tried, work.settings.trained or 1)
    plan = timed(work, tried.archs[first[0]], trained=work.settings.trained or 1, have=len(first))
    by_size = untrained.ranks_by_size(work)
    how = f"the best of {len(tried.archs):,} candidates by a vote of scores without training"
    if by_size:
        how = f"the one with most parameters of {len(tried.archs):,} candidates"
    if plan.trained > 1:
        tried = trainings.halved(work, plan, tried, first)
        told = " and ".join(f"{n} were trained for {epochs}" for n, epochs in plan.rungs)
        ranked = "ranked by their parameters" if by_size else "scored untrained"
        how = f"{len(tried.archs):,} candidates were {ranked}; {told} epochs"
    # By the longest trainings, and only where nothing was trained by the vote.
    chosen = trainings.winner(tried, first)
    tried = tried._replace(chosen=chosen)
    return Choice(tried.archs[chosen], how, plan.epochs, tried, (*cuts, *plan.cuts))


def by_strategy(work: Work) -> Choice:
    """Choice by a search strategy, whose trainings take a part of the epochs of the full one."""
    settings = work.settings
    # Any architecture: before a strategy has begun none of its own is known, and an epoch of the
    # program of all takes about as long for each.
    probe = np.asarray(work.network.space.sample(jax.random.key(0)), np.int32)
    plan = timed(work, probe, trained=1, is_search=True)
    tried = trainings.searched(work, plan)
    told = f"{settings.strategy}, {len(tried.archs):,} trainings"
    cuts = list(plan.cuts)
    if len(tried.archs) < (settings.budget or 0):
        cuts.append(f"for the time, {len(tried.archs)} trainings in place of {settings.budget}")
    chosen = trainings.winner(tried, np.arange(len(tried.archs)))
    return Choice(
        tried.archs[chosen], told, plan.epochs, tried._replace(chosen=chosen), tuple(cuts)
    )


def timed(
    work: Work, arch: np.ndarray, *, trained: int, have: int | None = None, is_search: bool = False
) -> Plan:
    """Plan of the trainings, by the seconds of an epoch of `arch` where there is a budget.

    Args:
        work: of the run.
        arch: `[D]`, whose second epoch is timed: the first one compiles.
        trained: how many are to be trained shortly.
        have: how many there are.
        is_search: whether a strategy may have what the full training leaves.
    """
    # A run that goes on keeps its plan: another measurement would plan other trainings, and those
    # that are done would be of no use.
    known = work.decisions.read().get("plan")
    if known is not None:
        return Plan(**{**known, "cuts": tuple(known["cuts"])})
    # Limits may have left fewer than are to be trained; halving needs a power of its divisor.
    while have is not None and trained > have:
        trained //= plans.ETA
    epochs, seconds = work.recipe.epochs, 0.0
    if work.clock.seconds is not None:
        # Only where there is a budget, for it costs the two epochs that it measures.
        seconds = trainings.seconds_of_epoch(work, arch)
    plan = plans.fitting(trained, epochs, work.clock, seconds)
    if is_search and work.clock.seconds is not None:
        # Half of what is left at least: a full training of the first that comes is no search.
        left = max(work.clock.usable - plan.epochs * seconds, work.clock.usable / 2)
        fit = min(plan.epochs, max(1, int((work.clock.usable - left) / seconds)))
        plan = plan._replace(max_seconds=max(left, seconds), epochs=fit)
    if work.clock.seconds is not None:
        work.decisions.keep(plan=plan._asdict())
    return plan
