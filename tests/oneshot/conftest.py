"""A supernet of two cells on a data set of stripes, trained for a few epochs."""

import jax
import numpy as np
import pytest

from jnas import data, networks, oneshot
from jnas.types import Dataset, Network


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """Stripes of two directions in noise, 72 images 8x8x1, 24 of them for validation."""
    random = np.random.default_rng(0)
    waves = 100 * np.sin(np.arange(8))[None, :, None, None] + random.normal(128, 25, (72, 8, 8, 1))
    labels = np.arange(72) % 2
    images = np.where(labels[:, None, None, None] == 0, waves, waves.transpose(0, 2, 1, 3))
    return data.make_dataset(
        np.clip(images, 0, 255).astype(np.uint8),
        labels,
        key=jax.random.key(0),
        classes=("rows", "columns"),
        name="stripes",
        validation=24,
        test=0,
    )


@pytest.fixture(scope="session")
def network() -> Network:
    return networks.nasbench201(
        channels=2, cells=2, stages=1, num_classes=2, in_channels=1, affine=False, bias=False
    )


@pytest.fixture(scope="session")
def recipe() -> oneshot.Recipe:
    """Recipe of a constant rate, in which an epoch does not know how many there are."""
    return oneshot.recipe(
        "quick", epochs=4, batch_size=16, final_learning_rate=0.05, augmentation=data.Augmentation()
    )


@pytest.fixture(scope="session")
def supernet(network: Network, stripes: Dataset, recipe: oneshot.Recipe) -> oneshot.Supernet:
    keys = jax.random.split(jax.random.key(3), 2)
    return oneshot.train(network, stripes, recipe, keys, keep=(2, 3))
