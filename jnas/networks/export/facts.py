"""Facts about the images that a network was trained on, which go with every export of it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.types import Dataset


class Facts(NamedTuple):
    """Images that a network reads, and the classes that it tells apart.

    Attributes:
        classes: their names.
        mean: of each channel of the pixels divided by `scale`.
        std: their standard deviations.
        scale: the number that pixels are divided by.
        size: height and width in pixels.
        name: of the data set.
        dtype: of the pixels, "uint8" or "float32".
    """

    classes: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    scale: float
    size: tuple[int, int]
    name: str = ""
    dtype: str = "uint8"


def facts_of(dataset: Dataset) -> Facts:
    """Facts of a data set; of its images, only shape and type are looked at."""
    x = dataset.train.x
    dtype = "uint8" if x.dtype == np.uint8 else "float32"
    # Plain numbers, for they are written into JSON and into the text of a module.
    mean, std = (np.asarray(value).tolist() for value in (dataset.mean, dataset.std))
    height, width = x.shape[1:3]
    return Facts(dataset.classes, mean, std, dataset.scale, (height, width), dataset.name, dtype)


def normalised(images: jax.Array, facts: Facts) -> jax.Array:
    """Images `[N, H, W, C]` float32 as the network reads them, of pixels in 0 … scale."""
    # As `data.normalise`, and in its order of operations: trained networks have seen its rounding.
    mean, std = (jnp.asarray(value, jnp.float32) for value in (facts.mean, facts.std))
    pixels = images.astype(jnp.float32) / jnp.float32(facts.scale)
    normal: jax.Array = (pixels - mean[None, None, None]) / std[None, None, None]
    return normal
