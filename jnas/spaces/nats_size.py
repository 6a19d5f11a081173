"""NATS-Bench size: 5 layer widths of 8 choices each, 32,768 networks.

Dong, Liu, Musial and Gabrys, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and
Size", TPAMI 2021, https://arxiv.org/abs/2009.00437.

An architecture is `[5]` int32; choice `c` means `8 * (c + 1)` output channels. The layers are: stem
and cell, residual block of stride 2, cell, residual block of stride 2, cell. Every cell is the
NAS-Bench-201 cell with the best CIFAR-100 validation accuracy (`CELL`).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.types import Arch, Graph, Key, Space

WIDTHS = tuple(range(8, 65, 8))
CARDINALITIES = (len(WIDTHS),) * 5
# Number 9,930 in the official order of NAS-Bench-201.
CELL = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


def is_valid(arch: Arch) -> jax.Array:
    """`[]` bool: every width exists."""
    return _common.in_range(arch, CARDINALITIES)


def sample(key: Key) -> Arch:
    """`[5]` int32, uniform over the 32,768 vectors."""
    return jax.random.randint(key, (5,), 0, len(WIDTHS), jnp.int32)


@_common.keeps_dtype
def _mutate(key: Key, arch: Arch, *, allow_parent: bool) -> Arch:
    """`[5]` mutant: a uniform layer gets a uniform width, its own only with `allow_parent`."""
    _common.check_arch(arch, CARDINALITIES)
    layer_key, width_key = jax.random.split(key)
    layer = jax.random.randint(layer_key, (), 0, 5)
    shift = jax.random.randint(width_key, (), 0 if allow_parent else 1, len(WIDTHS), jnp.int32)
    return arch.at[layer].set((arch[layer] + shift) % len(WIDTHS))


def code(arch: Arch) -> jax.Array:
    """`[2]` uint32, the mixed-radix number of the vector, 0 to 32,767, in the low word."""
    return _common.mixed_radix_code(arch, CARDINALITIES)


def graph(arch: Arch) -> Graph:
    """`Graph` of a chain input → five layers → output; the operation of a layer is its width."""
    _common.check_arch(arch, CARDINALITIES)
    return _common.chain_graph(arch.astype(jnp.int32) + 1, len(WIDTHS) + 2)


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters of the whole network with 10 classes."""
    _common.check_arch(arch, CARDINALITIES)
    c1, c2, c3, c4, c5 = 8 * (arch.astype(jnp.int32) + 1)
    # A residual block has two batch norms, 4 parameters a channel: its shortcut has none.
    stem = 27 * c1 + 2 * c1
    cells = _cell(c1, c1)[0] + _cell(c2, c3)[0] + _cell(c4, c5)[0]
    blocks = _residual(c1, c2) + 4 * c2 + _residual(c3, c4) + 4 * c4
    return jnp.asarray(stem + cells + blocks + 2 * c5 + 10 * c5 + 10)


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates for one 32x32x3 image (exact integer, rounded once).

    The published numbers are larger by the 10 additions of the classifier's bias.
    """
    _common.check_arch(arch, CARDINALITIES)
    c1, c2, c3, c4, c5 = 8 * (arch.astype(jnp.int32) + 1)
    # Pixels of 32x32, 16x16 and 8x8 maps. The widest network takes 2.8e8, which int32 holds.
    total: jax.Array = 1024 * (27 * c1 + _cell(c1, c1)[1]) + 256 * (
        _residual(c1, c2) + _cell(c2, c3)[1]
    )
    total += 64 * (_residual(c3, c4) + _cell(c4, c5)[1]) + 10 * c5
    return total.astype(jnp.result_type(float))


def _cell(c_in: jax.Array, c_out: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Parameters, and multiply-accumulates a pixel, of `CELL`.

    Edges that leave node 0 change the width; a skip then is a 1x1 convolution with batch norm.
    """
    # Of five 3x3 convolutions two leave node 0 (its skip to node 3 has weights only where it
    # widens). A batch norm has 2 parameters a channel: 10 for the five, 12 with the skip's.
    widen = c_in != c_out
    weights = 9 * (2 * c_in * c_out + 3 * c_out * c_out) + jnp.where(widen, c_in * c_out, 0)
    return weights + jnp.where(widen, 12, 10) * c_out, weights


def _residual(c_in: jax.Array, c_out: jax.Array) -> jax.Array:
    """Weights of a residual block, multiply-accumulates for each pixel of its output as well.

    It has two 3x3 convolutions and a 1x1 shortcut, which is pooled first: all have its output size.
    """
    return 9 * (c_in * c_out + c_out * c_out) + c_in * c_out


def to_string(arch: Arch | np.ndarray) -> str:
    """Published text `c1:c2:c3:c4:c5`; ValueError for an invalid vector."""
    title = "NATS-Bench size architecture"
    choices = _common.checked_vector(arch, CARDINALITIES, title, "5 integers 0 to 7")
    return ":".join(str(WIDTHS[choice]) for choice in choices)


def from_string(text: str) -> Arch:
    """`[5]` int32 from `c1:c2:c3:c4:c5`; ValueError says which width is wrong."""
    widths = text.strip().split(":")
    if len(widths) != 5:
        raise ValueError(
            f"not a NATS-Bench size architecture: {text!r}; the form is c1:c2:c3:c4:c5"
        )
    known = [str(width) for width in WIDTHS]
    for width in widths:
        if width not in known:
            raise ValueError(
                f"unknown width {width!r} in {text!r}. Valid widths: {', '.join(known)}."
            )
    return _common.as_vector([known.index(width) for width in widths])


def enumerate_networks() -> np.ndarray:
    """`[32768, 5]` int32, ascending; row `i` has `code` `i`, which is the published index."""
    return _common.all_vectors(CARDINALITIES)


@functools.cache
@pickled_by_call
def nats_size(*, allow_parent: bool = False) -> Space:
    """NATS-Bench's size space, a `Space`.

    Args:
        allow_parent: True gives the published mutation, which draws the new width from all 8 and so
            returns the parent one time in eight; False draws from the other 7.

    Returns:
        A `Space` with `D = 5`. No two vectors are isomorphic, so `identity` is `code`.
    """
    return Space(
        name="nats_size",
        cardinalities=CARDINALITIES,
        node_operations=("input", *(f"width_{width}" for width in WIDTHS), "output"),
        edge_operations=("none", "next"),
        sample=sample,
        mutate=functools.partial(_mutate, allow_parent=allow_parent),
        crossover=_common.uniform_crossover,
        is_valid=is_valid,
        identity=code,
        code=code,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_networks,
        text_form=r"\d+(:\d+){4}",
    )
