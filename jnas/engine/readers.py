"""Files as people have them: text in any of the usual encodings, archives that may be damaged.

Imports nothing of jnas.
"""

import codecs
import os
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a file, its line ends as they are.

    A byte order mark says which encoding it is; without one it is UTF-8, or else Latin-1.

    Raises:
        ValueError: the file holds no text; the message names it.
        OSError: it cannot be read.
    """
    content = Path(path).read_bytes()
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    try:
        text = content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked:
            raise ValueError(f"{path} is not {marked}, as it begins: {error}") from None
        text = content.decode("latin-1")  # takes any bytes
    if "\0" in text:
        raise ValueError(f"{path} is not a text file")
    return text


@contextmanager
def naming(path: str | os.PathLike[str], wrong: str | None = None) -> Iterator[None]:
    """Block that reads a file, and whose errors of any type become a ValueError that names it.

    Args:
        path: the file.
        wrong: what to say of it, after its name; None tells the cause.

    Raises:
        ValueError: anything went wrong in the block.
    """
    try:
        yield
    # Damaged bytes fail in any of a dozen ways, from zlib's errors to a MemoryError.
    except Exception as error:
        text = cause(error)
        if wrong is not None:
            said = f" {wrong}"
        elif not isinstance(error, ValueError):
            said = f" cannot be read ({text})"
        elif Path(path).name in text:
            raise  # as by a block within this one
        else:
            said = f": {text}"
        raise ValueError(f"{path}{said}") from error


@contextmanager
def arrays(path: str | os.PathLike[str], wrong: str | None = None) -> Iterator[Any]:
    """Arrays of an `.npz` file by name, read when they are asked for in the block.

    Args:
        path: the file.
        wrong: what to say of a file that cannot be read, after its name; None tells the cause.

    Raises:
        ValueError: it is no such file, is damaged, or lacks what the block asks for; the message
            names it.
        OSError: it cannot be opened.
    """
    # Opened here, for NumPy leaves a damaged file open.
    with Path(path).open("rb") as stream, naming(path, wrong):
        # NumPy would take any other file for a pickle, and say so.
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path} is not an .npz file")
        # Pickles could run code of whoever wrote the file.
        with np.load(stream, allow_pickle=False) as archive:
            yield archive


def cause(error: Exception) -> str:
    """Text of an error in a line that is not too long: some quote the file that they read."""
    text = " ".join(str(error).split()) or type(error).__name__
    return textwrap.shorten(text, 300, placeholder=" …") if len(text) > 300 else text
