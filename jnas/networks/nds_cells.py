"""Image networks of ENAS, NASNet, AmoebaNet and PNAS with the architecture as an input.

Their cells of four or five nodes stand in the network of DARTS (`networks.darts`), as in the study
of Radosavovic et al., ICCV 2019, https://arxiv.org/abs/1905.13214. A node may read one input twice;
each of the two edges has weights of its own.

Where the output of a cell is the nodes that no other one reads, its width depends on the
architecture. Cells then store weights for all nodes; those of nodes that are not in the output read
zeros, and `Network.own` has neither. `Network.instantiate` leaves the weights that an architecture
has, drawn as PyTorch draws those of that width.
"""

from typing import Any, Literal

from jnas import spaces
from jnas.networks._factories import one_object
from jnas.networks.darts import network_of, settings_of
from jnas.spaces._darts_spaces import named
from jnas.spaces.nds_cells import FAMILIES, Output, enas_family
from jnas.types import Network


@one_object
def enas(
    *,
    nodes: Literal[4, 5] = 5,
    output: Output = "loose",
    channels: int = 36,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of ENAS' cells (Pham et al., ICML 2018) in the skeleton of DARTS.

    Args:
        nodes: as for `spaces.enas`.
        output: as for `spaces.enas`.
        channels: width of the nodes of the first cell, even; each reduction cell doubles it.
        layers: number of cells; those at one and two thirds are reduction cells.
        num_classes: width of the logits.
        in_channels: channels of the images.
        affine: whether batch norms of the cells have scale and bias.
        pool_norm: whether pools are followed by a batch norm, as in supernets.
        auxiliary: as for `nasbench301`.

    Returns:
        A `Network`, as `nasbench301` is one, of `spaces.enas(nodes=nodes, output=output)`.

    Raises:
        ValueError: another number of nodes, an unknown output, a size less than 1, or `channels` is
            odd.
    """
    space = spaces.enas(nodes=nodes, output=output)
    settings = settings_of(channels, layers, num_classes, in_channels, affine, pool_norm, auxiliary)
    settings = {"nodes": nodes, "output": output, **settings}
    return network_of(enas, space, enas_family(nodes, output), settings)


@one_object
def nasnet(
    *,
    channels: int = 32,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of NASNet's cells (Zoph et al., CVPR 2018), of one width and depth.

    Args:
        channels: as for `enas`.
        layers: as for `enas`.
        num_classes: width of the logits.
        in_channels: channels of the images.
        affine: whether batch norms of the cells have scale and bias.
        pool_norm: whether pools are followed by a batch norm, as in supernets.
        auxiliary: as for `nasbench301`.

    Returns:
        A `Network`, as `enas` is one, of `spaces.nasnet(channels=channels, layers=layers)`.

    Raises:
        ValueError: a size is less than 1, or `channels` is odd.
    """
    settings = settings_of(channels, layers, num_classes, in_channels, affine, pool_norm, auxiliary)
    return _network(nasnet, settings)


@one_object
def amoebanet(
    *,
    channels: int = 32,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of AmoebaNet's cells (Real et al., AAAI 2019), of one width and depth.

    Arguments, `Network` and errors are those of `nasnet`.
    """
    settings = settings_of(channels, layers, num_classes, in_channels, affine, pool_norm, auxiliary)
    return _network(amoebanet, settings)


@one_object
def pnas(
    *,
    channels: int = 32,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of PNAS' cells (Liu et al., ECCV 2018), of one width and depth.

    Arguments, `Network` and errors are those of `nasnet`; the output of a cell is all of its nodes.
    """
    settings = settings_of(channels, layers, num_classes, in_channels, affine, pool_norm, auxiliary)
    return _network(pnas, settings)


def _network(factory: Any, settings: dict[str, Any]) -> Network:
    """Network of a space of the study, with the width and the depth of the settings."""
    name = factory.__name__
    sizes = {"channels": settings["channels"], "layers": settings["layers"]}
    family = named(FAMILIES[name], **sizes)
    return network_of(factory, getattr(spaces, name)(**sizes), family, settings)
