"""Cells and weights of the network of NAS-Bench-1Shot1."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.networks import control, layers, weights
from jnas.spaces import _nasbench101_cells as bits
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, MAXPOOL3X3
from jnas.spaces.nb1shot1 import Subspace
from jnas.types import Arch, Key, Params

CONVS = (("conv1x1", 1, CONV1X1), ("conv3x3", 3, CONV3X3))


class Cell(NamedTuple):
    """Pruned cell of `B` blocks, arrays of NumPy where the architecture is known.

    Attributes:
        edges: `[B + 2, B + 2]` bool, `edges[i, j]` is True where there is an edge `i → j`; 0 is the
            input and `B + 1` the output.
        ops: `[B]` int32, operation of each block, one more than the last for a block that is
            pruned.
    """

    edges: Any
    ops: Any

    @property
    def feeds(self) -> Any:
        """`[B]` bool, the blocks whose channels of the output are not 0."""
        return self.edges[1:-1, -1] | self.edges[0, -1]


@functools.partial(jax.jit, static_argnums=1)
def cell_of(arch: Arch, subspace: Subspace) -> Cell:
    """Pruned cell of `arch` `[D]`."""
    vector = spaces.nb1shot1_to_nasbench101(arch, subspace)
    sources, targets = np.array(bits.EDGES).T
    edge_bits = bits.unpack(bits.pruned(bits.pack(vector))) == 1
    edges = jnp.zeros((bits.NUM_VERTICES,) * 2, bool).at[sources, targets].set(edge_bits)
    num = num_blocks(subspace)
    there = np.array([*range(num + 1), bits.OUTPUT])
    edges = edges[there][:, there]
    ops = vector[bits.NUM_EDGE_BITS :][:num]
    return Cell(edges, jnp.where(jnp.any(edges[1:-1], axis=1), ops, MAXPOOL3X3 + 1))


def num_blocks(subspace: Subspace) -> int:
    """Number of blocks of a cell."""
    return 5 if subspace == 3 else 4


def known_cell(arch: np.ndarray, subspace: Subspace) -> Cell:
    """Cell of a known architecture, with arrays of NumPy."""
    # Within a function that is traced, too, it is computed now and not put into its program.
    with jax.ensure_compile_time_eval():
        found: Cell = jax.tree.map(np.asarray, cell_of(jnp.asarray(arch), subspace))
        return found


def rows_of(cell: Cell, width: int) -> Any:
    """Channels of the output of a cell that are there, where that is known; None for all."""
    if not control.is_known(cell.ops) or cell.feeds.all():
        return None
    return np.flatnonzero(np.repeat(cell.feeds, width))


def reading(layer: Params, rows: Any) -> Params:
    """Layer without the weights that read other channels than `rows`; None for all."""
    return layer if rows is None else {**layer, "conv": layer["conv"][..., rows, :]}


def draw(
    key: Key,
    subspace: Subspace,
    channels: int,
    stacks: int,
    cells: int,
    num_classes: int,
    in_channels: int,
) -> Params:
    """Weights of all operations of all blocks of all cells (`Network.init`)."""
    blocks, groups = num_blocks(subspace), list[Params]()
    c_in = channels
    for stack in range(stacks):
        width = channels * 2**stack
        # The first cell of a stack reads fewer channels: it is a group of its own.
        for num in (1, cells - 1)[: 1 + (cells > 1)]:
            groups.append(_group_weights(c_in, width, blocks, num))
            c_in = blocks * width
    tree = {
        "stem": _conv_norm(3, in_channels, channels),
        "groups": groups,
        "last": {"conv": layers.conv_weights(1, c_in, c_in // blocks), "norm": {}},
        "dense": layers.dense_weights(c_in // blocks, num_classes),
    }
    return layers.draw(key, tree)


def _conv_norm(size: int, c_in: int, c_out: int, batch: tuple[int, ...] = ()) -> Params:
    """Convolution without bias, and its batch norm."""
    conv = layers.conv_weights(size, c_in, c_out, batch)
    return {"conv": conv, "norm": layers.norm_weights(c_out, batch)}


def _group_weights(c_in: int, width: int, blocks: int, num: int) -> Params:
    """Weights of `num` cells that read `c_in` channels, `[num, blocks, ...]` or `[num, ...]`."""
    convs = {name: _conv_norm(size, width, width, (num, blocks)) for name, size, _ in CONVS}
    return {
        "projection": _conv_norm(1, c_in, width, (num, blocks)),
        "output": _conv_norm(1, c_in, blocks * width, (num,)),
        **convs,
    }


def present(
    arch: Arch, subspace: Subspace, channels: int, stacks: int, cells: int
) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`).

    Weights that read channels of 0 are not there.
    """
    cell, groups = cell_of(arch, subspace), list[Params]()
    convs = {name: {"conv": cell.ops[None, :, *[None] * 4] == op} for name, _, op in CONVS}
    for stack in range(stacks):
        before = channels * 2 ** max(stack - 1, 0)
        for width in (before, channels * 2**stack)[: 1 + (cells > 1)]:
            # The first cell of all reads the stem.
            read = jnp.repeat(cell.feeds, width) if groups else jnp.ones(width, bool)
            read = read[None, None, None, :, None]
            projection = cell.edges[0, 1:-1][None, :, *[None] * 4] & read[None]
            output = cell.edges[0, -1] & read
            groups.append({"projection": {"conv": projection}, "output": {"conv": output}, **convs})
    last = jnp.repeat(cell.feeds, channels * 2 ** (stacks - 1))[None, None, :, None]
    always = jnp.ones((), bool)  # broadcasts to the kernel of a layer that all have
    tree = {
        "stem": {"conv": always},
        "groups": groups,
        "last": {"conv": last},
        "dense": {"kernel": always},
    }
    return [mask.astype(jnp.float32) for mask in weights.kernels(tree)]


def instantiate(params: Params, arch: Arch) -> Params:
    """Weights as they are (`Network.instantiate`)."""
    del arch  # no weight has a shape that depends on it
    return params
