"""Data sets from arrays: checks, splits by key, mean and deviation. Host only."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jnas.data import splits
from jnas.engine.inputs import as_key
from jnas.engine.messages import describe
from jnas.images.sources import check_images
from jnas.types import Dataset, Images, Key

SHARE = 0.15  # of the images, for validation and for test where nothing else is said
PARTS = ("train", "validation", "test")

_BLOCK = 1024  # images looked at at a time: the file that they are mapped from may be large
# Larger labels are hashes or positions in a file, and a name for each number up to them would fill
# the memory before anything else says so.
_MOST_CLASSES = 2**20
_MOST_NAMES = 5  # that a note lists


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
    key, groups = as_key(key), splits.copies(whole.x)
    rows = drawn_rows(whole.y, groups, key, validation=validation, test=test)
    parts = [Images(whole.x[part], whole.y[part]) for part in rows]
    return assemble(parts, classes=classes, name=name, scale=scale, is_flippable=is_flippable)


def drawn_rows(
    labels: np.ndarray, groups: np.ndarray, key: Key, *, validation: float, test: float
) -> list[np.ndarray]:
    """Rows of a training, a validation and a test part, drawn by key; see `make_dataset`.

    Args:
        labels: `[N]` int.
        groups: `[N]` int, equal for images that stay together.
        key: draws.
        validation: fraction or count.
        test: likewise.
    """
    # What is whole keeps its order.
    if not validation and not test:
        return [np.arange(len(labels)), np.arange(0), np.arange(0)]
    wanted = {"test": test, "validation": validation}
    counts = [splits.amount(value, len(labels), name) for name, value in wanted.items()]
    train, tested, validated = splits.stratified(labels, counts, key, groups)
    return [train, validated, tested]


def copies_noted(
    groups: np.ndarray, labels: np.ndarray, parts: np.ndarray, names: Callable[[int], str]
) -> list[str]:
    """Notes about equal images of different classes, and of different parts.

    Args:
        groups: `[N]` int, for each image the first that equals it.
        labels: `[N]` int.
        parts: `[N]` int, index into `PARTS`.
        names: name of an image by its number.
    """
    others = np.flatnonzero(groups != np.arange(len(groups)))
    firsts, notes = groups[others], []
    for values, text in ((labels, "classes"), (parts, "parts")):
        differ = np.flatnonzero(values[others] != values[firsts])
        pairs = [f"{names(firsts[i])} = {names(others[i])}" for i in differ]
        notes += note("image", f"in two {text}", pairs)
    return notes


def note(thing: str, what: str, names: Sequence[str]) -> list[str]:
    """Note such as "2 files skipped: a.png, b.png", with the first few names; none without any."""
    if not names:
        return []
    num, ending = len(names), "es" if thing.endswith("s") else "s"
    more = f" and {num - _MOST_NAMES:,} more" if num > _MOST_NAMES else ""
    told = ", ".join(names[:_MOST_NAMES]) + more
    return [f"{num:,} {thing}{ending if num > 1 else ''} {what}: {told}"]


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


def checked(x: Any, y: Any, names: tuple[str, str] = ("x", "y")) -> Images:
    """Images `[N, H, W, C]` uint8 or float32 with labels `[N]` int32.

    Raises:
        ValueError: they are something else; the message has their names.
    """
    x, y = (value if isinstance(value, np.ndarray) else np.asarray(value) for value in (x, y))
    check_images(x, names[0])
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):  # found in the next line
            # As networks compute: float64 would take twice the memory, and be cut by JAX anyway.
            x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise ValueError(f"{names[0]} has values too large for float32")
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise ValueError(f"{names[1]} is {describe(y)}, not integers [{len(x)}]")
    if y.min() < 0 or y.max() > _MOST_CLASSES:
        raise ValueError(
            f"labels {names[1]} are {y.min()} … {y.max()}; they must count the classes from 0"
        )
    return Images(x, y.astype(np.int32))


def is_flippable(classes: Sequence[str] | None, asked: bool | None) -> bool:
    """Whether images may be mirrored: as asked, else unless all classes are single characters."""
    # Folders "0" … "9" or "a" … "z" are of written characters.
    return asked if asked is not None else not classes or any(len(name) > 1 for name in classes)


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
    # Of all parts, for the highest label may be in one of them alone.
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
    # By the training part: a class of the others alone could never be answered with.
    known = np.isin(np.arange(len(names)), parts[0].y)
    for part, text in zip(parts[1:], PARTS[1:], strict=True):
        if foreign := [names[label] for label in np.unique(part.y) if not known[label]]:
            raise ValueError(f"{text} has classes that train lacks: {', '.join(foreign)}")
    if not known.all():
        lacking = [name for name, is_known in zip(names, known, strict=True) if not is_known]
        raise ValueError(f"train has no image of the classes {', '.join(lacking)}")
