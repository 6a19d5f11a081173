"""Data sets by name or path: digits, CIFAR-10, `.npz` files, folders of images. Host only."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jnas.data import cifar10, digits201, making, pictures, splits
from jnas.data.cache import usual_folder
from jnas.data.making import SHARE
from jnas.data.parts import Options, refuse, with_drawn
from jnas.data.resizing import check_size, resized
from jnas.engine import readers
from jnas.engine.files import reading
from jnas.engine.inputs import as_key
from jnas.engine.messages import nearest
from jnas.images import sources
from jnas.images.sources import Source
from jnas.types import Dataset, Images, Key

NAMES = ("digits", "digits201", "cifar10")
ENDINGS = ("", "_val", "_test")  # of names of arrays, one a part


def load(
    name_or_path: str | Path,
    size: int | None = None,
    key: Key | None = None,
    *,
    validation: float = SHARE,
    test: float = SHARE,
    stretch: bool = False,
    strict: bool = False,
    is_flippable: bool | None = None,
    cache: str | Path | None = "auto",
    folder: str | Path | None = None,
    progress: bool = False,
) -> Dataset:
    """Data set by its name or path, split into training, validation and test images.

    Parts that the source has of its own stay as they are, and those that it lacks are drawn from
    its training images, as `make_dataset` does: equal images go to one part, each class has its
    share of every part, and the parts are in random order.

    Image files are turned upright by their EXIF orientation, shown on white where they are
    transparent, brought from 16 bits to 8, and decoded once: the bytes are kept in the cache, and
    mapped from there where they are more than 1 GiB. If all are grey, images have one channel.
    Files below the folder of a class at any depth belong to it; hidden ones do not count.

    Args:
        name_or_path: "digits"; "digits201", the images of `benchmarks.digits201`, of which only
            the name can be chosen; "cifar10", the official batches, else the files
            `cifar10_train.npz` and `cifar10_test.npz` of JPEG images, else another
            `cifar10*.npz`; a `.npz` file with `x [N, H, W, C]` and `y [N]`, perhaps `x_val`,
            `y_val`, `x_test`, `y_test` and `classes`, the names; a folder with a folder of images
            for each class, or with folders `train`, `val` (or `valid`, `validation`) and `test`,
            each with folders of classes.
        size: height and width in pixels, a multiple of 4. None keeps the size of arrays, but
            for what is over a multiple of 4; image files get the median of their shorter sides,
            at least 8 and at most 32: networks of the benchmarks are made for 32, and an image of
            64 costs four times as much.
        key: draws the split; `jax.random.key(0)` by default.
        validation: fraction of the images, or how many, that are drawn for validation.
        test: likewise for the test.
        stretch: images that are not square are stretched; by default they keep their aspect and
            lose what is over at both ends.
        strict: raises an error in place of each warning about the images.
        is_flippable: whether a mirrored image is of the same class; None: digits and classes whose
            names are single characters are not.
        cache: folder for decoded images, which may be deleted at any time; "auto" is `jnas` in
            `$XDG_CACHE_HOME` or `~/.cache`, None keeps nothing.
        folder: where to look for CIFAR-10; `$JNAS_DATA` by default, else the current directory.
        progress: show a bar while image files are decoded.

    Raises:
        ValueError: an unknown name, a size that is not allowed, fewer than two classes with
            images, a class that training lacks, or content that is not as said above.
        FileNotFoundError: a path that does not exist, or CIFAR-10 where it is not found.

    Warns:
        UserWarning: with a number and some names, of files that are skipped (unreadable, animated,
            more pixels than Pillow takes for safe), classes without images, equal images in two
            classes or in two of the given parts; and of parts that would have no images.
    """
    check_size(size)
    # "auto" and not None by default, which says that nothing is to be kept.
    kept_in = usual_folder() if cache == "auto" else cache and Path(cache).expanduser()
    options = Options(
        size=size,
        key=as_key(0 if key is None else key),
        validation=validation,
        test=test,
        stretch=stretch,
        strict=strict,
        cache=kept_in or None,
        is_flippable=is_flippable,
        progress=progress,
    )
    notes: list[str] = []
    found = _load(name_or_path, options, folder, notes)
    # Told only where one was asked for: a part that was set to 0 is empty as it should be.
    asked = {"validation": validation, "test": test}
    if empty := [part for part, num in asked.items() if num and not len(getattr(found, part).y)]:
        few = "the images are too few, or copies of each other, to draw any"
        notes.append(f"{' and '.join(empty)} without images: {few}")
    refuse(notes, strict=strict)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return found


def available(folder: str | Path | None = None) -> list[Source]:
    """Data sets that `load` knows by name, and whether they can be loaded here and now.

    Args:
        folder: where to look for CIFAR-10, as in `load`.

    Returns:
        One `images.Source` for each of `NAMES`. What cannot be read has `num` 0 and says why.
    """
    return [sources.DIGITS, digits201.SOURCE, cifar10.available(folder)]


def _load(
    name_or_path: str | Path, options: Options, folder: str | Path | None, notes: list[str]
) -> Dataset:
    """Data set of whichever source it is."""
    # Names come first, so that a folder which happens to be called so does not change what they
    # mean.
    if name_or_path == "digits":
        return _digits(options)
    if name_or_path == digits201.NAME:
        if options.size not in (None, 8):
            raise ValueError(
                f"images of digits201 are 8 x 8 and no others; got size {options.size}"
            )
        return digits201.digits201()
    if name_or_path == "cifar10":
        return cifar10.load(folder, options)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        # Of a folder that was unpacked from the official archive, which has no folders of classes.
        is_cifar10 = any(path.glob("data_batch_*"))
        return (
            cifar10.load(path, options) if is_cifar10 else pictures.of_folder(path, options, notes)
        )
    if path.is_file():
        return _npz(path, options, notes)
    # A word without folders or a suffix is more likely a misspelt name than a path.
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(
            f"{path} does not exist; a folder of images, a .npz file or one of "
            f"{', '.join(NAMES)} is needed"
        )
    raise ValueError(
        f"no file and no data set is called {name_or_path!r}. {nearest(name_or_path, NAMES)}"
    )


def _digits(options: Options) -> Dataset:
    """The 1,797 grey digits of scikit-learn, 8 x 8, with values 0 … 16."""
    # Here, for scikit-learn is slow to import, and other images need not wait for it.
    from sklearn.datasets import load_digits

    found = load_digits()
    x = found.images[..., None].astype(np.uint8)
    scale = 16.0
    if options.size not in (None, 8):
        # Means of neighbours are rounded: to a fifteenth of a grey level then.
        x, scale = resized(15 * x, options.size), 15 * scale
    parts = with_drawn([making.checked(x, found.target), None, None], options)
    # Never by default: a mirrored 2 is no digit.
    is_flippable = bool(options.is_flippable)
    return making.assemble(
        parts, classes=None, name="digits", scale=scale, is_flippable=is_flippable
    )


def _npz(path: Path, options: Options, notes: list[str]) -> Dataset:
    """Data set of a `.npz` file."""
    reading(path, "the file of images")
    with readers.arrays(path) as arrays:
        given = [_part(arrays, ending, options) for ending in ENDINGS]
        classes = arrays["classes"].astype(str).ravel().tolist() if "classes" in arrays else None
    # Before anything is drawn: what is drawn keeps copies together, and has none to tell of.
    notes += _copies_noted(given)
    refuse(notes, strict=options.strict)
    return making.assemble(
        with_drawn(given, options),
        classes=classes,
        name=path.stem,
        scale=None,
        is_flippable=making.is_flippable(classes, options.is_flippable),
    )


def _part(arrays: Any, ending: str, options: Options) -> Images | None:
    """Images and labels of one part of a `.npz` file; None where a part beside training lacks."""
    names = f"x{ending}", f"y{ending}"
    lacking = [name for name in names if name not in arrays]
    # Half a part is a slip, such as labels that were forgotten, and not a part that is not there.
    if len(lacking) == 2 and ending:
        return None
    if lacking:
        have = ", ".join(arrays.files) or "no arrays"
        raise ValueError(f"no array {' and no '.join(lacking)} among {have}")
    found = making.checked(arrays[names[0]], arrays[names[1]], names)
    return found._replace(x=resized(found.x, options.size, stretch=options.stretch))


def _copies_noted(given: list[Images | None]) -> list[str]:
    """Notes about equal images of different classes or given parts."""
    parts = [(ending, part) for ending, part in zip(ENDINGS, given, strict=True) if part]
    names = [f"x{ending}[{i}]" for ending, part in parts for i in range(len(part.y))]
    return making.copies_noted(
        splits.copies(*(part.x for _, part in parts)),
        np.concatenate([part.y for _, part in parts]),
        np.repeat(np.arange(len(parts)), [len(part.y) for _, part in parts]),
        lambda number: names[number],
    )
