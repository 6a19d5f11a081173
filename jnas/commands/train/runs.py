"""Runs of `jnas train`: images, the choice of an architecture, its training, what it answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas import training
from jnas.commands import folder as folders
from jnas.commands.train import choice, images, trainings
from jnas.commands.train.choice import Choice
from jnas.commands.train.plan import NAME, Clock, Decisions
from jnas.commands.train.settings import Settings, filled, network_of, recipe_of
from jnas.commands.train.sizes import Limits, Size, Sizes
from jnas.commands.train.work import Keys, Work
from jnas.engine import files
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.training import Trained
from jnas.training.train import check_dataset
from jnas.types import Dataset

NETWORK = "network"  # folder of the exported files
_OF_TRIALS = (NAME, "scores*.npz")  # kept on the way


class Run(NamedTuple):
    """Result of a finished run.

    Attributes:
        settings: what it was asked for, with the defaults filled in.
        dataset: that was trained on.
        notes: what was said about the images.
        choice: of the architecture.
        trained: the one network.
        probabilities: `[N, K]` float32 of those images.
        size: of the network.
        files: names of the exported files; none of a network that diverged.
        seconds: wall time, compilation included; of a run that went on, of its last part.
        resumed: whether a part was done before, by a call that was stopped.
        fingerprint: of the job, and of the code that ran it.
    """

    settings: Settings
    dataset: Dataset
    notes: list[str]
    choice: Choice
    trained: Trained
    probabilities: np.ndarray
    size: Size
    files: list[str]
    seconds: float
    resumed: bool
    fingerprint: Mapping[str, Any]

    @property
    def failed_at(self) -> int:
        """Epoch that the training diverged in; 0 where it did not."""
        return int(self.trained.failed_at[0])

    @property
    def has_answers(self) -> bool:
        """Whether there are images to answer for, and a network that has not diverged."""
        return bool(len(self.labels)) and not self.failed_at

    @property
    def part(self) -> str:
        """Name of the images that its answers are looked at on: "test", or else "validation"."""
        return images.held_out(self.dataset)[0]

    @property
    def labels(self) -> np.ndarray:
        """Labels `[N]` of the images that its answers are looked at on."""
        return np.asarray(images.held_out(self.dataset)[1].y)


def run(settings: Settings, folder: Path, resume: Resume = True, progress: bool = False) -> Run:
    """Result of a run: one network, trained on the images.

    Args:
        settings: what to do.
        folder: that everything is kept in; what is finished there is taken over.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show bars on standard error.

    Raises:
        ValueError: an unknown name, images that cannot be trained on, limits that nothing keeps, a
            folder of another job.
        OSError: images cannot be read, or the folder not be written.
    """
    # The clock first: decoding the images is part of the minutes that a user has.
    clock, keys = Clock.of(settings), Keys.of(settings.seed)
    dataset, notes = images.load(settings, keys.split, progress)
    text = choice.named(settings)
    full = filled(settings, dataset, text)
    network = network_of(full, dataset)
    # What is wrong with the settings is said before anything is computed.
    recipe = recipe_of(full)
    arch = None if text is None else np.asarray(network.space.from_string(text), np.int32)
    check_dataset(network, dataset)
    # With the images and the architecture themselves: a path and the name of a folder stay the same
    # while what they hold is changed.
    job = fingerprint(full.facts(), dataset, arch)
    earlier = folders.earlier_facts(folder, job, resume)
    resumed = resume is not False and (folder / trainings.SEARCH).exists()
    # After the folder is known to be of this command: what is another's is not removed.
    if resume is False:
        _forget(folder)
    work = Work(
        settings=full,
        dataset=dataset,
        network=network,
        recipe=recipe,
        arch=arch,
        sizes=Sizes(network, dataset),
        limits=Limits.of(full),
        keys=keys,
        folder=folder,
        resume=resume,
        progress=progress,
        clock=clock,
        decisions=Decisions(folder, job.job),
    )
    # What was finished before has taken what it took then.
    with folders.begun(folder, earlier):
        return _result(work, notes, {"resumed": resumed, **earlier})


def _result(work: Work, notes: list[str], facts: Mapping[str, Any]) -> Run:
    """Result of the work, with what was known of the run before."""
    chosen = choice.choose(work)
    trained = _in_full(work, chosen)
    logits = trained.predict(images.held_out(work.dataset)[1].x)[0]
    # The run of a network that diverged is finished all the same: its curves show what went wrong.
    exported = [] if trained.failed_at[0] else _export(work, trained)
    # Nothing is trained from here on, and checkpoints of many networks take much room.
    trainings.forget(work.folder)
    return Run(
        settings=work.settings,
        dataset=work.dataset,
        notes=notes,
        choice=chosen,
        trained=trained,
        probabilities=np.asarray(jax.nn.softmax(logits)),
        size=work.sizes.measured(chosen.arch),
        files=exported,
        seconds=facts.get("seconds", round(work.clock.elapsed, 2)),
        resumed=facts["resumed"],
        fingerprint=facts["fingerprint"],
    )


def _in_full(work: Work, chosen: Choice) -> Trained:
    """The network of the chosen architecture, trained by a program of its own."""
    return training.train(
        work.network,
        chosen.arch[None],
        work.dataset,
        recipe_of(work.settings, chosen.epochs),
        work.keys.train,
        out=work.folder,
        resume=work.resume,
        progress=work.progress,
    )


def _export(work: Work, trained: Trained) -> list[str]:
    """Names of the files that hold the network for use without jnas, written."""
    place = work.folder / NETWORK
    training.export(trained, 0, place)
    return sorted(path.name for path in place.iterdir() if path.name != files.MANIFEST)


def _forget(folder: Path) -> None:
    """Remove what earlier calls have kept on the way, for a run that starts anew."""
    trainings.forget(folder)
    for pattern in _OF_TRIALS:
        for path in folder.glob(pattern):
            files.remove(path)
