"""Image networks of ENAS, NASNet, AmoebaNet and PNAS with the architecture as an input.

Their cells of four or five nodes stand in the network of DARTS (`networks.darts`), as in the study
of Radosavovic et al., ICCV 2019, https://arxiv.org/abs/1905.13214, in which width and depth belong
to the architecture. A node may read one input twice; each of the two edges has weights of its own.

Where the output of a cell is the nodes that no other one reads, its width depends on the
architecture. Cells then store weights for all nodes; those of nodes that are not in the output read
zeros, and `Network.own` has neither. `Network.instantiate` leaves the weights that an architecture
has, drawn as PyTorch draws those of that width.
"""

from collections.abc import Callable
from typing import Any, Literal

from jnas import spaces
from jnas.networks._darts_networks import choices, network_of
from jnas.networks._factories import one_object
from jnas.spaces._darts_spaces import Sizes
from jnas.spaces.nds_cells import DEPTHS, FAMILIES, WIDTHS, Output, enas_family
from jnas.types import Network


@one_object
def enas(
    *,
    nodes: Literal[4, 5] = 5,
    output: Output = "loose",
    channels: Sizes = 36,
    layers: Sizes = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of ENAS' cells (Pham et al., ICML 2018) in the skeleton of DARTS.

    `nodes` and `output` are those of `spaces.enas`, and their errors. The other arguments,
    `Network` and errors are those of `nasbench301`.
    """
    settings = dict(locals())
    space = spaces.enas(nodes=nodes, output=output, **choices(settings))
    return network_of(enas, space, enas_family(nodes, output), settings)


@one_object
def nasnet(
    *,
    channels: Sizes = WIDTHS,
    layers: Sizes = DEPTHS,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of NASNet's cells (Zoph et al., CVPR 2018), by default of 15 sizes.

    Arguments, `Network` and errors are those of `nasbench301`; its space is
    `spaces.nasnet(channels=channels, layers=layers)`.
    """
    return _network(nasnet, locals())


@one_object
def amoebanet(
    *,
    channels: Sizes = WIDTHS,
    layers: Sizes = DEPTHS,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of AmoebaNet's cells (Real et al., AAAI 2019), by default of 15 sizes.

    Arguments, `Network` and errors are those of `nasnet`.
    """
    return _network(amoebanet, locals())


@one_object
def pnas(
    *,
    channels: Sizes = WIDTHS,
    layers: Sizes = DEPTHS,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of PNAS' cells (Liu et al., ECCV 2018), by default of 15 sizes.

    Arguments, `Network` and errors are those of `nasnet`; the output of a cell is all of its nodes.
    """
    return _network(pnas, locals())


def _network(factory: Callable[..., Network], settings: dict[str, Any]) -> Network:
    """Network of a space of the study, with the width and the depth of the settings."""
    name = factory.__name__
    space = getattr(spaces, name)(channels=settings["channels"], layers=settings["layers"])
    return network_of(factory, space, FAMILIES[name], settings)
