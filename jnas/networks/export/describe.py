"""Plain layers of one architecture, of any network that has an export."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import statistics as norms
from jnas.networks.export import nasbench101, nasbench201, nats_size
from jnas.networks.export.description import Plain
from jnas.types import Arch, Network, Params

# By a name that the weights of each network have: a space may be called anything.
_DESCRIBE: dict[str, Callable[[np.ndarray, Params], Plain]] = {
    "stages": nasbench201.describe,
    "stacks": nasbench101.describe,
    "cells": nats_size.describe,
}


def describe(
    network: Network,
    arch: Arch | np.ndarray,
    params: Params,
    statistics: Iterable[norms.Statistics],
) -> Plain:
    """Plain layers of one architecture, at its true widths; host only.

    Args:
        network: that `params` are of.
        arch: `[D]` integers.
        params: of the network, as `init` or `instantiate` gives them.
        statistics: of its batch norms, in the order of `networks.initial_statistics`.

    Raises:
        ValueError: an architecture that the space does not have; a network without export.
    """
    choices = np.asarray(arch)
    num = len(network.space.cardinalities)
    if choices.shape != (num,) or not np.issubdtype(choices.dtype, np.integer):
        raise ValueError(
            f"arch must be [{num}] integers; got {choices.dtype} {list(choices.shape)}"
        )
    if not network.space.is_valid(jnp.asarray(choices, jnp.int32)):
        raise ValueError(f"{network.space.name} has no architecture {choices.tolist()}")
    names = [name for name in _DESCRIBE if name in params]
    if not names:
        raise ValueError(f"the network of {network.space.name} has no export")
    weights = norms.with_statistics(params, statistics)
    return _DESCRIBE[names[0]](choices, jax.tree.map(np.asarray, weights))
