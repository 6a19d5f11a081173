"""Data sets by name and from files of arrays."""

import numpy as np

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
