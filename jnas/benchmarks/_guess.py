"""Which space a file is about that does not say so."""

import re
from collections.abc import Mapping
from pathlib import Path

from jnas import spaces
from jnas.types import Space


def space_of_text(text: str, file: Path) -> Space:
    """The space whose text form this looks like."""
    forms = {
        "spikenas_bench": r"\|(zero|skip|conv3x3_\w+)~.*",
        "nasbench201": r"\|.*",
        "nats_size": r"\d+(:\d+){4}",
        "nasbench101": r"(.*\|)?output:.*",
    }
    for name, form in forms.items():
        if re.fullmatch(form, text.strip()):
            return spaces.by_name(name)
    hint = f"give space=, one of {', '.join(forms)}"
    raise ValueError(f"cannot tell the space of {text!r} in {file.name}; {hint}")


def space_of_width(num_choices: int, file: Path) -> Space:
    """The space with so many choices, the first of `spaces.NAMES` where there are several."""
    widths: Mapping[int, str] = {
        len(spaces.by_name(name).cardinalities): name for name in reversed(spaces.NAMES)
    }
    if num_choices not in widths:
        raise ValueError(f"no space has {num_choices} choices ({file.name}); known: {dict(widths)}")
    return spaces.by_name(widths[num_choices])
