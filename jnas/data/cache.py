"""Decoded images, kept in files so that each is decoded once. Host only."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnas.data.decoding import File, blocks
from jnas.engine.files import replacing
from jnas.engine.progress import reporting

LARGE = 1 << 30  # bytes; more is left in the file that it is in, and mapped into memory
_FORMAT = 1  # of what is kept, and of how it was decoded
_BLOCK = 1024  # images copied at a time


class Decoded(NamedTuple):
    """Images of files.

    Attributes:
        x: `[F, size, size, 3]` uint8, 0 where there is no image; mapped from a file if large.
        reasons: `[F]` words, why there is none; "" where there is an image.
        take: `(x, rows [R]) -> [R, ...]`, rows of images, in memory or mapped if large.
    """

    x: np.ndarray
    reasons: list[str]
    take: Callable[[Any, np.ndarray], Any]


def usual_folder() -> Path:
    """Folder `jnas` in the user's own for caches, `$XDG_CACHE_HOME` or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jnas"


def decoded(
    files: Sequence[File],
    size: int,
    *,
    stretch: bool,
    sources: Sequence[Path],
    cache: Path | None,
    progress: bool,
) -> Decoded:
    """Images of files, from the cache if they are there, and otherwise decoded and put there.

    Args:
        files: paths or contents.
        size: height and width.
        stretch: see `load`.
        sources: the files on disk; paths, sizes and times of change tell them from others.
        cache: folder; None keeps nothing. One that cannot be written is done without, with a
            warning.
        progress: show a bar.
    """
    shape = len(files), size, size, 3
    folder = cache and cache / "images" / _digest(sources, shape, stretch)
    if folder and (kept := _read(folder, shape)):
        return kept
    is_large = int(np.prod(shape)) > LARGE
    with reporting("decoding", len(files), shown=progress, unit="images") as report:

        def make() -> Iterator[tuple[np.ndarray, list[str]]]:
            return _told(blocks(files, size, stretch=stretch), report)

        # Beyond memory, perhaps: block by block into the file.
        if folder and is_large and _write(folder, shape, make()):
            # Decoded again where another process has emptied the cache between the two.
            return _read(folder, shape) or _in_memory(shape, make())
        found = _in_memory(shape, make())
    if folder and not is_large:
        _write(folder, shape, iter([(found.x, found.reasons)]))
    return found


def _digest(sources: Sequence[Path], shape: tuple[int, ...], stretch: bool) -> str:
    """Name for what is decoded of these files, as they are now, with these settings."""
    # Not their content: reading all files would take as long as decoding many of them.
    states = [(str(path.resolve()), path.stat()) for path in sources]
    files = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    content = json.dumps([_FORMAT, shape, stretch, files])
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _told(
    decoded_blocks: Iterator[tuple[np.ndarray, list[str]]], report: Callable[[int], None]
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Blocks, each told to a progress bar."""
    done = 0
    for images, reasons in decoded_blocks:
        done += len(reasons)
        report(done)
        yield images, reasons


def _in_memory(shape: tuple[int, ...], found: Iterator[tuple[np.ndarray, list[str]]]) -> Decoded:
    """Images of blocks, in memory."""
    x, reasons = np.empty(shape, np.uint8), list[str]()
    for images, words in found:
        x[len(reasons) : len(reasons) + len(words)] = images
        reasons += words
    return Decoded(x, reasons, lambda x, rows: x[rows])


def _write(
    folder: Path, shape: tuple[int, ...], found: Iterator[tuple[np.ndarray, list[str]]]
) -> bool:
    """Whether images and reasons are kept, each in a file that is written whole or not at all."""
    reasons: list[str] = []
    try:
        with replacing(folder / "pixels.npy", "images", "cache") as stream:
            _write_header(stream, shape)
            for images, words in found:
                stream.write(images.data)
                reasons += words
        # Written last: where it is, the images are.
        with replacing(folder / "reasons.json", "reasons", "cache") as stream:
            named = {number: reason for number, reason in enumerate(reasons) if reason}
            stream.write(json.dumps(named).encode())
    except (OSError, ValueError) as error:
        _warn(folder, error)
        return False
    return True


def _write_header(stream: Any, shape: tuple[int, ...]) -> None:
    """Beginning of a `.npy` file of bytes."""
    # By hand, for `np.save` needs the whole array, and blocks come one by one.
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _read(folder: Path, shape: tuple[int, ...]) -> Decoded | None:
    """What is kept in a folder of the cache; None where nothing whole is."""
    try:
        named = json.loads((folder / "reasons.json").read_bytes())
        x = _mapped(folder / "pixels.npy")
        reasons = [named.get(str(number), "") for number in range(shape[0])]
    except (OSError, ValueError, AttributeError):
        return None
    # The folder is named after the shape as well: with another one it is no file of ours.
    if x.shape != shape or x.dtype != np.uint8:
        return None
    return Decoded(x, reasons, lambda x, rows: _taken(x, rows, folder))


def _mapped(path: Path) -> np.ndarray:
    """Array of a `.npy` file, mapped where it is large."""
    is_large = path.stat().st_size > LARGE
    x: np.ndarray = np.load(path, mmap_mode="r" if is_large else None, allow_pickle=False)
    return x


def _taken(x: np.ndarray, rows: np.ndarray, folder: Path) -> np.ndarray:
    """Rows of images; if there are many, in a file beside that of all."""
    # A run of rows is a view of the file: folders of parts are in that order, and are not copied.
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return x[rows[0] : rows[0] + len(rows)]
    if len(rows) * x[0].size <= LARGE:
        return np.asarray(x[rows])
    digest = hashlib.sha256(np.ascontiguousarray(rows, np.int64).tobytes()).hexdigest()[:16]
    # Named after the rows, so that a second call with the same split finds them copied already.
    path = folder / f"rows-{digest}.npy"
    try:
        if not path.exists():
            with replacing(path, "images", "cache") as stream:
                _write_header(stream, (len(rows), *x.shape[1:]))
                for start in range(0, len(rows), _BLOCK):
                    stream.write(np.ascontiguousarray(x[rows[start : start + _BLOCK]]).data)
        return _mapped(path)
    except (OSError, ValueError) as error:
        _warn(folder, error)
    return np.asarray(x[rows])


def _warn(folder: Path, error: Exception) -> None:
    """Warning that the cache is done without."""
    warnings.warn(
        f"decoded images cannot be kept in {folder}, and will be decoded anew: {error}",
        stacklevel=2,
    )
