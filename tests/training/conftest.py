"""A data set that is learnt in a few steps, a network that is compiled in a few seconds."""

import pytest

from jnas import networks, training
from jnas.types import Dataset, Network
from tests.oracles.nasbench201 import TRAINED
from tests.oracles.trainings import stripes_of


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """288 images, 16 of them for validation and 16 for the test."""
    return stripes_of(288, validation=16, test=16)


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
