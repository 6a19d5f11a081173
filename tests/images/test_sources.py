"""Sources: where they are found, files of arrays, and what is refused."""

import io
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jnas import images
from jnas.engine import files
from tests.images.helpers import MEAN, STD, normalised, save, save_batch

# Files of arrays


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 8, 8), np.uint8), r"uint8 \[4, 8, 8\], it must be \[N, H, W, C\]"),
        (np.zeros((4, 8, 8, 3, 1), np.uint8), r"it must be \[N, H, W, C\]"),
        (np.zeros((4, 8, 8, 4), np.uint8), "C 1 or 3"),
        (np.zeros((4, 3, 8, 8), np.uint8), "C 1 or 3"),
        (np.zeros((0, 8, 8, 3), np.uint8), "not empty"),
        (np.zeros((4, 0, 8, 3), np.uint8), "not empty"),
        (np.zeros((4, 8, 8, 3), np.int64), r"uint8 \(0 to 255\) or float"),
        (np.zeros((4, 8, 8, 3), np.complex64), r"uint8 \(0 to 255\) or float"),
        (np.full((4, 8, 8, 3), np.nan), "NaN or infinite"),
        (np.array([0.0, np.inf, 0.0]).reshape(1, 1, 1, 3), "NaN or infinite"),
        (np.full((4, 8, 8, 3), None), "allow_pickle"),
    ],
)
def test_refused_images(tmp_path, x, message):
    file = save(tmp_path / "bad.npz", x=x)
    with pytest.raises(ValueError, match=message) as caught:
        images.load(file, num=1)
    assert str(file) in str(caught.value)


def test_a_file_without_x_lists_its_arrays(tmp_path, pixels):
    file = save(tmp_path / "a.npz", pictures=pixels, y=np.arange(10))
    with pytest.raises(ValueError, match=r"no array x .* among pictures, y"):
        images.load(file)
    with pytest.raises(ValueError, match="no arrays"):
        images.load(save(tmp_path / "none.npz"))


def test_a_file_that_is_no_archive(tmp_path, pixels):
    text, truncated, bare = (tmp_path / name for name in ("a.npz", "b.npz", "c.npz"))
    text.write_text("not an archive")
    truncated.write_bytes(save(tmp_path / "whole.npz", x=pixels).read_bytes()[:-200])
    with bare.open("wb") as file:
        np.save(file, pixels)
    for path in (text, truncated, bare):
        with pytest.raises(ValueError, match=path.name):
            images.load(path, num=1)


def test_a_damaged_archive(tmp_path, pixels):
    path = tmp_path / "a.npz"
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # one byte of one image
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="CRC"):
        images.load(path, num=1)


# CIFAR-10


def test_cifar_batches_in_channel_order(cifar):
    folder, x, y = cifar
    batch, labels = images.load_labelled("cifar10", num=7, folder=folder)
    np.testing.assert_allclose(batch, (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels, y)


def test_where_cifar_is_found(cifar, monkeypatch, tmp_path_factory):
    folder, _, _ = cifar
    batches = folder / "cifar-10-batches-py"
    expected = images.load("cifar10", num=7, folder=folder)
    monkeypatch.setenv("JNAS_DATA", str(tmp_path_factory.mktemp("empty")))
    for path in (batches, str(batches)):
        np.testing.assert_array_equal(images.load(path, num=7), expected)
    np.testing.assert_array_equal(images.load("cifar10", num=7, folder=batches), expected)
    np.testing.assert_array_equal(images.load(batches / "data_batch_2", num=3), expected[4:])
    np.testing.assert_array_equal(images.load(batches / "test_batch", num=1), expected[:1])
    monkeypatch.setenv("JNAS_DATA", str(folder))
    np.testing.assert_array_equal(images.load("cifar10", num=7), expected)
    monkeypatch.delenv("JNAS_DATA")
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(images.load("cifar10", num=7), expected)


def test_cifar_archive_uses_the_published_constants_by_name_only(tmp_path, rng):
    x = rng.integers(0, 100, (5, 32, 32, 3), dtype=np.uint8)
    file = save(tmp_path / "cifar10_few.npz", x=x, y=np.arange(5, dtype=np.uint8))
    batch, labels = images.load_labelled("cifar10", num=5, folder=tmp_path)
    np.testing.assert_allclose(batch, (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)
    assert labels.dtype == jnp.int32
    assert labels.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(images.load(file, num=5), normalised(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((5, 28, 28, 3), np.uint8),
        np.zeros((5, 32, 32, 1), np.uint8),
        np.zeros((5, 32, 32, 3)),
    ],
)
def test_a_cifar_archive_of_something_else(tmp_path, x):
    save(tmp_path / "cifar10.npz", x=x)
    with pytest.raises(ValueError, match=r"CIFAR-10 is uint8 \[N, 32, 32, 3\]"):
        images.load("cifar10", folder=tmp_path)


def test_jpeg_files_are_passed_over(tmp_path, rng):
    for name in ("cifar10_test.npz", "cifar10_train.npz"):
        save(tmp_path / name, jpeg=np.zeros(9, np.uint8), offsets=[0, 9], y=[1])
    with pytest.raises(FileNotFoundError, match=r"JPEG images there are for jnas\.data\.load"):
        images.load("cifar10", folder=tmp_path)
    assert images.available(tmp_path)[1].num == 0
    x = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    save(tmp_path / "cifar10_whole.npz", x=x)
    batch = images.load("cifar10", num=5, folder=tmp_path)
    np.testing.assert_allclose(batch, (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)


def test_batches_come_before_archives(cifar):
    folder, x, _ = cifar
    save(folder / "cifar10.npz", x=255 - x)
    batch = images.load("cifar10", num=7, folder=folder)
    np.testing.assert_allclose(batch, (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)


def test_real_cifar(data_folder):
    batch, labels = images.load_labelled("cifar10", num=2000, folder=data_folder)
    assert batch.shape == (2000, 32, 32, 3)
    np.testing.assert_allclose(np.mean(batch, axis=(0, 1, 2)), 0.0, atol=0.05)
    np.testing.assert_allclose(np.std(batch, axis=(0, 1, 2)), 1.0, atol=0.05)
    # The first training images of the official files are a frog, two trucks, a deer and two cars.
    assert labels[:6].tolist() == [6, 9, 9, 4, 1, 1]
    assert set(labels.tolist()) == set(range(10))
    first = np.rint((np.asarray(batch[0, 0, 0]) * STD + MEAN) * 255)
    assert first.tolist() == [59, 62, 63]


# What is there


def test_paths_that_do_not_exist(tmp_path):
    for path in (tmp_path / "nothing", "missing.npz", "some/folder", Path("digits")):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            images.load(path)
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FileNotFoundError, match="cifar10 not found: put cifar-10-batches-py"):
            images.load("cifar10", folder=folder)


def test_available(cifar, tmp_path_factory, monkeypatch):
    folder, _, _ = cifar
    digits, cifar10, noise = images.available(folder)
    assert [digits.name, cifar10.name, noise.name] == list(images.NAMES)
    assert (digits.num, digits.shape) == (1797, (8, 8, 1))
    assert (cifar10.num, cifar10.shape) == (7, (32, 32, 3))
    assert cifar10.where == str(folder / "cifar-10-batches-py")
    assert (noise.num, noise.shape) == (None, ())
    monkeypatch.setenv("JNAS_DATA", str(folder))
    assert images.available()[1] == cifar10


def test_available_digits_are_what_is_loaded():
    source = images.available()[0]
    assert images.load(source.name, size=source.shape[0], num=source.num).shape[0] == source.num


def test_available_says_what_is_missing_or_broken(tmp_path):
    _, missing, _ = images.available(tmp_path)
    assert missing.num == 0
    assert "not found: put cifar-10-batches-py or cifar10*.npz under $JNAS_DATA" in missing.where
    (tmp_path / "cifar10.npz").write_text("not an archive")
    _, broken, _ = images.available(tmp_path)
    assert broken.num == 0
    assert "cifar10.npz" in broken.where


@pytest.mark.parametrize("name", ["cifar10.npz", "data_batch_1"])
def test_folders_and_dangling_links_in_the_place_of_files(tmp_path, name):
    """`available` says what is wrong; `load` names the file."""
    path = tmp_path / name
    for make in (path.mkdir, lambda: path.symlink_to(tmp_path / "nothing")):
        make()
        _, source, _ = images.available(tmp_path)
        assert source.num == 0
        assert name in source.where
        with pytest.raises(OSError, match=name):
            images.load("cifar10", folder=tmp_path)
        if path.is_dir():
            path.rmdir()


@pytest.mark.parametrize("as_batch", [False, True])
def test_files_of_images_are_known_to_the_job_that_reads_them(tmp_path, pixels, as_batch):
    if as_batch:
        x = np.zeros((2, 32, 32, 3), np.uint8)
        file = save_batch(tmp_path / "data_batch_1", x, [0, 1])
    else:
        file = save(tmp_path / "own.npz", x=pixels)
    with files.job():
        images.load(file, size=4, num=2)
        with pytest.raises(FileExistsError, match="of images that the job reads"):
            files.check_not_read(file)
