"""Plain layers of one architecture, of any network that has an export."""

from collections.abc import Callable, Iterable

import jax
import numpy as np

from jnas.networks import statistics as norms
from jnas.networks.export import (
    darts,
    nasbench101,
    nasbench201,
    nasbench_macro,
    nats_size,
    nb1shot1,
    nds,
)
from jnas.networks.export.description import Plain
from jnas.networks.own import choices_of
from jnas.types import Arch, Network, Params

# By what the weights of a network have between stem and classifier: a space may be called anything.
_DESCRIBE: dict[tuple[str, ...], Callable[[np.ndarray, Params, Network], Plain]] = {
    ("blocks", "norm", "stages"): nasbench201.describe,
    ("stacks",): nasbench101.describe,
    ("blocks", "cells", "norm"): nats_size.describe,
    ("groups", "last"): nb1shot1.describe,
    ("blocks", "head"): nasbench_macro.describe,
    ("sections",): darts.describe,
    ("stages",): nds.describe,
}
_EVERYWHERE = {"stem", "dense", "auxiliary"}


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
    describer = _DESCRIBE.get(tuple(sorted(set(params) - _EVERYWHERE)))
    if describer is None:
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
    plain = describer(choices, weights, network)
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
    wanted = norms.shapes(params)
    found = [np.shape(value.mean) for value in statistics]
    if found != wanted:
        raise ValueError(
            f"statistics must be those of the {len(wanted)} batch norms of the network, in the "
            f"order of networks.initial_statistics; got {len(found)}, or other shapes"
        )
    return statistics
