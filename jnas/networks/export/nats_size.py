"""Plain layers of a network of the NATS-Bench size space, every layer at its true width."""

from typing import Any

import numpy as np

from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.networks.export.nasbench201 import head, reduction, stem
from jnas.spaces.nats_size import WIDTHS
from jnas.types import Network, Params


def describe(arch: np.ndarray, params: Params, _: Network) -> Plain:
    """Network of `arch` `[5]`, its weights with statistics."""
    c1, c2, c3, c4, c5 = (WIDTHS[choice] for choice in arch)
    # Stem and first cell share a choice; later cells choose what they give, not what they read.
    (first, second, third), (one, two) = params["cells"], params["blocks"]
    blocks = (
        stem(params["stem"], c1),
        _cell("cell1", first, c1, c1),
        reduction("reduction1", one, c1, c2),
        _cell("cell2", second, c2, c3),
        reduction("reduction2", two, c3, c4),
        _cell("cell3", third, c4, c5),
        head(params, c5),
    )
    settings = {
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
    }
    return Plain(blocks, settings, 4)


def _cell(name: str, cell: Any, c_in: int, c_out: int) -> Block:
    """Cell `spaces.nats_size.CELL`; its skip has weights where it changes the width."""
    b = Builder(c_in)
    to1, to2, from1to2, from1to3, from2to3 = cell["convs"]
    x = b.add("relu0", "relu", INPUT)
    node1 = b.conv_norm("edge0to1", x, to1, c_out)
    node2 = b.conv_norm("edge0to2", x, to2, c_out)
    node3 = INPUT if c_in == c_out else b.conv_norm("skip", INPUT, cell["skip"], c_out)
    # Sums in the order of the network's own, so that both round alike.
    x = b.add("relu1", "relu", node1)
    node2 = b.sum("node2", [node2, b.conv_norm("edge1to2", x, from1to2, c_out)])
    more = b.conv_norm("edge1to3", x, from1to3, c_out)
    x = b.add("relu2", "relu", node2)
    last = b.conv_norm("edge2to3", x, from2to3, c_out)
    return b.block(name, "Cell", b.sum("node3", [node3, more, last]))
