"""A folder of pictures of two kinds, a run of `jnas train` on it, and a supernet of digits."""

from pathlib import Path

import pytest

from jnas import data, networks, oneshot
from tests.commands.helpers import CELL, QUIET, TINY, draw, invoke


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
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a supernet that has seen the digits once."""
    path = tmp_path_factory.mktemp("supernet") / "shared.npz"
    network = networks.nasbench201(
        channels=2, cells=1, stages=1, in_channels=1, affine=False, bias=False
    )
    recipe = oneshot.recipe("quick", epochs=1, augmentation=data.Augmentation())
    oneshot.save(oneshot.train(network, data.load("digits"), recipe), path)
    return path
