"""Images that a command trains on: where they are from, and what was said about them."""

import math
import warnings
from collections.abc import Sequence

import jax
import numpy as np

from jnas import data
from jnas.commands.train.settings import Settings
from jnas.types import Dataset, Images, Key

PARTS = ("train", "validation", "test")


def load(settings: Settings, key: Key, progress: bool) -> tuple[Dataset, list[str]]:
    """Data set that the settings name, and the warnings about it, which are given, too.

    Args:
        settings: of the training.
        key: draws the split.
        progress: show a bar while image files are decoded.

    Raises:
        ValueError: no such data set, images that cannot be trained on, no images to choose by.
        FileNotFoundError: the path does not exist.
    """
    # Caught for the report, and then given all the same, as if from where they came.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = data.load(
            settings.images,
            settings.size,
            key,
            validation=_share(settings.validation),
            test=_share(settings.test),
            stretch=settings.stretch,
            strict=settings.strict,
            progress=progress,
        )
    for warning in caught:
        where = warning.filename, warning.lineno
        warnings.warn_explicit(warning.message, warning.category, *where)
    if not settings.is_given and not len(dataset.validation.y):
        raise ValueError(
            f"{dataset.name} has no validation images, by which an architecture is chosen; give "
            "some with --validation, or the architecture with --arch"
        )
    # Libraries warn of other things than the images.
    return dataset, [str(w.message) for w in caught if w.category is UserWarning]


def _share(value: float) -> float:
    """Fraction, or the whole number that a float of the command line stands for."""
    # A command line has floats alone, and `data.load` tells a count from a fraction by its type.
    return int(value) if value >= 1 and math.isfinite(value) and value == int(value) else value


def held_out(dataset: Dataset) -> tuple[str, Images]:
    """Part that answers are looked at on, and its name: the test, or else validation."""
    # Of the test if there is one: validation images have chosen the architecture.
    return ("test", dataset.test) if len(dataset.test.y) else ("validation", dataset.validation)


def batch(dataset: Dataset, num: int, key: Key) -> jax.Array:
    """`[num, H, W, C]` float32, training images at random as a network reads them."""
    have = len(dataset.train.y)
    # Sorted, for images may be mapped from a file, which is read faster in its order.
    rows = np.sort(np.asarray(jax.random.permutation(key, have))[: min(num, have)])
    return data.normalise(dataset.train.x[rows], dataset)


def counts(dataset: Dataset) -> list[list[object]]:
    """Table of how many images of each class each part has; a header first, all classes last."""
    of_parts = [
        np.bincount(np.asarray(getattr(dataset, part).y), minlength=len(dataset.classes))
        for part in PARTS
    ]
    rows = [
        [name, *map(int, row)]
        for name, row in zip(dataset.classes, zip(*of_parts, strict=True), strict=True)
    ]
    return [["class", *PARTS], *rows, ["all", *(int(part.sum()) for part in of_parts)]]


def majority_share(labels: Sequence[int] | np.ndarray) -> float:
    """Accuracy of always naming the most frequent class of at least one image."""
    # What any network has to beat: with one class of 90 % an accuracy of 0.9 is nothing.
    return float(np.bincount(labels).max() / len(labels))
