"""Images as a network reads them: normalised, and augmented by key on the device."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnas.engine.inputs import as_key
from jnas.types import Dataset, Images, Key

# Of ITU-R BT.601, rounded as torchvision has them.
_GREY = (0.2989, 0.587, 0.114)


class Augmentation(NamedTuple):
    """Random changes of training images; the defaults change nothing.

    Attributes:
        flip: mirrors half of the images, where the data set says that this keeps their classes.
        crop: pixels of black added on each side, before a window of the old size is cut out.
        cutout: side in pixels of a square that is set to 0 after normalisation; its centre is
            anywhere in the image, so that it may reach over the edge. DeVries and Taylor,
            "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.
        mixup: α of the law Beta(α, α) of the share that an image keeps when it is mixed with
            another of the batch; 0 mixes none. Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond
            Empirical Risk Minimization", 2018, https://arxiv.org/abs/1710.09412, section 2.
        jitter: brightness, contrast and saturation are each multiplied by a number in 1 − jitter …
            1 + jitter, in random order, as torchvision's ColorJitter does.
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0
    jitter: float = 0.0


def normalise(images: Any, dataset: Dataset) -> jax.Array:
    """Images as a network reads them, `(images / scale - mean) / std`.

    Args:
        images: `[..., H, W, C]` uint8 or float, on the scale of the data set.
        dataset: whose mean, deviation and scale are used.

    Returns:
        `[..., H, W, C]` float32.
    """
    unit = _unit(images, dataset)
    mean, std = (jnp.asarray(x, jnp.float32) for x in (dataset.mean, dataset.std))
    # Written out, for whoever calls may have forbidden JAX to promote ranks, as the tests do.
    shape = (1,) * (unit.ndim - 1) + mean.shape
    return (unit - mean.reshape(shape)) / std.reshape(shape)


def augment(
    key: Key, images: Any, labels: Any, augmentation: Augmentation, dataset: Dataset
) -> tuple[jax.Array, jax.Array]:
    """Images changed at random and normalised, and what to learn of each.

    In the order of torchvision's recipes: padded crop, flip, jitter, normalisation, cutout, mixup.
    Image `i` gets the same changes in a batch of any size, but for mixup, which needs a partner.

    Args:
        key: of this batch.
        images: `[N, H, W, C]` uint8 or float, on the scale of the data set; for a jitter, floats
            divided by the scale must be in [0, 1].
        labels: `[N, K]` float, one-hot or already smoothed.
        augmentation: which changes.
        dataset: its mean, deviation and scale, and whether its images may be flipped. Its images
            are not looked at; `without_images` leaves them out of a compiled program.

    Returns:
        Images `[N, H, W, C]` float32 and targets `[N, K]` float32.

    Raises:
        ValueError: a number of the augmentation is not allowed.
    """
    check(augmentation)
    # Or a compiled program would take all images as arguments that it does not read.
    facts = without_images(dataset)
    changed, targets = _augment(as_key(key), images, labels, augmentation, facts)
    return changed, targets


def without_images(dataset: Dataset) -> Dataset:
    """Data set of no images: mean, deviation, classes, and the shape and type of an image."""
    # Arrays of NumPy stay so, and others may be those of a program that is being traced.
    parts = (
        Images(part.x[:0], part.y[:0]) for part in (dataset.train, dataset.validation, dataset.test)
    )
    train, validation, test = parts
    return dataclasses.replace(dataset, train=train, validation=validation, test=test)


def check(augmentation: Augmentation) -> None:
    """ValueError where a number is not allowed: negative, or a jitter above 1."""
    for name in ("crop", "cutout"):
        value = getattr(augmentation, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be a number of pixels, 0 or more; got {value!r}")
    if not 0 <= augmentation.mixup < float("inf"):
        raise ValueError(f"mixup must be 0 (off) or a positive α; got {augmentation.mixup!r}")
    if not 0 <= augmentation.jitter <= 1:
        raise ValueError(f"jitter must be in 0 … 1; got {augmentation.jitter!r}")


@functools.partial(jax.jit, static_argnames="augmentation")
def _augment(
    key: Key, images: jax.Array, labels: jax.Array, augmentation: Augmentation, dataset: Dataset
) -> tuple[jax.Array, jax.Array]:
    """`augment` as a program; the augmentation is a constant of it."""
    key_images, key_mixup = jax.random.split(key)
    # A key by number, so that an image's changes do not depend on the size of the batch.
    numbers = jnp.arange(len(images), dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key_images, numbers)
    one = functools.partial(_augment_one, augmentation=augmentation, dataset=dataset)
    changed, targets = jax.vmap(one)(keys, images), jnp.asarray(labels, jnp.float32)
    if not augmentation.mixup:
        return changed, targets
    return mixup(key_mixup, changed, targets, augmentation.mixup)


def _augment_one(
    key: Key, image: jax.Array, *, augmentation: Augmentation, dataset: Dataset
) -> jax.Array:
    """`[H, W, C]` float32, one image changed and normalised."""
    # One for each change, whatever is switched on: without a crop, images are flipped as with it.
    keys = jax.random.split(key, 4)
    # On pixels before they are normalised: the papers pad with black, and a 0 would be the mean
    # colour afterwards.
    if augmentation.crop:
        image = padded_crop(keys[0], image, augmentation.crop)
    if augmentation.flip and dataset.is_flippable:
        image = flip(keys[1], image)
    if augmentation.jitter:
        unit = colour_jitter(keys[2], _unit(image, dataset), augmentation.jitter)
        # Back on the scale of the data set, for `normalise` divides by it.
        image = unit * dataset.scale
    image = normalise(image, dataset)
    # After normalisation, where the 0 of a square is the mean colour, as in the released code.
    return cutout(keys[3], image, augmentation.cutout) if augmentation.cutout else image


def flip(key: Key, image: jax.Array) -> jax.Array:
    """`[H, W, C]`, mirrored left to right with probability one half."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def padded_crop(key: Key, image: jax.Array, padding: int) -> jax.Array:
    """`[H, W, C]`, a window at random of the image with `padding` zeros on each side."""
    padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    # Both ends included: each of the 2 padding + 1 places is as likely as any other.
    top, left = jax.random.randint(key, (2,), 0, 2 * padding + 1)
    return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)


def cutout(key: Key, image: jax.Array, length: int) -> jax.Array:
    """`[H, W, C]` with zeros in a square, of which half a side lies on each side of its centre."""
    # As the code of DARTS: an odd side loses a pixel, and the edge of the image cuts squares off.
    half = length // 2
    inside = []
    for number, size in enumerate(image.shape[:2]):
        # The centre is inside and the square perhaps not: DeVries and Taylor found that it helps to
        # leave some images nearly whole.
        centre = jax.random.randint(jax.random.fold_in(key, number), (), 0, size)
        places = jnp.arange(size)
        inside.append((places >= centre - half) & (places < centre + half))
    square = inside[0][:, None] & inside[1][None, :]
    return jnp.where(square[..., None], jnp.zeros_like(image), image)


def mixup(
    key: Key, images: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Images `[N, H, W, C]` and targets `[N, K]`, each a mean of its own and a partner's.

    The share of its own is drawn from Beta(α, α) for each image, and the partners by a permutation.
    """
    key_share, key_partner = jax.random.split(key)
    # A share for each image, where the paper's code has one a batch: here it costs nothing.
    share = jax.random.beta(key_share, alpha, alpha, (len(images),))
    partner = jax.random.permutation(key_partner, len(images))

    def mixed(x: jax.Array) -> jax.Array:
        own = share.reshape(-1, *(1,) * (x.ndim - 1))
        return own * x + (1 - own) * x[partner]

    return mixed(images), mixed(targets)


def colour_jitter(key: Key, image: jax.Array, strength: float) -> jax.Array:
    """`[H, W, C]` in [0, 1], other in brightness, contrast and saturation, in random order."""
    key_order, key_factors = jax.random.split(key)
    order = jax.random.permutation(key_order, 3)
    factors = jax.random.uniform(key_factors, (3,), minval=1 - strength, maxval=1 + strength)
    changes = (_brightness, _contrast, _saturation)
    # Three switches rather than one of six orders: the program is half as large.
    for number in range(3):
        image = jax.lax.switch(order[number], changes, image, factors[order[number]])
    return image


def _brightness(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixture with black."""
    return jnp.clip(factor * image, 0, 1)


def _contrast(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixture with the mean of the grey image."""
    return jnp.clip(factor * image + (1 - factor) * _grey(image).mean(), 0, 1)


def _saturation(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixture with the grey image, which is the image itself where it has one channel."""
    return jnp.clip(factor * image + (1 - factor) * _grey(image), 0, 1)


def _grey(image: jax.Array) -> jax.Array:
    """`[H, W, 1]`, luminance."""
    if image.shape[-1] == 1:
        return image
    return jnp.sum(image * jnp.asarray(_GREY)[None, None], axis=-1, keepdims=True)


def _unit(images: Any, dataset: Dataset) -> jax.Array:
    """Images divided by the scale of the data set, float32."""
    return jnp.asarray(images).astype(jnp.float32) / dataset.scale
