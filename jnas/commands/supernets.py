"""Supernets that judge on the command line: their files, and the images that they see."""

import numpy as np

from jnas import data, oneshot
from jnas.commands import networks
from jnas.oneshot import Supernet
from jnas.oneshot.supernet import is_file
from jnas.types import Dataset, Estimator, Space

FILE = "supernet.npz"


def is_saved(name: str) -> bool:
    """Whether `name` is a file of supernets, told by what it holds."""
    # The ending first, so that a plain name never leads to a look at the disk.
    return name.endswith(".npz") and is_file(name)


def usual_images(path: str) -> str:
    """Name of the data set that the supernets of a file were trained on."""
    return oneshot.load(path).dataset.name


def saved_estimator(path: str, space: Space, images: str | None) -> Estimator:
    """One-shot estimator of a file of supernets.

    Args:
        path: of a file that `oneshot.save` wrote.
        space: whose architectures it judges.
        images: data set that it was trained on; None finds it by its name.

    Raises:
        ValueError: not such a file, supernets of another space or data set, diverged ones, or a
            data set that has no name to find it by.
        OSError: a file cannot be read.
    """
    supernet = oneshot.load(path)
    of = supernet.network.space.name
    if of != space.name:
        raise ValueError(f"{path} holds a supernet of {of}; it cannot judge {space.name}")
    trained_on = supernet.dataset.name
    if images is None and trained_on not in data.NAMES:
        raise ValueError(
            f"{path} holds a supernet that was trained on {trained_on}, which is no data set of "
            "jnas; give its images with --images"
        )
    source = images or trained_on
    # In the size of the training: images of a file may be larger, and a supernet would take them.
    dataset = data.load(source, networks.side(supernet.dataset))
    _check_images(path, supernet.dataset, dataset, source)
    return estimator(supernet, dataset)


def estimator(supernet: Supernet, dataset: Dataset) -> Estimator:
    """One-shot estimator as commands have it: the negated loss on all validation images.

    It ranks better than the accuracy does, of which a few hundred images leave many ties.
    """
    return oneshot.estimator(supernet, dataset, "loss")


def _check_images(path: str, had: Dataset, has: Dataset, source: str) -> None:
    """ValueError where images are not those that a supernet was trained on."""
    facts = [(data.train.x.shape[1:], data.classes) for data in (had, has)]
    # Other images, or the same ones parted otherwise, have another mean; validation images that it
    # was trained on would judge nothing.
    is_same = facts[0] == facts[1] and all(
        np.allclose(one, other, rtol=1e-5)
        for one, other in ((had.mean, has.mean), (had.std, has.std))
    )
    if not is_same:
        raise ValueError(
            f"{path} holds a supernet that was trained on {had.name} ({_told(had)}); the training "
            f"images of {source} ({_told(has)}) are others, or parted in another way"
        )


def _told(dataset: Dataset) -> str:
    """Shape, classes and mean of the training images of a data set, in words."""
    shape = " x ".join(map(str, dataset.train.x.shape[1:]))
    mean = ", ".join(f"{value:.5f}" for value in dataset.mean)
    return f"{shape}, {len(dataset.classes)} classes, mean {mean}"
