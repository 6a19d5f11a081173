"""Command line of jnas: `jnas search`, `jnas train`, `jnas predict`, `jnas fit` and others.

Each command's module has its settings, which the options are made from, and calls the library.
Exit codes: 0 success, 1 a problem with the input or the files (one line on standard error), 2 wrong
usage, 130 interrupted.
"""

import inspect
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App

import jnas
from jnas.commands import data, fit, predict, report, score, search, terminal, train
from jnas.engine import files, messages
from jnas.engine.devices import one_device_per_core


def _unwrapped(docstring: str) -> str:
    """Text of a docstring with a line for each paragraph, which the terminal wraps."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app = App(
    name="jnas",
    help="Rank and search neural architectures, whole populations at once.",
    help_format="plaintext",
    version=f"jnas {jnas.__version__}",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)
_MODULES = {
    "train": train,
    "predict": predict,
    "search": search,
    "fit": fit,
    "score": score,
    "report": report,
    "data": data,
}
for _name, _module in _MODULES.items():
    app.command(_module.command, name=_name, help=_unwrapped(_module.command.__doc__ or ""))


def run(arguments: Sequence[str]) -> None:
    """Run a command; its errors speak of options, and what it reads is never written."""
    with messages.on_command_line(), files.job():
        app(arguments)


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning in a line, without the place in the code that it is from."""
    print(f"note: {message}", file=sys.stderr)


def main() -> None:
    """Entry point of `jnas` and `python -m jnas`."""
    # First of all, for the number of devices is fixed once JAX has started.
    one_device_per_core()
    with terminal.forgiving():
        _main()


def _main() -> None:
    """Run the command of this process, and exit by its code."""
    try:
        # Within the command alone: a library that is imported leaves the warnings of its user as
        # they are.
        with warnings.catch_warnings():
            warnings.showwarning = _note
            run(sys.argv[1:])
    # The notes say how to go on; `reporting` has added them.
    except KeyboardInterrupt as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        print(f"interrupted. {notes}".rstrip(), file=sys.stderr)
        raise SystemExit(130) from None
    # Any other error is a fault of jnas, whose trace is what a report about it needs.
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
