"""Plain layers of a one-shot network of NAS-Bench-1Shot1, without the channels that are 0."""

from typing import Any, get_args

import jax
import numpy as np

from jnas.networks import _nb1shot1_weights as one_shot
from jnas.networks._nb1shot1_weights import Cell
from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.networks.export.nasbench101 import conv_norm_relu, stem, together, vertex_of
from jnas.spaces.nb1shot1 import Subspace, layout
from jnas.types import Network, Params


def describe(arch: np.ndarray, params: Params, _: Network) -> Plain:
    """Network of `arch` `[D]`, its weights with statistics."""
    stacks = _stacks(params["groups"])
    # The sub-spaces differ in their numbers of choices; weights of two of them are alike.
    subspace = next(s for s in get_args(Subspace) if _num_choices(s) == len(arch))
    cell = one_shot.known_cell(arch, subspace)
    blocks, rows, channels = [stem(params["stem"])], None, params["stem"]["conv"].shape[-1]
    for stack, (width, cells) in enumerate(stacks.items(), start=1):
        if stack > 1:
            blocks.append(_pool(f"pool{stack - 1}", channels))
        for number, weights in enumerate(cells, start=1):
            blocks.append(_cell(f"stack{stack}_cell{number}", cell, weights, rows, width))
            rows, channels = one_shot.rows_of(cell, width), width * int(cell.feeds.sum())
    blocks.append(_head(params, rows, channels))
    widths = list(stacks)
    settings = {
        "subspace": subspace,
        "channels": widths[0],
        "stacks": len(stacks),
        "cells": len(stacks[widths[0]]),
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
    }
    return Plain(tuple(blocks), settings, 1)


def _num_choices(subspace: Subspace) -> int:
    """Length of a vector of a sub-space."""
    return len(layout(subspace).cardinalities)


def _stacks(groups: list[Params]) -> dict[int, list[Params]]:
    """Weights of the cells of each stack, by its width."""
    stacks: dict[int, list[Params]] = {}
    for group in groups:
        num, *_, width = group["conv3x3"]["conv"].shape
        cells = stacks.setdefault(width, [])
        cells += [jax.tree.map(lambda leaf, n=n: leaf[n], group) for n in range(num)]
    return stacks


def _pool(name: str, channels: int) -> Block:
    """Block that halves the images between stacks, and a pixel more."""
    b = Builder(channels)
    return b.block(name, "Pool", b.add("halved", "max_pool2x2_padded", INPUT))


def _head(params: Params, rows: Any, channels: int) -> Block:
    """Block of ReLU, convolution, norm, mean over pixels and dense layer."""
    b, last = Builder(channels), one_shot.reading(params["last"], rows)
    x = b.conv_norm("last", b.add("relu", "relu", INPUT), last, last["conv"].shape[-1])
    return b.block("head", "Head", b.dense("dense", b.add("features", "mean", x), params["dense"]))


def _cell(name: str, cell: Cell, weights: Params, rows: Any, width: int) -> Block:
    """Pruned cell, whose input has the channels `rows` alone."""
    weights = weights | {
        key: one_shot.reading(weights[key], rows) for key in ("projection", "output")
    }
    b = Builder(weights["output"]["conv"].shape[-2])
    values: dict[int, str] = {}
    for block in range(1, len(cell.ops) + 1):
        # Pruned blocks have no way out.
        if cell.edges[block].any():
            values[block] = vertex_of(b, block, cell, width, weights, values)
    return b.block(name, "Cell", _output(b, cell, weights["output"], values))


def _output(b: Builder, cell: Cell, layer: Params, values: dict[int, str]) -> str:
    """Value of a cell: what feeds it side by side, and the projection of its input if there is."""
    fed = {block: value for block, value in values.items() if cell.edges[block, -1]}
    terms, parts = list[str](), [*fed.values()]
    if cell.edges[0, -1]:
        terms = [conv_norm_relu(b, "projection", INPUT, layer, layer["conv"].shape[-1])]
        # It has the channels of all blocks, those that do not feed the output among them.
        if len(fed) < len(cell.ops):
            zeros = b.add("zeros", "zeros", parts[0])
            parts = [fed.get(block, zeros) for block in range(1, len(cell.ops) + 1)]
    return b.sum("output", [*terms, together(b, parts)])
