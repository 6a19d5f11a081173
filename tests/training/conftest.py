"""A data set that is learnt in a few steps, a network that is compiled in a few seconds."""

import jax
import numpy as np
import pytest

from jnas import data, networks, training
from jnas.types import Dataset, Network
from tests.oracles.nasbench201 import TRAINED


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """Stripes of two directions in noise, 288 images 8x8x1."""
    random = np.random.default_rng(0)
    waves = 100 * np.sin(np.arange(8))[None, :, None, None] + random.normal(128, 25, (288, 8, 8, 1))
    labels = np.arange(288) % 2
    images = np.where(labels[:, None, None, None] == 0, waves, waves.transpose(0, 2, 1, 3))
    return data.make_dataset(
        np.clip(images, 0, 255).astype(np.uint8),
        labels,
        key=jax.random.key(0),
        classes=("rows", "columns"),
        name="stripes",
        validation=16,
        test=16,
    )


@pytest.fixture(scope="session")
def network() -> Network:
    return networks.nasbench201(channels=2, cells=1, stages=1, num_classes=2, in_channels=1)


@pytest.fixture(scope="session")
def recipe() -> training.Recipe:
    return training.recipe("quick", epochs=4, batch_size=16, warmup_epochs=0.5, is_precise=True)


@pytest.fixture(scope="session")
def together(network: Network, stripes: Dataset, recipe: training.Recipe) -> training.Trained:
    """Networks of `TRAINED`, trained with key 5 by the one program of a population."""
    return training.train(network, TRAINED, stripes, recipe, 5)
