"""Data sets from arrays: checks, splits by key, mean and deviation. Host only."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jnas.data import splits
from jnas.engine.inputs import as_key
from jnas.engine.messages import describe
from jnas.types import Dataset, Images, Key

SHARE = 0.15  # of the images, for validation and for test where nothing else is said
PARTS = ("train", "validation", "test")

_BLOCK = 1024  # images looked at at a time: the file that they are mapped from may be large
_MOST_NAMES = 5  # that a warning lists


def make_dataset(
    x: Any,
    y: Any,
    *,
    key: Key,
    classes: Sequence[str] | None = None,
    validation: float = SHARE,
    test: float = SHARE,
    name: str = "images",
    scale: float | None = None,
    is_flippable: bool = True,
) -> Dataset:
    """Data set of images and labels, split by key so that each class has its share of every part.

    Images that equal each other go to one part. Each class leaves an image to train on, and every
    part is in random order.

    Args:
        x: `[N, H, W, C]` uint8 or finite floats, C 1 or 3.
        y: `[N]` int, from 0.
        key: draws the split.
        classes: names; by default "0", "1", … up to the largest label.
        validation: fraction of the images, or how many.
        test: likewise; drawn first, so that it does not depend on `validation`.
        name: of the data set.
        scale: number that pixels are divided by; 255 for bytes and 1 for floats by default.
        is_flippable: whether a mirrored image is of the same class.

    Raises:
        ValueError: arrays of other types or shapes, fewer than two classes, labels that no class
            has, or parts larger than the images allow.
    """
    whole = checked(x, y)
    parts = split(whole, key, validation=validation, test=test)
    return assemble(parts, classes=classes, name=name, scale=scale, is_flippable=is_flippable)


def split(whole: Images, key: Key, *, validation: float = 0.0, test: float = 0.0) -> list[Images]:
    """Training, validation and test images of `[N, H, W, C]`, see `make_dataset`."""
    wanted = {"test": test, "validation": validation}
    counts = [splits.amount(value, len(whole.y), text) for text, value in wanted.items()]
    rows = splits.stratified(whole.y, counts, as_key(key), splits.copies(whole.x))
    train, tested, validated = (Images(whole.x[part], whole.y[part]) for part in rows)
    return [train, validated, tested]


def assemble(
    parts: Sequence[Images],
    *,
    classes: Sequence[str] | None,
    name: str,
    scale: float | None,
    is_flippable: bool,
) -> Dataset:
    """Data set of a training, a validation and a test part, checked against each other.

    Raises:
        ValueError: shapes that differ, fewer than two classes, labels that no class has, or a class
            that the training part lacks.
    """
    for part, text in zip(parts, PARTS, strict=True):
        if part.x.shape[1:] != parts[0].x.shape[1:] or part.x.dtype != parts[0].x.dtype:
            raise ValueError(
                f"images of {text} are {describe(part.x)}, those of train {describe(parts[0].x)}"
            )
    names = _names(parts, classes)
    _check_classes(parts, names)
    scale = (255.0 if parts[0].x.dtype == np.uint8 else 1.0) if scale is None else scale
    mean, std = statistics(parts[0].x, scale)
    train, validation, test = parts
    return Dataset(train, validation, test, mean, std, float(scale), names, name, is_flippable)


def checked(x: Any, y: Any, where: str = "") -> Images:
    """Images `[N, H, W, C]` uint8 or float32 with labels `[N]` int32.

    Raises:
        ValueError: they are something else; the message begins with `where`.
    """
    x, y = (value if isinstance(value, np.ndarray) else np.asarray(value) for value in (x, y))
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"{where}x is {describe(x)}, not [N, H, W, C] with C 1 or 3, or is empty")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{where}x is {describe(x)}, it must be uint8 (0 to 255) or float")
    if x.dtype.kind == "f":
        x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise ValueError(f"{where}x has NaN, infinite or too large values")
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise ValueError(f"{where}y is {describe(y)}, not integers [{len(x)}]")
    if y.min() < 0 or y.max() > len(x) + 2**20:
        raise ValueError(
            f"{where}labels are {y.min()} … {y.max()}; they must count the classes from 0"
        )
    return Images(x, y.astype(np.int32))


def empty_like(part: Images) -> Images:
    """No images, of the same shape and type."""
    return Images(part.x[:0], part.y[:0])


def statistics(x: Any, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation `[C]` float32 of `x / scale`; the deviation of a constant channel is 1."""
    channels = [x[..., channel] for channel in range(x.shape[-1])]
    if x.dtype == np.uint8:
        # Exact, and without a copy in floats: how often is each of 256 values?
        counts, values = np.stack(list(map(_histogram, channels))), np.arange(256) / scale
        mean = counts @ values / counts[0].sum()
        squares = (counts * (values[None] - mean[:, None]) ** 2).sum(axis=1)
        std, constant = np.sqrt(squares / counts[0].sum()), (counts > 0).sum(axis=1) == 1
    else:
        mean = np.asarray([channel.mean(dtype=np.float64) for channel in channels]) / scale
        std = np.asarray([channel.std(dtype=np.float64) for channel in channels]) / scale
        constant = np.asarray([channel.min() == channel.max() for channel in channels])
    return mean.astype(np.float32), np.where(constant, 1.0, std).astype(np.float32)


def tell(text: str, names: Sequence[str], *, strict: bool) -> None:
    """Warning, or ValueError where `strict`, of a number of things and the names of some."""
    more = f", and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    message = f"{text}: {', '.join(names[:_MOST_NAMES])}{more}"
    if strict:
        raise ValueError(message)
    warnings.warn(message, stacklevel=2)


def _histogram(channel: np.ndarray) -> np.ndarray:
    """`[256]` int64, how many pixels `[N, H, W]` uint8 have each value."""
    # In blocks, for the whole may lie in a file that memory does not hold.
    starts = range(0, len(channel), _BLOCK)
    blocks = (channel[start : start + _BLOCK].ravel() for start in starts)
    counts = [np.bincount(block, minlength=256) for block in blocks]
    return np.asarray(np.sum(counts, axis=0))


def _names(parts: Sequence[Images], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the classes; ValueError where labels go beyond them, or two are the same."""
    highest = max(int(part.y.max()) for part in parts if len(part.y))
    names = tuple(map(str, range(highest + 1) if classes is None else classes))
    if highest >= len(names):
        raise ValueError(f"there are {len(names)} classes, and labels up to {highest}")
    if len(set(names)) < len(names):
        raise ValueError(f"names of classes must differ; got {', '.join(names)}")
    if len(names) < 2:
        raise ValueError(f"at least 2 classes are needed; there is {names[0]!r} alone")
    return names


def _check_classes(parts: Sequence[Images], names: Sequence[str]) -> None:
    """ValueError where a class has no images to train on."""
    known = np.isin(np.arange(len(names)), parts[0].y)
    for part, text in zip(parts[1:], PARTS[1:], strict=True):
        if foreign := [names[label] for label in np.unique(part.y) if not known[label]]:
            raise ValueError(f"{text} has classes that train lacks: {', '.join(foreign)}")
    if not known.all():
        lacking = [name for name, is_known in zip(names, known, strict=True) if not is_known]
        raise ValueError(f"train has no image of the classes {', '.join(lacking)}")
