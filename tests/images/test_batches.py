"""Batches: exact pixels against hand-made arrays, statistics, subsets, classes, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import images
from tests.images.helpers import normalised, save

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


@pytest.mark.parametrize("source", ["digits", "noise"])
def test_keys_of_any_spelling_fit(source):
    expected = images.load(source, 8, 5, jax.random.key(7))
    for key in (7, jax.random.PRNGKey(7)):
        np.testing.assert_array_equal(images.load(source, 8, 5, key), expected)


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


# Statistics and shapes


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


@pytest.mark.parametrize("y", [None, np.arange(9), np.zeros((10, 1), int), np.zeros(10)])
def test_labels_are_needed_only_where_asked_for(tmp_path, pixels, y):
    file = (
        save(tmp_path / "a.npz", x=pixels) if y is None else save(tmp_path / "a.npz", x=pixels, y=y)
    )
    assert images.load(file, 6, 10).shape == (10, 6, 6, 3)
    with pytest.raises(ValueError, match="has no labels" if y is None else r"not integers \[10\]"):
        images.load_labelled(file, 6, 10)


# Classes


def in_order_of(y, size=2):
    """Images that are the number of their row."""
    x = np.zeros((len(y), size, size, 3), np.float32)
    return x + np.arange(len(y), dtype=np.float32)[:, None, None, None], np.asarray(y)


def rows_of(batch):
    return np.asarray(batch)[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize(
    ("y", "num", "rows", "found"),
    [
        ([0, 0, 0, 1, 1, 2], 5, [0, 3, 5, 1, 4], "2 of its 3"),
        ([0, 0, 0, 1, 1, 2], 2, [0, 3], "1 of its 3"),
        ([7, 7, 7, 7, -1, 90], 4, [4, 0, 5, 1], "1 of its 3"),
        ([1, 1, 0], 2, [2, 0], "1 of its 2"),
    ],
)
def test_the_first_images_of_a_sorted_file_are_of_all_classes(tmp_path, y, num, rows, found):
    x, y = in_order_of(y)
    file = save(tmp_path / "sorted.npz", x=x, y=y)
    message = rf"the first {num} images of .*sorted.npz are of {found} classes"
    with pytest.warns(UserWarning, match=message) as caught:
        batch, labels = images.load_labelled(file, 2, num, mean=0.0, std=1.0)
    assert caught[0].filename == __file__
    assert rows_of(batch) == rows
    np.testing.assert_array_equal(labels, y[rows])
    with pytest.warns(UserWarning, match=message) as caught:
        alone = images.load(file, 2, num, mean=0.0, std=1.0)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(alone, batch)


def test_sixty_four_images_of_ten_classes_in_order(tmp_path):
    x, y = in_order_of(np.repeat(np.arange(10), 50))
    with pytest.warns(UserWarning, match="2 of its 10 classes"):
        _, labels = images.load_labelled(save(tmp_path / "a.npz", x=x, y=y), 2, 64)
    assert set(np.bincount(labels)) == {6, 7}


@pytest.mark.parametrize(
    ("y", "num"),
    [([0, 1, 0, 0], 2), ([0, 1, 2, 0], 2), ([5, 5, 5], 2), ([0, 0, 1], 3), ([0.0, 0.0, 1.0], 2)],
)
def test_the_first_images_stay_where_no_other_ones_are_of_more_classes(tmp_path, y, num):
    """Labels that are no integers are no classes. Warnings are errors here."""
    x, y = in_order_of(y)
    file = save(tmp_path / "a.npz", x=x, y=y)
    assert rows_of(images.load(file, 2, num, mean=0.0, std=1.0)) == list(range(num))


def test_a_key_draws_from_a_sorted_file_at_random(tmp_path, key):
    x, y = in_order_of([0, 0, 0, 0, 1])
    batch = images.load(save(tmp_path / "a.npz", x=x, y=y), 2, 3, key, mean=0.0, std=1.0)
    assert rows_of(batch) == jax.random.permutation(key, 5)[:3].tolist()


def test_digits_and_cifar_keep_their_first_images(tmp_path, rng):
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(images.load_labelled(num=5)[1], load_digits().target[:5])
    x = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    save(tmp_path / "cifar10.npz", x=x, y=np.array([0, 0, 0, 1]))
    labels = images.load_labelled("cifar10", num=3, folder=tmp_path)[1]
    np.testing.assert_array_equal(labels, [0, 0, 0])


def test_number_of_classes(tmp_path, cifar):
    """Of the whole source: the largest label says it, whether the others occur or not."""
    assert images.num_classes() == images.num_classes("digits") == 10
    assert images.num_classes("noise") is None
    assert images.num_classes("cifar10", folder=cifar[0]) == 10
    for y, num in (([20, 0, 84], 85), ([-1, 3, 2], 4), ([-1, -1, -1], None), ([0.0, 1, 2], None)):
        x, y = in_order_of(y)
        assert images.num_classes(save(tmp_path / "a.npz", x=x, y=y)) == num
    assert images.num_classes(save(tmp_path / "a.npz", x=x)) is None


def test_labels_beyond_32_bits(tmp_path):
    x, y = in_order_of([0, 2**32 + 1])
    file = save(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(ValueError, match="beyond those of 32 bits"):
        images.load_labelled(file, 2, 2)


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
    for wrong in (-1, jnp.zeros(2), jax.random.split(jax.random.key(0))):
        with pytest.raises(ValueError, match=r"key must be one key, as|key as a seed must"):
            load("digits", key=wrong)


def test_too_few_rows_in_a_file(tmp_path, pixels, key):
    file = save(tmp_path / "a.npz", x=pixels)
    for subset in (None, key):
        with pytest.raises(ValueError, match=r"a\.npz has 10 images, 11 were asked for"):
            images.load(file, 6, 11, subset)
