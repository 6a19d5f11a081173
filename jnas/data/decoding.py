"""Image files as arrays of bytes of one size, decoded on threads. Host only."""

import functools
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from jnas.data.resizing import multiple_of_4

if TYPE_CHECKING:
    from PIL import Image

File: TypeAlias = Path | bytes
"""Path of an image file, or its content."""

BLOCK = 256  # images decoded before the next are begun
_SMALLEST, _LARGEST, _SAMPLE = 8, 32, 1000
# These are read by starting another program, or only where a system has a library.
_REFUSED = {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR"}
_LAYERED = {"MPO", "PSD"}  # further frames are a preview, a depth or layers, and no animation


@functools.cache
def _formats() -> tuple[str, ...]:
    """Formats of Pillow that are read."""
    from PIL import Image

    Image.init()
    return tuple(sorted(set(Image.OPEN) - _REFUSED))


@functools.cache
def suffixes() -> frozenset[str]:
    """Endings of file names, such as ".png", of the formats that are read."""
    from PIL import Image

    formats = _formats()
    return frozenset(
        ending for ending, name in Image.registered_extensions().items() if name in formats
    )


def usual_size(files: Sequence[File]) -> int:
    """Size for images of these files: the median of their shorter sides, brought into bounds.

    A multiple of 4, from 8 to 32 pixels. Up to a thousand files are looked at, spread evenly; what
    cannot be read does not count.
    """
    from PIL import Image

    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _SAMPLE).astype(int))]
    sides = []
    with _quiet():
        for file in chosen:
            try:
                with Image.open(_stream(file), formats=_formats()) as image:
                    sides.append(min(image.size))
            except Exception:  # as the decoder, which says so
                continue
    return multiple_of_4(int(min(max(median(sides or [_LARGEST]), _SMALLEST), _LARGEST)))


def blocks(
    files: Sequence[File], size: int, *, stretch: bool
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Images `[n, size, size, 3]` uint8 of `BLOCK` files at a time, and why each has none.

    The reason is "" for an image; otherwise its pixels are 0.
    """
    one = functools.partial(_decoded, size=size, stretch=stretch)
    # Pillow lets other threads run while it decodes and resizes.
    with ThreadPoolExecutor(_num_threads()) as pool, _quiet():
        for start in range(0, len(files), BLOCK):
            images, reasons = zip(*pool.map(one, files[start : start + BLOCK]), strict=True)
            yield np.stack(images), list(reasons)


def _decoded(file: File, *, size: int, stretch: bool) -> tuple[np.ndarray, str]:
    """Image `[size, size, 3]` uint8 and "", or zeros and the reason in words."""
    from PIL import Image, ImageOps

    nothing = np.zeros((size, size, 3), np.uint8)
    try:
        with Image.open(_stream(file), formats=_formats()) as image:
            if getattr(image, "is_animated", False) and image.format not in _LAYERED:
                return nothing, "animated"
            # A large JPEG is decoded at a half, a quarter or an eighth.
            image.draft(None, (2 * size, 2 * size))
            return np.asarray(_sized(_rgb(ImageOps.exif_transpose(image)), size, stretch)), ""
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return nothing, "too many pixels"
    except Exception:  # a damaged file can raise anything
        return nothing, "unreadable"


def _rgb(image: "Image.Image") -> "Image.Image":
    """Image of three bytes a pixel; what is transparent shows white."""
    from PIL import Image

    if image.mode[0] in "IF":
        return Image.fromarray(_grey_bytes(np.asarray(image), image.mode)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")


def _grey_bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """`[H, W]` uint8 from 16 bits a pixel, or from floats in 0 … 1 or else 0 … 255."""
    # Files of 32 bits hold 16 as a rule, of which 65,535 is white.
    white = 65535 if mode != "F" else 1 if values.max() <= 1 else 255
    return np.round(values * (255 / white)).clip(0, 255).astype(np.uint8)


def _sized(image: "Image.Image", size: int, stretch: bool) -> "Image.Image":
    """Image of `size x size`, as `resizing.resized` makes it of arrays."""
    from PIL import Image

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (0, 0, width, height) if stretch else (left, top, left + side, top + side)
    is_whole = (box[2] - box[0]) % size == (box[3] - box[1]) % size == 0
    method = Image.Resampling.BOX if is_whole else Image.Resampling.BILINEAR
    # Cropped before: with `box=` alone, pixels beside the box would count at its edges.
    return image.crop(box).resize((size, size), method)


def _stream(file: File) -> Path | io.BytesIO:
    """What Pillow opens."""
    return io.BytesIO(file) if isinstance(file, bytes) else file


@contextmanager
def _quiet() -> Iterator[None]:
    """Block without the warnings of Pillow, in which too many pixels are an error."""
    from PIL import Image

    # Of damaged files it also says something to a log, which is standard error by default.
    log = logging.getLogger("PIL")
    level = log.level
    # Filters are those of the process: they are set before threads begin, and not in them.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        log.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            log.setLevel(level)


def _num_threads() -> int:
    """Cores that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
