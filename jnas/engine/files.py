"""Files that are written whole or not at all, and folders that no other job takes. Imports nothing of jnas."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes the file `path` when the block ends without an error.

    Written beside the file, flushed to disk, then renamed: a reader, or a kill at any moment, meets the old file or
    the new one. Missing folders are made.

    Raises:
        OSError: the folder cannot be made or written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def earlier_facts(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `result.json` of a run folder says, nothing where there is none; ValueError if its settings are others."""
    path = folder / "result.json"
    if not path.exists():
        return {}
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        found = facts["settings"]
    except (ValueError, TypeError, KeyError):
        facts, found = {}, {}
    if found != settings:
        raise ValueError(
            f"{folder} holds another job; choose another --out, or replace it with --no-resume"
        )
    return facts
