"""Trained network of one architecture as a list of plain layers, with its weights at true widths.

A `Plain` network is a chain of blocks; a block is a list of steps, each a layer that reads earlier
values by name. All exports are written from it, so that they cannot disagree. What has no path to
the output of its block is left out.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import layers

INPUT, BEFORE = "x", "before"
"""Names of what a block reads: the value of the block before, and what that one has read."""


class Step(NamedTuple):
    """Layer of a block.

    Attributes:
        name: of its value within the block, an identifier.
        operation: "conv", "depthwise", "norm", "dense" (these have weights), "relu", "add",
            "concat", "first" (the first `channels`), "zeros" (as many as its input has), "pixels"
            (every so many as its stride is), "shifted" (without the first row and column),
            "avg_pool3x3", "max_pool3x3", "max_pool5x5", "max_pool7x7" (of either stride),
            "avg_pool2x2", "max_pool2x2", "max_pool2x2_padded" (all stride 2) or "mean" (over
            pixels).
        inputs: names of the values that it reads.
        weights: float32 arrays: `conv` `[k, k', C / G, C']` of `G` groups, depthwise `[k, k, 1,
            C]`, and perhaps `bias` `[C']`; `mean`, `var` and perhaps `scale` and `bias` `[C]`;
            `kernel` `[C, C']` and `bias` `[C']`.
        stride: of a convolution or a pool, along rows and columns of pixels.
        channels: of its value.
        dilation: of a depthwise convolution.
        groups: of a convolution.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    weights: Mapping[str, np.ndarray]
    stride: tuple[int, int]
    channels: int
    dilation: int = 1
    groups: int = 1


class Block(NamedTuple):
    """Part of the chain: reads the value of the block before.

    Attributes:
        name: identifier, unique in the network.
        kind: of block; those of a kind are written as one class where their steps agree.
        channels: of what it reads.
        steps: in an order in which they can be computed.
        output: name of its value: a step's, or `INPUT`.
        before: channels of what it also reads, under the name `BEFORE`: what the block before has
            read, or what that one has put out if it is the first that reads two; 0 if nothing.
    """

    name: str
    kind: str
    channels: int
    steps: tuple[Step, ...]
    output: str
    before: int = 0


class Plain(NamedTuple):
    """Network of one architecture.

    Attributes:
        blocks: the chain; the first reads normalised images, the last gives logits.
        settings: keyword arguments of the network's factory.
        multiple: height and width of the images are multiples of it.
    """

    blocks: tuple[Block, ...]
    settings: Mapping[str, Any]
    multiple: int


class Builder:
    """Steps of a block that is being written; its methods give the name of the new value."""

    def __init__(self, channels: int, before: int = 0) -> None:
        """Block without steps that reads `channels`, and `before` of another one."""
        # In order of insertion, which is one that they can be computed in.
        self.steps: dict[str, Step] = {}
        self.inputs = {INPUT: channels, BEFORE: before}

    def channels(self, name: str) -> int:
        """Number of channels of a value."""
        return self.inputs[name] if name in self.inputs else self.steps[name].channels

    def add(
        self,
        name: str,
        operation: str,
        *inputs: str,
        weights: Mapping[str, Any] | None = None,
        stride: int | tuple[int, int] = 1,
        dilation: int = 1,
        groups: int = 1,
        channels: int | None = None,
    ) -> str:
        """Value `name` of a new step; `channels` are those of its first input if not given."""
        arrays = {key: np.asarray(value, np.float32) for key, value in (weights or {}).items()}
        width = self.channels(inputs[0]) if channels is None else channels
        pair = (stride, stride) if isinstance(stride, int) else stride
        self.steps[name] = Step(name, operation, inputs, arrays, pair, width, dilation, groups)
        return name

    def conv(
        self,
        name: str,
        x: str,
        layer: Mapping[str, Any],
        c_out: int,
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> str:
        """Convolution by the first rows and columns of a layer's weights, within groups of these.

        The weights are stored for all pairs of channels.
        """
        weights = {"conv": _within_groups(layer["conv"][..., : self.channels(x), :c_out], groups)}
        if "bias" in layer:
            weights["bias"] = layer["bias"][:c_out]
        how: dict[str, Any] = {"stride": stride, "groups": groups, "channels": c_out}
        return self.add(name, "conv", x, weights=weights, **how)

    def depthwise(
        self, name: str, x: str, layer: Mapping[str, Any], stride: int = 1, dilation: int = 1
    ) -> str:
        """Convolution of each channel by itself."""
        weights = {"conv": layer["conv"]}
        return self.add(name, "depthwise", x, weights=weights, stride=stride, dilation=dilation)

    def norm(self, name: str, x: str, norm: Mapping[str, Any]) -> str:
        """Batch norm by the first of the given weights and statistics."""
        # Networks of the general kind store a layer at its widest, true channels first.
        first = {key: value[: self.channels(x)] for key, value in norm.items()}
        return self.add(name, "norm", x, weights=first)

    def conv_norm(
        self,
        name: str,
        x: str,
        layer: Mapping[str, Any],
        c_out: int,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Convolution `name_conv` and its batch norm `name_norm`."""
        y = self.conv(f"{name}_conv", x, layer, c_out, stride, groups)
        return self.norm(f"{name}_norm", y, layer["norm"])

    def dense(self, name: str, x: str, layer: Mapping[str, Any]) -> str:
        """Dense layer of the first rows of the given weights."""
        weights = {"kernel": layer["kernel"][: self.channels(x)], "bias": layer["bias"]}
        return self.add(name, "dense", x, weights=weights, channels=layer["bias"].shape[0])

    def sum(self, name: str, values: Iterable[str]) -> str:
        """Sum of values, zeros of none; one value is its own sum."""
        terms = list(values)
        # Of zeros in the shape of the input: a node of a cell is as large as what the cell reads.
        if not terms:
            return self.add(name, "zeros", INPUT)
        return terms[0] if len(terms) == 1 else self.add(name, "add", *terms)

    def block(self, name: str, kind: str, output: str) -> Block:
        """Block whose value is `output`, without the steps that it does not need."""
        # From the last to the first: all that read a step have been seen before it.
        needed = {output}
        for step in reversed(self.steps.values()):
            if step.name in needed:
                needed |= set(step.inputs)
        steps = tuple(step for step in self.steps.values() if step.name in needed)
        return Block(name, kind, self.inputs[INPUT], steps, output, self.inputs[BEFORE])


def _within_groups(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Kernel `[k, k, C / G, C']` of the weights `[k, k, C, C']` within groups of channels."""
    c_in, c_out = kernel.shape[-2:]
    blocks = kernel.reshape(*kernel.shape[:2], groups, c_in // groups, groups, c_out // groups)
    # Its axis of groups comes out last, and outputs are in the order of their groups.
    diagonal = np.moveaxis(np.diagonal(blocks, axis1=2, axis2=4), -1, 3)
    return diagonal.reshape(*kernel.shape[:2], c_in // groups, c_out)


def apply(plain: Plain, images: jax.Array) -> jax.Array:
    """Logits `[N, K]` of normalised images `[N, H, W, C]` float32; the weights are constants."""
    x = before = images
    for block in plain.blocks:
        values = {INPUT: x, BEFORE: before}
        for step in block.steps:
            values[step.name] = _value(step, [values[name] for name in step.inputs])
        # Cells that read the last two hand the older one on.
        x, before = values[block.output], x if block.before else values[block.output]
    return x


def _value(step: Step, inputs: list[jax.Array]) -> jax.Array:
    """Value of a step, from those of its inputs."""
    weights = {name: jnp.asarray(value) for name, value in step.weights.items()}
    result: jax.Array
    match step.operation:
        case "conv":
            result = _convolved(step, inputs[0], weights)
        case "depthwise":
            result = layers.depthwise_layer(inputs[0], weights, step.stride[0], step.dilation)
        case "norm":
            result = layers.batch_norm(inputs[0], weights)
        case "dense":
            result = layers.dense_layer(inputs[0], weights)
        case "add":
            result = functools.reduce(jnp.add, inputs)
        case "concat":
            result = jnp.concatenate(inputs, axis=-1)
        case "first":
            result = inputs[0][..., : step.channels]
        case _:
            result, (rows, columns) = _PLAIN[step.operation](inputs[0]), step.stride
            # Means over pixels have none to leave out.
            result = result[:, ::rows, ::columns] if rows * columns > 1 else result
    return result


def _convolved(step: Step, x: jax.Array, weights: Mapping[str, jax.Array]) -> jax.Array:
    """Value of a convolution."""
    kernel, (rows, columns) = weights["conv"], step.stride
    if step.groups == 1 and kernel.shape[0] == kernel.shape[1]:
        return layers.conv_layer(x, weights, rows)
    # Rows and columns apart: `conv_layer` has square kernels, and no groups.
    pads = [(size // 2, size // 2) for size in kernel.shape[:2]]
    y = jax.lax.conv_general_dilated(
        x,
        kernel,
        (rows, columns),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=step.groups,
    )
    return layers.finished(y, weights)


_PLAIN: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "zeros": jnp.zeros_like,
    "pixels": lambda x: x,
    "shifted": lambda x: x[:, 1:, 1:],
    "avg_pool3x3": layers.avg_pool3x3,
    "max_pool3x3": layers.max_pool3x3,
    "max_pool5x5": functools.partial(layers.max_pool, size=5),
    "max_pool7x7": functools.partial(layers.max_pool, size=7),
    "avg_pool2x2": layers.avg_pool2x2,
    "max_pool2x2": layers.max_pool2x2,
    "max_pool2x2_padded": layers.max_pool2x2_padded,
    "mean": lambda x: jnp.mean(x, axis=(1, 2)),
}


def num_params(plain: Plain) -> int:
    """Number of trainable numbers: kernels, biases and scales, not the statistics."""
    return sum(
        array.size
        for block in plain.blocks
        for step in block.steps
        for name, array in step.weights.items()
        if name not in ("mean", "var")
    )


def num_macs(plain: Plain, size: tuple[int, int]) -> int:
    """Number of multiply-accumulates of convolutions and dense layer for one image of `[H, W]`."""
    total = 0
    before = size
    for block in plain.blocks:
        # Within a block all that is not yet halved is of the size of its input.
        sizes = {INPUT: size, BEFORE: before}
        for step in block.steps:
            sizes[step.name] = _size_after(step, *sizes[step.inputs[0]])
            if step.operation in ("conv", "depthwise"):
                total += step.weights["conv"].size * math.prod(sizes[step.name])
            elif step.operation == "dense":
                total += step.weights["kernel"].size
        size, before = sizes[block.output], size if block.before else sizes[block.output]
    return total


def _size_after(step: Step, height: int, width: int) -> tuple[int, int]:
    """Height and width of the value of a step, from those of what it reads."""
    if step.operation == "max_pool2x2_padded":
        return height // 2 + 1, width // 2 + 1
    rows, columns = (2, 2) if step.operation.endswith("2x2") else step.stride
    return height // rows, width // columns
