"""Networks of buckets (`Network.bucket`): the one that architectures have in common."""

import numpy as np
from numpy.typing import ArrayLike

from jnas.types import Network


def of_all(network: Network, archs: ArrayLike) -> Network:
    """Network of the bucket that all of `archs` `[P, D]` are in; host only.

    It is the network itself where they are in several, and where there are no buckets.
    """
    if network.bucket is None or network.within is None:
        return network
    sizes = {network.bucket(arch) for arch in np.asarray(archs)}
    return network.within(sizes.pop()) if len(sizes) == 1 else network


def of_some(network: Network) -> Network:
    """Network of some bucket, by which to ask what all have in common, such as their classes."""
    return of_all(network, np.zeros((1, len(network.space.cardinalities)), np.int32))
