"""Data sets to train on: images and labels of training, validation and test, and augmentation.

`load` and `make_dataset` make a `types.Dataset` on the host; `normalise` and `augment` are pure
functions for the device.
"""

from jnas import _shown
from jnas.data.augmentation import Augmentation, augment, normalise, without_images
from jnas.data.loading import NAMES, available, load
from jnas.data.making import make_dataset

__all__ = [
    "NAMES",
    "Augmentation",
    "augment",
    "available",
    "load",
    "make_dataset",
    "normalise",
    "without_images",
]

# For completion.
__dir__ = _shown.public(__name__)
