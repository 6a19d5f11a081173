"""Brackets of successive halving, as Hyperband runs them: tables of what is evaluated when.

Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: A Novel Bandit-Based Approach to
Hyperparameter Optimization", JMLR 18, 2018, https://arxiv.org/abs/1603.06560.
"""

from typing import NamedTuple

import numpy as np

from jnas.search._checks import check_at_least_one


class Schedule(NamedTuple):
    """Schedule of evaluations: brackets one after the other, rung by rung, then from the start.

    Attributes:
        epochs: of each level, ascending.
        brackets: evaluations in each rung of each bracket; every bracket ends at the last level.
        levels: `[L]` int32, of each evaluation of a cycle.
        before: `[L]` int32, the cycle's evaluation with which the rung below begins.
        num_before: `[L]` int32, evaluations in the rung below; 0 where there is none.
    """

    epochs: tuple[int, ...]
    brackets: tuple[tuple[int, ...], ...]
    levels: np.ndarray
    before: np.ndarray
    num_before: np.ndarray


def schedule(min_epochs: int, max_epochs: int, eta: int) -> Schedule:
    """Schedule of HpBandSter's brackets.

    Args:
        min_epochs: the fewest epochs worth a training.
        max_epochs: epochs of the last rung of each bracket.
        eta: one evaluation of so many goes on, with so many times the epochs.

    Raises:
        ValueError: unless `1 <= min_epochs <= max_epochs` and `eta >= 2`.
    """
    check_at_least_one(min_epochs=min_epochs)
    if min_epochs > max_epochs:
        raise ValueError(
            f"min_epochs must be at most the max_epochs {max_epochs}; got {min_epochs}"
        )
    if eta < 2:
        raise ValueError(f"eta must be at least 2; got {eta}")
    # Counted in integers, for a quotient of logarithms puts 3^5 = 243 just below level 5.
    num_levels = 1
    while min_epochs * eta**num_levels <= max_epochs:
        num_levels += 1
    # HpBandSter rounds `num_levels / num_rungs` down first, where the paper rounds the product up:
    # with three levels the second bracket begins with 3 evaluations, not with 5.
    brackets = tuple(
        tuple(num_levels // num_rungs * eta ** (num_rungs - 1 - rung) for rung in range(num_rungs))
        for num_rungs in range(num_levels, 0, -1)
    )
    rows, begin = [], 0
    for sizes in brackets:
        # No rung is below the lowest: a `num_before` of 0 is how `bohb` knows what is new.
        below = (0, 0)
        for rung, size in enumerate(sizes):
            rows += [(num_levels - len(sizes) + rung, *below)] * size
            below, begin = (begin, size), begin + size
    epochs = tuple(max_epochs // eta**level for level in reversed(range(num_levels)))
    return Schedule(epochs, brackets, *np.array(rows, np.int32).T)
