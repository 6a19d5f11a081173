"""Flax module of a plain network as the text of a Python file, and its variables by name.

NNX and not Linen, because the file is there to be changed: a trained model is then one object that
holds its variables, whose layers are replaced by assignment, and whose batch norms and dropout are
switched by `train()` and `eval()`. In Linen the tree of variables would have to be edited as well.
"""

import pprint
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from jnas.networks.export.description import BEFORE, INPUT, Block, Plain, Step
from jnas.networks.export.facts import Facts

_CALLS = {
    "relu": "nnx.relu({})",
    "zeros": "jnp.zeros_like({})",
    "shifted": "{}[:, 1:, 1:]",
    "avg_pool2x2": "nnx.avg_pool({}, (2, 2), (2, 2))",
    "max_pool2x2": "nnx.max_pool({}, (2, 2), (2, 2))",
    "max_pool2x2_padded": "nnx.max_pool({}, (2, 2), (2, 2), ((1, 1), (1, 1)))",
    "mean": "jnp.mean({}, axis=(1, 2))",
}
_POOLS = {
    "avg_pool3x3": "avg_pool3x3({}{})",
    **{f"max_pool{size}x{size}": f"max_pool({{}}, {size}{{}})" for size in (3, 5, 7)},
}  # by value and, where it is not 1, stride
_WEIGHTY = ("conv", "depthwise", "norm", "relu", "pixels", *_POOLS)
_WIDTH = 90  # of a line
_LONG = 56  # of an expression that gets a line of its own
_ABOUT = {
    "Stem": "First layers, at the full size of the images.",
    "Cell": "Cell of the architecture.",
    "Block": "Block of a stage.",
    "Inverted": "Inverted residual block: wide between its first and its last layer.",
    "Reduction": "Block that halves the image.",
    "Pool": "Maximum of 2x2 pixels, between stacks.",
    "Head": "Classifier of the mean over pixels.",
}


class _Kind(NamedTuple):
    """Class of blocks that differ in their widths alone.

    Attributes:
        name: of the class.
        block: the first of them.
        widths: of each value of a block, in the words of the class: a number or an argument.
        arguments: names of the arguments, each with the width that it has in every block.
    """

    name: str
    block: Block
    widths: dict[str, str]
    arguments: dict[str, list[int]]


def text(plain: Plain, facts: Facts, title: str) -> str:
    """Python file of the network; `title` says in one line what it is."""
    frame = resources.files("jnas.networks.export").joinpath("model_frame.py.txt").read_text()
    kinds = _kinds(plain.blocks)
    parts = {
        # It stands in a docstring, and a space may be called anything.
        "TITLE": title.replace("\\", "/").replace('"""', "'"),
        "DTYPE": facts.dtype,
        "CONSTANTS": _constants(facts),
        "CLASSES": "\n\n\n".join(_class(kind) for kind, _ in kinds),
        "BLOCKS": "\n".join(_blocks(plain.blocks, kinds)),
        "CALLS": "\n".join(f"        {line}" for line in _calls(plain.blocks)),
    }
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], frame)


def _calls(blocks: Sequence[Block]) -> list[str]:
    """Lines that compute the blocks, one after the other."""
    lines: list[str] = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if block.before:
            lines.append(f"before, x = x, self.{block.name}(x, before)")
        else:
            lines.append(f"x = self.{block.name}(x)")
            lines += ["before = x"] if after is not None and after.before else []
    return lines


def variables(plain: Plain) -> dict[str, np.ndarray]:
    """Arrays by the names of the module: "cell1.edge0to1_conv.kernel"."""
    return {
        f"{block.name}.{step.name}.{'kernel' if name == 'conv' else name}": array
        for block in plain.blocks
        for step in block.steps
        for name, array in step.weights.items()
    }


def _constants(facts: Facts) -> str:
    """Assignments of what the images are to be."""
    values = {
        "CLASSES": tuple(facts.classes),
        "SIZE": tuple(facts.size),
        "CHANNELS": len(facts.mean),
        "SCALE": float(facts.scale),
        "MEAN": tuple(float(value) for value in facts.mean),
        "STD": tuple(float(value) for value in facts.std),
    }
    return "\n".join(
        f"{name} = {pprint.pformat(value, width=_WIDTH - 12, compact=True)}"
        for name, value in values.items()
    )


def _kinds(blocks: Sequence[Block]) -> list[tuple[_Kind, list[Block]]]:
    """Classes of the network, each with its blocks, in the order in which they come up."""
    # Blocks that differ in their widths alone share a class, so that a change is made once.
    groups: dict[object, list[Block]] = {}
    for block in blocks:
        groups.setdefault(_structure(block), []).append(block)
    kinds, seen = [], dict[str, int]()
    for group in groups.values():
        kind = group[0].kind
        seen[kind] = seen.get(kind, 0) + 1
        name = kind if seen[kind] == 1 else f"{kind}{seen[kind]}"
        kinds.append((_kind(name, group), group))
    return kinds


def _structure(block: Block) -> object:
    """What blocks of one class have in common: all but widths."""
    steps = tuple(
        (step[:3], step.stride, step.dilation, step.groups, _sizes(step)) for step in block.steps
    )
    return block.kind, steps, block.output, block.before > 0


def _sizes(step: Step) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names of the weights of a step; for convolutions with the size of their window."""
    found = sorted(step.weights.items())
    return tuple((name, value.shape[:2] if name == "conv" else ()) for name, value in found)


def _kind(name: str, group: list[Block]) -> _Kind:
    """Class of a group of blocks; widths that are equal in each of them are one argument."""
    values = [INPUT, BEFORE, *(step.name for step in group[0].steps)]
    rows = [
        [block.channels, block.before, *(step.channels for step in block.steps)] for block in group
    ]
    columns = dict(zip(values, zip(*rows, strict=True), strict=True))
    of_input, of_output = columns[INPUT], columns[group[0].output]
    names = {of_input: "c_in"} | {of_output: "width" if of_input == of_output else "c_out"}
    for value, column in columns.items():
        names.setdefault(column, _argument(value))
    # One width in all blocks is a number of the class.
    fixed = {column: str(column[0]) for column in names if len(set(column)) == 1}
    widths = {value: (names | fixed)[column] for value, column in columns.items()}
    used = [column for column in names if column not in fixed and column in _asked(group, columns)]
    return _Kind(name, group[0], widths, {names[column]: list(column) for column in used})


def _argument(value: str) -> str:
    """Name for the width of a value that is neither input nor output: that of vertex 3 is c3."""
    if value == BEFORE:
        return "c_before"
    number = re.search(r"[0-9]+$", value.removesuffix("_conv"))
    return f"c{number[0]}" if number else f"c_{value}"


def _asked(group: list[Block], columns: dict[str, tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Widths that the layers of a block are made with."""
    steps = [step for step in group[0].steps if step.weights or step.operation == "first"]
    return {columns[name] for step in steps for name in (step.name, step.inputs[0])}


def _class(kind: _Kind) -> str:
    """Text of a class."""
    made = [line for step in kind.block.steps for line in _made(step, kind.widths)]
    lines = [
        f"class {kind.name}(nnx.Module):",
        f'    """{_ABOUT[kind.block.kind]}"""',
        "",
        *_signature(kind.arguments),
        *(f"        {line}" for line in made or ["del rngs"]),
        "",
        f"    def __call__(self, {INPUT}{f', {BEFORE}' if kind.block.before else ''}):",
        *(f"        {line}" for line in _statements(kind.block)),
    ]
    return "\n".join(lines)


def _signature(arguments: Iterable[str]) -> list[str]:
    """Lines of the head of a class's constructor."""
    words = ["self", *(f"{name}: int" for name in arguments), "*", "rngs: nnx.Rngs"]
    line = f"    def __init__({', '.join(words)}):"
    if len(line) <= _WIDTH:
        return [line]
    return ["    def __init__(", *(f"        {word}," for word in words), "    ):"]


def _made(step: Step, widths: dict[str, str]) -> list[str]:
    """Lines that make the layer of a step, if it has one."""
    c_in, c_out = widths[step.inputs[0]], widths[step.name]
    match step.operation:
        case "conv":
            more = f", groups={step.groups}" if step.groups > 1 else ""
            more += ", bias=True" if "bias" in step.weights else ""
            words = f"{c_in}, {c_out}, {_window(step)}{more}"
            return [f"self.{step.name} = conv({words}, rngs=rngs)"]
        case "depthwise":
            more = f", dilation={step.dilation}" if step.dilation > 1 else ""
            return [f"self.{step.name} = depthwise({c_in}, {_window(step)}{more}, rngs=rngs)"]
        case "norm":
            more = "" if "scale" in step.weights else ", affine=False"
            return [f"self.{step.name} = norm({c_out}{more}, rngs=rngs)"]
        case "dense":
            # Dropout is there for those who train further; DROPOUT is 0 until they change it.
            return [
                "self.dropout = nnx.Dropout(DROPOUT, rngs=rngs)",
                f"self.{step.name} = nnx.Linear({c_in}, {c_out}, rngs=rngs)",
            ]
        case "first":
            return [f"self.c_{step.name} = {c_out}"]
    return []


def _window(step: Step) -> str:
    """Arguments for the window of a convolution, and for its stride where that is not 1."""
    size, stride = _short(step.weights["conv"].shape[:2]), _short(step.stride)
    return size if stride == "1" else f"{size}, stride={stride}"


def _short(pair: tuple[int, ...]) -> str:
    """Numbers of rows and columns, one number where they are equal."""
    return f"{pair[0] if pair[0] == pair[1] else pair}"


def _statements(block: Block) -> list[str]:
    """Lines that compute a block; a value that is read once stands where it is read."""
    uses = [name for step in block.steps for name in step.inputs]
    # Sums, and the layers that they sum, have lines of their own.
    sums = [step for step in block.steps if step.operation in ("add", "concat")]
    weighty = {step.name for step in block.steps if step.operation in _WEIGHTY}
    apart = {step.name for step in sums} | {x for step in sums for x in step.inputs if x in weighty}
    words, lines = {INPUT: INPUT, BEFORE: BEFORE}, list[str]()
    for step in block.steps:
        expression = _expression(step, [words[name] for name in step.inputs])
        if step.name == block.output:
            return [*lines, f"return {expression}"]
        if uses.count(step.name) == 1 and step.name not in apart and len(expression) < _LONG:
            words[step.name] = expression
        else:
            lines.append(f"{step.name} = {expression}")
            words[step.name] = step.name
    return [*lines, f"return {words[block.output]}"]


def _expression(step: Step, inputs: list[str]) -> str:
    """Expression of a step, given those of its inputs."""
    match step.operation:
        case name if name in _POOLS:
            stride = _short(step.stride)
            return _POOLS[name].format(inputs[0], "" if stride == "1" else f", {stride}")
        case "pixels":
            rows, columns = step.stride
            return f"{inputs[0]}[:, ::{rows}, ::{columns}]"
        case "conv" | "depthwise" | "norm":
            return f"self.{step.name}({inputs[0]})"
        case "dense":
            return f"self.{step.name}(self.dropout({inputs[0]}))"
        case "add":
            return " + ".join(inputs)
        case "concat":
            return f"jnp.concatenate([{', '.join(inputs)}], axis=-1)"
        case "first":
            return f"{inputs[0]}[..., : self.c_{step.name}]"
    return _CALLS[step.operation].format(inputs[0])


def _blocks(blocks: Sequence[Block], kinds: list[tuple[_Kind, list[Block]]]) -> list[str]:
    """Lines that make the blocks of the network."""
    # Collected by name, for blocks of one class need not be neighbours.
    made = {}
    for kind, group in kinds:
        for number, block in enumerate(group):
            widths = "".join(f"{column[number]}, " for column in kind.arguments.values())
            made[block.name] = f"        self.{block.name} = {kind.name}({widths}rngs=rngs)"
    return [made[block.name] for block in blocks]
