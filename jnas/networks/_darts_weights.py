"""Skeleton and weights of the network of DARTS: which cells there are, and what they read."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import layers, weights
from jnas.spaces._darts_cells import Family, slots
from jnas.types import Arch, Key, Params

NORMAL, REDUCTION = 0, 1
NUM_NODES, NUM_INPUTS = 4, 2
STEM = 3  # channels of the stem, as a multiple of those of the first cell
EDGES = tuple((source, node) for node in range(2, 2 + NUM_NODES) for source in range(node))
# Those that have stride 2 in a reduction cell.
HALVING = tuple(number for number, (source, _) in enumerate(EDGES) if source < NUM_INPUTS)
SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5}
DILATED = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}


class Section(NamedTuple):
    """Cells in a row that are alike, which is to say that one program computes each of them.

    Attributes:
        kind: `NORMAL` or `REDUCTION`.
        num: number of cells.
        is_halved: whether the first input of the cell has twice the pixels of the second on a side,
            because a reduction cell lies between.
        before: channels of both inputs.
        width: channels of each node; the output has `NUM_NODES` times as many.
    """

    kind: int
    num: int
    is_halved: bool
    before: tuple[int, int]
    width: int


def sections(channels: int, num_cells: int) -> list[Section]:
    """Cells of the network; those at one and two thirds are reduction cells, twice as wide."""
    reductions = {num_cells // 3, 2 * num_cells // 3}
    found, is_halved = list[Section](), False
    width, before = channels, (STEM * channels, STEM * channels)
    for number in range(num_cells):
        kind = REDUCTION if number in reductions else NORMAL
        width *= 1 + kind
        section = Section(kind, 1, is_halved, before, width)
        if found and found[-1]._replace(num=1) == section:
            section = section._replace(num=found.pop().num + 1)
        found.append(section)
        is_halved, before = kind == REDUCTION, (before[1], NUM_NODES * width)
    return found


def init(
    key: Key,
    channels: int,
    num_cells: int,
    num_classes: int,
    in_channels: int,
    affine: bool,
    pool_norm: bool,
) -> Params:
    """Weights of every operation on every edge of every cell (`Network.init`)."""
    found = sections(channels, num_cells)
    tree = {
        "stem": _conv_norm(3, in_channels, STEM * channels),
        "sections": [_section_weights(section, affine, pool_norm) for section in found],
        "dense": layers.dense_weights(NUM_NODES * found[-1].width, num_classes),
    }
    return layers.draw(key, tree)


def _conv_norm(
    size: int, c_in: int, c_out: int, batch: tuple[int, ...] = (), affine: bool = True
) -> Params:
    """Convolution without bias, and its batch norm."""
    norm = layers.norm_weights(c_out, batch) if affine else {}
    return {"conv": layers.conv_weights(size, c_in, c_out, batch), "norm": norm}


def _section_weights(section: Section, affine: bool, pool_norm: bool) -> Params:
    """Weights of the cells of a section, `[num, ...]`, and of their edges, `[num, E, ...]`."""
    num, width = section.num, section.width

    def separable(size: int) -> Params:
        batch = (num, len(EDGES))
        return {
            "depthwise": {"conv": layers.conv_weights(size, 1, width, batch)},
            "pointwise": _conv_norm(1, width, width, batch, affine),
        }

    edges: dict[str, Any] = {name: separable(size) for name, size in DILATED.items()}
    for name, size in SEPARABLE.items():
        edges[name] = {"first": separable(size), "second": separable(size)}
    if pool_norm:
        # Without scale and bias it has no weights, and is there all the same.
        batch = (num, len(EDGES))
        edges["pool"] = {"norm": layers.norm_weights(width, batch) if affine else {}}
    tree = {"edges": edges}
    for name, c_in in zip(("input0", "input1"), section.before, strict=True):
        tree[name] = _conv_norm(1, c_in, width, (num,), affine)
    if section.kind == REDUCTION:
        # A skip that halves the pixels is a layer; the others are nothing.
        tree["skips"] = _conv_norm(1, width, width, (num, len(HALVING)), affine)
    return tree


def edge_numbers(sources: Any) -> Any:
    """Number in `EDGES` of what the slots `[M, 2]` of each node read."""
    starts = np.array([EDGES.index((0, node)) for node in range(2, 2 + NUM_NODES)], np.int32)
    return sources + starts[:, None]


def present(arch: Arch, family: Family, channels: int, num_cells: int) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""
    cells = slots(family, arch)
    edges = np.arange(len(EDGES))[None, None]
    always = {"conv": jnp.ones(())}  # broadcasts to the kernel of a layer that all have

    def of_edges(kind: int, name: str) -> dict[str, jax.Array]:
        is_read = edge_numbers(cells.sources[kind])[..., None] == edges
        is_there = is_read & (cells.ops[kind] == family.operations.index(name))[..., None]
        mask = jnp.any(is_there, axis=(0, 1)).astype(jnp.float32)
        return {"conv": mask[None, :, None, None, None, None]}

    def of_section(kind: int) -> Params:
        edges: dict[str, Any] = {}
        for name in (*SEPARABLE, *DILATED):
            separable = dict.fromkeys(("depthwise", "pointwise"), of_edges(kind, name))
            edges[name] = separable
            if name in SEPARABLE:
                edges[name] = {"first": separable, "second": separable}
        tree = {"edges": edges, "input0": always, "input1": always}
        if kind == REDUCTION:
            tree["skips"] = {"conv": of_edges(kind, "skip_connect")["conv"][:, np.array(HALVING)]}
        return tree

    tree = {
        "stem": always,
        "sections": [of_section(section.kind) for section in sections(channels, num_cells)],
        "dense": {"kernel": jnp.ones(())},
    }
    return weights.kernels(tree)


def instantiate(params: Params, arch: Arch) -> Params:
    """Weights as they are (`Network.instantiate`)."""
    del arch  # no weight has a shape that depends on it
    return params
