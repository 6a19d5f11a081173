"""Work of one run: what all of its steps share."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jnas.commands.train.plan import Clock, Decisions
from jnas.commands.train.settings import Settings
from jnas.commands.train.sizes import Limits, Sizes
from jnas.engine.fingerprints import Resume
from jnas.training import Recipe
from jnas.types import Dataset, Key, Network


class Keys(NamedTuple):
    """Keys of a run, one a purpose, so that a change of one step leaves the others as they are."""

    split: Key
    draw: Key
    score: Key
    search: Key
    train: Key

    @classmethod
    def of(cls, seed: int) -> "Keys":
        """Keys that follow from a seed."""
        # New ones belong at the end with a `fold_in`: a split into six gives five other keys.
        return cls(*jax.random.split(jax.random.key(seed), 5))


class Work(NamedTuple):
    """Work of one run.

    Attributes:
        settings: filled in.
        dataset: to train on.
        network: of the space.
        recipe: of the training in full, before a budget of time cuts its epochs.
        arch: `[D]` int32, where the architecture is given; None where it is to be chosen.
        sizes: of the network's architectures.
        limits: that they must keep.
        keys: of the run.
        folder: that everything is kept in.
        resume: False starts anew.
        progress: show bars on standard error.
        clock: of the run.
        decisions: that measured times went into.
    """

    settings: Settings
    dataset: Dataset
    network: Network
    recipe: Recipe
    arch: np.ndarray | None
    sizes: Sizes
    limits: Limits
    keys: Keys
    folder: Path
    resume: Resume
    progress: bool
    clock: Clock
    decisions: Decisions

    def broken(self, arch: np.ndarray) -> str:
        """Limits that an architecture `[D]` breaks, in words; its latency is measured last."""
        told = self.limits.broken(self.sizes.of(arch))
        # A program has to be compiled to be timed, where the others are counted.
        if told or self.limits.milliseconds is None:
            return told
        return self.limits.broken(self.sizes.measured(arch))

    def check(self, arch: np.ndarray) -> None:
        """ValueError where an architecture that was given breaks a limit."""
        if told := self.broken(arch):
            raise ValueError(f"{self.network.space.to_string(arch)}: {told}")
