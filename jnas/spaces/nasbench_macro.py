"""NAS-Bench-Macro: eight blocks in a row, each with one of three operations, 6,561 networks.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021,
https://arxiv.org/abs/2103.11922.

An architecture is `[8]` int32, the operation of each block, an index into `OPERATIONS`. Blocks are
in three stages of 2, 3 and 3, of 64, 128 and 256 channels; the first block of a stage has stride 2.
In it an identity is a 1x1 convolution; in the others it is nothing, so that there the identities of
a stage may stand anywhere: 3,969 networks are different.

The network, for CIFAR-10: a 3x3 stem of 32 channels, the blocks, a 1x1 convolution to 1,280
channels, the mean over pixels, and a dense layer.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.types import Arch, Graph, Space

OPERATIONS = ("identity", "mb3_3x3", "mb6_5x5")
"""No operation, or an inverted residual block of an expansion (3, 6) and a kernel."""

STAGES = (2, 3, 3)
"""Blocks of each stage."""

CARDINALITIES = (len(OPERATIONS),) * sum(STAGES)
STEM, HEAD, NUM_CLASSES = 32, 1280, 10
_KERNELS, _EXPANSIONS = (0, 3, 5), (0, 3, 6)


class Block(NamedTuple):
    """Place of a block in the network.

    Attributes:
        c_in: channels that it reads.
        c_out: channels that it returns.
        stride: 1, or 2 in the first block of a stage.
        side: pixels on a side of what it returns.
    """

    c_in: int
    c_out: int
    stride: int
    side: int


def blocks() -> tuple[Block, ...]:
    """`Block`s of the network, eight."""
    found: list[Block] = []
    c, side = STEM, 32
    for num in STAGES:
        # The first block of a stage reads half of its channels, on maps twice as large.
        c, side = 2 * c, side // 2
        found += [Block(c // 2, c, 2, side), *[Block(c, c, 1, side)] * (num - 1)]
    return tuple(found)


def _cost(block: Block, op: int) -> tuple[int, int]:
    """Parameters and multiply-accumulates of an operation in a block."""
    c_in, c_out, stride, side = block
    pixels = side * side
    if OPERATIONS[op] == "identity":
        weights = c_in * c_out if stride > 1 else 0
        return weights + (2 * c_out if weights else 0), weights * pixels
    of_maps = pixels * stride**2, pixels
    return _common.inverted_residual_costs((c_in, c_out), of_maps, _EXPANSIONS[op], _KERNELS[op])


_BLOCKS = blocks()
_COSTS = np.array([[_cost(block, op) for op in range(3)] for block in _BLOCKS], np.int32)
"""`[8, 3, 2]`, of each operation in each block."""

_FRAME = np.array(
    [
        # A 3x3 convolution of three colours, and two numbers a channel of its norm.
        29 * STEM + _BLOCKS[-1].c_out * HEAD + 2 * HEAD + (HEAD + 1) * NUM_CLASSES,
        27 * STEM * 32**2 + _BLOCKS[-1].c_out * HEAD * _BLOCKS[-1].side ** 2 + HEAD * NUM_CLASSES,
    ],
    np.int32,
)
"""`[2]`, parameters and multiply-accumulates of the stem and of what follows the blocks."""


def _costs(arch: Arch) -> jax.Array:
    """`[2]` int32, parameters and multiply-accumulates of the whole network."""
    _common.check_arch(arch, CARDINALITIES)
    # The most is 1.1e8, which int32 holds.
    chosen = jnp.asarray(_COSTS)[jnp.arange(len(arch)), arch.astype(jnp.int32)]
    return jnp.sum(chosen, axis=0, dtype=jnp.int32) + jnp.asarray(_FRAME)


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters of the whole network with 10 classes."""
    return _costs(arch)[0]


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates for one 32x32x3 image (exact integer, rounded once)."""
    return _costs(arch)[1].astype(jnp.result_type(float))


def code(arch: Arch) -> jax.Array:
    """`[2]` uint32, the number of the vector in base 3, 0 to 6,560, in the low word."""
    return _common.mixed_radix_code(arch, CARDINALITIES)


def identity(arch: Arch) -> jax.Array:
    """`[2]` uint32, `code` with the identities of every stage behind its other operations.

    Equal exactly for equal networks; the first block of a stage stays where it is.
    """
    _common.check_arch(arch, CARDINALITIES)
    parts, start = [], 0
    for num in STAGES:
        first, rest = arch[start : start + 1], arch[start + 1 : start + num]
        # Stable, for the other operations keep their order.
        parts += [first, rest[jnp.argsort(rest == 0, stable=True)]]
        start += num
    return code(jnp.concatenate(parts))


def graph(arch: Arch) -> Graph:
    """`Graph` of a chain input → eight blocks → output."""
    _common.check_arch(arch, CARDINALITIES)
    return _common.chain_graph(arch.astype(jnp.int32) + 1, len(OPERATIONS) + 2)


def to_string(arch: Arch | np.ndarray) -> str:
    """Published text, eight digits such as `22212220`; ValueError for an invalid vector."""
    title = "NAS-Bench-Macro architecture"
    return "".join(
        map(str, _common.checked_vector(arch, CARDINALITIES, title, "8 integers 0 to 2"))
    )


def from_string(text: str) -> Arch:
    """`[8]` int32 from eight digits; ValueError says which is wrong."""
    digits = text.strip()
    if len(digits) != len(CARDINALITIES):
        raise ValueError(
            f"not a NAS-Bench-Macro architecture: {text!r}; the form is eight digits, one for "
            "each block"
        )
    return _common.as_vector(_common.numbers_of(digits, OPERATIONS, text))


def enumerate_networks() -> np.ndarray:
    """`[6561, 8]` int32, ascending; row `i` has `code` `i`."""
    return _common.all_vectors(CARDINALITIES)


@functools.cache
@pickled_by_call
def nasbench_macro() -> Space:
    """NAS-Bench-Macro, a `Space`.

    Returns:
        A `Space` with `D = 8`. `sample` is uniform; `mutate` gives one block, each with the same
        probability, another operation. `code` tells all 6,561 vectors apart, as the published table
        does, and `identity` the 3,969 networks. `enumerate` lists the vectors.
    """
    return Space(
        name="nasbench_macro",
        cardinalities=CARDINALITIES,
        node_operations=("input", *OPERATIONS, "output"),
        edge_operations=("none", "next"),
        **_common.uniform_moves(CARDINALITIES),
        identity=identity,
        code=code,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_networks,
        text_form=r"[012]{8}",
        usual_column="test_accuracy",
    )
