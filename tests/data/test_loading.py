"""Data sets by name and from files of arrays."""

from pathlib import Path

import numpy as np
import pytest

from jnas import data


def test_digits() -> None:
    from sklearn.datasets import load_digits

    found, raw = data.load("digits"), load_digits()
    assert found.train.x.shape == (1257, 8, 8, 1)
    assert found.train.x.dtype == np.uint8
    assert (len(found.validation.y), len(found.test.y)) == (270, 270)
    assert (found.scale, found.name, found.is_flippable) == (16.0, "digits", False)
    assert found.classes == tuple("0123456789")
    parts = found.train, found.validation, found.test
    images = np.concatenate([part.x for part in parts])[..., 0]
    labels = np.concatenate([part.y for part in parts])
    together = {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}
    expected = zip(raw.images.astype(np.uint8), raw.target, strict=True)
    assert together == {(image.tobytes(), int(label)) for image, label in expected}
    for part in parts:
        share = np.bincount(part.y) / np.bincount(raw.target)
        assert np.ptp(share) < 0.01


def test_larger_digits_keep_their_grey_levels() -> None:
    small, large = data.load("digits", key=3), data.load("digits", 16, key=3)
    assert large.train.x.shape == (1257, 16, 16, 1)
    np.testing.assert_array_equal(small.train.y, large.train.y)
    # Half-pixel centres: a pixel is 9, 3, 3 and 1 sixteenths of its neighbours.
    a, b, c, d = (small.train.x[:, i, j, 0] / 16 for i in (2, 3) for j in (3, 4))
    expected = (9 * a + 3 * b + 3 * c + d) / 16
    np.testing.assert_allclose(large.train.x[:, 5, 7, 0] / large.scale, expected, atol=0.5 / 240)
    tiny = data.load("digits", 4, key=3)
    squares = small.train.x.reshape(1257, 4, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(tiny.train.x[..., 0] / tiny.scale, squares / 16, atol=0.5 / 240)


# -- Files of arrays -------------------------------------------------------------------------------


@pytest.fixture
def x(rng) -> np.ndarray:
    return rng.integers(0, 256, (20, 8, 12, 3), dtype=np.uint8)


Y = np.arange(20) % 2


def save(folder, **arrays) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def test_arrays_are_split(tmp_path, x) -> None:
    found = data.load(save(tmp_path, x=x, y=Y), validation=0.2, test=2)
    assert "Dataset mine, 8 x 12 x 3 uint8" in repr(found)
    assert "14 train, 4 validation, 2 test" in repr(found)
    expected = data.make_dataset(x, Y, key=0, validation=0.2, test=2)
    np.testing.assert_array_equal(found.train.x, expected.train.x)
    assert found.is_flippable


def test_given_arrays_stay_as_they_are(tmp_path, x) -> None:
    y = Y.astype(np.uint8)
    path = save(
        tmp_path, x=x[:9], y=y[:9], x_val=x[9:14], y_val=y[9:14], x_test=x[14:], y_test=Y[14:]
    )
    found = data.load(path)
    for part, rows in ((found.train, slice(9)), (found.validation, slice(9, 14))):
        np.testing.assert_array_equal(part.x, x[rows])
        np.testing.assert_array_equal(part.y, y[rows])
    np.testing.assert_array_equal(found.test.x, x[14:])
    path = save(tmp_path, x=x[:14], y=y[:14], x_test=x[14:], y_test=Y[14:], classes=["on", "off"])
    found = data.load(path, validation=4)
    assert "10 train, 4 validation, 6 test" in repr(found)
    assert found.classes == ("on", "off")


def test_floats_keep_their_scale(tmp_path, x) -> None:
    floats = x / 100 - 1
    found = data.load(save(tmp_path, x=floats, y=Y), validation=0, test=0)
    assert (found.train.x.dtype, found.scale) == (np.float32, 1.0)
    np.testing.assert_allclose(found.train.x, floats, atol=1e-6)
    resized = data.load(save(tmp_path, x=floats, y=Y), 4, stretch=True, validation=0, test=0)
    means = floats.reshape(20, 4, 2, 4, 3, 3).mean((2, 4))
    np.testing.assert_allclose(resized.train.x, means, atol=1e-6)


def test_sizes_become_multiples_of_4(tmp_path, rng) -> None:
    odd = rng.integers(0, 256, (20, 30, 33, 1), dtype=np.uint8)
    path = save(tmp_path, x=odd, y=Y)
    assert data.load(path).train.x.shape[1:] == (28, 32, 1)
    assert data.load(path, 8).train.x.shape[1:] == (8, 8, 1)


def test_equal_images_of_given_parts_are_told(tmp_path, x) -> None:
    path = save(tmp_path, x=x[:10], y=Y[:10], x_test=x[6:], y_test=Y[6:])
    told = (
        r"4 images in two parts: x\[6\] = x_test\[0\], x\[7\] = x_test\[1\], x\[8\] = x_test\[2\]"
    )
    with pytest.warns(UserWarning, match=told):
        data.load(path)
    with pytest.raises(ValueError, match=told):
        data.load(path, strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": Y - 1}, "mine.npz: labels y are -1 … 0"),
        ({"y": Y * 3}, "train has no image of the classes 1, 2"),
        ({"classes": ["a"]}, "there are 1 classes, and labels up to 1"),
        ({"y": Y * 0}, "at least 2 classes"),
        ({"x": np.zeros((20, 8, 8))}, r"mine.npz: x is float64 \[20, 8, 8\]"),
        ({"x_val": np.zeros((2, 8, 8, 3), np.uint8)}, "no array y_val among"),
        (
            {"x_val": np.zeros((2, 8, 12, 3), np.uint8), "y_val": np.array([0, 2])},
            "validation has classes that train lacks: 2",
        ),
        (
            {"x_test": np.zeros((2, 8, 8, 3), np.uint8), "y_test": np.array([0, 1])},
            r"images of test are uint8 \[2, 8, 8, 3\], those of train uint8 \[.*, 8, 12, 3\]",
        ),
        ({"x": np.array([None])}, "mine.npz"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, x, change, message) -> None:
    path = save(tmp_path, **({"x": x, "y": Y} | change))
    with pytest.raises(ValueError, match=message):
        data.load(path)


def test_names_and_paths_that_nothing_has(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"no data set is called 'digit'. Did you mean 'digits'"):
        data.load("digit")
    with pytest.raises(FileNotFoundError, match=r"nothing does not exist; a folder of images"):
        data.load(tmp_path / "nothing")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"is not an .npz file"):
        data.load(tmp_path / "text.npz")
