"""Words that error messages share. Imports nothing of jnas."""

import difflib
from collections.abc import Sequence


def nearest(name: str, names: Sequence[str]) -> str:
    """Tail of a message about an unknown name: the nearest valid one, and all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid names: {', '.join(names)}."
