"""Image files without classes, as a trained network reads them. Host only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jnas.data.decoding import blocks, suffixes
from jnas.data.folders import below

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow makes grey of colours


def listed(paths: Sequence[str | Path]) -> list[Path]:
    """Image files: those given, whatever their names, and all below the folders given, sorted.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a folder has no image in it.
    """
    # A dict keeps the order and drops what is named twice, such as a file and its folder.
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        # A file that is given is tried whatever its name; in a folder other files are no mistake.
        files = [path]
        if path.is_dir():
            files = [file for file in below(path) if file.suffix.lower() in suffixes()]
            if not files:
                raise ValueError(f"{path} has no image files in it")
        found |= dict.fromkeys(files)
    return list(found)


def read(
    files: Sequence[Path], size: int, channels: int, *, stretch: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Images `[N, size, size, channels]` uint8 of files, resized as `load` does, and reasons.

    A reason is "" for an image, and says otherwise why there is none; its pixels are 0 then.

    Args:
        files: `N` paths.
        size: height and width.
        channels: 3, or 1 for grey, which colours are made to.
        stretch: see `load`.
    """
    images, reasons = [np.zeros((0, size, size, 3), np.uint8)], list[str]()
    for block, words in blocks(files, size, stretch=stretch):
        images.append(block)
        reasons += words
    x = np.concatenate(images)
    if channels == 1:
        # The weights add up to 1, so that a grey image comes out as it was.
        x = np.round(x @ np.asarray(_GREY))[..., None].astype(np.uint8)
    return x, reasons
