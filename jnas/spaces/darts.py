"""DARTS and NAS-Bench-301: a normal and a reduction cell of four nodes, each the sum of two inputs.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
https://arxiv.org/abs/1806.09055; Zela et al., "Surrogate NAS Benchmarks: Going Beyond the Limited
Search Spaces of Tabular NAS Benchmarks", ICLR 2022, https://arxiv.org/abs/2008.09777.

An architecture is `[22]` int32, for each cell the inputs of the last three nodes, each a number of
a pair (0, 1), (0, 2), (1, 2), (0, 3), …, and the two operations of each node. Its text is the
genotype that the code of DARTS prints.
"""

from jnas.spaces._darts_cells import Family
from jnas.spaces._darts_moves import Mutation
from jnas.spaces._darts_spaces import Sizes, named, space
from jnas.types import Space

# In the order of the authors' code; NAS-Bench-301 has all but the first.
OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NASBENCH301 = Family("nasbench301", OPERATIONS[1:], 4, False, False, (32,), (8,))


def darts(
    *,
    repeats: bool = False,
    mutate: Mutation = "aw_nas",
    channels: Sizes = 36,
    layers: Sizes = 20,
) -> Space:
    """DARTS with its operation "none", 9.1e18 vectors and 1.2e18 different pairs of cells.

    Args:
        repeats: whether a node may read one input twice, as in the networks of NDS. A cell is then
            (input, operation, input, operation) for each node, `D = 32`.
        mutate: "aw_nas" gives one slot of one cell another input or, with equal probability,
            another operation; "naslib", also that of BANANAS, draws the slot first and then which
            of the two.
        channels: of the first cell of the network whose costs `params` and `flops` are; of
            several, each architecture chooses one, in a position of its own after the cells.
        layers: cells of that network, likewise.

    Returns:
        A `Space` in which every vector is valid. `sample` is uniform over vectors. `identity` and
        `code` have a word for each cell; `identity` is exact: equal for two vectors if and only if
        their cells are the same but for the order of nodes. Cells that compute the same for other
        reasons stay apart, such as those in which "none" is all that a node reads. Texts are
        guessed to be of NAS-Bench-301, which has the same genotypes, and never of DARTS.

    Raises:
        ValueError: an unknown `mutate`; channels or layers that are none, no integers or twice the
            same, or too many for parameters to be counted in 32 bits.
    """
    name = "darts_repeats" if repeats else "darts"
    family = named(Family(name, OPERATIONS, 4, repeats, False, (36,), (20,)), channels, layers)
    return space(family, mutate, is_guessed=False)


def nasbench301(*, mutate: Mutation = "aw_nas", channels: Sizes = 32, layers: Sizes = 8) -> Space:
    """NAS-Bench-301: DARTS without "none", 1.1e18 vectors and 1.5e17 different pairs of cells.

    Its parameters are without the auxiliary head, which the published numbers include: 468,234 of
    them with 32 channels.

    Args:
        mutate: as for `darts`; each vector has 120 neighbours.
        channels: as for `darts`.
        layers: as for `darts`.

    Returns:
        A `Space`, as `darts` is one.

    Raises:
        ValueError: as for `darts`.
    """
    return space(named(NASBENCH301, channels, layers), mutate)
