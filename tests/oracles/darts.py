"""Pairs of cells as tests write them down: read off texts, relabelled and counted in plain Python.

A cell is a list of nodes, each a list of its two slots (operation, input).
"""

import itertools
import math
import re

Slot = tuple[str, int]
Cell = list[list[Slot]]

NAMES = {
    "skip": "skip_connect",
    "avg": "avg_pool_3x3",
    "max": "max_pool_3x3",
    "c7x1": "conv_7x1_1x7",
    "dilsep3": "dil_sep_conv_3x3",
} | {f"sep{k}": f"sep_conv_{k}x{k}" for k in (3, 5, 7)}
CELLS = {  # published ones, normal and reduction
    "NASNet": (
        "sep5 1, sep3 0 | sep5 0, sep3 0 | avg 1, skip 0 | avg 0, avg 0 | sep3 1, skip 1",
        "sep5 1, sep7 0 | max 1, sep7 0 | avg 1, sep5 0 | skip 3, avg 2 | sep3 2, max 1",
    ),
    "AmoebaNet": (
        "avg 0, max 1 | sep3 0, sep5 2 | sep3 0, avg 3 | sep3 1, skip 1 | skip 0, avg 1",
        "avg 0, sep3 1 | max 0, sep7 2 | sep7 0, avg 1 | max 0, max 1 | c7x1 0, sep3 5",
    ),
    # A record of the study.
    "record": (
        "avg 0, c7x1 1 | sep3 2, sep5 0 | dilsep3 2, dilsep3 2 | skip 4, dilsep3 4 | "
        "c7x1 2, sep3 4",
        "avg 0, dilsep3 1 | sep3 0, sep3 0 | skip 2, sep7 0 | c7x1 4, skip 4 | c7x1 0, c7x1 5",
    ),
    "PNASNet": ("sep5 0, max 0 | sep7 1, max 1 | sep5 1, sep3 1 | sep3 4, max 1 | sep3 0, skip 1",)
    * 2,
    "aw_nas": (
        "sep5 0, skip 1 | max 2, sep3 0 | skip 2, sep3 2 | sep3 4, max 1 | sep3 3, sep3 5",
        "skip 0, sep5 0 | skip 1, sep3 0 | sep3 1, sep5 0 | skip 3, avg 4 | avg 2, max 0",
    ),
} | {f"all {op}": (" | ".join([f"{op} 0, {op} 1"] * 5),) * 2 for op in ("sep3", "skip", "max")}


def cells_of(text: str) -> tuple[Cell, Cell]:
    """The normal and the reduction cell of a genotype."""
    lists = re.findall(r"(?:normal|reduce)=\[(.*?)\]", text)
    assert len(lists) == 2
    pairs = [[(op, int(n)) for op, n in re.findall(r"'(\w+)', (\d)", part)] for part in lists]
    normal, reduce = ([row[i : i + 2] for i in range(0, len(row), 2)] for row in pairs)
    return normal, reduce


def text_of(normal: Cell, reduce: Cell, *, loose: bool = False, more: str = "") -> str:
    """The genotype as it is printed."""
    parts = []
    for word, cell in (("normal", normal), ("reduce", reduce)):
        parts.append(f"{word}={[slot for node in cell for slot in node]}")
        parts.append(f"{word}_concat={outputs(cell, loose)}")
    return f"Genotype({', '.join(parts)}{more})"


def outputs(cell: Cell, loose: bool) -> list[int]:
    """The nodes that are concatenated."""
    read = {source for node in cell for _, source in node} if loose else set()
    return [node for node in range(2, len(cell) + 2) if node not in read]


def relabellings(cell: Cell) -> list[Cell]:
    """The same cell with its nodes in every order in which each comes after those it reads."""
    found = []
    for order in itertools.permutations(range(len(cell))):
        place = {0: 0, 1: 1} | {old + 2: new + 2 for new, old in enumerate(order)}
        rows = [[(op, place[source]) for op, source in cell[old]] for old in order]
        if all(source < node + 2 for node, row in enumerate(rows) for _, source in row):
            found.append(rows)
    return found


def canonical(cell: Cell) -> tuple:
    """The first of all relabellings with sorted slots: equal for isomorphic cells alone."""
    return min(tuple(tuple(sorted(node)) for node in rows) for rows in relabellings(cell))


def number(cell: Cell, operations: tuple[str, ...], *, repeats: bool) -> list[int]:
    """The number of the slots of each node, their order aside."""
    numbers = []
    for node in cell:
        (low, first), (high, second) = sorted((n, operations.index(op)) for op, n in node)
        if repeats:
            small, large = low * len(operations) + first, high * len(operations) + second
            numbers.append(math.comb(large + 1, 2) + small)
        else:
            numbers.append(
                (math.comb(high, 2) + low) * len(operations) ** 2 + first * len(operations) + second
            )
    return numbers


def short(text: str, names: dict[str, str]) -> Cell:
    """A cell from `sep3 0, skip 1 | …`."""
    nodes = [[slot.split() for slot in node.split(",")] for node in text.split("|")]
    return [[(names[op], int(source)) for op, source in node] for node in nodes]
