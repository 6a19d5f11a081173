"""Files that are written whole or not at all, and that never take the place of somebody else's.

Each folder that is written to has a manifest, `.jnas.json`: name of a file → its kind, and the
SHA-256 of what was written. A file is replaced, or removed, only while it is what the manifest
says. One that a job reads (`reading`) is never written in the block of the job (`job`).
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from jnas.engine.messages import argument

MANIFEST = ".jnas.json"

_INPUTS: ContextVar[dict[Path, str] | None] = ContextVar("inputs", default=None)
# What this process has written: spares hashing a file again that nobody has touched.
_WRITTEN: dict[Path, "_State"] = {}

Entries: TypeAlias = dict[str, dict[str, Any]]


class _State(NamedTuple):
    """State of a file: its SHA-256, and numbers that change whenever it is written."""

    digest: str
    signature: tuple[int, ...]


@contextmanager
def replacing(
    path: str | os.PathLike[str], kind: str = "file", name: str = "path"
) -> Iterator[BinaryIO]:
    """Binary stream whose content becomes the file `path` when the block ends without an error.

    Written beside the file, flushed to disk, then renamed: a reader, or a kill at any moment, meets
    the old file or the new one. Missing folders are made. Within the block nothing else is written
    into the same folder.

    Args:
        path: the file.
        kind: what it is; a file of another kind is not replaced.
        name: the argument that chose the path, for messages.

    Raises:
        FileExistsError: `path` is a file that is not replaced; see `check`.
        OSError: the folder cannot be made or written.
    """
    file = _absolute(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, for only within one file system a file can be renamed in one step.
    temporary = file.with_name(f".{file.name}.tmp")
    with _locked(file.parent):
        found = _checked(file, kind, name)
        try:
            with temporary.open("wb") as stream:
                yield stream
                # Before the rename, or after a power failure the new name may stand for an empty
                # file.
                stream.flush()
                os.fsync(stream.fileno())
            _put(temporary, file, kind, found)
        finally:
            temporary.unlink(missing_ok=True)


def check(path: str | os.PathLike[str], kind: str | None = None, name: str = "path") -> None:
    """Nothing where `replacing` may write `path`: before long work, whose result goes there.

    Args:
        path: the file.
        kind: what it is to be; None allows any.
        name: the argument that chose the path, for messages.

    Raises:
        FileExistsError: there is a file that jnas did not write, that was changed since, that is of
            another kind, or that the job reads.
    """
    _checked(_absolute(path), kind, name)


def check_not_read(path: str | os.PathLike[str], name: str = "path") -> None:
    """FileExistsError where the job reads the file that it would write."""
    file = _absolute(path)
    for other, what in (_INPUTS.get() or {}).items():
        if file == other or (file.exists() and other.exists() and file.samefile(other)):
            raise FileExistsError(
                f"{path} is {what} that the job reads, and would be replaced; choose another "
                f"{argument(name)}"
            )


@contextmanager
def job() -> Iterator[None]:
    """Block in which a file that was read is never written."""
    token = _INPUTS.set({})
    try:
        yield
    finally:
        _INPUTS.reset(token)


def reading(path: str | os.PathLike[str], what: str) -> None:
    """Remember a file that the job reads: `what` is it, such as "the table"."""
    inputs = _INPUTS.get()
    if inputs is not None:
        inputs[_absolute(path)] = what


def adopt(path: str | os.PathLike[str], kind: str = "file") -> None:
    """Take a file for jnas' own that no manifest lists, for its content tells that it is.

    Results that were copied without their manifest, or are older than manifests, can go on so.
    """
    file = _absolute(path)
    with _locked(file.parent):
        entries = _entries(file.parent)
        if file.name not in entries:
            entries[file.name] = {"kind": kind, "sha256": [_digest(file)]}
            _write(file.parent, entries)


def remove(path: str | os.PathLike[str]) -> None:
    """No file at `path`, if it is jnas' own and unchanged; one that is not stays."""
    file = _absolute(path)
    if not os.path.lexists(file):
        return
    with _locked(file.parent):
        entries = _entries(file.parent)
        if _state(file, entries) is not None:
            file.unlink()
            _WRITTEN.pop(file, None)
            entries.pop(file.name, None)
            _write(file.parent, entries)


def listed_folders(folder: Path) -> set[str]:
    """Names of the folders within `folder` that jnas has made."""
    return {name for name, entry in _entries(folder).items() if entry["kind"] == "folder"}


def list_folders(folder: Path, names: set[str]) -> None:
    """List exactly `names` as the folders within `folder` that jnas has made.

    What makes them is another library, so that their content is not known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        entries = {name: e for name, e in _entries(folder).items() if e["kind"] != "folder"}
        entries |= {name: {"kind": "folder", "sha256": []} for name in sorted(names)}
        _write(folder, entries)


def _checked(file: Path, kind: str | None, name: str) -> _State | None:
    """State of a file that may be replaced; None where there is none, or else FileExistsError."""
    check_not_read(file, name)
    # Not `exists`, for a link to nothing is somebody's, too.
    if not os.path.lexists(file):
        return None
    entries = _entries(file.parent)
    found, entry = _state(file, entries), entries.get(file.name)
    if found is None:
        why = "was not written by jnas" if entry is None else "was changed since jnas wrote it"
        raise FileExistsError(
            f"{file} {why} and is not replaced; choose another {argument(name)}, or move it away"
        )
    if entry is not None and kind not in (None, entry["kind"]):
        raise FileExistsError(
            f"{file} holds a {entry['kind']}, not a {kind}, and is not replaced; choose another "
            f"{argument(name)}"
        )
    return found


def _state(file: Path, entries: Entries) -> _State | None:
    """State of a file that exists and is as jnas wrote it, or else None."""
    if file.is_symlink() or not file.is_file():
        return None
    signature, written = _signature(file), _WRITTEN.get(file)
    # This process may know more than the manifest, which another may have written at the same time
    # where folders cannot be locked.
    if written is not None and written.signature == signature:
        return written
    digest = _digest(file)
    known = digest in entries.get(file.name, {}).get("sha256", ())
    return _State(digest, signature) if known else None


def _put(temporary: Path, file: Path, kind: str, found: _State | None) -> None:
    """Rename a file that is written, and list it; `found` is what was there before."""
    digest = _digest(temporary)
    now = _signature(file) if os.path.lexists(file) else None
    if now != (found and found.signature):
        raise FileExistsError(f"{file} was changed while it was written anew; it is left as it is")
    # Both contents are listed, and before the rename: a kill in between leaves one of them.
    before = [found.digest] if found is not None and found.digest != digest else []
    entries = _entries(file.parent)
    _write(file.parent, entries | {file.name: {"kind": kind, "sha256": [*before, digest]}})
    temporary.replace(file)
    _WRITTEN[file] = _State(digest, _signature(file))


def _entries(folder: Path) -> Entries:
    """Entries of the manifest of a folder; ValueError where that is something else."""
    path = folder / MANIFEST
    try:
        entries: Entries = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries.values():
            _ = str(entry["kind"]), list(entry["sha256"])
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a list of the files that jnas has written; move it away"
        ) from error
    return entries


def _write(folder: Path, entries: Entries) -> None:
    """Replace the manifest of a folder, which goes with its last entry."""
    path = folder / MANIFEST
    if not entries:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f"{MANIFEST}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(dict(sorted(entries.items())), stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _absolute(path: str | os.PathLike[str]) -> Path:
    """Absolute path; links are kept, for a link is what a rename replaces."""
    return Path(path).parent.resolve() / Path(path).name


def _digest(file: Path) -> str:
    """SHA-256 of the content of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _signature(file: Path) -> tuple[int, ...]:
    """Numbers that change when a file is written or replaced."""
    found = file.lstat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Block that one process and thread at a time is in, where the system can lock folders."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with contextlib.ExitStack() as stack:
        # Network file systems may have no locks for folders; a kill gives a lock back.
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
