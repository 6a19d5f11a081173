"""Batches of real images, for zero-shot scores and for training. Host only: nothing here is traced.

Every source gives `[num, size, size, 3]` float32, normalised channel by channel:

    `"digits"`   the 1,797 grey 8 x 8 digits bundled with scikit-learn; nothing to download
    `"cifar10"`  32 x 32, from the folder `cifar-10-batches-py` or a file `cifar10*.npz`, found
                 under `folder=`, else `$JNAS_DATA`, else the current directory
    `"noise"`    standard normal numbers, as many and as large as asked for
    a path       a `.npz` file (`x [N, H, W, C]`, perhaps `y [N]`), a folder of CIFAR-10 batches, or
                 one of its `data_batch_*` files; a `.npz` file has no published constants, whatever
                 its name

Pixels are put on the scale `[0, 1]` (float files keep their own), then normalised with the mean and
standard deviation of the whole source at its native resolution (CIFAR-10: with the published
constants), then resized if they are not `size x size` already, then grey is repeated over three
channels. Normalised numbers therefore do not depend on `num` or `key`, and images of the right size
keep exact pixels.
"""

import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jnas.engine.files import reading
from jnas.engine.messages import nearest
from jnas.types import Key

NAMES = ("digits", "cifar10", "noise")
# The constants of NASWOT's code, which has them for bytes.
CIFAR10_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
CIFAR10_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)

_RESIZE_METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
_BATCHES = "cifar-10-batches-py"
_NUM_DIGITS = 1797  # known without importing scikit-learn
# All that a pickled NumPy array needs, before and after NumPy renamed its core. The last one is how
# Python 3 writes bytes for Python 2.
_ALLOWED_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


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


class _Pixels(NamedTuple):
    """Pixels of a source: x `[N, H, W, C]` with C 1 or 3, y `[N]`; `x / scale` is normalised.

    Mean and std (scalars or `[C]`) are None where the statistics of x are to be used.
    """

    # `x` stays in bytes until its rows are chosen: in float64, CIFAR-10 would take 1.2 GB.

    where: str
    x: np.ndarray
    y: np.ndarray | None
    scale: float
    mean: ArrayLike | None = None
    std: ArrayLike | None = None


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
            images. For noise the key draws the pixels, `jax.random.key(0)` by default.
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
    _check_request(size, num, key, method)
    if name_or_path == "noise":
        if mean is not None or std is not None:
            raise ValueError("noise is standard normal already: mean= and std= do not apply to it")
        shape = (num, size, size, 3)
        return jax.random.normal(jax.random.key(0) if key is None else key, shape, jnp.float32)
    pixels = _override(_read(name_or_path, folder), mean, std)
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
    _check_request(size, num, key, method)
    if name_or_path == "noise":
        raise ValueError("noise has no labels; digits and cifar10 have")
    pixels = _override(_read(name_or_path, folder), mean, std)
    # All of the source's labels are checked, so that an error does not depend on the rows.
    labels = _labels(pixels)
    rows = _rows(pixels, num, key)
    return _prepare(pixels, rows, size, method), jnp.asarray(labels[rows].astype(np.int32))


def available(folder: str | Path | None = None) -> list[Source]:
    """Sources that `load` knows by name, and whether they can be loaded here and now.

    Args:
        folder: where to look for CIFAR-10, as in `load`.

    Returns:
        One `Source` for each of `NAMES`. What cannot be read has `num` 0 and says why.
    """
    try:
        pixels = _read_cifar10(folder)
        cifar10 = Source("cifar10", len(pixels.x), pixels.x.shape[1:], pixels.where)
    except (ValueError, FileNotFoundError) as error:
        cifar10 = Source("cifar10", 0, (32, 32, 3), str(error))
    digits = Source("digits", _NUM_DIGITS, (8, 8, 1), "bundled with scikit-learn")
    return [digits, cifar10, Source("noise", None, (), "drawn from a key")]


def _check_request(size: int, num: int, key: Key | None, method: str) -> None:
    """ValueError where an argument of `load` is wrong, whatever the source."""
    # Before the source is read: a misspelt option should not wait for it.
    if size < 1 or num < 1:
        raise ValueError(f"size and num must be at least 1, got size={size} and num={num}")
    if method not in _RESIZE_METHODS:
        raise ValueError(f"unknown resize method {method!r}. {nearest(method, _RESIZE_METHODS)}")
    if not (
        key is None
        or (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key))
    ):
        raise ValueError(f"key must be a key of jax.random.key, got {key!r}")


def _rows(pixels: _Pixels, num: int, key: Key | None) -> np.ndarray:
    """`[num]` int, numbers of the images to take; ValueError where there are not as many."""
    total = len(pixels.x)
    if num > total:
        raise ValueError(f"{pixels.where} has {total} images, {num} were asked for")
    return np.arange(num) if key is None else np.asarray(jax.random.permutation(key, total)[:num])


def _labels(pixels: _Pixels) -> np.ndarray:
    """`[N]` int, classes of the images of a source; ValueError where it has none."""
    if pixels.y is None:
        raise ValueError(f"{pixels.where} has no labels: an integer array y [N] is needed")
    if pixels.y.shape != (len(pixels.x),) or pixels.y.dtype.kind not in "iu":
        raise ValueError(
            f"{pixels.where}: y is {_describe(pixels.y)}, not integers [{len(pixels.x)}]"
        )
    return pixels.y


def _override(pixels: _Pixels, mean: ArrayLike | None, std: ArrayLike | None) -> _Pixels:
    """Pixels of a source with the caller's statistics in place of its own."""
    if mean is not None:
        pixels = pixels._replace(mean=_statistic("mean", mean, pixels, above=-np.inf))
    return pixels if std is None else pixels._replace(std=_statistic("std", std, pixels, above=0.0))


def _statistic(name: str, value: ArrayLike, pixels: _Pixels, *, above: float) -> np.ndarray:
    """Scalar or `[C]` float64, finite and larger than `above`; ValueError otherwise."""
    array, channels = np.asarray(value, np.float64), pixels.x.shape[-1]
    if array.shape not in ((), (channels,)) or not np.all(np.isfinite(array) & (array > above)):
        raise ValueError(
            f"{name}= must be 1 or {channels} finite numbers above {above}, got {value!r}"
        )
    return array


def _prepare(pixels: _Pixels, rows: np.ndarray, size: int, method: str) -> jax.Array:
    """`[num, size, size, 3]` float32 images of the rows: normalised, resized, in three channels."""
    mean, std = _statistics(pixels)
    # Float64, so that an exact pixel is rounded once.
    normalised = (pixels.x[rows].astype(np.float64) / pixels.scale - mean) / std
    images = jnp.asarray(normalised.astype(np.float32))
    num, height, width, channels = images.shape
    if (height, width) != (size, size):
        images = jax.image.resize(images, (num, size, size, channels), method)
    return jnp.repeat(images, 3, axis=-1) if channels == 1 else images


def _statistics(pixels: _Pixels) -> tuple[np.ndarray, np.ndarray]:
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


def _read(name_or_path: str | Path, folder: str | Path | None) -> _Pixels:
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


def _read_digits() -> _Pixels:
    """Pixels of scikit-learn's digits, whose grey levels are 0 … 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return _Pixels("digits", digits.images[..., None], digits.target, scale=16.0)


def _read_cifar10(folder: str | Path | None) -> _Pixels:
    """Pixels of CIFAR-10 from the first of folder, `$JNAS_DATA` and `.` that is given."""
    root = Path(folder or os.environ.get("JNAS_DATA") or ".").expanduser()
    # Training images only: the file `test_batch` has another name.
    for batches in (root / _BATCHES, root):
        if files := sorted(batches.glob("data_batch_*")):
            return _read_batches(batches, files)
    files = sorted(root.glob("cifar10*.npz"))
    if not files:
        advice = f"put {_BATCHES} or cifar10*.npz under $JNAS_DATA"
        raise FileNotFoundError(f"cifar10 not found: {advice} (looked in {root.resolve()})")
    pixels = _read_npz(files[0])
    if pixels.x.shape[1:] != (32, 32, 3) or pixels.x.dtype != np.uint8:
        raise ValueError(
            f"{files[0]}: x is {_describe(pixels.x)}, CIFAR-10 is uint8 [N, 32, 32, 3]"
        )
    return pixels._replace(mean=CIFAR10_MEAN, std=CIFAR10_STD)


def _read_npz(path: Path) -> _Pixels:
    """Pixels of a `.npz` file; ValueError says what is wrong with it."""
    reading(path, "the file of images")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            # Arrays are read only when they are asked for: others in the file cost nothing.
            if "x" not in arrays:
                raise ValueError(
                    f"no array x [N, H, W, C] among {', '.join(arrays.files) or 'no arrays'}"
                )
            x, y = arrays["x"], arrays.get("y")
        _check_images(x)
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error
    return _Pixels(str(path), x, y, scale=255.0 if x.dtype == np.uint8 else 1.0)


def _check_images(x: np.ndarray) -> None:
    """ValueError where `x` is not `[N, H, W, C]` of bytes or finite floats, C 1 or 3."""
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or 0 in x.shape:
        raise ValueError(
            f"x is {_describe(x)}, it must be [N, H, W, C] with C 1 or 3, and not empty"
        )
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"x is {_describe(x)}, it must be uint8 (0 to 255) or float")
    if not np.isfinite(x).all():
        raise ValueError("x has NaN or infinite values")


def _describe(array: np.ndarray) -> str:
    """Type and shape of an array, for messages."""
    return f"{array.dtype} {list(array.shape)}"


def _read_batches(where: Path, files: list[Path]) -> _Pixels:
    """Pixels of CIFAR-10's pickled batches, one after the other."""
    if not files:
        raise ValueError(f"{where} holds no CIFAR-10 data_batch_* files")
    x, y = (np.concatenate(parts) for parts in zip(*map(_read_batch, files), strict=True))
    return _Pixels(str(where), x, y, scale=255.0, mean=CIFAR10_MEAN, std=CIFAR10_STD)


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `[n, 32, 32, 3]` uint8 and labels `[n]` of a pickled batch; ValueError for others."""
    try:
        # Python 2 wrote the official files, so that their keys are bytes.
        with path.open("rb") as file:
            batch = _BatchUnpickler(file, encoding="bytes").load()
        data, labels = batch[b"data"], np.asarray(batch[b"labels"])
        if data.dtype != np.uint8 or data.shape != (len(labels), 3072):
            raise ValueError(f"data is {_describe(data)}, for {len(labels)} labels")
    except Exception as error:  # A broken pickle can raise anything.
        reason = f"{type(error).__name__}: {error}"
        wanted = "neither .npz nor a CIFAR-10 batch (a pickle of data uint8 [n, 3072] and labels)"
        raise ValueError(f"{path} is {wanted}: {reason}") from error
    # A row is a red image, a green and a blue one.
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class _BatchUnpickler(pickle.Unpickler):
    """Unpickler of arrays of bytes and plain containers; anything else is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Global that an array of bytes needs; UnpicklingError for all others."""
        if (module_name, global_name) not in _ALLOWED_GLOBALS:
            raise pickle.UnpicklingError(
                f"the global {module_name}.{global_name} is not allowed here"
            )
        if global_name == "dtype":
            return _bytes_dtype
        # The old name of the core is deprecated, and may be gone from a later NumPy.
        return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)


def _bytes_dtype(code: str | bytes, align: int = 0, copy: int = 1) -> np.dtype:
    """Type uint8 of an array, in place of the type that a pickle names.

    A pickle may set its state without harm; with that of objects it could forge pointers.
    """
    del align, copy  # They mean nothing for single bytes; old pickles give them as integers.
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"an array of dtype {code!r} is not allowed here")
    return np.dtype(np.uint8)
