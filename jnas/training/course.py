"""Course of one training on the host: epoch by epoch, to go on from wherever it was left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas.engine.checkpoints import Checkpoint
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.training.programs import Job, Programs
from jnas.training.steps import Setup, State
from jnas.types import Dataset

_SAVE_SHARE = 0.05  # at most this share of the time goes into writing checkpoints
_FIRST = 5.0  # seconds to the first one


class Course(NamedTuple):
    """Course of a training: its state, and what was measured after each epoch.

    Attributes:
        state: after the last epoch.
        curves: name of a metric → its value after each epoch; empty before the first.
        seconds: of each epoch.
    """

    state: State
    curves: dict[str, list[float]]
    seconds: list[float]

    @property
    def num_epochs(self) -> int:
        """Number of epochs that are done."""
        return len(self.seconds)


def digest_of(data: Dataset) -> str:
    """Hash of a data set. It reads every image, so take it once for all trainings."""
    return fingerprint(data).job


def restored(
    of: Setup,
    job: Job,
    data: Dataset,
    programs: Programs,
    folder: str | Path | None,
    resume: Resume = True,
    *,
    digest: Callable[[], str],
) -> tuple[Course, Checkpoint]:
    """Course as a folder keeps it, or at its beginning; and the checkpoint it is kept in.

    Args:
        of: the training.
        job: its key and its architecture.
        data: to train on.
        programs: of the training.
        folder: None keeps nothing.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        digest: of the data set, asked for where there is a folder (`digest_of`).

    Raises:
        ValueError: the folder holds another training, or one that other code has begun.
        FileExistsError: `resume` is False, but the folder is not jnas' own.
    """
    kept = Checkpoint(folder, lambda: fingerprint("training", of, job, digest()), resume)
    found = kept.restore(lambda _: programs.start(job, data))
    if found is None:
        return Course(programs.start(job, data), {}, []), kept
    state, about = found
    # A NaN is None in JSON.
    curves = {name: [_float(x) for x in values] for name, values in about["curves"].items()}
    # Orbax commits arrays to a device, and programs would be compiled for that a second time.
    return Course(on_host(state), curves, list(about["seconds"])), kept


def _float(value: float | None) -> float:
    """Number from JSON."""
    return float("nan") if value is None else float(value)


def keep(course: Course, checkpoint: Checkpoint) -> None:
    """Save a course; OSError where that cannot be written."""
    curves = {
        name: [x if np.isfinite(x) else None for x in values]
        for name, values in course.curves.items()
    }
    # Beside the arrays, which have the same shapes after each epoch, where curves grow with them.
    about = {"curves": curves, "seconds": course.seconds}
    checkpoint.save(course.num_epochs, course.state, about)


def advance(
    course: Course,
    job: Job,
    data: Dataset,
    programs: Programs,
    *,
    until: int,
    checkpoint: Checkpoint,
    report: Callable[[Course], None] | None = None,
) -> Course:
    """Course after the epoch `until`; it is kept then, and from time to time before.

    Args:
        course: up to now.
        job: whose training it is.
        data: to train on, placed on the devices.
        programs: of the training.
        until: epoch to stop after; nothing is trained where that is done.
        checkpoint: that it is kept in.
        report: called after each epoch.
    """
    job, state = programs.place((job, course.state))
    # As if a save had just taken so long that the next is due after `_FIRST` seconds.
    saved_at, saving = time.monotonic(), _SAVE_SHARE * _FIRST
    while course.num_epochs < until:
        begin = time.monotonic()
        number = course.num_epochs + 1
        state = programs.epoch(job, number, state, data)
        # Fetched before the clock is read: JAX returns at once, and an epoch would take no time.
        measured = jax.device_get(programs.metrics(job, state, data))
        curves = {
            name: [*course.curves.get(name, []), float(value)] for name, value in measured.items()
        }
        now = time.monotonic()
        course = Course(state, curves, [*course.seconds, now - begin])
        if report is not None:
            report(course)
        is_due = number == until or (now - saved_at) * _SAVE_SHARE >= saving
        if checkpoint.folder is not None and is_due:
            keep(course, checkpoint)
            saved_at = time.monotonic()
            saving = saved_at - now
    return course


def on_host(tree: Any) -> Any:
    """Tree of NumPy arrays."""
    return jax.tree.map(np.asarray, jax.device_get(tree))
