"""Space of a file that does not name it, told from an architecture in the file."""

import re
from collections.abc import Mapping
from pathlib import Path

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
