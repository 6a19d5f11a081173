"""Words that error messages share. Imports nothing of jnas."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)
# Arguments of functions that one option of the command line stands for.
_OPTIONS = {"path": "out", "checkpoint": "out", "folder": "out"}


def nearest(name: str, names: Sequence[str]) -> str:
    """Tail of a message about an unknown name: the nearest valid one, and all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid names: {', '.join(names)}."


@contextmanager
def on_command_line() -> Iterator[None]:
    """Block in which messages speak of options, such as `--no-resume`, and not of arguments."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


def setting(name: str) -> str:
    """Name of a setting in the words of the caller: `max_params` or `--max-params`."""
    return argument(name).removesuffix("=")


def argument(name: str, value: object = None) -> str:
    """Argument in the words of the caller, as in `resume=False` or `--no-resume`.

    Args:
        name: of the argument in Python.
        value: to give to it; None speaks of the argument itself.
    """
    if not _ON_COMMAND_LINE.get():
        return f"{name}=" if value is None else f"{name}={value!r}".replace("'", '"')
    option = f"--{_OPTIONS.get(name, name).replace('_', '-')}"
    if value is False:
        return f"--no-{option[2:]}"
    # "anyway" and its like are flags of their own.
    return option if value is None or value is True else f"{option}-{value}"


def describe(array: Any) -> str:
    """Type and shape of an array, for messages."""
    return f"{array.dtype} {list(array.shape)}"
