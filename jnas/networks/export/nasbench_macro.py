"""Plain layers of a network of NAS-Bench-Macro, without the blocks that are nothing."""

import numpy as np

from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.networks.export.nasbench101 import conv_norm_relu, stem
from jnas.networks.nasbench_macro import KINDS
from jnas.spaces.nasbench_macro import Block as Place
from jnas.spaces.nasbench_macro import blocks as places_of
from jnas.types import Network, Params


def describe(arch: np.ndarray, params: Params, _: Network) -> Plain:
    """Network of `arch` `[8]`, its weights with statistics."""
    blocks = [stem(params["stem"])]
    places = zip(places_of(), arch, params["blocks"], strict=True)
    for number, (place, op, weights) in enumerate(places, start=1):
        if op:
            blocks.append(_inverted(f"block{number}", weights[[*KINDS][op - 1]], place))
        elif "identity" in weights:
            blocks.append(_identity(f"block{number}", weights["identity"], place))
    blocks.append(_head(params))
    settings = {
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
    }
    return Plain(tuple(blocks), settings, 8)


def _inverted(name: str, weights: Params, place: Place) -> Block:
    """Inverted residual block; where it changes shapes it adds nothing to what it reads."""
    b = Builder(place.c_in)
    x = conv_norm_relu(b, "widen", INPUT, weights["widen"], weights["widen"]["conv"].shape[-1])
    x = b.depthwise("depthwise_conv", x, weights["depthwise"], place.stride)
    x = b.norm("depthwise_norm", x, weights["depthwise"]["norm"])
    x = b.add("depthwise", "relu", x)
    x = b.conv_norm("narrow", x, weights["narrow"], place.c_out)
    return b.block(name, "Inverted", b.sum("total", [x] if place.stride > 1 else [INPUT, x]))


def _identity(name: str, layer: Params, place: Place) -> Block:
    """Convolution and norm that stand for an identity where shapes change."""
    b = Builder(place.c_in)
    x = b.conv_norm("identity", INPUT, layer, place.c_out, place.stride)
    return b.block(name, "Reduction", x)


def _head(params: Params) -> Block:
    """Block of convolution, norm, ReLU, mean over pixels and dense layer."""
    layer = params["head"]
    b = Builder(layer["conv"].shape[-2])
    x = conv_norm_relu(b, "last", INPUT, layer, layer["conv"].shape[-1])
    return b.block("head", "Head", b.dense("dense", b.add("features", "mean", x), params["dense"]))
