"""Plain layers of a network of NAS-Bench-201, cells of one architecture written out."""

from typing import Any

import jax
import numpy as np

from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, NONE, POOL, SKIP
from jnas.types import Network, Params


def describe(arch: np.ndarray, params: Params, _: Network) -> Plain:
    """Network of `arch` `[6]`, its weights with statistics."""
    stages = params["stages"]
    blocks = [stem(params["stem"], params["stem"]["conv"].shape[-1])]
    for stage, cells in enumerate(stages):
        for number in range(cells["conv3x3"]["conv"].shape[0]):
            weights = jax.tree.map(lambda leaf, number=number: leaf[number], cells)
            blocks.append(_cell(f"stage{stage + 1}_cell{number + 1}", arch, weights))
        if stage < len(stages) - 1:
            weights = params["blocks"][stage]
            width = weights["a"]["conv"].shape
            blocks.append(reduction(f"reduction{stage + 1}", weights, width[-2], width[-1]))
    blocks.append(head(params, blocks[-1].channels))
    # Read from the weights, so that they are right however the network was made.
    settings = {
        "channels": blocks[1].channels,
        "stages": len(stages),
        "cells": stages[0]["conv3x3"]["conv"].shape[0],
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
        "affine": "scale" in stages[0]["conv3x3"]["norm"],
    }
    has_bias = "bias" in stages[0]["conv3x3"]
    # Named where it does not follow from the norms: so these settings lead to the same network.
    if has_bias == settings["affine"]:
        settings["bias"] = has_bias
    return Plain(tuple(blocks), settings, 2 ** (len(stages) - 1))


def stem(layer: Any, c_out: int) -> Block:
    """Block of the first convolution and its norm."""
    builder = Builder(layer["conv"].shape[-2])
    return builder.block("stem", "Stem", builder.conv_norm("stem", INPUT, layer, c_out))


def reduction(name: str, block: Any, c_in: int, c_out: int) -> Block:
    """Residual block of stride 2; its shortcut has no batch norm."""
    b = Builder(c_in)
    hidden = b.conv_norm("a", b.add("relu1", "relu", INPUT), block["a"], c_out, stride=2)
    value = b.conv_norm("b", b.add("relu2", "relu", hidden), block["b"], c_out)
    # Pooled before it is widened, as published.
    small = b.add("halved", "avg_pool2x2", INPUT)
    shortcut = b.conv("shortcut", small, block["shortcut"], c_out)
    return b.block(name, "Reduction", b.sum("total", [shortcut, value]))


def head(params: Params, channels: int) -> Block:
    """Block of norm, ReLU, mean over pixels and dense layer."""
    b = Builder(channels)
    x = b.add("relu", "relu", b.norm("norm", INPUT, params["norm"]))
    x = b.add("features", "mean", x)
    return b.block("head", "Head", b.dense("dense", x, params["dense"]))


def _cell(name: str, arch: np.ndarray, weights: Any) -> Block:
    """Cell of which only the operations of `arch` are left."""
    b = Builder(weights["conv3x3"]["conv"].shape[-1])
    nodes, rectified, empty = [INPUT], list[str](), set[int]()
    for node in range(1, 4):
        # One ReLU for all convolutions that leave a node.
        rectified.append(b.add(f"relu{node - 1}", "relu", nodes[-1]))
        terms = [
            _operation(b, edge, int(arch[edge]), nodes[start], rectified[start], weights)
            for edge, (start, end) in enumerate(EDGES)
            # Zeros stay zeros, unless a convolution's norm adds its bias.
            if end == node and arch[edge] not in ((NONE, SKIP, POOL) if start in empty else (NONE,))
        ]
        empty |= set() if terms else {node}
        nodes.append(b.sum(f"node{node}", terms))
    return b.block(name, "Cell", nodes[-1])


def _operation(b: Builder, edge: int, op: int, x: str, rectified: str, weights: Any) -> str:
    """Value of one edge that reads `x`, or its ReLU."""
    start, end = EDGES[edge]
    if op == SKIP:
        return x
    if op == POOL:
        return b.add(f"pool{start}to{end}", "avg_pool3x3", x)
    kind = {CONV1X1: "conv1x1", CONV3X3: "conv3x3"}[op]
    layer = jax.tree.map(lambda leaf: leaf[edge], weights[kind])
    return b.conv_norm(f"edge{start}to{end}", rectified, layer, layer["conv"].shape[-1])
