"""How tests run commands: in this process, with what they print."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jnas import commands
from jnas.engine.files import MANIFEST, replacing

# A network that is trained in seconds.
CELL = "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
TINY = ("--channels", 2, "--stages", 1, "--cells", 1, "--size", 8, "--batch-size", 16)
QUIET = ("--no-progress",)
# Weights that are shared in one, for two epochs of the digits.
WEIGHTS = ("--channels", 2, "--cells", 1, "--stages", 1, "--epochs", 2, *QUIET)
SHARED = ("search", "--estimator", "oneshot", *WEIGHTS, "--candidates", 6)


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


def draw(folder: Path, num: int, seed: int = 0) -> None:
    """Striped pictures, rows and columns, `num` of each."""
    random = np.random.default_rng(seed)
    for name in ("rows", "columns"):
        (folder / name).mkdir(parents=True)
        for number in range(num):
            wave = 100 * np.sin(1.5 * np.arange(10) + random.uniform(0, 6))[:, None, None]
            noise = random.normal(128, 20, (10, 10, 3))
            pixels = wave + noise if name == "rows" else (wave + noise).transpose(1, 0, 2)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{number:03}.png")
