"""Biases by groups of architectures: rank differences, and how well each group is ranked inside.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021,
figure 11 (five groups of FLOPs) and figure 8, right (levels of an accuracy). Host only.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jnas import metrics
from jnas.oneshot.analysis.criteria import comparable
from jnas.oneshot.analysis.rows import complete, floats


class Groups(NamedTuple):
    """Ranking of the architectures of each of `G` groups.

    Attributes:
        rank_difference: `[..., G]` float32, mean of `metrics.rank_difference`: positive where the
            group is overestimated, negative where it is underestimated.
        kendall: `[..., G]` float32, Kendall's tau-b inside the group; NaN where it has one rank.
        size: `[G]` int32, architectures of the group that are ranked.
        left_out: `[]` int32, architectures that have a NaN in any score or truth.
    """

    rank_difference: np.ndarray
    kendall: np.ndarray
    size: np.ndarray
    left_out: np.ndarray


def by_group(scores: ArrayLike, truth: ArrayLike, groups: ArrayLike) -> Groups:
    """`Groups` of the rankings by `scores [..., N]` of `groups [N]`, integers 0 … G − 1.

    Ranks are among all architectures; a group without any that is ranked has NaN.

    Raises:
        ValueError: `groups` are not integers [N] from 0 on; and as for `criteria`.
    """
    rows, member = complete(scores, truth), np.asarray(groups)
    if member.shape != rows.kept.shape or member.dtype.kind not in "iu" or member.min() < 0:
        raise ValueError(
            f"groups must be integers [N] from 0 on, N = {rows.kept.size}, got {member.dtype} "
            f"{list(member.shape)}."
        )
    # Counted before rows are left out, so that a group which loses all of its members keeps its
    # place.
    shape, num_groups = rows.scores.shape[:-1], int(member.max()) + 1
    member = member[rows.kept].astype(np.int32)
    true = np.broadcast_to(rows.truth, rows.scores.shape)
    flat = [comparable(values).reshape(-1, len(member)) for values in (rows.scores, true)]
    masks = member == np.arange(num_groups)[:, None]
    difference, tau = _every_row(*map(jnp.asarray, (*flat, masks)))
    size = masks.sum(axis=1).astype(np.int32)
    return Groups(
        np.asarray(difference).reshape(*shape, num_groups),
        np.asarray(tau).reshape(*shape, num_groups),
        size,
        np.asarray(rows.kept.size - len(member), np.int32),
    )


def quantile_groups(values: ArrayLike, num: int = 5) -> np.ndarray:
    """`[N]` int32, the group 0 … num − 1 of each of `values [N]`; group 0 has the smallest.

    Groups are equally large but for one; values that tie may lie in two of them, in order of
    appearance.

    Raises:
        ValueError: values that are NaN or not `[N]`, or not 1 ≤ num ≤ N.
    """
    array = floats("values", values)
    if array.ndim != 1 or np.isnan(array).any() or not 1 <= num <= len(array):
        raise ValueError(
            f"quantile groups need values [N] without NaN and 1 ≤ num ≤ N, got "
            f"{list(array.shape)} and num = {num}."
        )
    groups = np.empty(len(array), np.int32)
    # By rank and not by thresholds: many architectures have equal FLOPs, and thresholds that fall
    # on them would make groups of very different sizes.
    for place, part in enumerate(np.array_split(np.argsort(array, kind="stable"), num)):
        groups[part] = place
    return groups


def level_groups(values: ArrayLike) -> np.ndarray:
    """`[N]` int32, the level of each of `values [N]`: equal values are one level, 0 the lowest.

    The accuracies on few images are such levels (figure 8, right).
    """
    array = floats("values", values)
    if array.ndim != 1:
        raise ValueError(f"levels need values [N], got {list(array.shape)}.")
    return np.unique(array, return_inverse=True)[1].astype(np.int32)


@jax.jit
def _every_row(order: jax.Array, truth: jax.Array, masks: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean rank difference and tau, `[R, G]` each, of rankings `[R, N]` and masks `[G, N]`."""

    def one(row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        difference = metrics.rank_difference(*row)
        mean = jnp.mean(jnp.broadcast_to(difference, masks.shape), axis=1, where=masks)
        # A tau holds N² comparisons or a sort of all: one group after the other.
        return mean, lax.map(lambda mask: metrics.kendall_tau(*row, where=mask), masks)

    found: tuple[jax.Array, jax.Array] = lax.map(one, (order, truth))
    return found
