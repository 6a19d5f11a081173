"""ONNX graph of a plain network, weights and normalisation inside, free batch.

Written layer by layer with the package onnx, for there are few kinds of layer. The converter of JAX
programs, jax2onnx 0.17, gives the same logits from `description.apply`; but it takes only an
orbax-checkpoint below 0.11.37, so that to install it replaces the library that keeps trainings, and
it brings some twenty more packages.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jnas.networks.export.description import BEFORE, INPUT, Block, Plain, Step
from jnas.networks.export.facts import Facts

# Both are old enough for the runtimes of phones and browsers.
_OPSET, _IR_VERSION = 17, 8
_HALVING = {"kernel_shape": [2, 2], "strides": [2, 2]}


def _padded(size: int) -> dict[str, Any]:
    """Attributes of a pool whose windows reach beyond the border."""
    return {"pads": [size // 2] * 4, "kernel_shape": [size, size]}


_NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "concat": ("Concat", {"axis": 1}),
    "avg_pool3x3": ("AveragePool", {**_padded(3), "count_include_pad": 0}),
    **{f"max_pool{size}x{size}": ("MaxPool", _padded(size)) for size in (3, 5, 7)},
    "avg_pool2x2": ("AveragePool", _HALVING),
    "max_pool2x2": ("MaxPool", _HALVING),
    "max_pool2x2_padded": ("MaxPool", {**_HALVING, "pads": [1, 1, 1, 1]}),
}


class _Graph:
    """Nodes and constants of a graph that is being written."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Name of a new constant."""
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name

    def node(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Name of the value of a new node."""
        from onnx import helper

        # Every node has one value, so that the name of the value can be that of the node.
        self.nodes.append(helper.make_node(operation, inputs, [output], output, **attributes))
        return output


def serialised(plain: Plain, facts: Facts) -> bytes:
    """Bytes of the model: "images" `[batch, H, W, C]` to "logits" `[batch, K]` float32."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = _Graph()
    x = _normalised(graph, facts)
    before = x
    for block in plain.blocks:
        value = _block(graph, block, x, before)
        x, before = value, x if block.before else value
    graph.node("Identity", [x], "logits")
    images: list[str | int | None] = ["batch", *facts.size, len(facts.mean)]
    pixels = TensorProto.UINT8 if facts.dtype == "uint8" else TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [helper.make_tensor_value_info("images", pixels, images)],
            [
                helper.make_tensor_value_info(
                    "logits", TensorProto.FLOAT, ["batch", len(facts.classes)]
                )
            ],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="jnas",
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _normalised(graph: _Graph, facts: Facts) -> str:
    """Images as the network reads them, channels before pixels."""
    from onnx import TensorProto

    x = graph.node("Cast", ["images"], "images_float", to=TensorProto.FLOAT)
    # As in JAX, operation by operation: folded into one product they round differently.
    for operation, name, value in (
        ("Div", "scale", facts.scale),
        ("Sub", "mean", facts.mean),
        ("Div", "std", facts.std),
    ):
        x = graph.node(operation, [x, graph.constant(name, value)], f"images_by_{name}")
    return graph.node("Transpose", [x], "images_nchw", perm=[0, 3, 1, 2])


def _block(graph: _Graph, block: Block, x: str, before: str) -> str:
    """Name of the value of a block that reads `x`, and perhaps `before`."""
    values = {INPUT: x, BEFORE: before}
    for step in block.steps:
        inputs = [values[name] for name in step.inputs]
        write = _WRITERS.get(step.operation, _simple)
        values[step.name] = write(graph, step, inputs, f"{block.name}.{step.name}")
    return values[block.output]


def _simple(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of a step that is one node without weights."""
    operation, attributes = _NODES[step.operation]
    if "pads" in attributes and "strides" not in attributes:
        attributes = {**attributes, "strides": [*step.stride]}
    return graph.node(operation, inputs, name, **attributes)


def _conv(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of a convolution."""
    # ONNX has pixels and their window last, `[C', C, k, k]`.
    kernel = step.weights["conv"]
    sizes = kernel.shape[:2]
    inputs = [*inputs, graph.constant(f"{name}.kernel", kernel.transpose(3, 2, 0, 1))]
    if "bias" in step.weights:
        inputs.append(graph.constant(f"{name}.bias", step.weights["bias"]))
    return graph.node(
        "Conv",
        inputs,
        name,
        kernel_shape=[*sizes],
        strides=[*step.stride],
        pads=[step.dilation * (size // 2) for size in sizes] * 2,
        dilations=[step.dilation] * 2,
        group=step.channels if step.operation == "depthwise" else step.groups,
    )


def _norm(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of a batch norm by its statistics."""
    # The operator always has a scale and a bias.
    ones = np.ones(step.channels, np.float32)
    weights = {"scale": ones, "bias": 0 * ones, **step.weights}
    constants = [
        graph.constant(f"{name}.{key}", weights[key]) for key in ("scale", "bias", "mean", "var")
    ]
    return graph.node("BatchNormalization", [*inputs, *constants], name, epsilon=1e-5)


def _dense(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of the dense layer."""
    constants = [graph.constant(f"{name}.{key}", step.weights[key]) for key in ("kernel", "bias")]
    return graph.node("Gemm", [*inputs, *constants], name)


def _add(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of a sum, two by two."""
    del step
    # In the order of `description.apply`, so that both round alike.
    total = inputs[0]
    for number, value in enumerate(inputs[1:], start=2):
        is_last = number == len(inputs)
        total = graph.node("Add", [total, value], name if is_last else f"{name}.of_{number}")
    return total


def _pixels(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of every so many pixels, or of all but the first row and column."""
    start = 1 if step.operation == "shifted" else 0
    parts = {"starts": (start,) * 2, "ends": (2**31 - 1,) * 2, "axes": (2, 3), "steps": step.stride}
    constants = [graph.constant(f"{name}.{key}", pair, np.int64) for key, pair in parts.items()]
    return graph.node("Slice", [*inputs, *constants], name)


def _first(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Value of the first channels."""
    limits = {"starts": 0, "ends": step.channels, "axes": 1}
    constants = [
        graph.constant(f"{name}.{key}", [value], np.int64) for key, value in limits.items()
    ]
    return graph.node("Slice", [*inputs, *constants], name)


def _zeros(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Zeros in the shape of the input."""
    del step
    return graph.node("ConstantOfShape", [graph.node("Shape", inputs, f"{name}.shape")], name)


def _mean(graph: _Graph, step: Step, inputs: list[str], name: str) -> str:
    """Mean over pixels, `[batch, C]`."""
    del step
    return graph.node("Flatten", [graph.node("GlobalAveragePool", inputs, f"{name}.pool")], name)


_WRITERS: dict[str, Callable[[_Graph, Step, list[str], str], str]] = {
    "conv": _conv,
    "depthwise": _conv,
    "pixels": _pixels,
    "shifted": _pixels,
    "norm": _norm,
    "dense": _dense,
    "add": _add,
    "first": _first,
    "zeros": _zeros,
    "mean": _mean,
}
