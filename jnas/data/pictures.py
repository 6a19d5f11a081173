"""Data sets of image files: folders by class, and CIFAR-10 as JPEG. Host only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnas.data import making, splits
from jnas.data.cache import Decoded, decoded
from jnas.data.decoding import File, usual_size
from jnas.data.folders import Listing, listing
from jnas.data.parts import Options, refuse
from jnas.types import Dataset, Images

_BLOCK = 1024  # images looked at at a time: they may lie in a file


def of_folder(root: Path, options: Options, notes: list[str]) -> Dataset:
    """Data set of a folder of images by class; what is left out is added to `notes`.

    Raises:
        ValueError: see `load`.
    """
    found = listing(root, notes)
    refuse(notes, strict=options.strict)
    # Of the files and not of what is decoded: it is the size that they are decoded to.
    size = options.size or usual_size(found.files)
    images = decode(found.files, found.files, size, options)
    # Rows and not a copy without the others: images may be mapped from a file that memory would not
    # hold.
    kept = np.flatnonzero([not reason for reason in images.reasons])
    names = [str(file.relative_to(root)) for file in found.files]
    skipped = _skipped(names, images.reasons)
    if lost := set(range(len(found.classes))) - set(found.labels[kept][found.parts[kept] == 0]):
        lacking = ", ".join(found.classes[label] for label in sorted(lost))
        raise ValueError(f"no file to train on can be read of {lacking}; {'; '.join(skipped)}")
    notes += skipped
    refuse(notes, strict=options.strict)
    x = in_channels(images.x, kept)
    # After decoding and resizing: files that differ in a comment or their format can be one image.
    groups = _groups(x, kept)
    rows = _rows(found, kept, groups, options)
    # Before the parts are read or written, which may take long.
    notes += making.copies_noted(
        groups, found.labels[kept], found.parts[kept], lambda i: names[kept[i]]
    )
    refuse(notes, strict=options.strict)
    parts = [Images(images.take(x, part), found.labels[part]) for part in rows]
    return making.assemble(
        parts,
        classes=found.classes,
        name=root.resolve().name,
        scale=None,
        is_flippable=making.is_flippable(found.classes, options.is_flippable),
    )


def decode(files: Sequence[File], sources: Sequence[Path], size: int, options: Options) -> Decoded:
    """Images of files, see `cache.decoded`."""
    return decoded(
        files,
        size,
        stretch=options.stretch,
        sources=sources,
        cache=options.cache,
        progress=options.progress,
    )


def in_channels(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`[F, S, S, C]`, images of one channel if all of the rows are grey, and of three otherwise."""
    for start in range(0, len(rows), _BLOCK):
        block = x[rows[start : start + _BLOCK]]
        # The first in colour ends it; only data sets that are grey throughout are read to their
        # end.
        if np.any(block[..., :1] != block[..., 1:]):
            return x
    return x[..., :1]


def _groups(x: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """`[len(kept)]`, for each image that is kept the first of them that equals it."""
    return splits.copies(x[row] for row in kept)


def _rows(
    found: Listing, kept: np.ndarray, groups: np.ndarray, options: Options
) -> list[np.ndarray]:
    """Files of the training, the validation and the test part."""
    # Parts that are lacking are drawn from training alone: what a folder has set apart stays so.
    numbers = [np.flatnonzero(found.parts[kept] == part) for part in range(3)]
    has: Any = dict(zip(making.PARTS, found.is_given, strict=True))
    drawn = making.drawn_rows(
        found.labels[kept[numbers[0]]],
        groups[numbers[0]],
        options.key,
        validation=0 if has["validation"] else options.validation,
        test=0 if has["test"] else options.test,
    )
    of_parts = [numbers[0][drawn[0]]]
    for part, is_given in enumerate(found.is_given[1:], start=1):
        of_parts.append(numbers[part] if is_given else numbers[0][drawn[part]])
    return [kept[part] for part in of_parts]


def _skipped(names: Sequence[str], reasons: Sequence[str]) -> list[str]:
    """Note about files without an image, if there are any."""
    told = [f"{name} ({reason})" for name, reason in zip(names, reasons, strict=True) if reason]
    return making.note("file", "skipped", told)
