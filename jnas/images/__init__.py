"""Batches of real images, for zero-shot scores and for training. Host only: nothing here is traced.

Every source gives `[num, size, size, 3]` float32, normalised channel by channel:

    `"digits"`   the 1,797 grey 8 x 8 digits bundled with scikit-learn; nothing to download
    `"cifar10"`  32 x 32, from the folder `cifar-10-batches-py` or a file `cifar10*.npz`, found
                 under `folder=`, else `$JNAS_DATA`, else the current directory
    `"noise"`    standard normal numbers, as many and as large as asked for
    a path       a `.npz` file (`x [N, H, W, C]`, perhaps `y [N]`), a folder of CIFAR-10 batches, or
                 one of its `data_batch_*` files; a `.npz` file has no published constants, whatever
                 its name

Pixels are put on the scale `[0, 1]` (float files keep their own), then normalised with the mean and
standard deviation of the whole source at its native resolution (CIFAR-10: with the published
constants), then resized if they are not `size x size` already, then grey is repeated over three
channels. Normalised numbers therefore do not depend on `num` or `key`, and images of the right size
keep exact pixels.
"""

from jnas import _shown
from jnas.images.batches import load, load_labelled, num_classes
from jnas.images.sources import CIFAR10_MEAN, CIFAR10_STD, NAMES, Source, available

__all__ = [
    "CIFAR10_MEAN",
    "CIFAR10_STD",
    "NAMES",
    "Source",
    "available",
    "load",
    "load_labelled",
    "num_classes",
]

# For completion.
__dir__ = _shown.public(__name__)
