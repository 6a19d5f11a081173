"""Parameters and multiply-accumulates of the NAS-Bench-101 reference network, exact.

Stem of 128 channels, three stacks of three cells on 32x32, 16x16 and 8x8 pixels; the first cell of
the second and third stack doubles the width. Convolutions have no bias, and the max-pooling between
stacks has no weights. Ying et al., ICML 2019, section 2 and appendix.
"""

import jax
import jax.numpy as jnp

from jnas.spaces import _nasbench101_cells as cells
from jnas.types import Arch

STEM_CHANNELS, NUM_CLASSES = 128, 10
# (channels in, channels out, repeats, pixels / 64): equal cells are counted once.
STACKS = ((128, 128, 3, 16), (128, 256, 1, 4), (256, 256, 2, 4), (256, 512, 1, 1), (512, 512, 2, 1))
CONV3X3, CONV1X1, MAXPOOL3X3 = range(3)


def vertex_channels(mask: jax.Array, c_in: int, c_out: int) -> list[jax.Array]:
    """Channels of the 7 vertices of a pruned cell.

    The vertices that feed the output share its channels, the first ones taking the remainder (an
    edge from input to output does not count); any other vertex is as wide as its widest target.

    Args:
        mask: `[]` uint32, pruned edge mask.
        c_in: channels of the input vertex.
        c_out: channels of the output vertex.

    Returns:
        7 scalars int32; 0 for an interior vertex that is not there.
    """
    to_output = [
        ((cells.sources_of(mask, cells.OUTPUT) >> x) & 1).astype(jnp.int32) for x in range(6)
    ]
    # An edge from the input is added to the output after the others are concatenated.
    degree = sum(to_output[1:], jnp.int32(0))
    share, remainder = c_out // jnp.maximum(degree, 1), c_out % jnp.maximum(degree, 1)
    widths = [jnp.int32(c_in), *[jnp.int32(0)] * cells.NUM_INTERIOR, jnp.int32(c_out)]
    # From the last vertex to the first, for a vertex takes its width from its targets.
    for v in range(cells.NUM_INTERIOR, 0, -1):
        extra = (sum(to_output[1:v], jnp.int32(0)) < remainder).astype(jnp.int32)
        widest = jnp.int32(0)
        for y in range(v + 1, cells.OUTPUT):
            edge = (cells.sources_of(mask, y) >> v) & 1
            widest = jnp.maximum(widest, edge.astype(jnp.int32) * widths[y])
        widths[v] = jnp.where(to_output[v] == 1, share + extra, widest)
    return widths


def _cell(mask: jax.Array, ops: jax.Array, c_in: int, c_out: int) -> tuple[jax.Array, jax.Array]:
    """Convolution weights and batch-norm parameters of one cell, `[]` int32 each."""
    widths = vertex_channels(mask, c_in, c_out)
    weights, norms = jnp.int32(0), jnp.int32(0)
    # Every edge from the input has a 1x1 convolution of its own, to the width of its target.
    for v in range(1, cells.NUM_VERTICES):
        projected = (cells.sources_of(mask, v) & 1).astype(jnp.int32)
        weights += projected * c_in * widths[v]
        norms += projected * 2 * widths[v]
    for i in range(cells.NUM_INTERIOR):
        c = widths[i + 1]
        taps = jnp.where(ops[i] == CONV3X3, 9, jnp.where(ops[i] == CONV1X1, 1, 0))
        weights += taps * c * c
        norms += jnp.where(taps > 0, 2 * c, 0)
    return weights, norms


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters: convolutions, batch norms (γ, β), dense layer with bias.

    The example cell of the published notebook has 2,694,282.
    """
    mask, ops = cells.pruned(cells.pack(arch)), arch[cells.NUM_EDGE_BITS :]
    total: jax.Array = jnp.int32(
        27 * STEM_CHANNELS + 2 * STEM_CHANNELS + 512 * NUM_CLASSES + NUM_CLASSES
    )
    for c_in, c_out, repeats, _ in STACKS:
        weights, norms = _cell(mask, ops, c_in, c_out)
        total += repeats * (weights + norms)
    return total


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates of convolutions and dense layer for one 32x32x3 image.

    Every term is a multiple of 64, and the count in units of 64 fits 32 bits: it is exact until the
    one rounding to the float width in use.
    """
    # Units of 64, for the count itself passes 2^31: five 3x3 convolutions in a row take 7e9.
    mask, ops = cells.pruned(cells.pack(arch)), arch[cells.NUM_EDGE_BITS :]
    units: jax.Array = jnp.int32(27 * STEM_CHANNELS * 16 + 512 * NUM_CLASSES // 64)
    for c_in, c_out, repeats, pixels in STACKS:
        units += repeats * pixels * _cell(mask, ops, c_in, c_out)[0]
    return units.astype(jnp.result_type(float)) * 64
