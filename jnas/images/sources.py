"""Sources of images by name or path, as their pixels and labels."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jnas.engine import readers
from jnas.engine.files import reading
from jnas.engine.messages import describe, nearest
from jnas.images._pickles import read_batch

NAMES = ("digits", "cifar10", "noise")
# The constants of NASWOT's code, which has them for bytes.
CIFAR10_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
CIFAR10_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)

_BATCHES = "cifar-10-batches-py"


class Source(NamedTuple):
    """Source of images, and whether it can be loaded here and now.

    Attributes:
        name: what `load` calls it.
        num: number of images; 0 where the source is not here, None where there is no limit.
        shape: `(H, W, C)` of one image before resizing; `()` where every size is native.
        where: the file or folder it comes from, or what to do where it is not here.
    """

    name: str
    num: int | None
    shape: tuple[int, ...]
    where: str


# Known without importing scikit-learn, which takes a second.
DIGITS = Source("digits", 1797, (8, 8, 1), "bundled with scikit-learn")


class Pixels(NamedTuple):
    """Pixels of a source: x `[N, H, W, C]` with C 1 or 3, y `[N]`; `x / scale` is normalised.

    Mean and std (scalars or `[C]`) are None where the statistics of x are to be used. `is_mixed`
    says that the order is known to be no order of the classes.
    """

    # `x` stays in bytes until its rows are chosen: in float64, CIFAR-10 would take 1.2 GB.

    where: str
    x: np.ndarray
    y: np.ndarray | None
    scale: float
    mean: ArrayLike | None = None
    std: ArrayLike | None = None
    is_mixed: bool = True


def available(folder: str | Path | None = None) -> list[Source]:
    """Sources that `load` knows by name, and whether they can be loaded here and now.

    Args:
        folder: where to look for CIFAR-10, as in `load`.

    Returns:
        One `Source` for each of `NAMES`. What cannot be read has `num` 0 and says why.
    """
    noise = Source("noise", None, (), "drawn from a key")
    return [DIGITS, available_cifar10(folder), noise]


def available_cifar10(folder: str | Path | None) -> Source:
    """CIFAR-10 as `read` finds it; `num` 0, and why, where it does not."""
    try:
        pixels = _read_cifar10(folder)
        return Source("cifar10", len(pixels.x), pixels.x.shape[1:], pixels.where)
    except (ValueError, OSError) as error:
        return Source("cifar10", 0, (32, 32, 3), str(error))


def cifar10_root(folder: str | Path | None) -> Path:
    """Folder in which CIFAR-10 is looked for: the given one, else `$JNAS_DATA`, else `.`."""
    return Path(folder or os.environ.get("JNAS_DATA") or ".").expanduser()


def cifar10_batches(root: Path) -> Path | None:
    """Folder of CIFAR-10's official batches, if there is one: below the root, or itself."""
    # Training images only: the file `test_batch` has another name.
    places = (root / _BATCHES, root)
    return next((place for place in places if any(place.glob("data_batch_*"))), None)


def read(name_or_path: str | Path, folder: str | Path | None) -> Pixels:
    """Pixels of a source, by name or by path.

    Raises:
        ValueError: the name is unknown, or the file is not one of images.
        FileNotFoundError: it looks like a path, and nothing is there.
    """
    if name_or_path == "digits":
        return _read_digits()
    if name_or_path == "cifar10":
        return _read_cifar10(folder)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        # Sorted, for a folder's order is that of its file system, and the first images are taken.
        return _read_batches(path, sorted(path.glob("data_batch_*")))
    if path.is_file():
        return _read_npz(path) if path.suffix == ".npz" else _read_batches(path, [path])
    # A word without folders or a suffix is more likely a misspelt name than a path.
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(
            f"{path} does not exist; a .npz file or one of {', '.join(NAMES)} is needed"
        )
    raise ValueError(
        f"no file and no images are called {name_or_path!r}. {nearest(name_or_path, NAMES)}"
    )


def _read_digits() -> Pixels:
    """Pixels of scikit-learn's digits, whose grey levels are 0 … 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Pixels("digits", digits.images[..., None], digits.target, scale=16.0)


def _read_cifar10(folder: str | Path | None) -> Pixels:
    """Pixels of CIFAR-10 from the first of folder, `$JNAS_DATA` and `.` that is given."""
    root = cifar10_root(folder)
    if batches := cifar10_batches(root):
        return read(batches, None)
    files = sorted(root.glob("cifar10*.npz"))
    # Asked file by file, so that a damaged one behind the first that fits does no harm.
    file = next((file for file in files if not _holds_jpeg(file)), None)
    if file is None:
        advice = f"put {_BATCHES} or cifar10*.npz under $JNAS_DATA"
        # Decoding 50,000 images takes seconds, and zero-shot scores look at a hundred.
        others = "; the JPEG images there are for jnas.data.load alone" if files else ""
        raise FileNotFoundError(f"cifar10 not found: {advice} (looked in {root.resolve()}{others})")
    pixels = _read_npz(file)
    if pixels.x.shape[1:] != (32, 32, 3) or pixels.x.dtype != np.uint8:
        raise ValueError(f"{file}: x is {describe(pixels.x)}, CIFAR-10 is uint8 [N, 32, 32, 3]")
    return pixels._replace(mean=CIFAR10_MEAN, std=CIFAR10_STD, is_mixed=True)


def _holds_jpeg(path: Path) -> bool:
    """Whether a `.npz` file holds JPEG files, as `data.load` reads them, in place of an array x."""
    with readers.arrays(path) as arrays:
        return "jpeg" in arrays and "x" not in arrays


def _read_npz(path: Path) -> Pixels:
    """Pixels of a `.npz` file; ValueError says what is wrong with it."""
    reading(path, "the file of images")
    with readers.arrays(path) as arrays:
        # Others in the file, that are not asked for, cost nothing.
        if "x" not in arrays:
            raise ValueError(
                f"no array x [N, H, W, C] among {', '.join(arrays.files) or 'no arrays'}"
            )
        x, y = arrays["x"], arrays.get("y")
        check_images(x)
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    return Pixels(str(path), x, y, scale, is_mixed=False)


def check_images(x: np.ndarray, name: str = "x") -> None:
    """ValueError where an array is not `[N, H, W, C]` of bytes or finite floats, C 1 or 3."""
    what = f"{name} is {describe(x)}"
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"{what}, it must be [N, H, W, C] with C 1 or 3, and not empty")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{what}, it must be uint8 (0 to 255) or float")
    # Bytes are finite, and asking each of them would take as much memory as they do.
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"{name} has NaN or infinite values")


def _read_batches(where: Path, files: list[Path]) -> Pixels:
    """Pixels of CIFAR-10's pickled batches, one after the other."""
    if not files:
        raise ValueError(f"{where} holds no CIFAR-10 data_batch_* files")
    for file in files:
        reading(file, "a file of images")
    x, y = (np.concatenate(parts) for parts in zip(*map(read_batch, files), strict=True))
    return Pixels(str(where), x, y, scale=255.0, mean=CIFAR10_MEAN, std=CIFAR10_STD)
