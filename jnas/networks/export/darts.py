"""Plain layers of networks of pairs of cells: DARTS, NAS-Bench-301, ENAS, NASNet and the like."""

from typing import Any

import jax
import numpy as np

from jnas.networks._darts_cells import Cell, cells_of, computed
from jnas.networks._darts_operations import dilation_of
from jnas.networks._darts_weights import (
    DILATED,
    FACTORED,
    FULL,
    NUM_INPUTS,
    REDUCTION,
    SEPARABLE,
    Section,
    read_channels,
    sections,
)
from jnas.networks._factories import settings_of
from jnas.networks.darts import DARTS
from jnas.networks.export.description import BEFORE, INPUT, Block, Builder, Plain
from jnas.networks.export.nasbench101 import head
from jnas.networks.export.nasbench201 import stem
from jnas.spaces._darts_cells import Family, chosen_sizes
from jnas.spaces._darts_spaces import named
from jnas.spaces.darts import NASBENCH301
from jnas.spaces.nds_cells import FAMILIES, enas_family
from jnas.types import Network, Params


def family_of(network: Network) -> Family | None:
    """Family of the cells of a network; None for one that has others, or no export."""
    name, settings = settings_of(network) or ("", {})
    families = {"nasbench301": NASBENCH301, **FAMILIES}
    # Families of these names differ in settings of the factory, which the name does not tell.
    if name == "enas":
        families[name] = enas_family(settings["nodes"], settings["output"])
    if name == "darts":
        families[name] = DARTS._replace(repeats=settings["repeats"])
    if name not in families:
        return None
    return named(families[name], settings["channels"], settings["layers"])


def describe(arch: np.ndarray, params: Params, network: Network) -> Plain:
    """Network of `arch` `[D]`, its weights with statistics."""
    family = family_of(network)
    if family is None:
        raise ValueError(f"the network of {network.space.name} has no export")
    _, settings = settings_of(network) or ("", {})
    channels, num_cells = chosen_sizes(family, arch)
    found = sections(family.num_nodes, channels, num_cells)
    cells = cells_of(arch, family)
    there = computed(read_channels, arch, family, channels, num_cells)
    blocks, number = [stem(params["stem"], params["stem"]["conv"].shape[-1])], 0
    for section, stacked in zip(found, params["sections"], strict=True):
        for place in range(section.num):
            weights = jax.tree.map(lambda leaf, place=place: leaf[place], stacked)
            # A cell leaves out what no node of the two before it has made: it has no weights here.
            rows = there[number : number + 2]
            number += 1
            cell = cells[section.kind]
            blocks.append(_cell(f"cell{number}", cell, weights, section, rows, family))
    dense = {**params["dense"], "kernel": params["dense"]["kernel"][there[-1]]}
    blocks.append(head(dense, len(dense["kernel"])))
    # Sides of images must be multiples of it.
    halved = sum(section.kind * section.num for section in found)
    return Plain(tuple(blocks), {**settings, "channels": channels, "layers": num_cells}, 2**halved)


def _cell(
    name: str,
    cell: Cell,
    weights: Params,
    section: Section,
    rows: list[np.ndarray],
    family: Family,
) -> Block:
    """Cell whose inputs have the channels `rows` alone."""
    b = Builder(int(rows[1].sum()), int(rows[0].sum()))
    nodes = []
    for number, (x, there) in enumerate(zip((BEFORE, INPUT), rows, strict=True)):
        layer = weights[f"input{number}"]
        layer = {**layer, "conv": layer["conv"][..., there, :]}
        # The older input is from before a reduction cell, and so twice as large as the other.
        reduce = _halved if section.is_halved and not number else _convolved
        nodes.append(reduce(b, f"input{number}", x, layer))
    slots, names = cell.slots, family.operations
    stride = 1 + (section.kind == REDUCTION)
    for node in range(family.num_nodes):
        terms = []
        for slot in (2 * node, 2 * node + 1):
            op = names[slots.first[slot] % len(names)]
            # Zeros are no summand of a network that is written out.
            if op != "none":
                source, step = slots.source[slot], stride if slots.halves[slot] else 1
                layer = jax.tree.map(lambda leaf, k=slots.edge[slot]: leaf[k], weights["edges"])
                # Nothing has the size of a node here: a skip is a reduction with weights of its
                # own.
                if op == "skip_connect" and step == 2:
                    k = slots.skip[slot]
                    layer = jax.tree.map(lambda leaf, k=k: leaf[k], weights["skips"])
                label = f"node{node + 1}_{slot % 2 + 1}"
                terms.append(_operation(b, label, op, nodes[source], layer, step))
        nodes.append(_sum(b, f"node{node + 1}", terms, nodes[1], stride))
    parts = [
        value
        for value, is_there in zip(nodes[NUM_INPUTS:], cell.is_joined, strict=True)
        if is_there
    ]
    width = sum(map(b.channels, parts))
    output = b.add("output", "concat", *parts, channels=width)
    return b.block(name, "Cell", output)


def _sum(b: Builder, name: str, terms: list[str], like: str, stride: int) -> str:
    """Sum of the values of a node; zeros as large as nodes are where there are none."""
    if terms:
        return b.sum(name, terms)
    # As large as an input, which in a reduction cell is larger than a node.
    zeros = b.add(f"{name}_zeros", "zeros", like)
    return b.add(name, "pixels", zeros, stride=stride) if stride > 1 else zeros


def _convolved(b: Builder, name: str, x: str, layer: Params, stride: int = 1) -> str:
    """Value of ReLU, convolution and norm."""
    rectified = b.add(f"{name}_relu", "relu", x)
    return b.conv_norm(name, rectified, layer, layer["conv"].shape[-1], stride)


def _halved(b: Builder, name: str, x: str, layer: Params) -> str:
    """Value of a factorised reduction: ReLU, two 1x1 convolutions of stride 2, norm."""
    rectified, half = b.add(f"{name}_relu", "relu", x), layer["conv"].shape[-1] // 2
    # Stride 2 reads every second pixel; one further, the other half reads those between.
    shifted = b.add(f"{name}_shifted", "shifted", rectified)
    parts = [
        b.conv(f"{name}_{word}_conv", value, {"conv": kernel}, half, stride=2)
        for word, value, kernel in (
            ("even", rectified, layer["conv"][..., :half]),
            ("odd", shifted, layer["conv"][..., half:]),
        )
    ]
    together = b.add(f"{name}_both", "concat", *parts, channels=2 * half)
    return b.norm(f"{name}_norm", together, layer["norm"])


def _operation(b: Builder, name: str, op: str, x: str, layer: Params, stride: int) -> str:
    """Value of an operation on `x`, with the weights of its edge."""
    if op == "skip_connect":
        return x if stride == 1 else _halved(b, name, x, layer)
    dilation = dilation_of(op)
    if op in SEPARABLE:
        # Twice, as DARTS has it, and only the first halves.
        first = _separable(b, f"{name}a", x, layer[op]["first"], stride, dilation)
        return _separable(b, f"{name}b", first, layer[op]["second"], 1, dilation)
    if op in DILATED:
        return _separable(b, name, x, layer[op], stride, dilation)
    if op in FULL:
        return _convolved(b, name, x, layer[op], stride)
    if op in FACTORED:
        return _factored(b, name, x, layer[op], stride)
    pool = b.add(name, op.replace("pool_", "pool"), x, stride=stride)
    return b.norm(f"{name}_norm", pool, layer["pool"]["norm"]) if "pool" in layer else pool


def _separable(b: Builder, name: str, x: str, layer: Any, stride: int, dilation: int) -> str:
    """Value of ReLU, depthwise and 1x1 convolution and norm."""
    rectified = b.add(f"{name}_relu", "relu", x)
    deep = b.depthwise(f"{name}_depthwise", rectified, layer["depthwise"], stride, dilation)
    return b.conv_norm(name, deep, layer["pointwise"], b.channels(x))


def _factored(b: Builder, name: str, x: str, layer: Any, stride: int) -> str:
    """Value of ReLU, convolution of rows, convolution of columns and norm."""
    rectified, width = b.add(f"{name}_relu", "relu", x), b.channels(x)
    row = b.conv(f"{name}_row", rectified, layer["row"], width, (1, stride))
    column = b.conv(f"{name}_column", row, layer["column"], width, (stride, 1))
    return b.norm(f"{name}_norm", column, layer["column"]["norm"])
