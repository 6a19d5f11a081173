"""A supernet of one cell on a data set of stripes, trained for a few epochs."""

import jax
import pytest

from jnas import data, networks, oneshot
from jnas.types import Dataset, Network
from tests.oracles.trainings import stripes_of


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """72 images, 24 of them for validation."""
    return stripes_of(72, validation=24, test=0)


@pytest.fixture(scope="session")
def network() -> Network:
    return networks.nasbench201(
        channels=2, cells=1, stages=1, num_classes=2, in_channels=1, affine=False, bias=False
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
