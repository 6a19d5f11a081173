"""The NAS-Bench-201 network in float64 NumPy, written from the definition of the space, and what it
is compared on.

`Tape` and `reference_block` serve the network of the size space too.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import networks
from jnas.types import Hooks
from tests.oracles.layers import (
    conv_by_loops,
    norm_by_loops,
    pool2x2_by_loops,
    pool3x3_by_loops,
)

STAGES, CELLS = 2, 2
NETWORK = networks.nasbench201(channels=4, stages=STAGES, cells=CELLS)
IMAGES = np.random.default_rng(1).normal(size=(6, 8, 8, 3)).astype(np.float32)

OPERATIONS = ("none", "skip", "conv1x1", "conv3x3", "pool")
NAMED = {
    "all none": (0, 0, 0, 0, 0, 0),
    "all skip": (1, 1, 1, 1, 1, 1),
    "all 1x1": (2, 2, 2, 2, 2, 2),
    "all 3x3": (3, 3, 3, 3, 3, 3),
    "all pool": (4, 4, 4, 4, 4, 4),
    "one skip": (0, 0, 0, 1, 0, 0),
    "chain": (3, 0, 2, 0, 0, 3),
    "dead end after node 0": (3, 0, 0, 1, 0, 0),
    "dead end in node 2": (3, 2, 3, 1, 3, 0),
    "never leaves the input": (0, 0, 3, 0, 2, 3),
    "never reaches the output": (3, 2, 3, 0, 0, 0),
}
ARCHS = np.array(
    [*NAMED.values(), *np.random.default_rng(0).integers(0, 5, (12, 6))], np.int32
)  # [23, 6]
TRAINED = np.array([[3, 3, 3, 1, 3, 3], [0] * 6, [2, 4, 1, 1, 0, 3], [0] * 6], np.int32)
"""With a convolution, without a path, with both kinds of convolutions, and the second again."""

BAD_IMAGES = {
    "rank": np.zeros((2, 8, 8), np.float32),
    "size": np.zeros((2, 6, 8, 3), np.float32),
    "channels": np.zeros((2, 8, 8, 1), np.float32),
    "bytes": np.zeros((2, 8, 8, 3), np.uint8),
    "half precision": np.zeros((2, 8, 8, 3), np.float16),
}
"""What networks that take `[N, H, W, 3]`, H and W multiples of 4, refuse."""


PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""Edges of every way from the input of a cell to its output."""


def on_a_path(arch):
    """`[6]` bool, the edges that are on a path of operations other than "none"."""
    open_paths = [path for path in PATHS if all(arch[edge] != 0 for edge in path)]
    return np.array([any(edge in path for path in open_paths) for edge in range(6)])


class Reading(NamedTuple):
    """A tensor that ReLU modules read, and how many do."""

    inputs: np.ndarray
    num_modules: int
    num_live: int


class Tape:
    """Tensors in the order of computation, and which is computed from which."""

    def __init__(self):
        self.values, self.arrows = [], []

    def add(self, value, *sources):
        """Number of a new tensor; `sources` are pairs (tensor, through a ReLU)."""
        self.values.append(value)
        self.arrows.extend((source, len(self.values) - 1, relu) for source, relu in sources)
        return len(self.values) - 1

    def relu(self, source):
        return np.where(self.values[source] > 0, self.values[source], 0)

    def convolve(self, source, weights, stride=1):
        """ReLU, convolution with a bias if there is one, batch norm with an affine part if any."""
        out = conv_by_loops(self.relu(source), weights["conv"], stride) + weights.get("bias", 0.0)
        return norm_by_loops(
            out,
            weights["norm"] or {"scale": np.ones(out.shape[-1]), "bias": np.zeros(out.shape[-1])},
        )

    def operate(self, operation, source, weights):
        if operation == "skip":
            return self.values[source]
        if operation == "pool":
            return pool3x3_by_loops(self.values[source])
        return self.convolve(source, weights[operation])

    def readings(self):
        """Tensors that ReLUs read; a module is live if what it feeds reaches the last tensor."""
        reaches = {len(self.values) - 1}
        for source, target, _ in reversed(self.arrows):
            if target in reaches:
                reaches.add(source)
        modules = [[] for _ in self.values]
        for source, target, relu in self.arrows:
            if relu:
                modules[source].append(target in reaches)
        pairs = zip(self.values, modules, strict=True)
        return [Reading(value, len(live), sum(live)) for value, live in pairs if live]


def reference_cell(tape, start, arch, weights):
    """Number of the output of a cell; `weights` are stacked over edges."""
    nodes = [start]
    for target in (1, 2, 3):
        total, sources = np.zeros(tape.values[start].shape), []
        for source in range(target):
            edge = target * (target - 1) // 2 + source  # the order of the published string
            operation = OPERATIONS[arch[edge]]
            if operation != "none":
                of_edge = jax.tree.map(lambda w, edge=edge: w[edge], weights)
                total = total + tape.operate(operation, nodes[source], of_edge)
                sources.append((nodes[source], operation.startswith("conv")))
        nodes.append(tape.add(total, *sources))
    return nodes[3]


def reference_block(tape, start, weights):
    """Number of the output of a residual block of stride 2."""
    hidden = tape.add(tape.convolve(start, weights["a"], stride=2), (start, True))
    shortcut = conv_by_loops(pool2x2_by_loops(tape.values[start]), weights["shortcut"]["conv"])
    return tape.add(shortcut + tape.convolve(hidden, weights["b"]), (start, False), (hidden, True))


def reference(params, arch, images):
    """Logits and the readings, in the order of computation, with `params` in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    tape, stem, dense = Tape(), params["stem"], params["dense"]
    current = tape.add(norm_by_loops(conv_by_loops(images, stem["conv"]), stem["norm"]))
    for stage, weights in enumerate(params["stages"]):
        if stage > 0:
            current = reference_block(tape, current, params["blocks"][stage - 1])
        for number in range(len(weights["conv3x3"]["conv"])):
            of_cell = jax.tree.map(lambda w, number=number: w[number], weights)
            current = reference_cell(tape, current, arch, of_cell)
    last = tape.add(norm_by_loops(tape.values[current], params["norm"]), (current, False))
    logits = tape.relu(last).mean(axis=(1, 2)) @ dense["kernel"] + dense["bias"]
    tape.add(logits, (last, True))
    return logits, tape.readings()


def random_params(network, seed):
    """Weights of usual size everywhere, also in batch norms, where `init` leaves 1 and 0."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name == "scale":
            value = rng.uniform(0.5, 1.5, leaf.shape)
        elif name == "bias":
            value = rng.normal(0, 0.3, leaf.shape)
        else:
            fan_in = np.prod(leaf.shape[-4:-1]) if leaf.ndim >= 4 else leaf.shape[0]
            value = rng.normal(0, fan_in**-0.5, leaf.shape)
        return jnp.asarray(value, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(network.init, jax.random.key(0)))


def record(network, params, arch, images, hooks, state):
    """`network.forward` with the hooks, and what `on_relu` sees: padded arrays, one row a call."""
    rows = 3 * STAGES * CELLS + 2 * (STAGES - 1) + 1 + 1  # one more than the definition has
    width = images.shape[1] * images.shape[2] * 4
    buffers = (jnp.zeros((rows, len(images), width)), jnp.zeros((rows, 3), jnp.int32))

    def recording(carry, relu):
        state, number, (tensors, counts) = carry
        flat = relu.inputs.reshape(len(images), -1)
        row = jnp.stack([jnp.int32(flat.shape[1]), relu.num_modules, relu.num_live])
        tensors = tensors.at[number].set(jnp.pad(flat, ((0, 0), (0, width - flat.shape[1]))))
        return hooks.on_relu(state, relu), number + 1, (tensors, counts.at[number].set(row))

    def entering(carry, x, block):
        state, x, block = hooks.on_block(carry[0], x, block)
        return (state, *carry[1:]), x, block

    on_block = entering if hooks.on_block else None
    start = (state, jnp.int32(0), buffers)
    seen = network.forward(params, arch, images, Hooks(recording, hooks.norm, on_block), start)
    state, _, buffers = seen.state
    return seen._replace(state=state), buffers


def as_readings(buffers):
    """Readings with a module, from what `record` recorded."""
    rows = zip(*map(np.asarray, buffers), strict=True)
    return [
        Reading(tensor[:, :width], int(num_modules), int(num_live))
        for tensor, (width, num_modules, num_live) in rows
        if num_modules > 0
    ]


@functools.cache
def params_of_network():
    return random_params(NETWORK, 0)


@functools.cache
def references():
    """Logits and readings of `ARCHS` in float64."""
    return [reference(params_of_network(), arch, IMAGES) for arch in ARCHS]
