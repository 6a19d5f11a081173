"""MnasNet's space as Accel-NASBench has it: seven blocks of inverted residual layers, 1.0e11.

Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019,
https://arxiv.org/abs/1807.11626; Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for
Accelerator-Aware NAS", DAC 2024, https://arxiv.org/abs/2404.08005.

An architecture is `[28]` int32, block by block the places of its expansion, kernel, number of
layers and squeeze-and-excitation in the lists of `CHOICES`. Every vector is valid, and no two are
the same network.

The network, for ImageNet: a 3x3 stem of 32 channels with stride 2, the blocks, whose first layer
changes stride and width, a 1x1 convolution to 1,280 channels, the mean over pixels, and a dense
layer.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.spaces.product import product
from jnas.types import Arch, Space

STRIDES = (1, 2, 2, 2, 1, 2, 1)
WIDTHS = (16, 24, 40, 80, 112, 192, 320)
STEM, HEAD, NUM_CLASSES, SIDE = 32, 1280, 1000, 224
REDUCTION = 4
"""Channels that a layer reads for each of the inner ones of its squeeze-and-excitation."""

EXPANSIONS, KERNELS, HAS_SE = (1, 4, 6), (3, 5), (False, True)


def _num_layers(block: int) -> tuple[int, ...]:
    """Numbers of layers that block `block`, 0 to 6, chooses from."""
    return (1, 2, 3, 4) if block == 5 else (1, 2, 3)


CHOICES = {
    f"block{block}_{letter}": values
    for block in range(len(WIDTHS))
    for letter, values in (
        ("e", EXPANSIONS),
        ("k", KERNELS),
        ("l", _num_layers(block)),
        ("se", HAS_SE),
    )
}
"""Values of each position of a vector, by the names of published configurations."""

_SIZES = tuple(map(len, CHOICES.values()))


def _layer(
    channels: tuple[int, int], pixels: tuple[int, int], expansion: int, kernel: int, has_se: bool
) -> np.ndarray:
    """`[2]`, parameters and multiply-accumulates of a layer (`inverted_residual_costs`)."""
    # Of the channels that it reads, and not of the hidden ones, as published.
    squeezed = channels[0] // REDUCTION if has_se else 0
    return np.array(_common.inverted_residual_costs(channels, pixels, expansion, kernel, squeezed))


def _block_costs(block: int, side: int) -> np.ndarray:
    """`[3, 2, 4, 2, 2]` int32, parameters and multiply-accumulates of the choices of a block."""
    c_in, c_out = (STEM, *WIDTHS)[block], WIDTHS[block]
    before, after = side**2, (side // STRIDES[block]) ** 2
    # Also for more layers than a block chooses from, which no vector has.
    num_layers = np.arange(4)[:, None]
    found = np.zeros((len(EXPANSIONS), len(KERNELS), 4, len(HAS_SE), 2), np.int32)
    for e, k, se in np.ndindex(len(EXPANSIONS), len(KERNELS), len(HAS_SE)):
        chosen = EXPANSIONS[e], KERNELS[k], HAS_SE[se]
        first = _layer((c_in, c_out), (before, after), *chosen)
        other = _layer((c_out, c_out), (after, after), *chosen)
        found[e, k, :, se] = first + num_layers * other
    return found


@functools.cache
def _all_costs() -> tuple[np.ndarray, np.ndarray]:
    """Costs `[7, 3, 2, 4, 2, 2]` of the choices of each block, and `[2]` of all else, int32."""
    sides = SIDE // np.cumprod((2, *STRIDES))
    costs = np.stack([_block_costs(block, int(sides[block])) for block in range(len(WIDTHS))])
    stem, last, dense = 27 * STEM, WIDTHS[-1] * HEAD, HEAD * NUM_CLASSES
    rest = [
        stem + 2 * STEM + last + 2 * HEAD + dense + NUM_CLASSES,
        stem * sides[0] ** 2 + last * sides[-1] ** 2 + dense,
    ]
    return costs, np.array(rest, np.int32)


def _costs(arch: Arch) -> jax.Array:
    """`[2]` int32, parameters and multiply-accumulates of the whole network."""
    _common.check_arch(arch, _SIZES)
    costs, rest = _all_costs()
    e, k, layers, se = arch.astype(jnp.int32).reshape(len(WIDTHS), -1).T
    # The most is 8.8e8, which int32 holds.
    blocks = jnp.asarray(costs)[jnp.arange(len(WIDTHS)), e, k, layers, se]
    return jnp.sum(blocks, axis=0, dtype=jnp.int32) + jnp.asarray(rest)


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters of the whole network with 1,000 classes."""
    return _costs(arch)[0]


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates for one 224x224x3 image (exact integer, rounded once).

    The published numbers are larger by 4 for each number that a batch norm returns, and by one for
    each that a mean over pixels reads or returns.
    """
    return _costs(arch)[1].astype(jnp.result_type(float))


@functools.cache
@pickled_by_call
def mnasnet() -> Space:
    """MnasNet's space as Accel-NASBench has it, a `Space` of 1.0e11 networks for ImageNet.

    Returns:
        A `Space` with `D = 28`: a `product` of the choices of seven blocks. `sample` is uniform;
        `mutate` gives one position, each with the same probability, another of its choices. Texts
        are published configurations, `block0_e=1,block0_k=3,block0_l=1,block0_se=False,…`, in any
        order.
    """
    space = product(CHOICES, name="mnasnet", params=params, flops=flops)
    return space._replace(text_form=r"block[0-6]_(e|k|l|se)=.+", usual_column="val_accuracy")
