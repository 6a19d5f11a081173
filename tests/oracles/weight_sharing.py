"""Tiny weight-sharing searches."""

from typing import Any

from jnas import oneshot
from jnas.data import Augmentation
from jnas.oneshot import Method
from jnas.oneshot.alternating import Setup
from jnas.types import Dataset, Network

_CHANGES: dict[str, dict[str, Any]] = {"rsps": {"num_archs": 4}, "setn": {"num_archs": 4}}


def method_of(name: str, **changes: Any) -> Method:
    """Method of three epochs, with batches of eight images."""
    tiny = {"epochs": 3, "batch_size": 8, "augmentation": Augmentation(flip=True, crop=1)}
    return oneshot.method(name, **{**tiny, **_CHANGES.get(name, {}), **changes})


def setup_of(network: Network, dataset: Dataset, name: str, **changes: Any) -> Setup:
    """Setup of such a method."""
    made = method_of(name, **changes)
    return Setup(network, made, made.recipe, len(dataset.train.y) // 2 // 8)
