"""Text files as people have them, in any of the usual encodings. Imports nothing of jnas."""

import codecs
import os
from pathlib import Path

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
