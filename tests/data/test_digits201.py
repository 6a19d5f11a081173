"""Composed digits: what they are made of, and that they stay the same."""

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jnas import data
from jnas.data.digits201 import moved
from jnas.types import Dataset


@pytest.fixture(scope="module")
def found() -> Dataset:
    return data.load("digits201")


def test_the_images_never_change(found: Dataset) -> None:
    sha = hashlib.sha256()
    for part in (found.train, found.validation, found.test):
        sha.update(part.x.tobytes() + part.y.astype("<i4").tobytes())
    assert sha.hexdigest() == "97cf2f2ceb06beb769efcdc8b7d5a75bc55790350bb68fa55ab129753e0e1a3f"


def test_what_is_said_of_it_is_what_is_loaded(found: Dataset) -> None:
    source = next(source for source in data.available() if source.name == found.name)
    parts = found.train, found.validation, found.test
    assert source.num == sum(len(part.y) for part in parts)
    assert all(part.x.shape[1:] == source.shape for part in parts)


def test_each_image_is_a_digit_with_a_piece_of_another(found: Dataset) -> None:
    """All pixels but those of one square of 4 x 4 are a digit of the class, moved by a pixel."""
    raw = load_digits()
    digits = raw.images.astype(np.uint8)
    every = np.stack(
        [
            np.pad(digits, ((0, 0), (1, 1), (1, 1)))[:, 1 - down : 9 - down, 1 - right : 9 - right]
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
    )  # [9, 1797, 8, 8]
    used = []
    for part in (found.train, found.validation, found.test):
        of_part = set()
        for image, label in zip(part.x[:60, ..., 0], part.y[:60], strict=True):
            differs = image[None, None] != every[:, raw.target == label]
            rows, columns = differs.any(axis=3), differs.any(axis=2)
            is_near = (_extent(rows) <= 4) & (_extent(columns) <= 4)
            is_near &= (image[None, None] >= every[:, raw.target == label]).all(axis=(2, 3))
            assert is_near.any()
            of_part |= set(np.flatnonzero(raw.target == label)[np.nonzero(is_near)[1]])
        used.append(of_part)
    # Nearly: a digit may be within another's piece.
    assert len(used[0] & used[1]) + len(used[0] & used[2]) + len(used[1] & used[2]) < 6


def _extent(flags: np.ndarray) -> np.ndarray:
    """Length of the shortest range along the last axis that has all flags; 0 without any."""
    length = flags.shape[-1]
    first, last = flags.argmax(axis=-1), length - 1 - flags[..., ::-1].argmax(axis=-1)
    return np.where(flags.any(axis=-1), last - first + 1, 0)


def test_shape_of_the_data_set(found: Dataset) -> None:
    parts = found.train, found.validation, found.test
    assert [part.x.shape for part in parts] == [(n, 8, 8, 1) for n in (1024, 1000, 1000)]
    assert all(part.x.dtype == np.uint8 and part.x.max() == 16 for part in parts)
    assert (found.name, found.scale, found.is_flippable) == ("digits201", 16.0, False)
    for part in parts:
        assert np.bincount(part.y, minlength=10).min() > 85
    with pytest.raises(ValueError, match="8 x 8 and no others; got size 16"):
        data.load("digits201", 16)


def test_moving_by_a_pixel() -> None:
    image = np.arange(1, 65, dtype=np.uint8).reshape(8, 8, 1)
    down = moved(image, 1, 0)
    np.testing.assert_array_equal(down[1:], image[:-1])
    assert not down[0].any()
    left = moved(image, 0, -1)
    np.testing.assert_array_equal(left[:, :-1], image[:, 1:])
    assert not left[:, -1].any()
