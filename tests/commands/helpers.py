"""How tests run commands: in this process, with what they print."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

from jnas import commands
from jnas.engine.files import MANIFEST, replacing


def invoke(*args: object) -> str:
    """What a command prints; its errors are raised."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        commands.run([*map(str, args)])
    return printed.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    """Name → content of the files in a folder, but for the manifest of them."""
    paths = [path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST]
    return {path.name: path.read_bytes() for path in paths}


def put(path: Path, content: bytes, kind: str = "file") -> None:
    """A file as jnas writes it."""
    with replacing(path, kind) as stream:
        stream.write(content)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
