"""Folders of image files, and a cache of its own for each test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """The user's folder for caches, so that no test meets what another has decoded."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "jnas"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def put(tmp_path, rng) -> Callable[..., Path]:
    """`put("cat/a.png", …)`: random coloured images of 8 x 8 in files of one folder, its path."""
    from PIL import Image

    def write(*names: str, shape=(8, 8, 3)) -> Path:
        for name in names:
            path = tmp_path / "pets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        return tmp_path / "pets"

    return write
