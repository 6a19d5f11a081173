"""CIFAR-10 in the forms that it is had in, of which the most exact is taken. Host only.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from pathlib import Path

from jnas.data import making, pictures
from jnas.data.parts import Options, with_drawn
from jnas.data.resizing import resized
from jnas.engine import readers
from jnas.engine.files import reading
from jnas.images import sources
from jnas.types import Dataset, Images

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_SIZE = 32
_TEST = "test_batch"  # beside the official training batches
_JPEG = ("cifar10_train.npz", "cifar10_test.npz")


def load(folder: str | Path | None, options: Options) -> Dataset:
    """Data set of CIFAR-10 from the first of folder, `$JNAS_DATA` and `.` that is given.

    Raises:
        ValueError: a file is not as it should be; the message names it.
        FileNotFoundError: there is none.
    """
    # The most exact first: official batches are the pixels themselves, JPEG has lost some, and
    # other files may be a part of the images.
    root = sources.cifar10_root(folder)
    if batches := sources.cifar10_batches(root):
        return _assembled(_official(batches, options), "CIFAR-10", options)
    if (root / _JPEG[0]).is_file():
        # Named so, for accuracies on them are not those that papers report.
        return _assembled(_jpeg(root, options), "CIFAR-10 (JPEG 75)", options)
    pixels = sources.read("cifar10", root)
    given = [_checked(pixels, options), None, None]
    return _assembled(given, f"CIFAR-10 ({len(pixels.x):,} images)", options)


def available(folder: str | Path | None) -> sources.Source:
    """The form that `load` takes, and how many images it has; 0 where there is none."""
    root = sources.cifar10_root(folder)
    if sources.cifar10_batches(root) or not (root / _JPEG[0]).is_file():
        return sources.available_cifar10(root)
    num, where = 0, f"{root / _JPEG[0]}, as JPEG"
    try:
        for name in _JPEG:
            if (root / name).is_file():
                # The labels alone: a file of 50,000 images is not read to count them.
                with readers.arrays(root / name) as arrays:
                    num += len(arrays["y"])
    except (ValueError, OSError) as error:
        num, where = 0, str(error)
    return sources.Source("cifar10", num, (_SIZE, _SIZE, 3), where)


def _assembled(given: list[Images | None], name: str, options: Options) -> Dataset:
    """Data set of the given parts and those that are drawn."""
    return making.assemble(
        with_drawn(given, options),
        classes=CLASSES,
        name=name,
        scale=None,
        is_flippable=making.is_flippable(CLASSES, options.is_flippable),
    )


def _official(batches: Path, options: Options) -> list[Images | None]:
    """Training and test images of the official batches."""
    train = _checked(sources.read(batches, None), options)
    test = batches / _TEST
    return [train, None, _checked(sources.read(test, None), options) if test.is_file() else None]


def _checked(pixels: sources.Pixels, options: Options) -> Images:
    """Images and labels of a source, in the size that is asked for."""
    if pixels.y is None:
        raise ValueError(f"{pixels.where} has no labels: an integer array y [N] is needed")
    found = making.checked(pixels.x, pixels.y)
    return found._replace(x=resized(found.x, options.size))


def _jpeg(root: Path, options: Options) -> list[Images | None]:
    """Training and test images of the files of JPEG images."""
    train, test = (root / name for name in _JPEG)
    return [_of_jpeg(train, options), None, _of_jpeg(test, options) if test.is_file() else None]


def _of_jpeg(path: Path, options: Options) -> Images:
    """Images of a `.npz` of `jpeg`, files one after another, `offsets [N + 1]` and `y [N]`."""
    reading(path, "a file of images")
    with readers.arrays(path) as arrays:
        jpeg, offsets, y = (arrays[name] for name in ("jpeg", "offsets", "y"))
    content, ends = jpeg.tobytes(), offsets.tolist()
    files = [content[ends[i] : ends[i + 1]] for i in range(len(y))]
    images = pictures.decode(files, [path], options.size or _SIZE, options)
    damaged = [f"{i} ({reason})" for i, reason in enumerate(images.reasons) if reason]
    # An error and no note, as of folders: in a file that was made by a program a damaged image is a
    # damaged file.
    if damaged:
        raise ValueError(f"{path}: {making.note('image', 'damaged', damaged)[0]}")
    return making.checked(images.x, y)
