"""Supernet that a search trains before it begins: options, plan, and a training that is kept."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
from cyclopts import Parameter

from jnas import data, oneshot
from jnas.commands import networks, supernets
from jnas.commands.options import SUPERNET, at_least, default
from jnas.commands.search import quality
from jnas.commands.search.quality import Quality
from jnas.commands.truth import Columns
from jnas.data import Augmentation
from jnas.engine import checkpoints
from jnas.engine.files import check as check_file
from jnas.engine.files import replacing
from jnas.engine.fingerprints import Fingerprint, Resume, fingerprint
from jnas.engine.fingerprints import check as check_job
from jnas.engine.messages import nearest, setting
from jnas.oneshot import Recipe, Supernet, samplers
from jnas.types import Dataset, Key, Network, Space

NAME = "oneshot"
_JOB, _KIND = "supernet.json", "job of a supernet"
CHECKPOINT = "training"

_STEPS = 6000  # as many as 20 epochs of 40,000 images have
# Shared weights learn few images by heart, and then rank at random: on the 1,257 digits, Kendall's
# tau of NAS-Bench-201's cells is .26 after 60 epochs, .39 after 110, .42 after 160, .37 after 220,
# .28 after 300 and .03 after 667, by the reports of this command with --epochs, seeds 0 and 1.
_MOST_EPOCHS = 160
# Of so many images that twenty epochs are enough. Tau of cells of NAS-Bench-201 is .55 on CIFAR-10
# at 16x16 pixels by the mean of the last weights, .26 with moved and flipped images and a rate that
# falls, and .47 where the rate alone falls (experiments/oneshot_supernets): an image is seen too
# seldom to be learnt by heart.
_OF_MANY: dict[str, Any] = {
    "learning_rate": 0.1,
    "final_learning_rate": 0.1,
    "augmentation": Augmentation(),
}
_LATE = (0.8, 0.9)  # shares of the epochs, those of that mean besides the last
_LARGE = 100_000  # vectors of a space whose classes are not listed
# Shared weights have neither scales of norms nor biases, as published.
_PLAIN = {
    "nasbench201": {"affine": False, "bias": False},
    **{name: {"affine": False, "pool_norm": True} for name in ("darts", "enas", "nasbench301")},
}
_KEY = 2**31 - 1  # of no number that keys of a seed are split into


@Parameter(name="*", group=SUPERNET)
@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the supernet; None is a default that depends on the images or the space."""

    epochs: Annotated[
        int | None,
        Parameter(show_default=default(f"20, or up to {_MOST_EPOCHS} for {_STEPS:,} steps")),
    ] = None
    """Passes over the training images."""
    sampler: Annotated[
        str | None,
        Parameter(
            help=f"Which architectures its steps train: {', '.join(samplers.NAMES)}.",
            show_default=default("deiso, of large spaces uniform"),
        ),
    ] = None
    size: Annotated[int | None, Parameter(show_default=default("that of the images"))] = None
    """Pixels on a side that images are resized to, a multiple of 4."""
    channels: Annotated[
        int | None, Parameter(show_default=default("8 up to 16 pixels on a side, else 16"))
    ] = None
    """Channels of the first stage."""
    cells: Annotated[
        int | None, Parameter(show_default=default("1, 3 from 5,000 images on, 5 from 25,000 on"))
    ] = None
    """Cells a stage; of nasbench301 all cells, 3, 5 or 8 by default."""
    stages: Annotated[int | None, Parameter(show_default=default("3"))] = None
    """Stages; from one to the next images are halved and channels doubled."""

    @property
    def given(self) -> dict[str, Any]:
        """Options that are given, by name."""
        facts = dataclasses.asdict(self)
        return {name: value for name, value in facts.items() if value is not None}

    def check(self) -> None:
        """ValueError for a value out of its range."""
        # Not `size`: `data.load` checks it, which has rules of its own for it.
        at_least(dict.fromkeys(("epochs", "channels", "cells", "stages"), 1), self)
        if self.sampler is not None and self.sampler not in samplers.NAMES:
            known = nearest(self.sampler, samplers.NAMES)
            raise ValueError(f"unknown sampler {self.sampler!r}. {known}")


class Plan(NamedTuple):
    """Plan of a supernet: what it is trained on, and how.

    Attributes:
        options: with the defaults filled in.
        network: whose weights are shared.
        dataset: to train on; its validation images are scored with.
        recipe: of the training.
        key: of the training.
    """

    options: Options
    network: Network
    dataset: Dataset
    recipe: Recipe
    key: Key


def plan(options: Options, space: Space, images: str, seed: int, progress: bool) -> Plan:
    """Plan of the supernet of a space.

    Args:
        options: those that were given.
        space: whose architectures share weights.
        images: name or path of a data set.
        seed: that the training follows from, whatever searches afterwards.
        progress: show a bar while image files are decoded.

    Raises:
        ValueError: a space without shared weights, images that cannot be trained on or scored
            with, a sampler that does not suit the space.
        FileNotFoundError: there are no such images.
    """
    full, dataset, network = materials(options, space, images, progress)
    # "deiso" draws from classes of isomorphic architectures, for which all of the space is listed.
    is_large = math.prod(space.cardinalities) > _LARGE
    full = dataclasses.replace(
        full, sampler=options.sampler or ("uniform" if is_large else "deiso")
    )
    recipe = _recipe(full, dataset)
    samplers.by_name(recipe.sampler, space)  # for its error, before anything is trained
    full = dataclasses.replace(full, epochs=recipe.training.epochs)
    return Plan(full, network, dataset, recipe, key_of(seed))


def materials(
    options: Options, space: Space, images: str, progress: bool
) -> tuple[Options, Dataset, Network]:
    """Options with sizes that follow from the images, data set, and network; errors as `plan`."""
    networks.check_shared(space.name)
    # Parted as `data.load` does by default, so that a saved supernet finds its images again.
    dataset = data.load(images, options.size, progress=progress)
    if not len(dataset.validation.y):
        raise ValueError(f"{dataset.name} has no validation images to score with")
    # After the images, whose number and side say how large a network is worth its time.
    sizes: dict[str, Any] = networks.sizes(space.name, options.given, dataset)
    network = networks.make(space.name, sizes, dataset, **_PLAIN.get(space.name, {}))
    full = dataclasses.replace(options, **sizes, size=networks.side(dataset))
    return full, dataset, network


def key_of(seed: int) -> Key:
    """Key of what is trained, which whatever searches or scores afterwards has no part in."""
    return jax.random.fold_in(jax.random.key(seed), _KEY)


def crop(dataset: Dataset) -> int:
    """Pixels that training images are moved by at most: an eighth of a side, as published."""
    height, width = dataset.train.x.shape[1:3]
    return max(1, min(int(height), int(width)) // 8)


def _recipe(options: Options, dataset: Dataset) -> Recipe:
    """Recipe "quick" for the number of images and their size."""
    usual, num = oneshot.recipe("quick").training, len(dataset.train.y)
    # At most all images: an epoch of a few would else have no step.
    batch = min(usual.batch_size if num >= networks.FEW else networks.SMALL_BATCH, num)
    # Steps count and not epochs: each trains one architecture of a whole space, and of few images
    # twenty epochs would leave most operations as they were initialised.
    enough = math.ceil(_STEPS / (num // batch))
    changes = _OF_MANY
    if enough > usual.epochs:
        augmentation = usual.augmentation._replace(crop=crop(dataset))
        changes = {"epochs": min(enough, _MOST_EPOCHS), "augmentation": augmentation}
    if options.epochs:
        changes = changes | {"epochs": options.epochs}
    return oneshot.recipe("quick", sampler=options.sampler, batch_size=batch, **changes)


def train(
    of: Plan, folder: Path, resume: Resume, progress: bool, columns: Columns
) -> tuple[Supernet, Quality | None]:
    """Supernet of a plan, kept in `folder`, where a training that was stopped goes on.

    Args:
        of: the training.
        folder: of the run.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show bars on standard error.
        columns: of known accuracies, by the first of which it is told how well it ranks.

    Returns:
        The supernet, without the weights that were kept on the way, and how well it has ranked;
        None where no accuracies are known, it diverged, or was trained by a call without them. Its
        weights are the mean of those after `late_epochs` and the last.

    Raises:
        ValueError: the folder holds another training, or one that other code has begun.
        OSError: a file cannot be read or written.
    """
    job, known = fingerprint(of.network, of.dataset, of.recipe, of.key), quality.drawn(columns)
    # By its own file, and not by that of the search, which may have been killed in what follows, or
    # is another search by the same supernet: this is the dear part.
    if resume and _is_finished(folder, job, resume):
        return oneshot.load(folder / supernets.FILE), quality.read(folder, known, job, resume)
    # Now, and not after hours of training: a file in the way that jnas has not written is an error.
    for name in (supernets.FILE, _JOB, quality.FILE):
        check_file(folder / name, name="out")
    quarters = quality.kept_epochs(of.recipe.training.epochs) if known is not None else ()
    late = late_epochs(of.recipe)
    supernet = oneshot.train(
        of.network,
        of.dataset,
        of.recipe,
        of.key,
        keep=tuple(sorted({*quarters, *late})),
        out=folder / CHECKPOINT,
        resume=resume,
        progress=progress,
    )
    if late and not supernet.failed_at.any():
        supernet = oneshot.averaged(supernet, (*late, supernet.num_epochs))
    ranks = quality.study(supernet, of.dataset, known, job, folder, resume, progress)
    # The file would have all weights four times.
    supernet = supernet.without_kept()
    oneshot.save(supernet, folder / supernets.FILE)
    # In this order: killed in between, the training is still in the checkpoint.
    with replacing(folder / _JOB, _KIND, "out") as file:
        file.write((json.dumps(job._asdict(), indent=1) + "\n").encode())
    checkpoints.remove(folder / CHECKPOINT)
    return supernet, ranks


def late_epochs(recipe: Recipe) -> tuple[int, ...]:
    """Epochs whose weights are averaged with the last ones (`oneshot.averaged`).

    Empty where the rate falls, which ends in such a mean by itself; where it stays, ranks go up and
    down with the last steps.
    """
    training = recipe.training
    if training.final_learning_rate < training.learning_rate:
        return ()
    found = {math.ceil(share * training.epochs) for share in _LATE}
    return tuple(sorted(found - {training.epochs}))


def is_begun(folder: Path) -> bool:
    """Whether `folder` has a part of the training, or all of it."""
    return (folder / _JOB).exists() or any((folder / CHECKPOINT).glob("[0-9]*"))


def _is_finished(folder: Path, job: Fingerprint, resume: Resume) -> bool:
    """Whether the supernet of a job is finished in a folder, by code that may go on with it."""
    # By the rule of run folders: "anyway" takes over what other code has trained. Trained anew, the
    # supernet in the folder would be another one than that which judged a search that is finished.
    try:
        check_job(dict(json.loads((folder / _JOB).read_text())), job, f"{folder}", resume)
    except (OSError, ValueError, TypeError):
        return False
    return True


def check(options: Options, estimator: str) -> None:
    """ValueError for options out of range, or that an estimator has no use for."""
    options.check()
    if options.given and estimator != NAME:
        raise ValueError(
            f"{setting(next(iter(options.given)))} goes with the supernet of --estimator {NAME}; "
            f"{estimator} has no use for it"
        )


def not_trained(key: Key, archs: jax.Array) -> jax.Array:
    """Scores `[B]` by a supernet that is not trained yet: NaN."""
    del key
    # NaN and no number, so that a search which was run before the training could not pass for one.
    return jax.numpy.full(len(archs), jax.numpy.nan)
