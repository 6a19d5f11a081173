"""Text of pairs of cells as the field writes them: `Genotype(normal=[…], normal_concat=[…], …)`.

Each cell is a list of pairs (operation, input), the two slots of a node after each other, as the
code of DARTS prints it, with the nodes of the output beside it. Where an architecture chooses
channels and layers, `width=` and `depth=` follow, as in the files of NDS. What aw_nas prints is
read, too: it names the cells `normal_0` and `reduce_1`, and writes (operation, input, node). A
record of NDS, the `net` of a job, is `{"genotype": {…}, "width": …, "depth": …}` of the same lists.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jnas.engine.messages import nearest
from jnas.spaces import _common, _nds_records
from jnas.spaces._darts_cells import (
    Family,
    Slots,
    checked_slots,
    chosen_sizes,
    in_output,
    vector,
)
from jnas.types import Arch

WORDS = ("normal", "reduce")  # the kinds of cell in texts
_SIZES = ("width", "depth")  # channels and layers, in the files of NDS

# Compiled, for a text needs many small operations.
_in_output = jax.jit(in_output, static_argnums=0)
_vector = jax.jit(vector, static_argnums=0)


class _Cell(NamedTuple):
    """Inputs and operations of the slots of a cell, node by node, `[M, 2]` each."""

    sources: list[list[int]]
    ops: list[list[int]]


def form(family: Family) -> str:
    """Regular expression that the texts of a family match."""
    pair = rf"\(\s*['\"]({'|'.join(family.operations)})['\"]\s*,[\s\d,]*\)"
    cell = rf"\[\s*({pair}[\s,]*){{{2 * family.num_nodes}}}\]"
    normal, reduce = (rf"{word}(_\d)?\s*=\s*{cell}" for word in WORDS)
    nodes = r"[\s,]*".join(map(str, range(2, family.num_nodes + 2)))
    nodes = r"[\d\s,]*" if family.loose else rf"\s*{nodes}\s*"
    output = rf"(\s*,\s*\w+_concat\s*=\s*(\[{nodes}\]|range\([\d\s,]*\)))*"
    sizes = "".join(rf"\s*,\s*{word}\s*=\s*\d+" for word, _ in _free_words(family))
    return rf"(?s)\w*Genotype\(\s*{normal}{output}\s*,\s*{reduce}{output}{sizes}\s*\)"


def to_string(arch: Arch | np.ndarray, *, family: Family) -> str:
    """Text of the genotype; ValueError for an invalid vector."""
    found = _written(arch, family)
    words = [f"{word}={found[word]}" for word in found if word not in _SIZES]
    words += [f"{word}={found[word]}" for word, _ in _free_words(family)]
    return f"Genotype({', '.join(words)})"


def from_string(text: str, *, family: Family) -> Arch:
    """`[D]` int32 from the text of a genotype, or from the JSON of a record of NDS.

    Raises:
        ValueError: it is neither; the message says what is wrong.
    """
    if text.strip().startswith("{"):
        return _common.as_vector(from_record(_nds_records.parsed(text), family).tolist())
    return _read(family, _fields(family, text))


def to_record(arch: Arch | np.ndarray, family: Family) -> dict[str, Any]:
    """Record as NDS publishes it, of an architecture `[D]`; ValueError for an invalid vector."""
    found = _written(arch, family)
    sizes = {word: found.pop(word) for word in _SIZES}
    # Lists and no tuples, as JSON reads them back.
    for word in WORDS:
        found[word] = [[*pair] for pair in found[word]]
    return {"genotype": found, **sizes, "aux": False, "drop_prob": 0.0}


def from_record(net: Any, family: Family) -> np.ndarray:
    """`[D]` int32 from a record, whose width and depth must be those that the family has.

    Raises:
        ValueError: it is no record of cells, or of others; the message says what is wrong.
    """
    is_record = isinstance(net, Mapping) and isinstance(net.get("genotype"), Mapping)
    if not is_record or not all(word in net for word in _SIZES):
        raise ValueError(
            f"not a record of cells of NDS: {_short(net)}; it needs genotype, width and depth"
        )
    sizes = {word: net[word] for word in _SIZES}
    return np.asarray(_read(family, {**net["genotype"], **sizes}))


def _written(arch: Arch | np.ndarray, family: Family) -> dict[str, Any]:
    """Fields of a genotype by name, width and depth last; ValueError for an invalid vector."""
    _, cells = checked_slots(family, arch)
    joined, found = np.asarray(_in_output(family, cells)), dict[str, Any]()
    for word, sources, ops, is_joined in zip(WORDS, *map(np.asarray, cells), joined, strict=True):
        pairs = zip(ops.ravel(), sources.ravel().tolist(), strict=True)
        found[word] = [(family.operations[op], source) for op, source in pairs]
        found[f"{word}_concat"] = (np.flatnonzero(is_joined) + 2).tolist()
    return found | dict(zip(_SIZES, chosen_sizes(family, arch), strict=True))


def _read(family: Family, found: Mapping[str, Any]) -> Arch:
    """`[D]` int32 from the fields of a genotype; ValueError names the one that is wrong."""
    cells = [_cell(family, word, found) for word in WORDS]
    for word, cell in zip(WORDS, cells, strict=True):
        _check_output(family, word, cell, found.get(f"{word}_concat"))
    free = [
        _choice(word, values, found.get(word))
        for word, values in zip(_SIZES, (family.channels, family.layers), strict=True)
    ]
    # A size that the family leaves no choice of has no position in the vector.
    both: Any = [np.asarray(part, np.int32) for part in zip(*cells, strict=True)]
    chosen = [number for number, size in free if size > 1]
    arch: Arch = _vector(family, Slots(*both), np.asarray(chosen, np.int32))
    return arch


def _free_words(family: Family) -> list[tuple[str, tuple[int, ...]]]:
    """Words and values of the choices after the cells."""
    both = zip(_SIZES, (family.channels, family.layers), strict=True)
    return [(word, values) for word, values in both if len(values) > 1]


def _fields(family: Family, text: str) -> Mapping[str, Any]:
    """Values of the text by their names, without the numbers that aw_nas gives to cells."""
    names = [name for word in WORDS for name in (word, f"{word}_concat")]
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not _name(call).endswith("Genotype"):
            raise ValueError("no genotype")
        found = {re.sub(r"_\d", "", word.arg or ""): _value(word.value) for word in call.keywords}
        # Two numbered cells of one kind would otherwise become one unnoticed.
        if len(found) < len(call.keywords):
            raise ValueError("a field stands twice")
    # What Python says of texts of another kind, deeply nested ones, and huge numbers.
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as why:
        raise ValueError(
            f"not a {family.name} architecture: {_short(text)}; the form is "
            f"Genotype({', '.join(f'{name}=[…]' for name in names)})"
        ) from why
    for name in found:
        if name not in (*names, *_SIZES):
            raise ValueError(
                f"unknown field {name!r} in {_short(text)}. {nearest(name, [*names, *_SIZES])}"
            )
    return found


def _name(call: ast.Call) -> str:
    """Name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _value(node: ast.expr) -> Any:
    """Value of a literal, or numbers of a `range`; ValueError for anything else."""
    if isinstance(node, ast.Call) and _name(node) == "range":
        first, last = (int(ast.literal_eval(each)) for each in node.args)
        # Short, whatever a text says.
        return [*range(first, min(last, first + 100))]
    return ast.literal_eval(node)


def _short(value: Any) -> str:
    """Value for a message."""
    if isinstance(value, str):
        return repr(value if len(value) < 200 else f"{value[:200]}…")
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def _cell(family: Family, word: str, found: Mapping[str, Any]) -> _Cell:
    """`_Cell` of one of the lists of pairs; ValueError names the pair that is wrong."""
    pairs, num = found.get(word), 2 * family.num_nodes
    if not isinstance(pairs, list | tuple) or len(pairs) != num:
        got = f"{len(pairs)}" if isinstance(pairs, list | tuple) else _short(pairs)
        raise ValueError(
            f"not a {family.name} architecture: {word} needs {num} pairs (operation, input), two "
            f"for each of {family.num_nodes} nodes; got {got}"
        )
    cell = _Cell([], [])
    for place, pair in enumerate(pairs):
        node = 2 + place // 2
        op, source = _pair(family, word, node, pair)
        if place % 2 == 0:
            cell.sources.append([source])
            cell.ops.append([op])
            continue
        cell.sources[-1].append(source)
        cell.ops[-1].append(op)
        if not family.repeats and len({*cell.sources[-1]}) == 1:
            raise ValueError(
                f"not a {family.name} architecture: node {node} of {word} reads {source} twice; "
                "its two inputs must differ"
            )
    return cell


def _pair(family: Family, word: str, node: int, pair: Any) -> tuple[int, int]:
    """Operation and input of a pair (operation, input), or (operation, input, node)."""
    is_pair = isinstance(pair, list | tuple) and len(pair) in (2, 3)
    if not is_pair or not all(type(value) is int for value in pair[1:]):
        raise ValueError(
            f"not a {family.name} architecture: node {node} of {word} has {_short(pair)}, not a "
            "pair (operation, input)"
        )
    op, source = pair[:2]
    if op not in family.operations:
        raise ValueError(
            f"unknown operation {_short(op)} of node {node} of {word}. "
            f"{nearest(str(op), family.operations)}"
        )
    if tuple(pair[2:]) not in ((), (node,)) or not 0 <= source < node:
        raise ValueError(
            f"not a {family.name} architecture: {_short(pair)} stands where node {node} of {word} "
            f"does, which reads 0 to {node - 1}"
        )
    return family.operations.index(op), source


def _check_output(family: Family, word: str, cell: _Cell, listed: Any) -> None:
    """Check that the nodes of the output are those that the space has in it, where they are listed.

    Their order does not count: it only permutes channels.
    """
    nodes = range(2, family.num_nodes + 2)
    read = {source for sources in cell.sources for source in sources} if family.loose else set()
    expected = [node for node in nodes if node not in read]
    # It may be left out, for it follows from the pairs.
    is_list = isinstance(listed, list | tuple) and len(listed) == len(expected)
    if listed is None or (is_list and all(node in listed for node in expected)):
        return
    why = "those that no other node reads" if family.loose else "all of them"
    raise ValueError(
        f"not a {family.name} architecture: {word}_concat is {_short(listed)}; the nodes of its "
        f"output are {why}, {expected}"
    )


def _choice(word: str, values: tuple[int, ...], given: Any) -> tuple[int, int]:
    """Number of a value of the width or the depth, and of how many; ValueError for another one."""
    if given is None and len(values) == 1:
        return 0, 1
    allowed = ", ".join(map(str, values))
    if given is None:
        raise ValueError(f"not an architecture of this space: it lacks {word}=, one of {allowed}")
    if given not in values:
        raise ValueError(f"unknown {word} {_short(given)}: this space has {allowed}")
    return values.index(given), len(values)
