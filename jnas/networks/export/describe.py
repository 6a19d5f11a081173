"""Plain layers of one architecture, of any network that has an export."""

from collections.abc import Callable, Iterable

import jax
import numpy as np

from jnas.networks import statistics as norms
from jnas.networks.export import darts, nasbench101, nasbench201, nats_size, nb1shot1
from jnas.networks.export.description import Plain
from jnas.networks.own import choices_of
from jnas.types import Arch, Network, Params

# By a name that the weights of each network have: a space may be called anything.
_DESCRIBE: dict[str, Callable[[np.ndarray, Params], Plain]] = {
    "stages": nasbench201.describe,
    "stacks": nasbench101.describe,
    "cells": nats_size.describe,
    "groups": nb1shot1.describe,
}
# By the network as well: weights do not tell families of pairs of cells apart.
_DESCRIBE_PAIRS = "sections"


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
        ValueError: an architecture that the space does not have, a network without export, weights
            of several networks, weights that are not finite, statistics of another network.
    """
    choices = np.array(choices_of(network.space, arch), np.int32)
    names = [name for name in (*_DESCRIBE, _DESCRIBE_PAIRS) if name in params]
    if not names:
        raise ValueError(f"the network of {network.space.name} has no export")
    # Of a population every leaf has one more axis, and slices of it would be of wrong networks.
    kernel = params["stem"]["conv"]
    if kernel.ndim != 4:
        raise ValueError(
            f"params must be those of one network, with a stem [k, k, C, C']; "
            f"got {list(kernel.shape)}"
        )
    weights = norms.with_statistics(params, _checked(params, list(statistics)))
    weights = jax.tree.map(np.asarray, weights)
    if names[0] == _DESCRIBE_PAIRS:
        plain = darts.describe(choices, weights, network)
    else:
        plain = _DESCRIBE[names[0]](choices, weights)
    # Of the plain layers alone: weights that the architecture lacks may be anything.
    for block in plain.blocks:
        for step in block.steps:
            if not all(np.isfinite(array).all() for array in step.weights.values()):
                raise ValueError(
                    f"the weights of {step.name} in {block.name} are not finite: was the network "
                    "trained to its end?"
                )
    return plain


def _checked(params: Params, statistics: list[norms.Statistics]) -> list[norms.Statistics]:
    """Statistics of the batch norms in `params`, or else ValueError."""
    # Shapes are all that there is to compare: statistics do not say which norm they are of.
    wanted = [
        first.mean.shape for first in jax.eval_shape(lambda: norms.initial_statistics(params))
    ]
    found = [np.shape(value.mean) for value in statistics]
    if found != wanted:
        raise ValueError(
            f"statistics must be those of the {len(wanted)} batch norms of the network, in the "
            f"order of networks.initial_statistics; got {len(found)}, or other shapes"
        )
    return statistics
