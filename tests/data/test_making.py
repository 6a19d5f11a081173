"""Data sets from arrays: parts, statistics, and refusals."""

import itertools

import numpy as np
import pytest

from jnas import data


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 4, 8, 3), dtype=np.uint8), np.repeat(np.arange(3), 20)


def rows_of(part, x) -> list[int]:
    return [int(np.flatnonzero((x == image).all(axis=(1, 2, 3)))[0]) for image in part.x]


def test_parts_are_a_partition_with_their_labels(arrays, key) -> None:
    x, y = arrays
    found = data.make_dataset(x, y, key=key, validation=0.2, test=6)
    parts = found.train, found.validation, found.test
    rows = [rows_of(part, x) for part in parts]
    assert [len(part) for part in rows] == [42, 12, 6]
    assert sorted(itertools.chain(*rows)) == list(range(60))
    for part, numbers in zip(parts, rows, strict=True):
        assert part.x.dtype == np.uint8
        assert part.y.dtype == np.int32
        np.testing.assert_array_equal(part.y, y[numbers])
        assert len(set(np.bincount(part.y))) == 1  # as many of each class
    assert rows[0] != sorted(rows[0])  # in random order
    assert (found.classes, found.scale) == (("0", "1", "2"), 255.0)


def test_mean_and_deviation_are_those_of_the_training_part(arrays, key) -> None:
    for x in (arrays[0], (arrays[0] / 255).astype(np.float64)):
        found = data.make_dataset(x, arrays[1], key=key)
        unit = np.asarray(found.train.x, np.float64) / found.scale
        np.testing.assert_allclose(found.mean, unit.mean((0, 1, 2)), rtol=1e-5)
        np.testing.assert_allclose(found.std, unit.std((0, 1, 2)), rtol=1e-5)
        assert found.mean.dtype == found.std.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_constant_channel_has_deviation_1(arrays, key, dtype) -> None:
    x = arrays[0].astype(dtype)
    x[..., 1] = 77
    found = data.make_dataset(x, arrays[1], key=key)
    assert found.std[1] == 1
    assert found.std[0] != 1


def test_a_key_is_reproduced_and_test_images_do_not_depend_on_validation(arrays, key) -> None:
    x, y = arrays
    one = data.make_dataset(x, y, key=key, validation=0.1)
    other = data.make_dataset(x, y, key=0, validation=0.3)
    np.testing.assert_array_equal(one.test.x, other.test.x)
    elsewhere = data.make_dataset(x, y, key=1)
    assert not np.array_equal(one.test.x, elsewhere.test.x)


def test_equal_images_go_to_one_part(arrays) -> None:
    x = arrays[0].copy()
    x[1::2] = x[::2]
    for seed in range(5):
        found = data.make_dataset(x, arrays[1], key=seed, validation=0.3, test=0.3)
        parts = [{image.tobytes() for image in part.x} for part in (found.train, found.test)]
        parts.append({image.tobytes() for image in found.validation.x})
        assert len(found.validation.y) == len(found.test.y) == 18
        assert sum(map(len, parts)) == len(set.union(*parts)) == 30


def test_parts_may_be_empty(arrays, key) -> None:
    found = data.make_dataset(*arrays, key=key, validation=0, test=0)
    assert len(found.train.y) == 60
    assert found.test.x.shape == (0, 4, 8, 3)
    assert "60 train, 0 validation, 0 test" in repr(found)


def test_names_of_classes_are_shown_with_their_counts(arrays, key) -> None:
    found = data.make_dataset(
        *arrays, key=key, classes=["ant", "bee", "cat"], validation=3, test=6, name="pets"
    )
    assert repr(found).splitlines() == [
        "Dataset pets, 4 x 8 x 3 uint8",
        "  images: 51 train, 3 validation, 6 test",
        "  3 classes: ant (17, 1, 2), bee (17, 1, 2), cat (17, 1, 2)",
    ]


def test_two_images_are_trained_on(key) -> None:
    x = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4, 1)
    found = data.make_dataset(x, [0, 1], key=key)
    assert (len(found.train.y), len(found.validation.y), len(found.test.y)) == (2, 0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((60, 4, 8, 2), np.uint8)}, r"x is uint8 \[60, 4, 8, 2\]"),
        ({"x": np.zeros((60, 4, 8, 3), np.int64)}, r"must be uint8 \(0 to 255\) or float"),
        ({"x": np.full((60, 4, 8, 3), np.nan)}, "x has NaN or infinite"),
        ({"x": np.full((60, 4, 8, 3), 1e300)}, "x has values too large"),
        ({"y": np.zeros(59, int)}, r"y is int64 \[59\], not integers \[60\]"),
        ({"y": np.zeros(60)}, "y is float64"),
        ({"y": np.zeros(60, int)}, "at least 2 classes are needed; there is '0' alone"),
        ({"y": np.arange(60) - 1}, "labels y are -1 … 58; they must count the classes from 0"),
        ({"y": np.arange(60) % 2 * 2}, "train has no image of the classes 1"),
        ({"classes": ["a", "b"]}, "there are 2 classes, and labels up to 2"),
        ({"classes": ["a", "b", "a"]}, "names of classes must differ"),
        ({"validation": 1.0}, r"validation must be a fraction in \[0, 1\)"),
        ({"test": 60}, "test must be a fraction"),
        ({"test": 40, "validation": 18}, "a part of 18 images cannot be taken: 17 are left"),
        ({"key": -1}, "key as a seed must be"),
    ],
)
def test_refusals(arrays, change, message) -> None:
    arguments = {"x": arrays[0], "y": arrays[1], "key": 0} | change
    x, y = arguments.pop("x"), arguments.pop("y")
    with pytest.raises(ValueError, match=message):
        data.make_dataset(x, y, **arguments)
