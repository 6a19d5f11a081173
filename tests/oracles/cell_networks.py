"""Networks of pairs of cells in float64 NumPy, written from their rules, and their parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import networks
from jnas.types import Network
from tests.oracles.layers import conv_by_loops, norm_by_loops, pool3x3_by_loops

Pairs = list[tuple[str, int]]
"""Pairs (operation, input) of a cell, two for each node."""


class Rules(NamedTuple):
    """What tells one space of such cells from another; all of it is in the space's definition."""

    operations: tuple[str, ...] = ()
    num_nodes: int = 4
    repeats: bool = False
    loose: bool = False

    def outputs(self, pairs: Pairs) -> list[int]:
        """The nodes that are concatenated."""
        read = {source for _, source in pairs} if self.loose else set()
        return [node for node in range(2, self.num_nodes + 2) if node not in read]

    def edge(self, pairs: Pairs, slot: int) -> int:
        """Number of the edge of a slot; of two parallel ones the second has the later operation."""
        copies, node, source = 1 + self.repeats, slot // 2 + 2, pairs[slot][1]
        start = sum(copies * k for k in range(2, node))
        if not self.repeats:
            return start + source
        (name, _), (other, beside) = pairs[slot], pairs[slot ^ 1]
        order = [(self.operations.index(name), slot % 2), (self.operations.index(other), 1)]
        if slot % 2:
            order[1] = (self.operations.index(other), 0)
        return start + copies * source + int(beside == source and order[0] > order[1])


def depthwise(x, kernel, stride, dilation):
    size, (_, height, width, _) = len(kernel), x.shape
    pad = dilation * (size - 1) // 2
    x, total = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))), 0
    for i in range(size):
        for j in range(size):
            y, z = i * dilation, j * dilation
            total = total + x[:, y : y + height, z : z + width] * kernel[i, j, 0]
    return total[:, ::stride, ::stride]


def along(x, kernel, axis, stride):
    """Convolution of rows (axis 2) or of columns (axis 1)."""
    size, x = max(kernel.shape[:2]), np.moveaxis(x, axis, 1)
    taps = kernel.reshape(size, *kernel.shape[2:])
    padded = np.pad(x, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    out = sum(padded[:, i : i + x.shape[1]] @ tap for i, tap in enumerate(taps))
    return np.moveaxis(out[:, ::stride], 1, axis)


def max_pool(x, size):
    """Largest of the neighbours that exist."""
    out, pad = np.zeros(x.shape), size // 2
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            rows = slice(max(row - pad, 0), row + pad + 1)
            out[:, row, column] = x[:, rows, max(column - pad, 0) : column + pad + 1].max((1, 2))
    return out


def separable(x, layer, edge, stride=1, dilation=1):
    x = depthwise(np.maximum(x, 0), layer["depthwise"]["conv"][edge], stride, dilation)
    return conv_norm(x, layer["pointwise"], edge)


def conv_norm(x, layer, *index, stride=1, rows=slice(None)):
    kernel = layer["conv"][index][:, :, rows]
    return normed(conv_by_loops(x, kernel, stride), layer, *index)


def normed(x, layer, *index):
    return norm_by_loops(x, {name: leaf[index] for name, leaf in layer["norm"].items()})


def halved(x, layer, *index, rows=slice(None)):
    """Two convolutions of stride 2 of half of the channels, one of them on shifted pixels."""
    x, kernel = np.maximum(x, 0), layer["conv"][index][:, :, rows]
    half = kernel.shape[-1] // 2
    parts = [
        conv_by_loops(x[:, ::2, ::2], kernel[..., :half]),
        conv_by_loops(x[:, 1::2, 1::2], kernel[..., half:]),
    ]
    return normed(np.concatenate(parts, axis=-1), layer, *index)


def operation(name, x, cell, edge, skip, stride):
    if name == "none":
        return 0 * x[:, ::stride, ::stride]
    if "pool" in name:
        x = max_pool(x, int(name[-1])) if name.startswith("max") else pool3x3_by_loops(x)
        x, layer = x[:, ::stride, ::stride], cell["edges"].get("pool")
        return x if layer is None else normed(x, layer, edge)
    if name == "skip_connect":
        return x if stride == 1 else halved(x, cell["skips"], skip)
    layer = cell["edges"][name]
    if name.startswith("conv") and name[5:].count("x") == 2:
        x = along(np.maximum(x, 0), layer["row"]["conv"][edge], 2, stride)
        x = along(x, layer["column"]["conv"][edge], 1, stride)
        return normed(x, layer["column"], edge)
    if name.startswith("conv"):
        return conv_norm(np.maximum(x, 0), layer, edge, stride=stride)
    dilation = 2 if name.startswith("dil") else 1
    if name.startswith("dil_conv"):
        return separable(x, layer, edge, stride, dilation)
    x = separable(x, layer["first"], edge, stride, dilation)
    return separable(x, layer["second"], edge, dilation=dilation)


def reference_cell(before, cell, pairs, kind, is_halved, rules, read):
    """`read` are the rows of the kernels that there are, for each input."""
    first, second = cell["input0"], cell["input1"]
    if is_halved:
        nodes = [halved(before[0], first, rows=read[0])]
    else:
        nodes = [conv_norm(np.maximum(before[0], 0), first, rows=read[0])]
    nodes.append(conv_norm(np.maximum(before[1], 0), second, rows=read[1]))
    copies = 1 + rules.repeats
    for node in range(2, rules.num_nodes + 2):
        values = []
        for slot in (2 * node - 4, 2 * node - 3):
            name, k = pairs[slot]
            edge = rules.edge(pairs, slot)
            copy = edge - sum(copies * j for j in range(2, node)) - copies * k
            skip = copies * (2 * (node - 2) + k) + copy
            stride = 2 if kind and k < 2 else 1
            values.append(operation(name, nodes[k], cell, edge, skip, stride))
        nodes.append(sum(values))
    return np.concatenate([nodes[k] for k in rules.outputs(pairs)], axis=-1)


def reference(params, cells, images, num_cells, rules=None):
    """Logits in float64 of the normal and the reduction cell `cells`, lists of pairs."""
    rules = rules or Rules()
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    stacks = [
        jax.tree.map(lambda leaf, k=k: leaf[k], group)
        for group in params["sections"]
        for k in range(len(group["input0"]["conv"]))
    ]
    stem = conv_norm(np.asarray(images, np.float64), params["stem"])
    before, is_halved, read = (stem, stem), False, [np.arange(stem.shape[-1])] * 2
    for number, cell in enumerate(stacks):
        kind = number in (num_cells // 3, 2 * num_cells // 3)
        out = reference_cell(before, cell, cells[kind], kind, is_halved, rules, read)
        before, is_halved = (before[1], out), kind
        width = cell["input0"]["conv"].shape[-1]
        joined = [np.arange(width) + width * (k - 2) for k in rules.outputs(cells[kind])]
        read = [read[1], np.concatenate(joined)]
    dense = params["dense"]
    return before[1].mean(axis=(1, 2)) @ dense["kernel"][read[1]] + dense["bias"]


def num_params(network: Network, arch) -> int:
    """Weights that an architecture has, with scales and biases of its norms."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    masks = iter([np.asarray(mask) for mask in jax.jit(network.present)(jnp.asarray(arch))])
    total = 0

    def add(layer, name):
        nonlocal total
        mask, shape = next(masks), layer[name].shape
        # Each number of a mask is that of as many weights.
        total += int(mask.sum()) * (np.prod(shape) // mask.size)
        if "norm" in layer:
            there = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)
            there = there.any(axis=(-4, -3, -2, -1))
            total += 2 * int(there.sum()) * (np.prod(shape[:-4]) // there.size) * shape[-1]
        return layer

    networks.weights.map_layers(add, shapes)
    heads = [shapes, *([shapes["auxiliary"]] if "auxiliary" in shapes else [])]
    return int(total) + sum(head["dense"]["bias"].size for head in heads)
