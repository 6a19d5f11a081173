"""SpikeNAS-Bench: the wiring of NAS-Bench-201 with spiking convolutions, 15,625 cells.

Sun et al., "SpikeNAS-Bench: Benchmarking NAS Algorithms for Spiking Neural Network Architecture",
IEEE Transactions on Artificial Intelligence 6(6), 2025, https://doi.org/10.1109/TAI.2025.3534136.

An architecture is `[6]` int32, the operations of the edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3, each an
index into `OPERATIONS`; NAS-Bench-201 has these edges in another order. A convolution reads leaky
integrate-and-fire neurons with a low, middle or high threshold (0.5, 1, 1.5). What depends on the
wiring alone is NAS-Bench-201's, edge by edge.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import _common
from jnas.spaces.nasbench201 import (
    CARDINALITIES,
    Edges,
    cell_from_string,
    cell_to_string,
    nasbench201,
)
from jnas.spaces.nasbench201 import EDGES as EDGES_201
from jnas.spaces.nasbench201 import graph as graph_201
from jnas.spaces.nasbench201 import identity as identity_201
from jnas.spaces.nasbench201 import mutate as mutate_201
from jnas.types import Arch, Graph, Key, Space

OPERATIONS = ("zero", "skip", "conv3x3_low", "conv3x3_mid", "conv3x3_high")
# 0→3 and 1→2 have each other's place in NAS-Bench-201, so numbers of cells differ, too.
EDGES: Edges = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_CONV = OPERATIONS.index("conv3x3_low")  # and everything above
_TITLE = "SpikeNAS-Bench"

# (channels, pixels of the feature map) of the two cells of the reference network.
_CELLS = ((128, 32 * 32), (256, 16 * 16))
_TIME_STEPS = 5


def mutate(key: Key, arch: Arch) -> Arch:
    """`[6]` mutant by NAS-Bench-201's move; the child always differs from the parent."""
    return _reordered(mutate_201(key, _reordered(arch)))


def identity(arch: Arch) -> jax.Array:
    """`[2]` uint32, NAS-Bench-201's equivalence: skips and edges without content count for nothing.

    The smallest code in NAS-Bench-201's order of edges, and not a code of this space.
    """
    # Zero and skip have the numbers of none and skip_connect. Of the other three operations the
    # equivalence asks only which are equal.
    return identity_201(_reordered(arch))


def graph(arch: Arch) -> Graph:
    """`Graph` with operations on edges: 4 nodes, an edge where the operation is not "zero"."""
    return graph_201(_reordered(arch))


def _reordered(arch: Arch) -> Arch:
    """`[6]` vector of either space as the other one has it: two edges change places."""
    _common.check_arch(arch, CARDINALITIES)
    # An exchange of two places is its own inverse, so that one function serves both directions.
    return arch[np.array([EDGES.index(edge) for edge in EDGES_201])]


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters for 10 classes, as published with each training."""
    total = jnp.asarray(17_179_620, jnp.int32)  # stem, reduction, norms, classifier
    return total + _num_convolutions(arch) * sum(
        9 * channels**2 + 2 * channels for channels, _ in _CELLS
    )


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates for one 32x32x3 image, exact in float32.

    All 5 time steps, but for the stem, whose input stays the same; a spike counts as a number.
    """
    # Six convolutions take 9e9, more than int32 holds; all terms are multiples of 4,096.
    channels, pixels = _CELLS[0]
    stem, reduction, classifier = (
        pixels * 27 * channels,
        pixels * 9 * channels * 256,
        16_384 * 1_024 + 1_024 * 100,
    )
    rest = stem + _TIME_STEPS * (reduction + classifier)
    convolution = _TIME_STEPS * sum(pixels * 9 * channels**2 for channels, pixels in _CELLS)
    total = rest // 4096 + _num_convolutions(arch) * (convolution // 4096)
    return total.astype(jnp.result_type(float)) * 4096


def _num_convolutions(arch: Arch) -> jax.Array:
    """Number of convolutions of a cell, `[]` int32; the threshold changes no cost."""
    _common.check_arch(arch, CARDINALITIES)
    return jnp.sum(arch >= _CONV, dtype=jnp.int32)


def to_string(arch: Arch | np.ndarray) -> str:
    """Text in NAS-Bench-201's form, for none was published; ValueError for an invalid vector."""
    return cell_to_string(arch, OPERATIONS, EDGES, _TITLE)


def from_string(text: str) -> Arch:
    """`[6]` int32 from the text of `to_string`; ValueError names the part that is wrong."""
    return cell_from_string(text, OPERATIONS, EDGES, _TITLE)


@functools.cache
def spikenas_bench() -> Space:
    """SpikeNAS-Bench, a `Space`.

    Returns:
        A `Space` with `D = 6`. `mutate` always differs from its parent; there are 6,466 identities.
    """
    return nasbench201()._replace(
        name="spikenas_bench",
        edge_operations=OPERATIONS,
        mutate=mutate,
        identity=identity,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        text_form=r"\|(zero|skip|conv3x3_\w+)~.*",
        usual_column="val100",
        datasets=(),
    )
