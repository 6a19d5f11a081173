"""Batches of images: which rows of a source, normalised, resized, with labels."""

import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jnas.engine.inputs import as_key
from jnas.engine.messages import describe, nearest
from jnas.images.sources import Pixels, read
from jnas.types import Key

_RESIZE_METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


def load(
    name_or_path: str | Path = "digits",
    size: int = 32,
    num: int = 128,
    key: Key | None = None,
    *,
    folder: str | Path | None = None,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
    method: str = "bilinear",
) -> jax.Array:
    """Batch of normalised images, `[num, size, size, 3]` float32.

    CIFAR-10 is normalised as in NASWOT: Mellor, Turner, Storkey and Crowley, "Neural Architecture
    Search without Training", 2021, https://arxiv.org/abs/2006.04647.

    Args:
        name_or_path: one of `NAMES`, or a path; a string that is a name is never taken for a path.
        size: height and width of the result in pixels; other aspect ratios are stretched.
        num: number of images.
        key: takes a random subset without replacement in random order; without a key, the first
            images. If those of a `.npz` file lack a class that the file has, it may be sorted, and
            images are taken from all classes in turn, with a warning. For noise the key draws the
            pixels, `jax.random.key(0)` by default.
        folder: where to look for CIFAR-10.
        mean: scalar or `[C]`, subtracted in place of the source's own mean, on the scale `[0, 1]`
            (that of the file where it holds floats).
        std: scalar or `[C]`, positive, divides in place of the source's own standard deviation.
            Channels that are constant over the source are divided by 1.
        method: interpolation, as `jax.image.resize` calls it; antialiased where the image shrinks.

    Returns:
        `[num, size, size, 3]` float32.

    Raises:
        ValueError: for an unknown name or method, a size or num below 1, more images than there
            are, or a file whose content is not what the module promises to read.
        FileNotFoundError: for a path that does not exist, or CIFAR-10 where it is not found.
    """
    key = _checked_key(size, num, key, method)
    if name_or_path == "noise":
        if mean is not None or std is not None:
            raise ValueError("noise is standard normal already: mean= and std= do not apply to it")
        shape = (num, size, size, 3)
        return jax.random.normal(jax.random.key(0) if key is None else key, shape, jnp.float32)
    pixels = _override(read(name_or_path, folder), mean, std)
    return _prepare(pixels, _rows(pixels, num, key), size, method)


def load_labelled(
    name_or_path: str | Path = "digits",
    size: int = 32,
    num: int = 128,
    key: Key | None = None,
    *,
    folder: str | Path | None = None,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
    method: str = "bilinear",
) -> tuple[jax.Array, jax.Array]:
    """Batch of normalised images with their classes. Arguments, and images, are those of `load`.

    Returns:
        Images `[num, size, size, 3]` float32 and labels `[num]` int32.

    Raises:
        ValueError: as `load`; and where the source has not one integer label for each image.
        FileNotFoundError: as `load`.
    """
    key = _checked_key(size, num, key, method)
    if name_or_path == "noise":
        raise ValueError("noise has no labels; digits and cifar10 have")
    pixels = _override(read(name_or_path, folder), mean, std)
    # All of the source's labels are checked, so that an error does not depend on the rows.
    labels = _labels(pixels)
    rows = _rows(pixels, num, key)
    return _prepare(pixels, rows, size, method), jnp.asarray(labels[rows])


def num_classes(
    name_or_path: str | Path = "digits", *, folder: str | Path | None = None
) -> int | None:
    """Number of classes of a source, its largest label + 1; None where it has no classes.

    Raises:
        ValueError: as `load`.
        FileNotFoundError: as `load`.
    """
    if name_or_path == "noise":
        return None
    labels = _known_labels(read(name_or_path, folder))
    # Negative ones, which mark images without a class, count for none.
    return None if labels is None or labels.max() < 0 else int(labels.max()) + 1


def _checked_key(size: int, num: int, key: Any, method: str) -> Key | None:
    """Typed key or None; ValueError where an argument of `load` is wrong, whatever the source."""
    # Before the source is read: a misspelt option should not wait for it.
    if size < 1 or num < 1:
        raise ValueError(f"size and num must be at least 1, got size={size} and num={num}")
    if method not in _RESIZE_METHODS:
        raise ValueError(f"unknown resize method {method!r}. {nearest(method, _RESIZE_METHODS)}")
    return None if key is None else as_key(key)


def _rows(pixels: Pixels, num: int, key: Key | None) -> np.ndarray:
    """`[num]` int, numbers of the images to take; ValueError where there are not as many."""
    total = len(pixels.x)
    if num > total:
        raise ValueError(f"{pixels.where} has {total} images, {num} were asked for")
    if key is not None:
        # The start of one permutation: a larger `num` adds images and changes none.
        return np.asarray(jax.random.permutation(key, total)[:num])
    return np.arange(num) if pixels.is_mixed else _first_of_all_classes(pixels, num)


def _first_of_all_classes(pixels: Pixels, num: int) -> np.ndarray:
    """`[num]` int, the first rows if they have all classes; else rows of each class in turn."""
    first, labels = np.arange(num), _known_labels(pixels)
    if labels is None:
        return first
    classes, labels = np.unique(labels, return_inverse=True)
    num_found = len(np.unique(labels[:num]))
    if num_found == min(num, len(classes)):
        return first
    warnings.warn(
        f"the first {num} images of {pixels.where} are of {num_found} of its {len(classes)} "
        "classes; images of all classes in turn are taken instead (key= draws at random)",
        stacklevel=4,  # the caller of `load`
    )
    # The place of each image among those of its class: all firsts come before all seconds.
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    places = np.empty(len(labels), np.int64)
    places[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.lexsort((labels, places))[:num]


def _known_labels(pixels: Pixels) -> np.ndarray | None:
    """`[N]` int, classes of the images of a source; None where it has not one for each image."""
    y = pixels.y
    fits = y is not None and y.shape == (len(pixels.x),) and y.dtype.kind in "iu"
    return y if fits else None


def _labels(pixels: Pixels) -> np.ndarray:
    """`[N]` int32, classes of the images of a source; ValueError where it has none."""
    if pixels.y is None:
        raise ValueError(f"{pixels.where} has no labels: an integer array y [N] is needed")
    labels = _known_labels(pixels)
    if labels is None:
        raise ValueError(
            f"{pixels.where}: y is {describe(pixels.y)}, not integers [{len(pixels.x)}]"
        )
    # JAX would wrap them around without a word.
    narrow = labels.astype(np.int32)
    if np.any(narrow != labels):
        raise ValueError(f"{pixels.where}: y has numbers beyond those of 32 bits")
    return narrow


def _override(pixels: Pixels, mean: ArrayLike | None, std: ArrayLike | None) -> Pixels:
    """Pixels of a source with the caller's statistics in place of its own."""
    if mean is not None:
        pixels = pixels._replace(mean=_statistic("mean", mean, pixels, above=-np.inf))
    return pixels if std is None else pixels._replace(std=_statistic("std", std, pixels, above=0.0))


def _statistic(name: str, value: ArrayLike, pixels: Pixels, *, above: float) -> np.ndarray:
    """Scalar or `[C]` float64, finite and larger than `above`; ValueError otherwise."""
    array, channels = np.asarray(value, np.float64), pixels.x.shape[-1]
    if array.shape not in ((), (channels,)) or not np.all(np.isfinite(array) & (array > above)):
        raise ValueError(
            f"{name}= must be 1 or {channels} finite numbers above {above}, got {value!r}"
        )
    return array


def _prepare(pixels: Pixels, rows: np.ndarray, size: int, method: str) -> jax.Array:
    """`[num, size, size, 3]` float32 images of the rows: normalised, resized, in three channels."""
    mean, std = _statistics(pixels)
    # Rows first, for a whole source in float64 may not fit. Float64, so that an exact pixel is
    # rounded once.
    normalised = (pixels.x[rows].astype(np.float64) / pixels.scale - mean) / std
    images = jnp.asarray(normalised.astype(np.float32))
    # Before grey is repeated, to resize one channel and not three equal ones.
    num, height, width, channels = images.shape
    if (height, width) != (size, size):
        images = jax.image.resize(images, (num, size, size, channels), method)
    return jnp.repeat(images, 3, axis=-1) if channels == 1 else images


def _statistics(pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `x / scale`, each a scalar or `[C]`.

    The deviation of a constant channel is 1.
    """
    # Channel by channel, for these are views: the whole in float64 would be a copy of every image.
    mean, std = pixels.mean, pixels.std
    channels = [pixels.x[..., channel] for channel in range(pixels.x.shape[-1])]
    if mean is None:
        mean = [channel.mean(dtype=np.float64) / pixels.scale for channel in channels]
    if std is None:
        # Asked of the extremes: the computed deviation of a constant need not be exactly 0.
        constant = [channel.min() == channel.max() for channel in channels]
        deviations = [channel.std(dtype=np.float64) / pixels.scale for channel in channels]
        std = np.where(constant, 1.0, deviations)
    return np.asarray(mean, np.float64), np.asarray(std, np.float64)
