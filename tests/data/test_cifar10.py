"""CIFAR-10: official batches with their test batch, JPEG files, and a part of it."""

import io

import numpy as np
import pytest
from PIL import Image

from jnas import data
from tests.images.helpers import save_batch


@pytest.fixture
def pixels(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10


def save_jpeg(path, x, y) -> None:
    files = []
    for image in x:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=75)
        files.append(stream.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    jpeg = np.frombuffer(b"".join(files), np.uint8)
    np.savez(path, jpeg=jpeg, offsets=offsets, y=np.asarray(y, np.uint8))


def test_official_batches(tmp_path, pixels, monkeypatch) -> None:
    x, y = pixels
    folder = tmp_path / "cifar-10-batches-py"
    save_batch(folder / "data_batch_1", x[:20], y[:20].tolist())
    save_batch(folder / "data_batch_2", x[20:], y[20:].tolist())
    whole = data.load(folder, test=10, validation=0.25)
    assert "20 train, 10 validation, 10 test" in repr(whole)
    save_batch(folder / "test_batch", x[:12] // 2, y[:12].tolist())
    for found in (data.load("cifar10", folder=tmp_path), data.load(folder)):
        np.testing.assert_array_equal(found.test.x, x[:12] // 2)
        np.testing.assert_array_equal(found.test.y, y[:12])
        assert "34 train, 6 validation, 12 test" in repr(found)
        assert found.name == "CIFAR-10"
        assert found.classes[3:6] == ("cat", "deer", "dog")
        assert found.is_flippable
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    small = data.load("cifar10", 16, validation=0)
    means = x.reshape(40, 16, 2, 16, 2, 3).mean((2, 4))
    np.testing.assert_allclose(small.train.x, means, atol=0.5)


def test_jpeg_files_come_before_a_part_of_the_exact_ones(tmp_path, pixels) -> None:
    x, y = pixels
    np.savez(tmp_path / "cifar10_4000.npz", x=x, y=y)
    exact = data.load("cifar10", folder=tmp_path, validation=0, test=0)
    assert exact.name == "CIFAR-10 (40 images)"
    np.testing.assert_array_equal(exact.train.x, x)
    smooth = np.repeat(np.repeat(x[:, :1, :1], 32, axis=1), 32, axis=2)
    save_jpeg(tmp_path / "cifar10_train.npz", smooth[:30], y[:30])
    found = data.load("cifar10", folder=tmp_path, validation=0, test=0)
    assert found.name == "CIFAR-10 (JPEG 75)"
    np.testing.assert_allclose(found.train.x.astype(int), smooth[:30], atol=8)
    np.testing.assert_array_equal(found.train.y, y[:30])
    save_jpeg(tmp_path / "cifar10_test.npz", smooth[30:], y[30:])
    found = data.load("cifar10", 16, folder=tmp_path)
    assert "20 validation, 10 test" in repr(data.load("cifar10", folder=tmp_path, validation=20))
    assert found.test.x.shape == (10, 16, 16, 3)
    np.testing.assert_array_equal(found.test.y, y[30:])
    found = data.available(tmp_path)
    assert tuple(source.name for source in found) == data.NAMES
    digits, _, cifar10 = found
    assert (digits.num, cifar10.num, cifar10.shape) == (1797, 40, (32, 32, 3))
    assert cifar10.where.endswith("cifar10_train.npz, as JPEG")
    (tmp_path / "cifar10_test.npz").write_bytes(b"")
    assert data.available(tmp_path)[2].num == 0


def test_a_damaged_image_is_named(tmp_path, pixels) -> None:
    path = tmp_path / "cifar10_train.npz"
    save_jpeg(path, *pixels)
    with np.load(path) as arrays:
        content = dict(arrays)
    content["jpeg"][: content["offsets"][1]] = 7
    np.savez(path, **content)
    with pytest.raises(ValueError, match=r"cifar10_train\.npz: 1 image damaged: 0 \(unreadable\)"):
        data.load("cifar10", folder=tmp_path)


def test_without_any_form_the_error_says_where_to_put_it(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="cifar10 not found: put cifar-10-batches-py or"):
        data.load("cifar10", folder=tmp_path)


@pytest.mark.slow
def test_all_of_it(data_folder) -> None:
    found = data.load("cifar10", 16, validation=5000)
    assert found.train.x.shape == (45_000, 16, 16, 3)
    assert np.bincount(found.train.y).tolist() == [4500] * 10
    assert np.bincount(found.validation.y).tolist() == [500] * 10
    assert np.bincount(found.test.y).tolist() == [1000] * 10
    # As known of all 50,000.
    np.testing.assert_allclose(255 * found.mean, [125.4, 123.1, 114.0], atol=0.5)
    np.testing.assert_allclose(255 * found.std, [60.3, 59.7, 64.4], atol=0.3)
