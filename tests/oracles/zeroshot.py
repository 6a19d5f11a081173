"""The network of NAS-Bench-201 in float64 NumPy, one architecture at a time, with a reverse pass
written by hand.

It has the weights that the architecture has and no others, python loops over cells and edges, and
for every operation its value and how a gradient goes back through it.
`tests/zeroshot/test_scores.py` tests it.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from jnas import networks, zeroshot
from tests.oracles.nasbench201 import NAMED

PASSES = (
    ("grad_norm", "snip", "grasp", "fisher", "plain", "naswot", "relu_logdet", "relu_count")
    + ("linear_regions", "swap", "swap_published", "l2_norm", "params", "flops"),
    ("jacob_cov", "epe_nas", "synflow", "synflow_bn", "zen", "zen_published", "zico")
    + ("ntk_condition",),
)
"""Names of all scores: of the one pass that most share, and of those with passes of their own."""

NUM, NUM_CLASSES = 10, 3
SIZES = {"channels": 4, "cells": 2, "num_classes": NUM_CLASSES}
NETWORK = networks.nasbench201(stages=1, **SIZES | {"cells": 1})  # without loops
IMAGES = np.random.default_rng(1).normal(size=(NUM, 4, 6, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0, 0, 2, 2, 1, 0])
ARCHS = np.array(
    [*NAMED.values(), *np.random.default_rng(0).integers(0, 5, (20, 6))], np.int32
)  # [31, 6]
KEY = jax.random.key(0)


@jax.jit
def score(estimator, key, archs):
    return estimator(key, archs)


@functools.cache
def scores_of(network, names):
    """`{name: [31]}` of `ARCHS`."""
    found = score(zeroshot.suite(network, IMAGES, LABELS, names), KEY, ARCHS)
    return {name: np.asarray(values) for name, values in found.items()}


NONE, SKIP, CONV1X1, CONV3X3, POOL = range(5)
KINDS = {CONV1X1: "conv1x1", CONV3X3: "conv3x3"}


class Node:
    """A tensor, what it was computed from, and how its gradient goes back there."""

    def __init__(self, value, parents=(), pull=None):
        self.value, self.parents, self.pull = value, parents, pull
        self.grad = np.zeros(np.shape(value))


class Layer(NamedTuple):
    """A convolution or the dense layer: its weights and its output, bias included."""

    name: tuple
    weight: Node
    output: Node


class Net(NamedTuple):
    """One architecture: `layers` are the weights it has, by name."""

    arch: tuple
    stages: int
    cells: int
    layers: dict


def mapped(function, layers):
    """`function` of each array of a nested dict."""
    return {
        name: mapped(function, value) if isinstance(value, dict) else function(value)
        for name, value in layers.items()
    }


def instantiate(params, arch):
    """What `arch` has of the weights of all architectures."""
    layers = {
        ("stem",): params["stem"],
        ("norm",): {"norm": params["norm"]},
        ("dense",): params["dense"],
    }
    for number, block in enumerate(params["blocks"]):
        layers |= {("block", number, part): block[part] for part in ("a", "b", "shortcut")}
    cells = len(params["stages"][0]["conv1x1"]["conv"])
    for stage, weights in enumerate(params["stages"]):
        for cell in range(cells):
            for edge, op in enumerate(arch):
                if op in KINDS:
                    own = mapped(
                        lambda leaf, cell=cell, edge=edge: leaf[cell, edge], weights[KINDS[op]]
                    )
                    layers["cell", stage, cell, edge] = own
    layers = mapped(lambda leaf: np.asarray(leaf, np.float64), layers)
    return Net(tuple(map(int, arch)), len(params["stages"]), cells, layers)


class Run:
    """A forward pass: tensors in order of computation, layers, ReLUs, and what batch norms read.

    `masks` are those of another pass: which units its ReLUs let through, whatever the sign here.
    """

    def __init__(self, net, images, batch_norm=True, masks=None):
        self.net, self.has_norm, self.masks = net, batch_norm, masks
        self.nodes, self.layers, self.relus, self.norms = [], [], [], []
        self.images = self.add(np.asarray(images, np.float64))
        self.features, self.logits = self._network()

    def add(self, value, parents=(), pull=None):
        self.nodes.append(Node(value, parents, pull))
        return self.nodes[-1]

    def backward(self, node, grad):
        """Fill in the gradient of Σ node ⊙ grad with respect to every tensor."""
        for other in self.nodes:
            other.grad = np.zeros(np.shape(other.value))
        node.grad = grad
        for other in reversed(self.nodes):
            if other.pull is not None:
                for parent, part in zip(other.parents, other.pull(other.grad), strict=True):
                    parent.grad = parent.grad + part

    def ancestors(self, node):
        """All that a tensor is computed from."""
        found, todo = set(), [node]
        while todo:
            for parent in todo.pop().parents:
                if id(parent) not in found:
                    found.add(id(parent))
                    todo.append(parent)
        return found

    def live_relus(self):
        """The ReLU modules with a path to the logits."""
        reached = self.ancestors(self.logits)
        return [relu for relu in self.relus if id(relu) in reached]

    def live_norms(self):
        """What those batch norms read that are on a path from the images to the logits."""
        reached = self.ancestors(self.logits)
        return [x for x in self.norms if id(x) in reached and id(self.images) in self.ancestors(x)]

    # Operations

    def sum(self, terms, shape):
        return self.add(
            np.zeros(shape) + sum(t.value for t in terms), tuple(terms), lambda g: [g] * len(terms)
        )

    def relu(self, x):
        mask = x.value > 0 if self.masks is None else self.masks[len(self.relus)]
        self.relus.append(self.add(x.value * mask, (x,), lambda g: [g * mask]))
        return self.relus[-1]

    def conv(self, x, weight, stride):
        size, (_, height, width, _) = len(weight.value), x.value.shape
        pad = size // 2
        padded = np.pad(x.value, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        taps = [
            (i, j, np.s_[:, i : i + height : stride, j : j + width : stride])
            for i in range(size)
            for j in range(size)
        ]

        def pull(grad):
            of_weight, of_padded = np.zeros_like(weight.value), np.zeros_like(padded)
            for i, j, window in taps:
                of_weight[i, j] = np.tensordot(padded[window], grad, ([0, 1, 2], [0, 1, 2]))
                of_padded[window] += grad @ weight.value[i, j].T
            return of_padded[:, pad : pad + height, pad : pad + width], of_weight

        return self.add(
            sum(padded[window] @ weight.value[i, j] for i, j, window in taps), (x, weight), pull
        )

    def layer(self, x, name, stride=1):
        """Convolution or dense layer, with its bias where it has one."""
        weights = self.net.layers[name]
        if "conv" in weights:
            weight = self.add(weights["conv"])
            y = self.conv(x, weight, stride)
        else:
            weight = self.add(weights["kernel"])
            y = self.add(
                x.value @ weight.value, (x, weight), lambda g: [g @ weight.value.T, x.value.T @ g]
            )
        if "bias" in weights:
            y = self.add(y.value + weights["bias"], (y,), lambda g: [g])
        self.layers.append(Layer(name, weight, y))
        return y

    def batch_norm(self, x, name):
        if not self.has_norm:
            return x
        self.norms.append(x)
        norm = self.net.layers[name].get("norm", {})
        scale, bias = norm.get("scale", 1.0), norm.get("bias", 0.0)
        rate = 1 / np.sqrt(x.value.var(axis=(0, 1, 2)) + 1e-5)
        unit = (x.value - x.value.mean(axis=(0, 1, 2))) * rate

        def pull(grad):
            grad = grad * scale
            along = unit * (grad * unit).mean(axis=(0, 1, 2))
            return [rate * (grad - grad.mean(axis=(0, 1, 2)) - along)]

        return self.add(unit * scale + bias, (x,), pull)

    def pool3x3(self, x):
        """Mean of the neighbours that exist: `rows @ x @ columns`, sums of three, over a number."""
        height, width = x.value.shape[1:3]
        rows, columns = (np.tri(n, k=1) - np.tri(n, k=-2) for n in (height, width))
        number = (rows.sum(axis=1)[:, None] * columns.sum(axis=1))[None, :, :, None]

        def total(y):
            return np.einsum("ij,njkc,kl->nilc", rows, y, columns)

        return self.add(total(x.value) / number, (x,), lambda g: [total(g / number)])

    def pool2x2(self, x):
        quarters = [x.value[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.add(
            sum(quarters) / 4, (x,), lambda g: [g.repeat(2, axis=1).repeat(2, axis=2) / 4]
        )

    def mean(self, x):
        _, height, width, _ = shape = x.value.shape
        value = x.value.mean(axis=(1, 2))
        return self.add(
            value, (x,), lambda g: [np.broadcast_to(g[:, None, None] / (height * width), shape)]
        )

    def cross_entropy(self, labels):
        """Mean over images of -log softmax of the label."""
        logits, own = self.logits.value, np.eye(self.logits.value.shape[1])[np.asarray(labels)]
        logs = logits - logits.max(axis=1, keepdims=True)
        logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
        pull = lambda g: [g * (np.exp(logs) - own) / len(logits)]  # noqa: E731
        return self.add(-(logs * own).sum() / len(logits), (self.logits,), pull)

    # The network

    def _relu_conv_norm(self, x, name, stride=1):
        return self.batch_norm(self.layer(self.relu(x), name, stride), name)

    def _cell(self, x, stage, cell):
        nodes = [x]
        for target in (1, 2, 3):
            terms = []
            for source in range(target):
                edge = target * (target - 1) // 2 + source
                op = self.net.arch[edge]
                if op in KINDS:
                    terms.append(self._relu_conv_norm(nodes[source], ("cell", stage, cell, edge)))
                elif op != NONE:
                    terms.append(nodes[source] if op == SKIP else self.pool3x3(nodes[source]))
            nodes.append(self.sum(terms, x.value.shape))
        return nodes[3]

    def _network(self):
        x = self.batch_norm(self.layer(self.images, ("stem",)), ("stem",))
        for stage in range(self.net.stages):
            if stage > 0:
                names = [("block", stage - 1, part) for part in ("a", "b", "shortcut")]
                hidden = self._relu_conv_norm(x, names[0], stride=2)
                value, shortcut = (
                    self._relu_conv_norm(hidden, names[1]),
                    self.layer(self.pool2x2(x), names[2]),
                )
                x = self.sum([value, shortcut], value.value.shape)
            for cell in range(self.net.cells):
                x = self._cell(x, stage, cell)
        features = self.relu(self.batch_norm(x, ("norm",)))
        return features, self.layer(self.mean(features), ("dense",))


def loss_gradients(net, images, labels, masks=None):
    """The pass after the reverse pass of the mean cross-entropy."""
    run = Run(net, images, masks=masks)
    run.backward(run.cross_entropy(labels), 1.0)
    return run


def moved(net, run, directions, step):
    """The network with `step` times the directions, one for each layer, added to its weights."""
    layers = dict(net.layers)
    for layer, direction in zip(run.layers, directions, strict=True):
        which = "conv" if "conv" in layers[layer.name] else "kernel"
        layers[layer.name] = {
            **layers[layer.name],
            which: layers[layer.name][which] + step * direction,
        }
    return net._replace(layers=layers)
