"""Pixels, and folders of files."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.helpers import save_batch


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(0, 256, (10, 6, 6, 3), dtype=np.uint8)


@pytest.fixture
def cifar(tmp_path, rng) -> tuple[Path, np.ndarray, np.ndarray]:
    """A folder with `cifar-10-batches-py` of two batches of 4 and 3 images, and their contents."""
    x = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    y = np.array([3, 1, 4, 1, 5, 9, 2])
    save_batch(tmp_path / "cifar-10-batches-py" / "data_batch_1", x[:4], y[:4].tolist())
    save_batch(tmp_path / "cifar-10-batches-py" / "data_batch_2", x[4:], y[4:].tolist())
    save_batch(tmp_path / "cifar-10-batches-py" / "test_batch", x[:1], [0])
    return tmp_path, x, y
