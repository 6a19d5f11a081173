"""Parts of a data set that its source has of its own, and those that are drawn. Host only."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jnas.data import making, splits
from jnas.types import Images, Key


class Options(NamedTuple):
    """Arguments of `load` that say how, and not what."""

    size: int | None
    key: Key
    validation: float
    test: float
    stretch: bool
    strict: bool
    cache: Path | None
    is_flippable: bool | None
    progress: bool


def with_drawn(given: Sequence[Images | None], options: Options) -> list[Images]:
    """Training, validation and test images, of which those that are None are drawn by key."""
    train, validation, test = given
    assert train is not None  # every source has one
    rows = making.drawn_rows(
        train.y,
        splits.copies(train.x),
        options.key,
        # 0 and not left out: a part that is given takes no images from training.
        validation=options.validation if validation is None else 0,
        test=options.test if test is None else 0,
    )
    drawn = [Images(train.x[part], train.y[part]) for part in rows]
    return [drawn[0], validation or drawn[1], test or drawn[2]]


def refuse(notes: Sequence[str], *, strict: bool) -> None:
    """ValueError of all notes where there are any and `strict` is set."""
    if strict and notes:
        raise ValueError("; ".join(notes))
