"""Terminal of the command line, whose faults never fail a job: output that cannot be shown is lost.

A terminal may know few characters, and whatever reads the output may stop to.
"""

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

# Characters of our texts in ASCII.
_PLAIN = {"±": "+/-", "τ": "tau", "–": "-", "−": "-", "…": "...", "→": "->", "×": "x"}
_ERRORS = "jnas.plain"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Text in place of what a terminal cannot show, and where to go on."""
    # The handler is known to all of Python by its name, and is for writing alone.
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in text), error.end


codecs.register_error(_ERRORS, _in_ascii)


@contextmanager
def forgiving() -> Iterator[None]:
    """Block in which standard output and standard error take any text, and cannot fail."""
    # Put back in the end: tests and whoever calls from Python have streams of their own.
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, stream and _Forgiving(stream)) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before


class _Forgiving:
    """Text stream that goes on without an end where its own end is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Streams that tests put in place of a terminal may have no encoding to speak of.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)

    def __getattr__(self, name: str) -> Any:
        """Attribute of the stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Number of characters written, or lost."""
        try:
            return self._stream.write(text)
        except OSError:
            self._lose()
            return len(text)

    def flush(self) -> None:
        """Nothing is left to be written."""
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        """Lead to nowhere from now on, or Python would fail at its exit."""
        with contextlib.suppress(OSError, ValueError):
            # The descriptor and not the Python object: at its exit the interpreter flushes what it
            # began with, and would end a finished job with an error.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
