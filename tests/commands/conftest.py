"""A folder of pictures of two kinds, a run of `jnas train` on it, and a supernet of digits."""

from pathlib import Path

import pytest

from tests.commands.helpers import CELL, QUIET, SHARED, TINY, draw, invoke


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run folder of six candidates that a supernet of two epochs has scored, and what it printed.

    The folder is made by `SHARED`.
    """
    folder = tmp_path_factory.mktemp("shared") / "run"
    return folder, invoke(*SHARED, "--out", folder)
