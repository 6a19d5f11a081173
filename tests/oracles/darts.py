"""Pairs of cells as tests write them down: read off texts, relabelled and counted in plain Python.

A cell is a list of nodes, each a list of its two slots (operation, input).
"""

import itertools
import math
import re

Slot = tuple[str, int]
Cell = list[list[Slot]]


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
