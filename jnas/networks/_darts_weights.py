"""Skeleton and weights of networks of pairs of cells: which cells there are, and what they read."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import _darts_auxiliary as auxiliary_head
from jnas.networks import factored, layers, weights
from jnas.spaces._darts_cells import Family, Slots, in_order, in_output, slots
from jnas.types import Arch, Key, Params

NORMAL, REDUCTION = 0, 1
NUM_INPUTS = 2
STEM = 3  # channels of the stem, as a multiple of those of the first cell
# Operations with weights, and the sizes of their kernels.
SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "sep_conv_7x7": 7, "dil_sep_conv_3x3": 3}
DILATED = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}
FULL = {"conv_1x1": 1, "conv_3x3": 3}
FACTORED = {"conv_3x1_1x3": 3, "conv_7x1_1x7": 7}


class Edge(NamedTuple):
    """Way from an input or a node to a node; `copy` is 1 for the second of two parallel ones."""

    source: int
    node: int
    copy: int


@functools.cache
def edges(family: Family) -> tuple[Edge, ...]:
    """Edges that a cell may have, each with weights of its own."""
    nodes, copies = range(NUM_INPUTS, NUM_INPUTS + family.num_nodes), range(1 + family.repeats)
    return tuple(Edge(k, node, copy) for node in nodes for k in range(node) for copy in copies)


def halving(family: Family) -> tuple[int, ...]:
    """Numbers of the edges that have stride 2 in a reduction cell."""
    return tuple(k for k, edge in enumerate(edges(family)) if edge.source < NUM_INPUTS)


def edge_slots(family: Family, arch: Arch) -> tuple[Slots, jax.Array]:
    """Slots of both cells, and the number of each in `edges`, `[2, M, 2]` int32.

    Where a node reads one input twice, the second edge is that of the operation with the higher
    number, as in the graph of the space: the order of slots in a vector does not count.
    """
    cells = slots(family, arch)
    nodes = range(NUM_INPUTS, NUM_INPUTS + family.num_nodes)
    starts = np.array([edges(family).index(Edge(0, node, 0)) for node in nodes], np.int32)
    if not family.repeats:
        return cells, cells.sources + starts[None, :, None]
    cells = in_order(family, cells)
    is_second = (cells.sources == cells.sources[..., :1]) & (np.arange(2) == 1)[None, None]
    return cells, 2 * cells.sources + is_second.astype(jnp.int32) + starts[None, :, None]


class Section(NamedTuple):
    """Cells in a row that are alike, which is to say that one program computes each of them.

    Attributes:
        kind: `NORMAL` or `REDUCTION`.
        num: number of cells.
        is_halved: whether the first input of the cell has twice the pixels of the second on a side,
            because a reduction cell lies between.
        before: channels of both inputs.
        width: channels of each node; the output has as many for each of them.
    """

    kind: int
    num: int
    is_halved: bool
    before: tuple[int, int]
    width: int


def sections(num_nodes: int, channels: int, num_cells: int) -> list[Section]:
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
        is_halved, before = kind == REDUCTION, (before[1], num_nodes * width)
    return found


def init(
    key: Key,
    family: Family,
    channels: int,
    num_cells: int,
    num_classes: int,
    in_channels: int,
    affine: bool,
    pool_norm: bool,
    auxiliary: bool = False,
) -> Params:
    """Weights of every operation on every edge of every cell (`Network.init`)."""
    found = sections(family.num_nodes, channels, num_cells)
    tree = {
        "stem": _conv_norm(3, in_channels, STEM * channels),
        "sections": [_section_weights(family, section, affine, pool_norm) for section in found],
        "dense": layers.dense_weights(family.num_nodes * found[-1].width, num_classes),
    }
    if auxiliary:
        # Of a key of its own, so that all else is as it would be without.
        return {**layers.draw(key, tree), "auxiliary": _head(key, found, family, num_classes)}
    return layers.draw(key, tree)


def _head(key: Key, found: list[Section], family: Family, num_classes: int) -> Params:
    """Weights of the auxiliary head, which reads the output of the last reduction cell."""
    width = max(section.width for section in found if section.kind == REDUCTION)
    head = auxiliary_head.weights(family.num_nodes * width, num_classes)
    return layers.draw(jax.random.fold_in(key, len(found)), head)


def head_input(found: list[Section]) -> int:
    """Number in `read_channels` of what the auxiliary head reads."""
    kinds = [section.kind for section in found for _ in range(section.num)]
    # After two of the stem; there is always a reduction cell.
    return NUM_INPUTS + max(number for number, kind in enumerate(kinds) if kind == REDUCTION)


def _conv_norm(
    size: int, c_in: int, c_out: int, batch: tuple[int, ...] = (), affine: bool = True
) -> Params:
    """Convolution without bias, and its batch norm."""
    norm = layers.norm_weights(c_out, batch) if affine else {}
    return {"conv": layers.conv_weights(size, c_in, c_out, batch), "norm": norm}


def _section_weights(
    family: Family, section: Section, affine: bool = True, pool_norm: bool = False
) -> Params:
    """Weights of the cells of a section, `[num, ...]`, and of their edges, `[num, E, ...]`."""
    num, width = section.num, section.width
    batch = (num, len(edges(family)))
    layer_of = {name: _operation(name, width, batch, affine) for name in family.operations}
    tree: dict[str, Any] = {"edges": {name: layer for name, layer in layer_of.items() if layer}}
    if pool_norm:
        # Without scale and bias it has no weights, and is there all the same.
        tree["edges"]["pool"] = {"norm": layers.norm_weights(width, batch) if affine else {}}
    for name, c_in in zip(("input0", "input1"), section.before, strict=True):
        tree[name] = _conv_norm(1, c_in, width, (num,), affine)
    if section.kind == REDUCTION:
        # A skip that halves the pixels is a layer; the others are nothing.
        tree["skips"] = _conv_norm(1, width, width, (num, len(halving(family))), affine)
    return tree


def _operation(name: str, width: int, batch: tuple[int, ...], affine: bool) -> Params:
    """Weights of an operation, stacked as `batch` says; empty where it has none."""

    def separable(size: int) -> Params:
        return {
            "depthwise": {"conv": layers.conv_weights(size, 1, width, batch)},
            "pointwise": _conv_norm(1, width, width, batch, affine),
        }

    if name in SEPARABLE:
        return {"first": separable(SEPARABLE[name]), "second": separable(SEPARABLE[name])}
    if name in DILATED:
        return separable(DILATED[name])
    if name in FULL:
        return _conv_norm(FULL[name], width, width, batch, affine)
    if name in FACTORED:
        row, column = factored.weights(FACTORED[name], width, batch)
        norm = layers.norm_weights(width, batch) if affine else {}
        return {"row": {"conv": row}, "column": {"conv": column, "norm": norm}}
    return {}


def read_channels(arch: Arch, family: Family, channels: int, num_cells: int) -> list[Any]:
    """`[C]` bool, the channels that there are of the output of each cell, after two of the stem.

    Cell `k` reads number `k` and `k + 1` of the list, and the classifier reads the last.
    """
    joined = in_output(family, slots(family, arch))
    found = [jnp.ones(STEM * channels, bool)] * 2
    for section in sections(family.num_nodes, channels, num_cells):
        found += [jnp.repeat(joined[section.kind], section.width)] * section.num
    return found


def present(
    arch: Arch, family: Family, channels: int, num_cells: int, auxiliary: bool = False
) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""
    cells, numbers = edge_slots(family, arch)
    read = read_channels(arch, family, channels, num_cells)
    always = {"conv": jnp.ones(())}  # broadcasts to the kernel of a layer that all have

    def of_edges(kind: int, name: str) -> jax.Array:
        is_read = numbers[kind][..., None] == np.arange(len(edges(family)))[None, None]
        is_there = is_read & (cells.ops[kind] == family.operations.index(name))[..., None]
        mask = jnp.any(is_there, axis=(0, 1)).astype(jnp.float32)
        return mask[None, :, None, None, None, None]

    def of_rows(masks: list[Any]) -> Params:
        # A cell has the rows of its kernel that read nodes of an output; "all" has all of them.
        rows = jnp.stack(masks).astype(jnp.float32)[:, None, None, :, None]
        return {"conv": rows} if family.loose else always

    tree: dict[str, Any] = {"stem": always, "sections": []}
    first = 0
    for section in sections(family.num_nodes, channels, num_cells):
        found = _section_weights(family, section)
        for name, layer in found["edges"].items():
            mask = {"conv": of_edges(section.kind, name)}
            found["edges"][name] = weights.map_layers(lambda *_, mask=mask: mask, layer)
        for name, start in (("input0", first), ("input1", first + 1)):
            found[name] = of_rows(read[start : start + section.num])
        if "skips" in found:
            skips = of_edges(section.kind, "skip_connect")[:, np.array(halving(family))]
            found["skips"] = {"conv": skips}
        tree["sections"].append(found)
        first += section.num
    rows = read[-1].astype(jnp.float32)[:, None]
    tree["dense"] = {"kernel": rows if family.loose else jnp.ones(())}
    if auxiliary:
        found = sections(family.num_nodes, channels, num_cells)
        tree["auxiliary"] = auxiliary_head.masks(read[head_input(found)])
    return weights.kernels(tree)


def instantiate(params: Params, arch: Arch, **static: Any) -> Params:
    """Weights of `arch` at the width of what each layer reads (`Network.instantiate`)."""
    if not static["family"].loose:
        return params  # no weight has a shape that depends on it
    return weights.masked(params, present(arch, **static), axis=-2)
