"""Files that are written whole or not at all. Imports nothing of jnas."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Binary stream whose content becomes the file `path` when the block ends without an error.

    Written beside the file, flushed to disk, then renamed: a reader, or a kill at any moment, meets
    the old file or the new one. Missing folders are made.

    Raises:
        OSError: the folder cannot be made or written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, for only within one file system a file can be renamed in one step.
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            # Before the rename, or after a power failure the new name may stand for an empty file.
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
