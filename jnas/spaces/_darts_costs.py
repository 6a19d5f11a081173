"""Parameters and multiply-accumulates of the networks of pairs of cells, exact.

The network is that of the DARTS code for CIFAR-10: a stem of three times the channels, then cells,
of which those at one and two thirds are reduction cells with twice the channels and half the
pixels; each cell first maps its two inputs to its own channels. In a reduction cell what reads an
input has stride 2. Convolutions have no bias, every batch norm has two parameters a channel, and
there is no auxiliary head.

Both costs are sums over the cells of a few numbers of each kind of cell (operations, nodes in the
output) times what depends on channels and layers alone.
"""

import functools
import operator
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces._darts_cells import KINDS, Family, in_output, slots, split
from jnas.types import Arch

NUM_CLASSES, SIDE, STEM = 10, 32, 3
_LIMB = 16  # bits of the low part of a count


class _Cost(NamedTuple):
    """Cost of an operation on `c` channels: `square c² + linear c`; multiply-accumulates a pixel.

    Pixels are those of its output.
    """

    params: tuple[int, int] = (0, 0)
    macs: tuple[int, int] = (0, 0)


def _cost(operation: str, stride: int) -> _Cost:
    """`_Cost` of an operation with its batch norms; ValueError for an unknown name."""
    if operation == "none" or re.fullmatch(r"(max|avg)_pool_\dx\d", operation):
        return _Cost()
    if operation == "skip_connect":
        # Of stride 2 it is two 1x1 convolutions to half of the channels each.
        return _Cost((1, 2), (1, 0)) if stride == 2 else _Cost()
    if found := re.fullmatch(r"(sep|dil|dil_sep)_conv_(\d)x\d", operation):
        times, taps = 1 if found[1] == "dil" else 2, int(found[2]) ** 2
        return _Cost((times, times * (taps + 2)), (times, times * taps))
    if found := re.fullmatch(r"conv_(\d)x1_1x\d", operation):
        # The first one keeps the rows that the second one then skips.
        taps = int(found[1])
        return _Cost((2 * taps, 2), (taps * (1 + stride), 0))
    if found := re.fullmatch(r"conv_(\d)x\d", operation):
        taps = int(found[1]) ** 2
        return _Cost((taps, 2), (taps, 0))
    raise ValueError(f"no cost is known of operation {operation!r}")


@functools.cache
def _table(operations: tuple[str, ...]) -> np.ndarray:
    """`[O, 2, 2, 2]` int32: `_Cost` of each operation with stride 1 and 2, params then macs."""
    return np.array([[_cost(name, stride) for stride in (1, 2)] for name in operations], np.int32)


def _counts(family: Family, arch: Arch) -> jax.Array:
    """`[2, 7]` int32, what `_coefficients` multiply, for parameters and multiply-accumulates.

    It is 1, then for each kind of cell the nodes in the output, the sum of `square` and that of
    `linear` of its operations.
    """
    cells = slots(family, arch)
    is_reduction = jnp.arange(len(KINDS), dtype=jnp.int32)[:, None, None] == 1
    strides = jnp.where(is_reduction & (cells.sources < 2), 1, 0)
    costs = jnp.asarray(_table(family.operations))[cells.ops, strides]
    # [kind, cost, square or linear] → [cost, square or linear, kind]
    sums = jnp.transpose(jnp.sum(costs, axis=(1, 2), dtype=jnp.int32), (1, 2, 0))
    widths = jnp.sum(in_output(family, cells), axis=1, dtype=jnp.int32)
    shared = jnp.broadcast_to(jnp.concatenate([jnp.ones(1, jnp.int32), widths]), (2, 3))
    return jnp.concatenate([shared, sums.reshape(2, -1)], axis=1)


def _coefficients(channels: int, layers: int, *, macs: bool) -> list[int]:
    """What a network of so many channels and layers has of each of `_counts`: 7 ints."""
    reductions = {layers // 3, 2 * layers // 3}
    stem, width, side = STEM * channels, channels, SIDE
    fixed = 27 * stem * SIDE**2 if macs else 29 * stem + NUM_CLASSES
    outputs, squares, linears = [0, 0], [0, 0], [0, 0]
    before: list[tuple[int, int] | None] = [None, None]  # kinds and channels; None is the stem
    for cell in range(layers):
        kind = int(cell in reductions)
        pixels = side**2 if macs else 1
        width, side = width * (1 + kind), side // (1 + kind)
        for feeder in before:
            if feeder is None:
                fixed += stem * width * pixels
            else:
                outputs[feeder[0]] += feeder[1] * width * pixels
        fixed += 0 if macs else 4 * width
        pixels = side**2 if macs else 1
        squares[kind] += width**2 * pixels
        linears[kind] += width * pixels
        before = [before[1], (kind, width)]
    outputs[kind] += NUM_CLASSES * width
    return [fixed, *outputs, *squares, *linears]


def check(family: Family) -> None:
    """Check that the costs of a family can be counted.

    Raises:
        ValueError: there is less than one channel or layer, or so many that 32 bits do not hold the
            parameters, or 40 the multiply-accumulates.
    """
    if not family.channels or not family.layers or min(family.channels + family.layers) < 1:
        raise ValueError(
            f"channels and layers must be 1 or more; got {family.channels} and {family.layers}"
        )
    num = 2 * family.num_nodes
    most = _table(family.operations).max(axis=(0, 1)) * num
    for row, bits, (square, linear) in zip((0, 1), (31, 40), most.tolist(), strict=True):
        counts = [1, num, num, square, square, linear, linear]
        largest = max(sum(map(operator.mul, each[row], counts)) for each in _each_size(family))
        if largest >= 2**bits:
            raise ValueError(
                f"networks of {max(family.channels)} channels and {max(family.layers)} layers are "
                f"too large: they may have {largest:.3g} "
                f"{('parameters', 'multiply-accumulates')[row]}, and 2^{bits} cannot be counted"
            )


def _each_size(family: Family) -> list[tuple[list[int], list[int]]]:
    """`_coefficients` of parameters and of multiply-accumulates.

    Of each combination of channels and layers, in the order of their mixed-radix numbers.
    """
    return [
        (_coefficients(channels, layers, macs=False), _coefficients(channels, layers, macs=True))
        for channels in family.channels
        for layers in family.layers
    ]


@functools.cache
def _all_coefficients(family: Family) -> np.ndarray:
    """`[N, 3, 7]` int32: of parameters, and of the high and the low bits of multiply-accumulates.

    A row for each of `_each_size`.
    """
    rows = [
        (params, [n >> _LIMB for n in macs], [n & (2**_LIMB - 1) for n in macs])
        for params, macs in _each_size(family)
    ]
    return np.array(rows, np.int32)


def _sums(family: Family, arch: Arch) -> jax.Array:
    """`[3]` int32, parameters, and multiply-accumulates as high and low part."""
    counts, free = _counts(family, arch), split(family, arch)[1]
    row = jnp.zeros((), jnp.int32)
    for values, chosen in zip(family.free, free, strict=True):
        row = row * len(values) + chosen
    coefficients = jnp.asarray(_all_coefficients(family))[row]
    return jnp.sum(coefficients * counts[jnp.asarray([0, 1, 1])], axis=1, dtype=jnp.int32)


def params(arch: Arch, *, family: Family) -> jax.Array:
    """`[]` int32, trainable parameters of the network without an auxiliary head."""
    return _sums(family, arch)[0]


def flops(arch: Arch, *, family: Family) -> jax.Array:
    """`[]` float, multiply-accumulates of convolutions and dense layer for one 32x32x3 image.

    Below 2^40; exact in two parts, of which the sum is rounded once.
    """
    _, high, low = _sums(family, arch)
    # Carried over, so that both parts have a float of 32 bits each that is exact.
    high, low = high + (low >> _LIMB), low & (2**_LIMB - 1)
    dtype = jnp.result_type(float)
    total: jax.Array = high.astype(dtype) * 2**_LIMB + low.astype(dtype)
    return total
