"""Augmentation: each change against loops in NumPy with the same draws, and laws of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import data
from jnas.data import augmentation as changes
from jnas.types import Dataset, Images

ALL = data.Augmentation(flip=True, crop=2, cutout=4, mixup=0.4, jitter=0.3)
MEAN, STD = np.float32([0.4, 0.5, 0.6]), np.float32([0.2, 0.25, 0.3])
NUM, SIDE, CLASSES = 6, 8, 3


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (NUM, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def one_hot() -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]


def facts(*, is_flippable: bool = True, channels: int = 3) -> Dataset:
    nothing = Images(np.zeros((0, 8, 8, channels), np.uint8), np.zeros(0, np.int32))
    constants = MEAN[:channels], STD[:channels], 255.0, ("a", "b", "c"), "facts", is_flippable
    return Dataset(nothing, nothing, nothing, *constants)


def keys(key, num: int = 200):
    return jax.random.split(key, num)


# -- Normalisation ---------------------------------------------------------------------------------


def test_normalise(images) -> None:
    expected = (images / 255 - MEAN) / STD
    for found in (data.normalise(images, facts()), jax.jit(data.normalise)(images, facts())):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(data.normalise(images[2], facts()), expected[2], atol=2e-6)


def test_training_images_have_mean_0_and_deviation_1() -> None:
    digits = data.load("digits")
    found = np.asarray(data.normalise(digits.train.x, digits), np.float64)
    assert abs(found.mean()) < 1e-6
    assert abs(found.std() - 1) < 1e-6


def test_no_augmentation_is_normalisation(images, one_hot, key) -> None:
    found, targets = data.augment(key, images, one_hot, data.Augmentation(), facts())
    np.testing.assert_allclose(found, data.normalise(images, facts()), atol=2e-6)
    np.testing.assert_array_equal(targets, one_hot)


# -- Single changes --------------------------------------------------------------------------------


def test_flip(images, key) -> None:
    image = images[0]
    found = np.asarray(jax.vmap(changes.flip, (0, None))(keys(key), image))
    is_flipped = (found == image[:, ::-1]).all(axis=(1, 2, 3))
    is_same = (found == image).all(axis=(1, 2, 3))
    assert np.all(is_flipped ^ is_same)
    assert 70 < is_flipped.sum() < 130
    # The same draw twice gives the image back.
    twice = jax.vmap(lambda k: changes.flip(k, changes.flip(k, image)))(keys(key, 10))
    np.testing.assert_array_equal(twice, np.broadcast_to(image, twice.shape))


def test_padded_crop_is_a_window_of_the_padded_image(images, key) -> None:
    padding, image = 2, images[0]
    padded = np.zeros((SIDE + 2 * padding, SIDE + 2 * padding, 3), np.uint8)
    padded[padding:-padding, padding:-padding] = image
    places = set()
    for one in np.asarray(
        jax.vmap(changes.padded_crop, (0, None, None))(keys(key), image, padding)
    ):
        where = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if np.array_equal(padded[top : top + SIDE, left : left + SIDE], one)
        ]
        assert len(where) == 1
        places |= set(where)
    assert len(places) == (2 * padding + 1) ** 2


def test_what_a_crop_adds_is_black_before_normalisation(images, one_hot, key) -> None:
    only = data.Augmentation(crop=SIDE)
    found, _ = data.augment(key, images, one_hot, only, facts())
    black = -MEAN / STD
    is_black = np.isclose(found, black, atol=1e-5).all(axis=-1)
    assert is_black.any(axis=(1, 2)).all()


@pytest.mark.parametrize(("length", "side"), [(4, 4), (5, 4), (2 * SIDE + 2, None)])
def test_cutout_is_a_square_around_a_pixel(length, side, key) -> None:
    image = jnp.ones((SIDE, SIDE, 1))
    found = np.asarray(jax.vmap(changes.cutout, (0, None, None))(keys(key), image, length))
    areas = set()
    for one in found[..., 0] == 0:
        rows, columns = one.any(axis=1), one.any(axis=0)
        np.testing.assert_array_equal(one, np.outer(rows, columns))
        for line in (rows, columns):
            assert np.abs(np.diff(np.r_[0, line, 0])).sum() == 2  # one interval
        areas.add(int(one.sum()))
    if side is None:
        assert areas == {SIDE * SIDE}
    else:
        assert max(areas) == side * side
        assert min(areas) == (side // 2) ** 2  # centred in a corner
        # The mean over all centres, from the definition.
        centres = np.arange(SIDE)
        lengths = np.minimum(centres + side // 2, SIDE) - np.maximum(centres - side // 2, 0)
        expected = lengths.mean() ** 2
        assert abs((found == 0).mean(axis=0).sum() - expected) < 0.1 * expected


def test_cutout_fills_with_the_mean(images, one_hot, key) -> None:
    found, _ = data.augment(key, images, one_hot, data.Augmentation(cutout=4), facts())
    plain = np.asarray(data.normalise(images, facts()))
    is_cut = (np.asarray(found) == 0).all(axis=-1)
    assert is_cut.any(axis=(1, 2)).all()
    np.testing.assert_allclose(np.asarray(found)[~is_cut], plain[~is_cut], atol=2e-6)


def test_mixup(images, one_hot, key) -> None:
    x = np.asarray(data.normalise(images, facts()))
    key_share, key_partner = jax.random.split(key)
    share = np.asarray(jax.random.beta(key_share, 0.4, 0.4, (NUM,)))
    partner = np.asarray(jax.random.permutation(key_partner, NUM))
    found, targets = changes.mixup(key, jnp.asarray(x), jnp.asarray(one_hot), 0.4)
    for i in range(NUM):
        expected = share[i] * x[i] + (1 - share[i]) * x[partner[i]]
        np.testing.assert_allclose(found[i], expected, atol=1e-5)
        expected = share[i] * one_hot[i] + (1 - share[i]) * one_hot[partner[i]]
        np.testing.assert_allclose(targets[i], expected, atol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_shares_of_mixup_follow_beta(key) -> None:
    """Mean 1/2 and variance 1 / (4 (2α + 1)) of Beta(α, α)."""
    num, alpha = 4000, 0.2
    x = jnp.zeros((num, 1, 1, 1))
    _, targets = changes.mixup(key, x, jnp.eye(num, dtype=jnp.float32), alpha)
    share = np.asarray(targets).diagonal()
    assert abs(share.mean() - 0.5) < 0.03
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def jittered(image: np.ndarray, order, factors) -> np.ndarray:
    """ColorJitter of torchvision on a float image, pixel by pixel."""
    image = image.astype(np.float64)
    for name in order:
        grey = image @ [0.2989, 0.587, 0.114] if image.shape[-1] == 3 else image[..., 0]
        new = np.empty_like(image)
        for (i, j, c), value in np.ndenumerate(image):
            other = (0.0, grey.mean(), grey[i, j])[name]
            new[i, j, c] = min(max(factors[name] * value + (1 - factors[name]) * other, 0), 1)
        image = new
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_jitter(channels, images, key) -> None:
    image = images[0, ..., :channels] / np.float32(255)
    seen = set()
    program = jax.jit(changes.colour_jitter, static_argnums=2)
    for one in keys(key, 12):
        key_order, key_factors = jax.random.split(one)
        order = np.asarray(jax.random.permutation(key_order, 3))
        seen.add(tuple(order.tolist()))
        factors = np.asarray(jax.random.uniform(key_factors, (3,), minval=0.5, maxval=1.5))
        found = program(one, image, 0.5)
        np.testing.assert_allclose(found, jittered(image, order, factors), atol=1e-5)
    assert len(seen) > 3


# -- The whole -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_program_is_the_same_as_without_compilation(images, one_hot, key) -> None:
    # Without mixup, whose draws are loops that are slow like this.
    arguments = key, images[:1], one_hot[:1], ALL._replace(mixup=0.0), facts()
    compiled = data.augment(*arguments)
    with jax.disable_jit():
        plain = data.augment(*arguments)
    for one, other in zip(compiled, plain, strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
def test_a_key_gives_the_same_again_and_another_one_does_not(images, one_hot, key) -> None:
    first, again = (data.augment(key, images, one_hot, ALL, facts()) for _ in range(2))
    other = data.augment(jax.random.key(1), images, one_hot, ALL, facts())
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.allclose(first[0], other[0])


def test_an_image_is_changed_the_same_in_any_batch(images, one_hot, key) -> None:
    alone = ALL._replace(mixup=0.0)
    whole, _ = data.augment(key, images, one_hot, alone, facts())
    part, _ = data.augment(key, images[:2], one_hot[:2], alone, facts())
    np.testing.assert_allclose(part, whole[:2], atol=1e-6)
    # Equal images of a batch are changed differently.
    same, _ = data.augment(key, images[[0] * NUM], one_hot, alone, facts())
    assert len({image.tobytes() for image in np.asarray(same)}) == NUM


def test_digits_are_not_flipped(images, one_hot, key) -> None:
    still = facts(is_flippable=False)
    found, _ = data.augment(key, images, one_hot, data.Augmentation(flip=True), still)
    np.testing.assert_allclose(found, data.normalise(images, still), atol=2e-6)
    assert not data.load("digits").is_flippable


def test_augmentations_are_hashable_and_start_with_nothing() -> None:
    assert hash(ALL) == hash(data.Augmentation(*ALL))
    assert not any(data.Augmentation())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": -1}, "crop must be a number of pixels, 0 or more; got -1"),
        ({"cutout": 2.5}, "cutout must be"),
        ({"mixup": -0.1}, "mixup must be 0"),
        ({"mixup": float("nan")}, "mixup must be 0"),
        ({"jitter": 1.5}, "jitter must be in 0 … 1; got 1.5"),
    ],
)
def test_wrong_numbers_are_refused(wrong, message, images, one_hot, key) -> None:
    with pytest.raises(ValueError, match=message):
        data.augment(key, images, one_hot, data.Augmentation(**wrong), facts())


def test_the_images_of_a_data_set_are_left_out() -> None:
    digits = data.load("digits")
    slim = data.without_images(digits)
    empty = [(0, 8, 8, 1), (0,)] * 3
    assert [leaf.shape for leaf in jax.tree.leaves(slim)] == [*empty, (1,), (1,)]
    assert slim.classes == digits.classes
