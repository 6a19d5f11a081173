"""Cells in plain NumPy: other names of their vertices, and the widths that vertices get."""

import itertools

import numpy as np

import jnas


def relabelled(arch: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Another vector of the same cell of nasbench101, None where there is none.

    Interior vertices come in another order that keeps edges ascending.
    """
    matrix, names = jnas.spaces.nasbench101_to_matrix(arch)
    interior = range(1, len(names) - 1)
    orders = []
    for order in itertools.permutations(interior):
        index = [0, *order, len(names) - 1]
        permuted, ops = matrix[np.ix_(index, index)], [names[v] for v in index]
        if not np.tril(permuted).any() and ((permuted != matrix).any() or ops != names):
            orders.append((permuted, ops))
    if not orders:
        return None
    return np.asarray(jnas.spaces.nasbench101_from_matrix(*orders[rng.integers(len(orders))]))


def channels_of_vertices(matrix: np.ndarray, c_in: int, c_out: int) -> list[int]:
    """The published vertex-channel rule of nasbench101 on an unpadded matrix."""
    num = len(matrix)
    if num == 2:
        return [c_in, c_out]
    feeding = [v for v in range(1, num - 1) if matrix[v, -1]]
    channels = [0] * num
    channels[0], channels[-1] = c_in, c_out
    for place, v in enumerate(feeding):
        channels[v] = c_out // len(feeding) + (place < c_out % len(feeding))
    for v in range(num - 3, 0, -1):
        if not matrix[v, -1]:
            channels[v] = max(channels[w] for w in range(v + 1, num - 1) if matrix[v, w])
    return channels
