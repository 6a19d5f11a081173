"""Architectures of a file, and its space where it does not name that."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jnas import spaces
from jnas.types import Space


def space_of_text(text: str, file: Path) -> Space:
    """`Space` whose text form is that of `text`, the last of `spaces.NAMES` where several are.

    Raises:
        ValueError: no space has such a form.
    """
    # A later space may be a special case of an earlier one.
    for space in map(spaces.by_name, reversed(spaces.NAMES)):
        if space.text_form and re.fullmatch(space.text_form, text.strip()):
            return space
    hint = f"give space=, one of {', '.join(spaces.NAMES)}"
    raise ValueError(f"cannot tell the space of {text!r} in {file.name}; {hint}")


def space_of_width(num_choices: int, file: Path) -> Space:
    """`Space` of so many choices; of several the first of `spaces.NAMES`, where it can be guessed.

    Raises:
        ValueError: no space has as many, or several have, and what is meant cannot be told.
    """
    every = [spaces.by_name(name) for name in spaces.NAMES]
    found = [space for space in every if len(space.cardinalities) == num_choices]
    if not found:
        known = {len(space.cardinalities): space.name for space in reversed(every)}
        raise ValueError(f"no space has {num_choices} choices ({file.name}); known: {known}")
    # Numbers stand for other things in each: NAS-Bench-201 and not SpikeNAS-Bench, but else a guess
    # would be wrong as often as not.
    if len(found) > 1 and not (found[0].usual_column and found[0].text_form):
        names = ", ".join(space.name for space in found)
        raise ValueError(f"{num_choices} choices ({file.name}) are those of {names}; give space=")
    return found[0]


def parse(space: Space, texts: Iterable[tuple[str, str]], file: Path) -> np.ndarray:
    """`[A, D]` int32 from (place, text) pairs; ValueError says where the wrong text is."""
    archs = []
    for place, text in texts:
        try:
            archs.append(np.asarray(space.from_string(text)))
        except ValueError as error:
            raise ValueError(f"{place} of {file.name}: {error}") from error
    return np.array(archs, np.int32).reshape(-1, len(space.cardinalities))
