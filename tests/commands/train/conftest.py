"""A folder of pictures of two kinds, and runs of `jnas train` on it that take seconds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.helpers import invoke

CELL = "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
TINY = ("--channels", 2, "--stages", 1, "--cells", 1, "--size", 8, "--batch-size", 16)
QUIET = ("--no-progress",)


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


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 120 pictures of two classes, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    draw(folder, 60)
    (folder / "rows" / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list, str]:
    """Run folder of the training of one cell, its command, and what it printed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    command: list[object] = ["train", "--images", pictures, *TINY, *QUIET, "--epochs", 6]
    command += ["--arch", CELL, "--max-params", 250, "--out", folder]
    with pytest.warns(UserWarning, match="broken"):
        printed = invoke(*command)
    return folder, command, printed
