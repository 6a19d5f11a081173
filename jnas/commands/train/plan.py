"""Plan of a choice by trainings: how many are trained for how long, and what a budget cuts."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jnas.commands.train.settings import TRAINED, Settings
from jnas.engine.files import replacing

ETA = 4  # one of so many goes on, with so many times the epochs
NAME, _KIND = "plan.json", "plan of a training"
_FOR_SCORES = 0.2  # share of the time that scores of untrained networks may take
_USABLE = 0.8  # of what is left: the rest is for compilation, files and pictures
_COMPILATION = 15.0  # seconds of the program of the one network that is trained in full


class Clock(NamedTuple):
    """Clock of a run, which began at `begin`; `seconds` is its budget, None for no limit."""

    begin: float
    seconds: float | None

    @classmethod
    def of(cls, settings: Settings) -> "Clock":
        """Clock that begins now."""
        minutes = settings.minutes
        return cls(time.monotonic(), None if minutes is None else 60 * minutes)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    @property
    def may_score(self) -> bool:
        """Whether there is time for more scores of untrained networks."""
        return self.seconds is None or self.elapsed < _FOR_SCORES * self.seconds

    @property
    def usable(self) -> float:
        """Seconds that trainings may take; infinite without a budget."""
        if self.seconds is None:
            return float("inf")
        return _USABLE * (self.seconds - self.elapsed) - _COMPILATION


class Plan(NamedTuple):
    """Plan of trainings.

    Attributes:
        trained: architectures that are trained shortly, a power of 4; of 1 nothing is compared.
        epochs: of the training in full.
        max_seconds: of all trainings of a strategy; None is no limit.
        cuts: what the budget, or a training of few epochs, leaves out, in words.
    """

    trained: int
    epochs: int
    max_seconds: float | None = None
    cuts: tuple[str, ...] = ()

    @property
    def rungs(self) -> list[tuple[int, int]]:
        """Pairs of a number of architectures and the epochs that they are trained for in all."""
        return list(_rungs(self.trained, self.epochs))


def _rungs(trained: int, epochs: int) -> Iterator[tuple[int, int]]:
    """Rungs of successive halving, without the one training in full."""
    number = trained
    while number > 1:
        # Of 16 an eighth of the epochs, of 4 a half: in the first few, learning rates are high and
        # statistics of batch norms old, and accuracies tell who is quick at first.
        yield number, 2 * epochs // number
        number //= ETA


def num_epochs(trained: int, epochs: int) -> int:
    """Number of epochs of all trainings: paused ones go on, the one in full begins anew."""
    total, before = epochs, 0
    for number, after in _rungs(trained, epochs):
        total += number * (after - before)
        before = after
    return total


def fitting(trained: int, epochs: int, clock: Clock, seconds: float) -> Plan:
    """Plan within what is left of a budget, if an epoch takes so many seconds.

    First fewer architectures are compared, and if one alone takes too long, it gets fewer epochs.
    """
    # Not more architectures than epochs: the shortest training has one at least.
    levels = [level for level in TRAINED if level <= min(trained, epochs)]
    usable, cuts = clock.usable, list[str]()
    chosen = next((n for n in levels[::-1] if num_epochs(n, epochs) * seconds <= usable), 1)
    if chosen < trained:
        why = "the time" if chosen < levels[-1] else f"trainings of {epochs} epochs"
        cuts.append(f"for {why}, {_compared(chosen)} in place of {trained}")
    fit = epochs
    if epochs * seconds > usable:
        fit = max(1, int(usable / seconds))
        cuts.append(f"for the time, {fit} epochs in place of {epochs}")
    return Plan(chosen, fit, None, tuple(cuts))


def _compared(trained: int) -> str:
    """How many architectures are trained shortly, in words."""
    return f"{trained} architectures are trained shortly" if trained > 1 else "none is compared"


class Decisions(NamedTuple):
    """Decisions that measured times went into, kept so that a run that goes on abides by them.

    Attributes:
        folder: of the run.
        job: hash that stands for the run: decisions of another one do not count.
    """

    folder: Path
    job: str

    def read(self) -> dict[str, Any]:
        """Decisions that are made, by name; none where the run is new."""
        try:
            found = json.loads((self.folder / NAME).read_text())
            return dict(found["decisions"]) if found["job"] == self.job else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def keep(self, **decisions: Any) -> None:
        """Add decisions to those that are made."""
        content = {"job": self.job, "decisions": {**self.read(), **decisions}}
        with replacing(self.folder / NAME, _KIND, "out") as stream:
            stream.write((json.dumps(content, indent=1) + "\n").encode())
