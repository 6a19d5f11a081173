"""Plain layers of a network of NAS-Bench-101, every vertex at its true width."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks._nasbench101_weights import OUTPUT, Cell, cell_of
from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.spaces._nasbench101_costs import CONV1X1, CONV3X3, MAXPOOL3X3
from jnas.types import Network, Params


def describe(arch: np.ndarray, params: Params, _: Network) -> Plain:
    """Network of `arch` `[26]`, its weights with statistics."""
    stacks = params["stacks"]
    blocks, c_in = [stem(params["stem"])], params["stem"]["conv"].shape[-1]
    for stack, weights in enumerate(stacks):
        num, *_, width = weights["projection"]["conv"].shape
        cell = jax.tree.map(np.asarray, cell_of(jnp.asarray(arch), width))
        if stack:
            blocks.append(_pool(f"pool{stack}", c_in))
        for number in range(num):
            own = jax.tree.map(lambda leaf, number=number: leaf[number], weights)
            name = f"stack{stack + 1}_cell{number + 1}"
            blocks.append(_cell(name, cell, own, c_in, width))
            c_in = width
    blocks.append(head(params["dense"], params["dense"]["kernel"].shape[0]))
    settings = {
        "channels": params["stem"]["conv"].shape[-1],
        "stacks": len(stacks),
        "cells": stacks[0]["projection"]["conv"].shape[0],
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
    }
    return Plain(tuple(blocks), settings, 2 ** (len(stacks) - 1))


def stem(layer: Any) -> Block:
    """Block of the first convolution, its norm and ReLU."""
    b = Builder(layer["conv"].shape[-2])
    x = b.conv_norm("stem", INPUT, layer, layer["conv"].shape[-1])
    return b.block("stem", "Stem", b.add("relu", "relu", x))


def _pool(name: str, channels: int) -> Block:
    """Block that halves the images between stacks."""
    b = Builder(channels)
    return b.block(name, "Pool", b.add("halved", "max_pool2x2", INPUT))


def head(dense: Any, channels: int) -> Block:
    """Block of the mean over pixels and the dense layer, of the first channels."""
    b = Builder(channels)
    return b.block("head", "Head", b.dense("dense", b.add("features", "mean", INPUT), dense))


def _cell(name: str, cell: Cell, weights: Any, c_in: int, c_out: int) -> Block:
    """Pruned cell from `c_in` to `c_out` channels."""
    b = Builder(c_in)
    values: dict[int, str] = {}
    for vertex in range(1, OUTPUT):
        # Pruned vertices have no width.
        if width := int(cell.widths[vertex]):
            values[vertex] = vertex_of(b, vertex, cell, width, weights, values)
    feeding = [value for vertex, value in values.items() if cell.edges[vertex, OUTPUT]]
    # The input is projected and added; interior vertices share the channels of the output.
    terms = [together(b, feeding)] if feeding else []
    if cell.edges[0, OUTPUT]:
        terms = [*terms, _projection(b, OUTPUT, weights, c_out)]
    return b.block(name, "Cell", b.sum("output", terms))


def vertex_of(
    b: Builder, vertex: int, cell: Any, width: int, weights: Any, values: dict[int, str]
) -> str:
    """Value of an interior vertex, of the sum of what comes in.

    The vertices of `cell`, its `ops` and `edges`, are those of either network of such cells.
    """
    terms = [_projection(b, vertex, weights, width)] if cell.edges[0, vertex] else []
    for source, value in values.items():
        if cell.edges[source, vertex]:
            # A source is at least as wide as its target.
            is_wider = b.channels(value) > width
            name = f"first{source}to{vertex}"
            terms.append(b.add(name, "first", value, channels=width) if is_wider else value)
    x, op = b.sum(f"sum{vertex}", terms), int(cell.ops[vertex - 1])
    if op == MAXPOOL3X3:
        return b.add(f"vertex{vertex}", "max_pool3x3", x)
    kind = {CONV1X1: "conv1x1", CONV3X3: "conv3x3"}[op]
    layer = jax.tree.map(lambda leaf: leaf[vertex - 1], weights[kind])
    return conv_norm_relu(b, f"vertex{vertex}", x, layer, width)


def _projection(b: Builder, vertex: int, weights: Any, width: int) -> str:
    """Value of the edge from the input of the cell to a vertex."""
    layer = jax.tree.map(lambda leaf: leaf[vertex - 1], weights["projection"])
    return conv_norm_relu(b, f"projection{vertex}", INPUT, layer, width)


def together(b: Builder, values: list[str]) -> str:
    """Value of all channels of some values; one is as it is."""
    if len(values) == 1:
        return values[0]
    return b.add("together", "concat", *values, channels=sum(map(b.channels, values)))


def conv_norm_relu(b: Builder, name: str, x: str, layer: Any, width: int) -> str:
    """Value of a convolution, norm and ReLU."""
    return b.add(name, "relu", b.conv_norm(name, x, layer, width))
