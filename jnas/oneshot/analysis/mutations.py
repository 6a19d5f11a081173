"""Biases by operation: what a score says of a mutation, beside what the true accuracy says.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
figure 12: over all pairs of architectures that differ in one operation, how often the accuracy
rises when an operation is replaced by another one, and how often its estimate does; and, for sets
with few such pairs, a regression of the rank difference on the numbers of operations. Host only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jnas import metrics
from jnas.oneshot.analysis.rows import complete


class Mutations(NamedTuple):
    """All pairs of architectures that differ in one choice, each in one direction.

    Attributes:
        one, two: `[P]` int64, rows of the two architectures; `old < new`.
        old, new: `[P]` int64, the choice of either at the position where they differ.
        position: `[P]` int64, that position.
    """

    one: np.ndarray
    two: np.ndarray
    old: np.ndarray
    new: np.ndarray
    position: np.ndarray


class MutationTable(NamedTuple):
    """Effects of replacing operation `a` (row) by `b` (column), of `O` operations.

    Attributes:
        pairs: `[O, O]` int64, how many there are.
        score_up, truth_up: `[..., O, O]` and `[O, O]` float64, share of them in which the score and
            the true accuracy rise; NaN without pairs. A tie is no rise.
        score_change, truth_change: `[..., O, O]` and `[O, O]` float64, mean change of the ascending
            rank, divided by N.
    """

    pairs: np.ndarray
    score_up: np.ndarray
    truth_up: np.ndarray
    score_change: np.ndarray
    truth_change: np.ndarray

    @property
    def bias(self) -> np.ndarray:
        """`[..., O, O]`, by how much more the score's rank changes than the true one."""
        bias: np.ndarray = self.score_change - self.truth_change
        return bias


class OperationBias(NamedTuple):
    """By how much one more of each operation raises the rank difference.

    Attributes:
        bias: `[..., O]` float64, in shares of the ranking; what `bias[b] − bias[a]` says is the
            change where an operation `a` is replaced by `b`.
        covariance: `[..., O, O]` float64, of the estimates.
    """

    bias: np.ndarray
    covariance: np.ndarray

    def replacing(self, old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
        """Change of the rank difference where `new` replaces `old`, and its standard error."""
        part = self.covariance[..., [old, new], :][..., [old, new]]
        # With the covariance: more of one operation is less of others, so that two biases are never
        # independent.
        variance = part[..., 0, 0] + part[..., 1, 1] - 2 * part[..., 0, 1]
        return self.bias[..., new] - self.bias[..., old], np.sqrt(variance)


def mutations(archs: ArrayLike, positions: Sequence[int] | None = None) -> Mutations:
    """`Mutations` among `archs [N, D]`: pairs that differ at one of the positions alone.

    Args:
        archs: integers `[N, D]`. Of equal rows each one takes part.
        positions: those that may differ, all of them where it is None.

    Raises:
        ValueError: `archs` are not integers `[N, D]`, or a position is outside 0 … D − 1.
    """
    table = np.asarray(archs)
    if table.ndim != 2 or table.dtype.kind not in "iub":
        raise ValueError(f"archs must be integers [N, D], got {table.dtype} {list(table.shape)}.")
    places = range(table.shape[1]) if positions is None else positions
    for place in places:
        if not 0 <= place < table.shape[1]:
            raise ValueError(f"positions must be in 0 … {table.shape[1] - 1}, got {place}.")
    # Position by position: all pairs of a space of 15,625 at once would be 10⁸.
    found = [_at(table.astype(np.int64), place) for place in places]
    columns = zip(*found, strict=True) if found else [[np.zeros(0, np.int64)]] * 5
    return Mutations(*(np.concatenate(list(column)) for column in columns))


def mutation_table(
    pairs: Mutations, scores: ArrayLike, truth: ArrayLike, num_operations: int
) -> MutationTable:
    """`MutationTable` of the rankings by `scores [..., N]`.

    Pairs of which one lacks a score or a truth are left out.

    Raises:
        ValueError: a choice of the pairs is not below `num_operations`, or a row not among the N
            architectures; and as for `criteria`.
    """
    rows = complete(scores, truth)
    if rows.truth.ndim != 1:
        raise ValueError(f"a mutation table needs one truth [N], got {rows.truth.shape}.")
    _refuse_others(pairs, rows.kept.size, num_operations)
    # The pairs are of all rows, and scores of those that are left: numbers have to be moved.
    usable = rows.kept[pairs.one] & rows.kept[pairs.two]
    place = np.cumsum(rows.kept) - 1
    one, two = place[pairs.one[usable]], place[pairs.two[usable]]
    # One number a cell of the table, so that `bincount` adds up millions of pairs without a loop.
    cells = pairs.old[usable] * num_operations + pairs.new[usable]
    num = num_operations**2
    count = _both_ways(np.bincount(cells, minlength=num), num_operations, 1)
    flat = rows.scores.reshape(-1, rows.scores.shape[-1])
    shape = (*rows.scores.shape[:-1], num_operations, num_operations)
    effects = [_effects(values, one, two, cells, count) for values in (*flat, rows.truth)]
    ups, changes = (np.stack(column) for column in zip(*effects, strict=True))
    return MutationTable(
        count, ups[:-1].reshape(shape), ups[-1], changes[:-1].reshape(shape), changes[-1]
    )


def operation_bias(counts: ArrayLike, scores: ArrayLike, truth: ArrayLike) -> OperationBias:
    """`OperationBias` of the rankings by `scores [..., N]`, by least squares over all of them.

    Where few pairs differ in one operation alone, this uses every architecture. Counts that always
    add up to the same number leave the biases free by a constant; these add up to 0.

    Args:
        counts: `[N, O]`, how often each architecture has each operation.
        scores: `[..., N]`.
        truth: `[N]`.

    Raises:
        ValueError: `counts` are not `[N, O]` numbers, all architectures have the same ones, or
            there are not more architectures than operations; and as for `criteria`.
    """
    rows, table = complete(scores, truth), np.asarray(counts, np.float64)
    if table.ndim != 2 or len(table) != rows.kept.size or rows.truth.ndim != 1:
        raise ValueError(
            f"counts must be [N, O] and truth [N], N = {rows.kept.size}; got {list(table.shape)} "
            f"and {list(rows.truth.shape)}."
        )
    # Centred in place of a column of ones, which counts that always add up to one number would
    # already contain.
    centred = table[rows.kept] - table[rows.kept].mean(axis=0)
    num, rank = len(centred), int(np.linalg.matrix_rank(centred))
    if not rank or num <= rank + 1:
        raise ValueError(
            f"{num} architectures with {rank} independent counts of operations tell no bias."
        )
    # Of several solutions the pseudo-inverse takes the shortest: where counts add up to one number,
    # that whose biases add up to 0.
    inverse = np.linalg.pinv(centred)
    shape = rows.scores.shape[:-1]
    flat = rows.scores.reshape(-1, num)
    difference = np.stack(
        [np.asarray(metrics.rank_difference(row, rows.truth), np.float64) for row in flat]
    )
    bias = difference @ inverse.T
    # Rank differences have the mean 0 over all architectures, so that they need no centring.
    rest = difference - bias @ centred.T
    # The mean has taken a degree of freedom too.
    variance = (rest**2).sum(axis=1) / (num - rank - 1)
    covariance = variance[:, None, None] * (inverse @ inverse.T)
    size = table.shape[1]
    return OperationBias(bias.reshape(*shape, size), covariance.reshape(*shape, size, size))


def _refuse_others(pairs: Mutations, num: int, num_operations: int) -> None:
    """ValueError for pairs of other architectures or of more operations."""
    if len(pairs.one) and max(pairs.one.max(), pairs.two.max()) >= num:
        raise ValueError(f"the pairs are of more than the N = {num} architectures with scores.")
    if len(pairs.new) and pairs.new.max() >= num_operations:
        raise ValueError(
            f"the pairs have operation {pairs.new.max()}, and num_operations is {num_operations}."
        )


def _at(table: np.ndarray, place: int) -> tuple[np.ndarray, ...]:
    """Columns of `Mutations` of the pairs that differ at one place alone."""
    # Rows that are equal but for this place are one group, found by a sort: comparing all pairs
    # would take N² D.
    rest = np.delete(table, place, axis=1)
    group = np.unique(rest, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ones, twos = [], []
    for members in np.split(order, starts[1:]):
        first, second = np.triu_indices(len(members), 1)
        ones.append(members[first])
        twos.append(members[second])
    one, two = np.concatenate(ones), np.concatenate(twos)
    # Rows that are equal all over are no mutation of each other.
    differ = table[one, place] != table[two, place]
    one, two = one[differ], two[differ]
    # One direction of each pair is enough: the other has the same change with the other sign.
    swap = table[one, place] > table[two, place]
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    return one, two, table[one, place], table[two, place], np.full(len(one), place)


def _effects(
    values: np.ndarray, one: np.ndarray, two: np.ndarray, cells: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Share of rises and mean change of the normalised rank, `[O, O]` each, of `values [N]`."""
    # 0 is the highest of `average_ranks`, so that the first minus the second is the rise.
    rank = np.asarray(metrics.average_ranks(values), np.float64) / len(values)
    change = rank[one] - rank[two]
    num = len(count)
    # Falls are counted too and not left as the rest, because a tie is neither.
    up, down, total = (
        np.bincount(cells, weights=part, minlength=num * num)
        for part in ((change > 0).astype(float), (change < 0).astype(float), change)
    )
    with np.errstate(invalid="ignore"):  # no pairs, no share
        up_there = up.reshape(num, num) + down.reshape(num, num).T
        return up_there / count, _both_ways(total, num, -1) / count


def _both_ways(sums: np.ndarray, num: int, sign: int) -> np.ndarray:
    """`[O, O]` of sums over pairs in one direction: the other direction has them with the sign."""
    table = sums.reshape(num, num)
    result: np.ndarray = table + sign * table.T
    return result
