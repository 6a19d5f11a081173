"""Architectures of a file, and its space where it does not name that."""

import re
from collections.abc import Iterable, Mapping
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
    """`Space` of so many choices, the first of `spaces.NAMES` where there are several.

    Raises:
        ValueError: no space has as many.
    """
    # Reversed, for of equal keys a dict keeps the last: here NAS-Bench-201, and not SpikeNAS-Bench.
    widths: Mapping[int, str] = {
        len(spaces.by_name(name).cardinalities): name for name in reversed(spaces.NAMES)
    }
    if num_choices not in widths:
        raise ValueError(f"no space has {num_choices} choices ({file.name}); known: {dict(widths)}")
    return spaces.by_name(widths[num_choices])


def parse(space: Space, texts: Iterable[tuple[str, str]], file: Path) -> np.ndarray:
    """`[A, D]` int32 from (place, text) pairs; ValueError says where the wrong text is."""
    archs = []
    for place, text in texts:
        try:
            archs.append(np.asarray(space.from_string(text)))
        except ValueError as error:
            raise ValueError(f"{place} of {file.name}: {error}") from error
    return np.array(archs, np.int32).reshape(-1, len(space.cardinalities))
