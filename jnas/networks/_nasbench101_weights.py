"""Weights of the NAS-Bench-101 network: those of all architectures, and those of one.

Every kernel is stored as wide as its stack, `[..., k, k, C, C]`. An architecture has the first rows
and columns of it, as its vertices are narrower. A draw for the full width then has the wrong
variance, which `instantiate` corrects.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jnas.networks import layers, weights
from jnas.spaces import _nasbench101_cells as cells
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, vertex_channels
from jnas.types import Arch, Key, Params

Init = Literal["published", "torch"]
NUM_VERTICES, OUTPUT = cells.NUM_INTERIOR, cells.OUTPUT


class Cell(NamedTuple):
    """Pruned cell in a stack of width `C`.

    Attributes:
        edges: `[7, 7]` bool, `edges[i, j]` is True where there is an edge `i → j`.
        ops: `[5]` int32, operations of the interior vertices.
        widths: `[7]` int32, 0 for an interior vertex that is not there; that of the input counts
            for nothing.
        channels: `[7, C]` bool, the channels that each vertex has.
    """

    edges: jax.Array
    ops: jax.Array
    widths: jax.Array
    channels: jax.Array


def cell_of(arch: Arch, width: int) -> Cell:
    """Pruned cell of `arch` `[26]` int32 in a stack of `width` channels."""
    # Pruned first: widths are defined by the edges that are left. The operations of vertices that
    # are gone stay in `ops`; their width of 0 is what says that they do not count.
    mask = cells.pruned(cells.pack(arch))
    sources, targets = zip(*cells.EDGES, strict=True)
    edges = (
        jnp.zeros((cells.NUM_VERTICES,) * 2, bool).at[sources, targets].set(cells.unpack(mask) == 1)
    )
    widths = jnp.stack(vertex_channels(mask, width, width))
    channels = jnp.arange(width)[None, :] < widths[:, None]
    return Cell(edges, arch[cells.NUM_EDGE_BITS :], widths, channels)


def stack_widths(channels: int, stacks: int) -> list[int]:
    """Channels of each stack, twice those of the stack before."""
    return [channels * 2**stack for stack in range(stacks)]


def draw(
    key: Key,
    channels: int,
    stacks: int,
    repeats: int,
    num_classes: int,
    in_channels: int,
    init: Init,
) -> Params:
    """Weights of all architectures; those of a stack's cells are `[repeats, vertices, ...]`."""
    widths = stack_widths(channels, stacks)
    tree = {
        "stem": _conv_norm(3, in_channels, channels, (), init),
        "stacks": [
            {
                # One vertex more: the output, too, may have an edge from the input.
                "projection": _conv_norm(1, width, width, (repeats, NUM_VERTICES + 1), init),
                "conv1x1": _conv_norm(1, width, width, (repeats, NUM_VERTICES), init),
                "conv3x3": _conv_norm(3, width, width, (repeats, NUM_VERTICES), init),
            }
            for width in widths
        ],
        "dense": _dense(widths[-1], num_classes, init),
    }
    return layers.draw(key, tree)


def _conv_norm(size: int, c_in: int, c_out: int, batch: tuple[int, ...], init: Init) -> Params:
    """Convolution without bias, and its batch norm."""
    kernel: layers.Uniform | layers.Normal = layers.conv_weights(size, c_in, c_out, batch)
    if init == "published":
        # By fan-out, unlike PyTorch's default: so do the programs of NASWOT and the proxies.
        kernel = layers.Normal(kernel.shape, (2 / (size * size * c_out)) ** 0.5)
    return {"conv": kernel, "norm": layers.norm_weights(c_out, batch)}


def _dense(c_in: int, c_out: int, init: Init) -> Params:
    """Classifier; its input is the cell's output, as wide as the stack in all architectures."""
    if init == "torch":
        return layers.dense_weights(c_in, c_out)
    return {"kernel": layers.Normal((c_in, c_out), 0.01), "bias": jnp.zeros(c_out)}


def present(arch: Arch, channels: int, stacks: int, repeats: int) -> list[jax.Array]:
    """Masks of the weights of `arch`, 0/1 float32, in the order of `weights.kernels(params)`.

    Each broadcasts to its kernel; a scalar stands for a kernel that all architectures have whole.
    """
    tree = {
        "stem": {"conv": jnp.ones(())},
        "stacks": [
            _stack_present(cell_of(arch, width), is_first=stack == 0, repeats=repeats)
            for stack, width in enumerate(stack_widths(channels, stacks))
        ],
        "dense": {"kernel": jnp.ones(())},
    }
    return [mask.astype(jnp.float32) for mask in weights.kernels(tree)]


def _stack_present(cell: Cell, *, is_first: bool, repeats: int) -> Params:
    """Masks `[repeats or 1, vertices, 1, 1, C, C]` of one stack."""
    # The first cell of a later stack reads what the stack before put out, half as many channels.
    width = cell.channels.shape[1]
    first = jnp.arange(width) < (width if is_first else width // 2)
    inputs = jnp.stack([first] + [jnp.ones(width, bool)] * (repeats - 1))  # [repeats, C]
    outputs = cell.channels[1:] & cell.edges[0, 1:, None]
    tree = {
        "projection": {
            "conv": inputs[:, None, None, None, :, None] & outputs[None, :, None, None, None, :]
        }
    }
    for name, op in (("conv1x1", CONV1X1), ("conv3x3", CONV3X3)):
        own = cell.channels[1:OUTPUT] & (cell.ops == op)[:, None]
        tree[name] = {"conv": (own[:, :, None] & own[:, None, :])[None, :, None, None]}
    return tree


def instantiate(
    params: Params, arch: Arch, present: Callable[[Arch], list[jax.Array]], init: Init
) -> Params:
    """Weights of `arch`, 0 elsewhere, scaled as if each kernel had been drawn at its own width."""
    # Variances are inverse to the channels out of a layer (published) or into it (PyTorch).
    axis = -1 if init == "published" else -2
    return weights.masked(params, present(arch), axis)
