"""Data sets by name or path: digits, CIFAR-10, `.npz` files, folders of images. Host only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jnas.data import making
from jnas.data.making import SHARE
from jnas.data.resizing import check_size, resized
from jnas.engine import readers
from jnas.engine.files import reading
from jnas.engine.inputs import as_key
from jnas.engine.messages import nearest
from jnas.types import Dataset, Images, Key

NAMES = ("digits", "cifar10")


def load(
    name_or_path: str | Path,
    size: int | None = None,
    key: Key | None = None,
    *,
    validation: float = SHARE,
    test: float = SHARE,
    stretch: bool = False,
) -> Dataset:
    """Data set by its name or path, split into training, validation and test images.

    Parts that the source has of its own stay as they are, and those that it lacks are drawn from
    its training images, as `make_dataset` does.

    Args:
        name_or_path: one of `NAMES`; or a `.npz` file with `x [N, H, W, C]` and `y [N]`, perhaps
            `x_val`, `y_val`, `x_test`, `y_test` and `classes`, the names.
        size: height and width in pixels, a multiple of 4. None keeps the size of arrays, but
            for what is over a multiple of 4.
        key: draws the split; `jax.random.key(0)` by default.
        validation: fraction of the images, or how many, that are drawn for validation.
        test: likewise for the test.
        stretch: images that are not square are stretched; by default they keep their aspect and
            lose what is over at both ends.

    Raises:
        ValueError: an unknown name, a size that is not allowed, or content that is not as said
            above.
        FileNotFoundError: a path that does not exist, or CIFAR-10 where it is not found.
    """
    key = as_key(0 if key is None else key)
    check_size(size)
    draw = {"validation": validation, "test": test}
    if name_or_path == "digits":
        return _digits(size, key, draw)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return _npz(path, size, key, draw, stretch)
    # A word without folders or a suffix is more likely a misspelt name than a path.
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(
            f"{path} does not exist; a .npz file, a folder of images or one of "
            f"{', '.join(NAMES)} is needed"
        )
    raise ValueError(
        f"no file and no data set is called {name_or_path!r}. {nearest(name_or_path, NAMES)}"
    )


def with_drawn(
    parts: Sequence[Images | None], key: Key, draw: dict[str, float]
) -> tuple[Images, Images, Images]:
    """Training, validation and test images, of which those that are None are drawn by key."""
    train, validation, test = parts
    assert train is not None
    wanted = {
        "validation": draw["validation"] if validation is None else 0,
        "test": draw["test"] if test is None else 0,
    }
    # What is given whole keeps its order.
    if not any(wanted.values()):
        nothing = making.empty_like(train)
        return train, validation or nothing, test or nothing
    train, drawn_validation, drawn_test = making.split(train, key, **wanted)
    return train, validation or drawn_validation, test or drawn_test


def _digits(size: int | None, key: Key, draw: dict[str, float]) -> Dataset:
    """The 1,797 grey digits of scikit-learn, 8 x 8, with values 0 … 16."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = found.images[..., None].astype(np.uint8)
    scale = 16.0
    if size not in (None, 8):
        # Means of neighbours are rounded: to a fifteenth of a grey level then.
        x, scale = resized(15 * x, size), 15 * scale
    parts = with_drawn([making.checked(x, found.target), None, None], key, draw)
    return making.assemble(parts, classes=None, name="digits", scale=scale, is_flippable=False)


def _npz(path: Path, size: int | None, key: Key, draw: dict[str, float], stretch: bool) -> Dataset:
    """Data set of a `.npz` file."""
    reading(path, "the file of images")
    parts: list[Images | None] = []
    with readers.arrays(path) as arrays:
        for ending in ("", "_val", "_test"):
            names = [f"{letter}{ending}" for letter in "xy"]
            lacking = [name for name in names if name not in arrays]
            if len(lacking) == 2 and ending:
                parts.append(None)
                continue
            if lacking:
                have = ", ".join(arrays.files) or "no arrays"
                raise ValueError(f"no array {' and no '.join(lacking)} among {have}")
            part = making.checked(*(arrays[name] for name in names))
            parts.append(part._replace(x=resized(part.x, size, stretch=stretch)))
        classes = [str(name) for name in arrays["classes"]] if "classes" in arrays else None
        return making.assemble(
            with_drawn(parts, key, draw),
            classes=classes,
            name=path.stem,
            scale=None,
            is_flippable=True,
        )
