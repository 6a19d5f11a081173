"""Images: exact pixels against hand-made arrays, statistics, subsets, and every refusal."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import images

# Published for CIFAR-10 and used by NASWOT, typed here a second time on purpose.
MEAN = np.array([125.3, 123.0, 113.9]) / 255
STD = np.array([63.0, 62.1, 66.7]) / 255


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(0, 256, (10, 6, 6, 3), dtype=np.uint8)


def save(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def save_batch(path: Path, x: np.ndarray, labels, protocol: int = 4) -> Path:
    """The official layout: rows of 1,024 red, 1,024 green and 1,024 blue values, row by row."""
    data = np.stack([np.concatenate([image[..., c].ravel() for c in range(3)]) for image in x])
    content = {
        b"batch_label": b"fake",
        b"labels": list(labels),
        b"data": data,
        b"filenames": [b"a.png"],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.fixture
def cifar(tmp_path, rng) -> tuple[Path, np.ndarray, np.ndarray]:
    """A folder with `cifar-10-batches-py` of two batches of 4 and 3 images, and their contents."""
    x = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    y = np.array([3, 1, 4, 1, 5, 9, 2])
    save_batch(tmp_path / "cifar-10-batches-py" / "data_batch_1", x[:4], y[:4].tolist())
    save_batch(tmp_path / "cifar-10-batches-py" / "data_batch_2", x[4:], y[4:].tolist())
    save_batch(tmp_path / "cifar-10-batches-py" / "test_batch", x[:1], [0])
    return tmp_path, x, y


def normalised(x: np.ndarray) -> np.ndarray:
    """A file's images as they should come out, from the definition."""
    unit = x / 255 if x.dtype == np.uint8 else x.astype(np.float64)
    return (unit - unit.mean((0, 1, 2))) / unit.std((0, 1, 2))


# Digits


def test_digits_by_default():
    batch = images.load()
    assert batch.shape == (128, 32, 32, 3)
    assert batch.dtype == jnp.float32
    np.testing.assert_array_equal(batch[..., 0], batch[..., 1])
    np.testing.assert_array_equal(batch[..., 0], batch[..., 2])


def test_whole_digits_have_mean_0_and_std_1():
    batch = np.asarray(images.load(size=8, num=1797), np.float64)
    assert abs(batch.mean()) < 1e-6
    assert abs(batch.std() - 1) < 1e-6


def test_digits_keep_exact_pixels_at_native_size():
    from sklearn.datasets import load_digits

    raw = load_digits().images
    expected = (raw[:5] - raw.mean()) / raw.std()
    np.testing.assert_allclose(
        images.load("digits", size=8, num=5)[..., 1], expected, rtol=1e-6, atol=1e-7
    )


def test_digits_are_on_the_unit_scale_before_normalisation():
    raw = images.load("digits", size=8, num=1797, mean=0.0, std=1.0)
    assert float(raw.min()) == 0.0
    assert float(raw.max()) == 1.0


def test_resized_digits_do_not_depend_on_num():
    np.testing.assert_array_equal(images.load(num=3, size=16), images.load(num=20, size=16)[:3])


def test_digits_are_resized_bilinearly():
    """Doubling with half-pixel centres: a pixel is 9, 3, 3 and 1 sixteenths of its neighbours."""
    small = np.asarray(images.load(size=8, num=4))[..., 0]
    large = np.asarray(images.load(size=16, num=4))[..., 0]
    a, b, c, d = small[:, 2, 3], small[:, 2, 4], small[:, 3, 3], small[:, 3, 4]
    np.testing.assert_allclose(large[:, 5, 7], (9 * a + 3 * b + 3 * c + d) / 16, atol=1e-5)
    np.testing.assert_allclose(large[:, 0, 0], small[:, 0, 0], atol=1e-6)


def test_nearest_interpolation_repeats_pixels():
    small = np.asarray(images.load(size=8, num=4))
    large = images.load(size=24, num=4, method="nearest")
    np.testing.assert_array_equal(large, small.repeat(3, axis=1).repeat(3, axis=2))


def test_size_1_is_allowed():
    assert images.load(size=1, num=2).shape == (2, 1, 1, 3)


def test_digit_labels():
    from sklearn.datasets import load_digits

    batch, labels = images.load_labelled("digits", num=50)
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels, load_digits().target[:50])
    np.testing.assert_array_equal(batch, images.load("digits", num=50))


# Random subsets


def test_a_key_reproduces_its_subset(key):
    first, again = images.load(num=20, size=8, key=key), images.load(num=20, size=8, key=key)
    other = images.load(num=20, size=8, key=jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, images.load(num=20, size=8))


def test_subset_is_without_replacement_and_keeps_labels_with_images(tmp_path, key):
    x = np.zeros((40, 2, 2, 3), np.float32) + np.arange(40, dtype=np.float32)[:, None, None, None]
    file = save(tmp_path / "counted.npz", x=x, y=np.arange(40))
    for num in (15, 40):
        batch, labels = images.load_labelled(file, 2, num, key, mean=0.0, std=1.0)
        assert len(set(labels.tolist())) == num
        np.testing.assert_array_equal(batch[:, 0, 1, 2], labels.astype(jnp.float32))
    assert set(labels.tolist()) == set(range(40))


def test_subsets_reach_every_image(tmp_path):
    x = np.arange(6, dtype=np.float32)[:, None, None, None].repeat(3, axis=-1)
    file = save(tmp_path / "six.npz", x=x, y=np.arange(6))
    firsts = {
        int(images.load_labelled(file, 1, 2, jax.random.key(seed))[1][0]) for seed in range(60)
    }
    assert firsts == set(range(6))


def test_a_subset_is_normalised_by_the_whole_file(tmp_path, pixels, key):
    file = save(tmp_path / "a.npz", x=pixels, y=np.arange(10))
    batch, labels = images.load_labelled(file, 6, 4, key)
    np.testing.assert_allclose(batch, normalised(pixels)[np.asarray(labels)], rtol=1e-5, atol=1e-6)


# Noise


def test_noise_is_standard_normal_and_keyed(key):
    batch = images.load("noise", size=32, num=64, key=key)
    assert batch.shape == (64, 32, 32, 3)
    assert batch.dtype == jnp.float32
    count = batch.size
    assert abs(float(batch.mean())) < 5 / count**0.5
    assert abs(float(batch.std()) - 1) < 5 / (2 * count) ** 0.5
    np.testing.assert_array_equal(batch, images.load("noise", num=64))  # the default key is key(0)
    assert not np.array_equal(batch, images.load("noise", num=64, key=jax.random.key(1)))


def test_noise_has_neither_labels_nor_statistics():
    with pytest.raises(ValueError, match="noise has no labels"):
        images.load_labelled("noise")
    with pytest.raises(ValueError, match="standard normal already"):
        images.load("noise", mean=0.5)


# Files of arrays


def test_bytes_are_normalised_by_the_whole_file(tmp_path, pixels):
    file = save(tmp_path / "a.npz", x=pixels)
    batch = images.load(file, size=6, num=4)
    np.testing.assert_allclose(batch, normalised(pixels)[:4], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(batch, images.load(str(file), 6, 4))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_normalised_by_the_whole_file(tmp_path, rng, dtype):
    x = rng.normal([5.0, -2.0, 0.0], [1.0, 3.0, 0.1], (20, 4, 4, 3)).astype(dtype)
    batch = images.load(save(tmp_path / "a.npz", x=x), size=4, num=20)
    assert batch.dtype == jnp.float32
    np.testing.assert_allclose(batch, normalised(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.std(batch, axis=(0, 1, 2)), 1.0, rtol=1e-5)


def test_grey_is_repeated(tmp_path, pixels):
    grey = pixels[..., :1]
    batch = images.load(save(tmp_path / "a.npz", x=grey), size=6, num=10)
    np.testing.assert_allclose(batch, normalised(grey).repeat(3, axis=-1), rtol=1e-5, atol=1e-6)


def test_mean_and_std_of_the_caller(tmp_path, pixels):
    file = save(tmp_path / "a.npz", x=pixels)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0])
    batch = images.load(file, size=6, num=10, mean=mean, std=std)
    np.testing.assert_allclose(batch, (pixels / 255 - mean) / std, rtol=1e-5, atol=1e-6)
    raw = images.load(file, size=6, num=10, mean=0.0, std=1.0)
    np.testing.assert_allclose(raw, pixels / 255, rtol=1e-6)
    only_mean = images.load(file, size=6, num=10, mean=mean)
    expected = (pixels / 255 - mean) / (pixels / 255).std((0, 1, 2))
    np.testing.assert_allclose(only_mean, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrong", [[1.0, 2.0], np.nan, [[1.0, 1.0, 1.0]]])
@pytest.mark.parametrize("name", ["mean", "std"])
def test_wrong_statistics(tmp_path, pixels, name, wrong):
    file = save(tmp_path / "a.npz", x=pixels)
    with pytest.raises(ValueError, match=f"{name}= must be 1 or 3 finite numbers"):
        images.load(file, 6, 2, **{name: wrong})


@pytest.mark.parametrize("wrong", [0.0, -1.0, [1.0, 0.0, 1.0]])
def test_std_must_be_positive(wrong):
    with pytest.raises(ValueError, match="std= must be"):
        images.load("digits", 8, 2, std=wrong)


@pytest.mark.parametrize("value", [np.uint8(7), np.float32(0.1), np.float64(0.1)])
def test_a_constant_channel_becomes_zero(tmp_path, rng, value):
    x = rng.integers(0, 256, (9, 5, 5, 3)).astype(value.dtype)
    x[..., 1] = value
    batch = np.asarray(images.load(save(tmp_path / "a.npz", x=x), size=5, num=9))
    np.testing.assert_allclose(batch[..., 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(batch[..., 0].std(), 1.0, rtol=1e-5)


def test_other_aspect_ratios_are_stretched(tmp_path):
    """Left half 0, right half 1; twice as wide as high: each half keeps half of the square."""
    x = np.zeros((1, 4, 8, 1), np.float32)
    x[:, :, 4:] = 1.0
    batch = images.load(save(tmp_path / "a.npz", x=x), size=4, num=1, mean=0.0, std=1.0)
    assert batch.shape == (1, 4, 4, 3)
    # Halving with antialiasing: the triangle reaches across the edge by one pixel of weight 1/8.
    np.testing.assert_allclose(batch[0, 0, :, 0], [0.0, 1 / 8, 7 / 8, 1.0], atol=1e-6)


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


@pytest.mark.parametrize("y", [None, np.arange(9), np.zeros((10, 1), int), np.zeros(10)])
def test_labels_are_needed_only_where_asked_for(tmp_path, pixels, y):
    file = (
        save(tmp_path / "a.npz", x=pixels) if y is None else save(tmp_path / "a.npz", x=pixels, y=y)
    )
    assert images.load(file, 6, 10).shape == (10, 6, 6, 3)
    with pytest.raises(ValueError, match="has no labels" if y is None else r"not integers \[10\]"):
        images.load_labelled(file, 6, 10)


# CIFAR-10


def test_cifar_batches_in_channel_order(cifar):
    folder, x, y = cifar
    batch, labels = images.load_labelled("cifar10", num=7, folder=folder)
    np.testing.assert_allclose(batch, (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels, y)


def test_one_red_pixel(tmp_path):
    """A hand-written row: only the byte of row 2, column 5 of the second (green) plane is lit."""
    row = np.zeros((1, 3072), np.uint8)
    row[0, 1024 + 2 * 32 + 5] = 255
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps({b"data": row, b"labels": [0]}, protocol=2))
    batch = images.load(file, num=1, mean=0.0, std=1.0)
    assert np.argwhere(np.asarray(batch) != 0).tolist() == [[0, 2, 5, 1]]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_every_old_pickle_protocol(tmp_path, rng, protocol):
    x = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    file = save_batch(tmp_path / "data_batch_1", x, [1, 2], protocol)
    np.testing.assert_allclose(
        images.load(file, num=2), (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6
    )


def test_a_batch_as_python_2_wrote_it(tmp_path):
    """Opcodes of the official files: byte strings, integer flags of the dtype, `numpy.core`."""
    pixels = bytes(range(256)) * 12
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(I1\nI3072\ntcnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\n"
        b"T" + len(pixels).to_bytes(4, "little") + pixels + b"tb"
    )
    file = tmp_path / "data_batch_1"
    file.write_bytes(b"\x80\x02}(U\x04data" + array + b"U\x06labels(lp1\nI6\nau.")
    batch, labels = images.load_labelled(file, num=1, mean=0.0, std=1.0)
    plane = (np.arange(1024) % 256).reshape(32, 32) / 255
    np.testing.assert_allclose(batch[0], np.stack([plane] * 3, axis=-1), rtol=1e-6)
    assert labels.tolist() == [6]


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


# Pickles that are more than arrays


class Malicious:
    """Unpickling it would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused(tmp_path, protocol):
    trace = tmp_path / "trace"
    content = {b"data": Malicious(trace), b"labels": [0]}
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=rf"the global {os.mkdir.__module__}.mkdir is not allowed"):
        images.load(file, num=1)
    assert not trace.exists()
    pickle.loads(file.read_bytes())
    assert trace.exists()  # the file was malicious indeed


@pytest.mark.parametrize(
    "name",
    [
        b"builtins\neval",
        b"__builtin__\neval",
        b"os\nsystem",
        b"numpy\nload",
        b"numpy.core\nmultiarray",
    ],
)
def test_other_globals_are_refused(tmp_path, name):
    file = tmp_path / "data_batch_1"
    file.write_bytes(b"\x80\x02c" + name + b"\n.")
    with pytest.raises(ValueError, match=f"{name.decode().replace(chr(10), '.')} is not allowed"):
        images.load(file)


def test_arrays_of_objects_are_refused(tmp_path):
    file = tmp_path / "data_batch_1"
    data = np.array([[1, None]], dtype=object)
    file.write_bytes(pickle.dumps({b"data": data, b"labels": [0]}, protocol=2))
    with pytest.raises(ValueError, match="an array of dtype 'O8' is not allowed"):
        images.load(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0]}, "data"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "labels"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}, "for 2 labels"),
        ({b"data": np.zeros((1, 784), np.uint8), b"labels": [0]}, r"uint8 \[1, 784\]"),
        ({b"data": [1, 2], b"labels": [0]}, "AttributeError"),
        ([1, 2], "TypeError"),
    ],
)
def test_batches_with_other_content(tmp_path, content, message):
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ValueError, match=rf"nor a CIFAR-10 batch.*: .*{message}"):
        images.load(file)


def test_files_of_another_kind(tmp_path):
    for name, content in (("empty", b""), ("picture.png", b"\x89PNG"), ("notes.txt", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is neither .npz nor a CIFAR-10 batch"):
            images.load(tmp_path / name)
    with pytest.raises(ValueError, match="holds no CIFAR-10 data_batch"):
        images.load(tmp_path)


# Requests that cannot be met


@pytest.mark.parametrize("load", [images.load, images.load_labelled])
def test_refused_requests(load):
    with pytest.raises(ValueError, match="size=0"):
        load("digits", size=0)
    with pytest.raises(ValueError, match="num=0"):
        load("digits", num=0)
    with pytest.raises(
        ValueError, match=r"'digit'. Did you mean 'digits'. .*digits, cifar10, noise"
    ):
        load("digit")
    with pytest.raises(
        ValueError, match=r"no file .* 'zzz'. Valid names: digits, cifar10, noise.$"
    ):
        load("zzz")
    with pytest.raises(ValueError, match=r"'bilinaer'. Did you mean 'bilinear'"):
        load("digits", method="bilinaer")
    with pytest.raises(ValueError, match="digits has 1797 images, 1798 were asked for"):
        load("digits", num=1798)
    for wrong in (0, jnp.zeros(2, jnp.uint32)):
        with pytest.raises(ValueError, match=r"key of jax.random.key"):
            load("digits", key=wrong)


def test_too_few_rows_in_a_file(tmp_path, pixels, key):
    file = save(tmp_path / "a.npz", x=pixels)
    for subset in (None, key):
        with pytest.raises(ValueError, match=r"a\.npz has 10 images, 11 were asked for"):
            images.load(file, 6, 11, subset)


def test_paths_that_do_not_exist(tmp_path):
    for path in (tmp_path / "nothing", "missing.npz", "some/folder", Path("digits")):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            images.load(path)
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FileNotFoundError, match="cifar10 not found: put cifar-10-batches-py"):
            images.load("cifar10", folder=folder)


# What is there


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
