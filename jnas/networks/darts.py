"""Image network of DARTS and NAS-Bench-301 with the architecture as an input.

Liu, Simonyan and Yang, ICLR 2019, https://arxiv.org/abs/1806.09055, for CIFAR-10: a stem (3x3
convolution to three times the channels, batch norm), cells, of which those at one and two thirds
are reduction cells with twice the channels and half the pixels, mean over pixels, dense layer. A
cell reads the outputs of the two cells before it, each by ReLU, 1x1 convolution and batch norm, and
its output is the concatenation of its four nodes. An auxiliary head, a second classifier after the
last reduction cell, is there for trainings alone: `Pass.auxiliary`.

Channels and layers of one number are those of all architectures. Of several, each architecture
chooses one, as in `spaces.darts`, and no two sizes share a weight: `Network.bucket` is (channels,
layers), `Network.within` the network of one such size, and the network itself has neither weights
nor a program (`init`, `apply` and the like raise ValueError).
"""

from jnas import spaces
from jnas.networks._darts_networks import choices, network_of
from jnas.networks._factories import one_object
from jnas.spaces._darts_spaces import Sizes
from jnas.spaces.darts import NASBENCH301, OPERATIONS
from jnas.types import Network

DARTS = NASBENCH301._replace(name="darts", operations=OPERATIONS)


@one_object
def nasbench301(
    *,
    channels: Sizes = 32,
    layers: Sizes = 8,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of NAS-Bench-301 (Zela et al., ICLR 2022).

    Args:
        channels: width of the nodes of the first cell, even; each reduction cell doubles it. Of
            several, each architecture chooses one.
        layers: number of cells, likewise; with 8 those numbered 2 and 5 from 0 are reduction cells,
            with 3 the last two are.
        num_classes: width of the logits.
        in_channels: channels of the images.
        affine: whether batch norms of the cells have scale and bias.
        pool_norm: whether pools are followed by a batch norm, as in supernets.
        auxiliary: whether there is an auxiliary head, for images of 32x32 and two reduction cells,
            that recipes with `auxiliary` train along; `Space.params` does not count it.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of 4 (of 2 with one
        cell). `init` draws PyTorch's default weights for every operation on each of the fourteen
        edges of every cell. `Hooks.on_block` sees both inputs of a cell as one array
        `[N, 1, 1, M]`.

    Raises:
        ValueError: a size is less than 1, or `channels` is odd.
    """
    settings = dict(locals())
    return network_of(nasbench301, spaces.nasbench301(**choices(settings)), NASBENCH301, settings)


@one_object
def darts(
    *,
    repeats: bool = False,
    channels: Sizes = 36,
    layers: Sizes = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    pool_norm: bool = False,
    auxiliary: bool = False,
) -> Network:
    """Network of DARTS (Liu et al., ICLR 2019).

    `repeats` is whether a node may read one input twice, as for `spaces.darts`. The other
    arguments, `Network` and errors are those of `nasbench301`; with 20 layers, cells 6 and 13 are
    reduction cells.
    """
    settings = dict(locals())
    space = spaces.darts(repeats=repeats, **choices(settings))
    return network_of(darts, space, DARTS._replace(repeats=repeats), settings)
