"""ENAS, NASNet, AmoebaNet and PNAS: two cells of five nodes that may read an input twice.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
https://arxiv.org/abs/1802.03268; Zoph et al., "Learning Transferable Architectures for Scalable
Image Recognition", CVPR 2018, https://arxiv.org/abs/1707.07012; Real et al., "Regularized Evolution
for Image Classifier Architecture Search", AAAI 2019, https://arxiv.org/abs/1802.01548; Liu et al.,
"Progressive Neural Architecture Search", ECCV 2018, https://arxiv.org/abs/1712.00559. Operations
and networks are those of Radosavovic et al., "On Network Design Spaces for Visual Recognition",
ICCV 2019, https://arxiv.org/abs/1905.13214; what they train of DARTS is `darts(repeats=True)`.

An architecture is `[40]` int32, for each cell and node (input, operation, input, operation). In the
networks of that study width and depth belong to the architecture, for each was drawn with its own:
two more positions, `[42]`. Texts are genotypes as the code of DARTS prints them.
"""

from typing import Literal, get_args

from jnas.engine.messages import nearest
from jnas.spaces._darts_cells import Family
from jnas.spaces._darts_moves import Mutation
from jnas.spaces._darts_spaces import Sizes, named, space
from jnas.types import Space

Output = Literal["loose", "all"]
"""Nodes in the output of a cell: those that no other one reads, or all."""

# Channels and layers of the networks of the study, for CIFAR-10.
WIDTHS, DEPTHS = (16, 24, 32), (4, 8, 12, 16, 20)
ENAS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
NASNET = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
AMOEBANET = (
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_sep_conv_3x3",
    "conv_7x1_1x7",
)
PNAS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
    "skip_connect",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)
# Of the study; PNAS' cells have all nodes in their output.
FAMILIES = {
    "nasnet": Family("nasnet", NASNET, 5, True, True, WIDTHS, DEPTHS),
    "amoebanet": Family("amoebanet", AMOEBANET, 5, True, True, WIDTHS, DEPTHS),
    "pnas": Family("pnas", PNAS, 5, True, False, WIDTHS, DEPTHS),
}


def enas(
    *,
    nodes: Literal[4, 5] = 5,
    output: Output = "loose",
    mutate: Mutation = "aw_nas",
    channels: Sizes = 36,
    layers: Sizes = 20,
) -> Space:
    """ENAS' cells of five operations, 2.6e25 vectors and 4.4e22 up to the order of slots.

    The published cells also concatenate those of their two inputs that no node reads; these, as in
    all later work, do not.

    Args:
        nodes: of a cell, 5, or 4 as in the experiments of GATES (`D = 32`).
        output: which nodes are concatenated, "loose" for those that no other one reads, or "all",
            as in GATES and the final networks of aw_nas.
        mutate: as for `darts`.
        channels: as for `darts`; `channels=(16, 24, 32), layers=(4, 8, 12, 16, 20)` for the
            networks of the study of design spaces.
        layers: likewise.

    Returns:
        A `Space`, as `darts` is one, with nodes that may read one input twice. `identity` and
        `code` have a word for each cell of four nodes and two for each of five, and another one
        where there are choices after the cells. `identity` is exact: equal if and only if cells are
        the same but for the order of nodes and of the two slots of a node.

    Raises:
        ValueError: another number of nodes, an unknown option, or as for `darts`.
    """
    return space(named(enas_family(nodes, output), channels, layers), mutate)


def enas_family(nodes: int, output: str) -> Family:
    """`Family` of ENAS' cells; ValueError for another number of nodes or an unknown output."""
    if nodes not in (4, 5):
        raise ValueError(f"nodes must be 4 or 5; got {nodes!r}")
    if output not in get_args(Output):
        raise ValueError(f"unknown output {output!r}. {nearest(str(output), get_args(Output))}")
    # Other vectors have another name, by which saved predictors find their space again.
    name = "enas" + "_4" * (nodes == 4) + "_all" * (output == "all")
    return Family(name, ENAS, nodes, True, output == "loose", (36,), (20,))


def nasnet(
    *, mutate: Mutation = "aw_nas", channels: Sizes = WIDTHS, layers: Sizes = DEPTHS
) -> Space:
    """NASNet's cells of 13 operations, 5.1e33 pairs of them, of 15 sizes of their network.

    Args:
        mutate: as for `darts`; width and depth change as often as each of the cells.
        channels: as for `darts`. Of one number there is no choice, and no position for it.
        layers: likewise.

    Returns:
        A `Space`, as `enas` is one. The nodes of an output are those that no other one reads.

    Raises:
        ValueError: as for `darts`.
    """
    return _space("nasnet", mutate, channels, layers)


def amoebanet(
    *, mutate: Mutation = "aw_nas", channels: Sizes = WIDTHS, layers: Sizes = DEPTHS
) -> Space:
    """AmoebaNet's cells of 8 operations, 3.1e29 pairs of them, of 15 sizes of their network.

    Arguments, `Space` and errors are those of `nasnet`.
    """
    return _space("amoebanet", mutate, channels, layers)


def pnas(*, mutate: Mutation = "aw_nas", channels: Sizes = WIDTHS, layers: Sizes = DEPTHS) -> Space:
    """PNAS' cells of 8 operations, 3.1e29 pairs of them, of 15 sizes of their network.

    Arguments, `Space` and errors are those of `nasnet`, but all nodes are in an output.
    """
    return _space("pnas", mutate, channels, layers)


def _space(name: str, mutate: Mutation, channels: Sizes, layers: Sizes) -> Space:
    """Space of the study, whose architectures have a width and a depth."""
    return space(named(FAMILIES[name], channels, layers), mutate)
