"""Other published forms of cells, from and to vectors: matrices, genotypes, tuples, configurations.

NAS-Bench-201's are those of its authors' API, and of their training code:
https://github.com/D-X-Y/NAS-Bench-201. NASLib's are what it calls the hash of an architecture:
Ruchte, Zela, Siems, Grabocka and Hutter, https://github.com/automl/NASLib. NAS-Bench-101's matrices
with lists of operations are `nasbench101_from_matrix` and `nasbench101_to_matrix`. Configurations
of NAS-Bench-301 are those of its ConfigSpace: https://github.com/automl/nasbench301.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jax.typing import ArrayLike

from jnas.spaces import _common
from jnas.spaces._darts_cells import checked_slots
from jnas.spaces._darts_genotypes import WORDS
from jnas.spaces.darts import NASBENCH301, nasbench301
from jnas.spaces.nasbench101 import from_matrix, to_matrix
from jnas.spaces.nasbench201 import EDGES, OPERATIONS, checked_cell, from_string
from jnas.types import Arch

Genotype: TypeAlias = tuple[tuple[tuple[str, int], ...], ...]
"""Inputs of the nodes 1, 2 and 3 of a cell: pairs of an operation and the node that it reads."""

# The numbers of the operations in NASLib, by their published names.
_NASLIB_201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NASLIB_101 = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
# NASLib goes through the edges by source, NAS-Bench-201's vectors by target.
_NASLIB_EDGES = tuple(sorted(EDGES))
_CELL_201 = "not a NAS-Bench-201"
_CELL_301 = "not a NAS-Bench-301 configuration"
_KEY_301 = "NetworkSelectorDatasetInfo:darts:"


def nasbench201_to_matrix(arch: ArrayLike) -> np.ndarray:
    """Matrix `[4, 4]` int32 of a NAS-Bench-201 cell, as the authors' `str2matrix` has it.

    Entry `[j, i]` is the operation of the edge from node `i` to node `j`, its place in
    `edge_operations` of the space; all others are 0. ValueError for an invalid vector.
    """
    matrix = np.zeros((4, 4), np.int32)
    for (source, target), op in zip(EDGES, _checked(arch), strict=True):
        matrix[target, source] = op
    return matrix


def nasbench201_from_matrix(matrix: ArrayLike) -> Arch:
    """`[6]` int32 from a matrix `[4, 4]` as `nasbench201_to_matrix` makes it.

    Raises:
        ValueError: the shape, an entry of the lower triangle, or one outside of it is wrong.
    """
    found = np.asarray(matrix)
    num = len(OPERATIONS)
    if found.shape != (4, 4) or not np.isin(found, range(num)).all():
        raise ValueError(
            f"{_CELL_201} matrix: needs [4, 4] integers from 0 to {num - 1}; got shape "
            f"{found.shape} with entries {np.unique(found).tolist()[:10]}"
        )
    # Told, not dropped: a matrix that was transposed would else be the empty cell.
    if np.any(np.triu(found)):
        raise ValueError(
            f"{_CELL_201} matrix: entry [j, i] is the edge from i to j, so that only those below "
            "the diagonal may differ from 0"
        )
    return _common.as_vector([int(found[target, source]) for source, target in EDGES])


def nasbench201_to_genotype(arch: ArrayLike) -> Genotype:
    """Genotype of a NAS-Bench-201 cell, such as `((("none", 0),), (("skip_connect", 0), …), …)`.

    It is what the authors' `str2lists` gives and their `Structure` is made from: for each of the
    nodes 1, 2 and 3 its operations with their sources, 0 first. ValueError for an invalid vector.
    """
    named = list(zip(EDGES, _checked(arch), strict=True))
    return tuple(
        tuple((OPERATIONS[op], source) for (source, end), op in named if end == target)
        for target in (1, 2, 3)
    )


def nasbench201_from_genotype(genotype: Sequence[Sequence[tuple[str, int]]]) -> Arch:
    """`[6]` int32 from a genotype; pairs come in any order, and edges without one are "none".

    Raises:
        ValueError: there are not three nodes, or an edge stands twice, does not exist or has an
            unknown operation.
    """
    if len(genotype) != 3:
        raise ValueError(
            f"{_CELL_201} genotype: needs the inputs of 3 nodes, got {len(genotype)} nodes"
        )
    # An edge that nothing names carries nothing.
    names = dict.fromkeys(EDGES, "none")
    seen = set()
    for target, inputs in enumerate(genotype, start=1):
        for name, source in inputs:
            edge = int(source), target
            if edge not in names or edge in seen:
                why = "stands twice" if edge in seen else "does not exist"
                raise ValueError(f"{_CELL_201} genotype: edge {source}→{target} {why}")
            seen.add(edge)
            names[edge] = name
    # Operations are checked, and named in messages, by what reads the official text.
    words = [f"{names[edge]}~{edge[0]}" for edge in EDGES]
    return from_string(f"|{words[0]}|+|{'|'.join(words[1:3])}|+|{'|'.join(words[3:])}|")


def nasbench201_to_naslib(arch: ArrayLike) -> tuple[int, ...]:
    """NASLib's six numbers of a NAS-Bench-201 cell; ValueError for an invalid vector.

    They are for the edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3: 0 is skip_connect, 1 none, 2 nor_conv_3x3,
    3 nor_conv_1x1 and 4 avg_pool_3x3.
    """
    ops = dict(zip(EDGES, _checked(arch), strict=True))
    return tuple(_NASLIB_201.index(OPERATIONS[ops[edge]]) for edge in _NASLIB_EDGES)


def nasbench201_from_naslib(numbers: Sequence[int]) -> Arch:
    """`[6]` int32 from NASLib's six numbers; see `nasbench201_to_naslib`.

    Raises:
        ValueError: there are not six, or one is not in 0 … 4.
    """
    if len(numbers) != 6 or not np.isin(numbers, range(len(_NASLIB_201))).all():
        raise ValueError(
            f"not NASLib's tuple of a NAS-Bench-201 cell: {tuple(numbers)}; needs 6 integers from "
            "0 to 4"
        )
    names = dict(zip(_NASLIB_EDGES, (_NASLIB_201[int(n)] for n in numbers), strict=True))
    return _common.as_vector([OPERATIONS.index(names[edge]) for edge in EDGES])


def nasbench101_to_naslib(arch: ArrayLike) -> tuple[int, ...]:
    """NASLib's tuple of a NAS-Bench-101 cell of `V` vertices, pruned: `V² + V` numbers.

    First the adjacency matrix row by row, then an operation for each vertex: 0 is the input, 1 the
    output, 2 maxpool3x3, 3 conv1x1-bn-relu and 4 conv3x3-bn-relu.

    Raises:
        ValueError: as for `nasbench101_to_matrix`.
    """
    matrix, names = to_matrix(np.asarray(arch))
    return *map(int, matrix.ravel()), *map(_NASLIB_101.index, names)


def nasbench101_from_naslib(numbers: Sequence[int]) -> Arch:
    """`[26]` int32 from NASLib's tuple; see `nasbench101_to_naslib`.

    Raises:
        ValueError: the length is not `V² + V`, an operation is not in 0 … 4, or as for
            `nasbench101_from_matrix`.
    """
    # V² + V lies below (V + 1)², so that V is its root, rounded down.
    num = math.isqrt(len(numbers))
    ops = list(numbers[num * num :])
    if len(numbers) != num * num + num or not np.isin(ops, range(len(_NASLIB_101))).all():
        raise ValueError(
            "not NASLib's tuple of a NAS-Bench-101 cell: needs V² + V integers, the last V from 0 "
            f"to 4; got {tuple(numbers)}"
        )
    matrix = np.asarray(numbers[: num * num]).reshape(num, num)
    return from_matrix(matrix, [_NASLIB_101[int(op)] for op in ops])


def nasbench301_to_config(arch: ArrayLike) -> dict[str, str]:
    """Configuration of a NAS-Bench-301 vector, as its surrogates and result files have them.

    Of both cells, `…inputs_node_normal_3` is the two inputs of a node, as in "0_2" (node 2 has no
    choice), and `…edge_normal_0` the operation of an edge; edges are counted by node, then input.
    ValueError for an invalid vector.
    """
    config, cells = {}, checked_slots(NASBENCH301, arch)[1]
    for word, sources, ops in zip(WORDS, *map(np.asarray, cells), strict=True):
        for node, inputs in enumerate(sources.tolist(), start=2):
            if node > 2:
                config[f"{_KEY_301}inputs_node_{word}_{node}"] = "_".join(map(str, inputs))
            for source, op in zip(inputs, ops[node - 2], strict=True):
                config[_edge_301(word, node, source)] = NASBENCH301.operations[op]
    return config


def nasbench301_from_config(config: Mapping[str, object]) -> Arch:
    """`[22]` int32 from a configuration, as `nasbench301_to_config` makes it.

    Keys of anything but cells (optimiser, augmentation) do not count.

    Raises:
        ValueError: inputs or an operation are missing or unknown, or an edge has one that its node
            does not read.
    """
    named = {key: value for key, value in config.items() if value is not None}
    fields = []
    for word in WORDS:
        pairs = [
            (str(_take_301(named, _edge_301(word, node, source))), source)
            for node in range(2, 6)
            for source in _inputs_301(named, word, node)
        ]
        fields.append(f"{word}={pairs}")
    if left := [key for key in named if re.match(f"{_KEY_301}(edge|inputs)_", key)]:
        raise ValueError(f"{_CELL_301}: it has {left[0]!r}, which none of its nodes reads")
    # Operations are checked, and named in messages, by what reads the text.
    return nasbench301().from_string(f"Genotype({', '.join(fields)})")


def _edge_301(word: str, node: int, source: int) -> str:
    """Key of the edge from `source` to `node`: those into a node are numbered on."""
    return f"{_KEY_301}edge_{word}_{math.comb(node, 2) - 1 + source}"


def _inputs_301(named: dict[str, object], word: str, node: int) -> tuple[int, int]:
    """The two inputs of a node, whose key is taken out; ValueError where they are none."""
    key = f"{_KEY_301}inputs_node_{word}_{node}"
    text = "0_1" if node == 2 else str(_take_301(named, key))
    found = re.fullmatch(r"(\d)_(\d)", text)
    if not found or not int(found[1]) < int(found[2]) < node:
        raise ValueError(f"{_CELL_301}: {key!r} is {text!r}; needs a_b with a < b < {node}")
    return int(found[1]), int(found[2])


def _take_301(named: dict[str, object], key: str) -> object:
    """Value of a key, which is taken out; ValueError where it is missing."""
    if key not in named:
        raise ValueError(f"{_CELL_301}: it lacks {key!r}")
    return named.pop(key)


def _checked(arch: ArrayLike) -> list[int]:
    """Six operations of a NAS-Bench-201 vector; ValueError for an invalid one."""
    ops: list[int] = checked_cell(arch, "NAS-Bench-201").tolist()
    return ops
