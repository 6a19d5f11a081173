"""Folders of images by class: which files belong to which class and part. Host only."""

from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jnas.data.decoding import suffixes
from jnas.data.making import PARTS, note
from jnas.engine.messages import nearest

# Spellings of the folders of given parts, in small letters.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
# Leavings of systems and archives, which no user knows of, and what stands beside images as text.
_LEAVINGS = ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin")
_TEXTS = (".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md", ".html", ".py")


class Listing(NamedTuple):
    """Files of a folder of images.

    Attributes:
        root: the folder.
        files: `[F]` paths, in the order of parts, classes and names.
        labels: `[F]` int32, index into the classes.
        parts: `[F]` int32, index into `PARTS`; 0 for all where there are no folders of parts.
        is_given: of each of `PARTS`, whether the folder has it.
        classes: names of the folders of classes, sorted.
    """

    root: Path
    files: list[Path]
    labels: np.ndarray
    parts: np.ndarray
    is_given: tuple[bool, bool, bool]
    classes: tuple[str, ...]


def listing(root: Path, notes: list[str]) -> Listing:
    """Files below the folders of classes, at any depth; what is passed over is added to `notes`.

    Raises:
        ValueError: there are no two classes with images, or training lacks one of another part.
    """
    folders = _part_folders(root, notes)
    of_parts = {part: _classes(folder, notes) for part, folder in folders.items()}
    for part in ("validation", "test"):
        # Before the classes are compared, where an empty folder would look like a class that is
        # lacking.
        if part in of_parts and not of_parts[part]:
            notes.append(f"{folders[part]} has no folders of classes, and is passed over")
            del of_parts[part]
    # Sorted, for the order of files in a folder differs between systems, and labels must not.
    classes = tuple(sorted(of_parts["train"]))
    _check(root, classes, of_parts)
    rows = [
        (file, classes.index(name), PARTS.index(part))
        for part in PARTS
        for name, files in sorted(of_parts.get(part, {}).items())
        for file in files
    ]
    labels, parts = (np.asarray([row[place] for row in rows], np.int32) for place in (1, 2))
    is_given = True, "validation" in of_parts, "test" in of_parts
    return Listing(root, [file for file, *_ in rows], labels, parts, is_given, classes)


def _part_folders(root: Path, notes: list[str]) -> dict[str, Path]:
    """Folder of each given part; the root is that of "train" where it has none of parts."""
    # In small letters: "Train" and "VAL" are usual, and other names of parts are none.
    found = {path.name.lower(): path for path in _folders(root)}
    parts = {
        part: found.pop(name)
        for part, names in _SPELLINGS.items()
        for name in names
        if name in found
    }
    # A folder "train" beside "bus" and "car" is a class.
    is_split = "train" in parts and any(_folders(parts["train"]))
    if not is_split or (found and len(parts) == 1):
        return {"train": root}
    others = sorted(path.name for path in found.values())
    notes += note("folder", "beside those of train, validation and test left out", others)
    return parts


def _classes(root: Path, notes: list[str]) -> dict[str, list[Path]]:
    """Images of each folder of a class; classes without any are noted and left out."""
    # Beside the folders, where an image has no class; a user may have put them there by mistake.
    loose = [path.name for path in _visible(root) if path.suffix.lower() in suffixes()]
    notes += note("image", f"in {root} and in no class", loose)
    found, others = {}, []
    for folder in _folders(root):
        files = list(below(folder))
        images = [file for file in files if file.suffix.lower() in suffixes()]
        others += [file for file in files if file not in set(images)]
        found[folder.name] = images
    odd = [str(file.relative_to(root)) for file in others if file.suffix.lower() not in _TEXTS]
    notes += note("file", "of no type that can be read", odd)
    empty = [name for name, images in found.items() if not images]
    notes += note("class", "left out, without images", empty)
    return {name: images for name, images in found.items() if images}


def _check(root: Path, classes: Sequence[str], of_parts: dict[str, dict[str, list[Path]]]) -> None:
    """ValueError where there are no two classes, or training lacks one of another part."""
    if len(classes) < 2:
        have = f"only {classes[0]!r} has" if classes else "none has"
        raise ValueError(
            f"{root} needs at least 2 folders of classes with images in them; {have} any"
        )
    for part, of_classes in of_parts.items():
        for name in of_classes:
            if name not in classes:
                raise ValueError(
                    f"{part} has the class {name!r}, which train lacks. {nearest(name, classes)}"
                )


def _folders(root: Path) -> list[Path]:
    """Visible folders in a folder, sorted."""
    return [path for path in _visible(root) if path.is_dir()]


def _visible(root: Path) -> list[Path]:
    """Entries of a folder that are not hidden and not leavings, sorted."""
    return [path for path in sorted(root.iterdir()) if _is_visible(path.name)]


def _is_visible(name: str) -> bool:
    """Whether a user put it there."""
    return not name.startswith(".") and name.lower() not in _LEAVINGS


def below(folder: Path, above: Set[Path] = frozenset()) -> Iterator[Path]:
    """Visible files below a folder at any depth; links are followed, but not around a cycle."""
    # Resolved, for a link has another name each time around a cycle.
    here = folder.resolve()
    if here in above:
        return
    for path in _visible(folder):
        if path.is_dir():
            yield from below(path, above | {here})
        elif path.is_file():
            yield path
